"""What a network takes on other hardware, and constants that two places need."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil._units import readable  # noqa: E402
from rramhil.flow import elsewhere  # noqa: E402
from rramhil.network import Int8, Matrix  # noqa: E402
from rramhil.switching import energy_model  # noqa: E402
from sim_backend.profile import load  # noqa: E402

SMALL, LARGE = Matrix("small", 10, 40, 4, 1), Matrix("large", 200, 500, 8, 100)


def test_a_gpu_is_reckoned_by_its_data_sheet_and_the_host_is_measured() -> None:
    host, gpu = elsewhere([SMALL, LARGE])
    operations = 2 * (10 * 40 + 200 * 500 * 100)
    assert gpu.time_s == pytest.approx(operations / (624e12 * 0.3))
    assert gpu.energy_j == pytest.approx(400 * gpu.time_s)
    assert "assumed" in gpu.basis
    assert gpu.where == "NVIDIA A100 SXM, int8"
    # 20 million operations: no processor does them in a microsecond, none takes a second
    assert 1e-6 < host.time_s < 1
    assert host.energy_j == pytest.approx(host.time_s * energy_model().host["core_power_w"].value)
    assert "measured with one thread" in host.basis
    (alone, _) = elsewhere([SMALL])
    assert alone.time_s < host.time_s


def test_the_host_is_measured_with_one_thread_whatever_torch_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    multiply = Int8.multiply

    def watched(self: Int8, *arguments: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return multiply(self, *arguments)

    monkeypatch.setattr(Int8, "multiply", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        elsewhere([SMALL])
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_what_the_price_assumes_of_cells_is_what_the_simulated_ones_have() -> None:
    profile, cells = load("rram40_256k"), energy_model().cells
    assert cells["endurance_cycles"].value == profile.endurance.median_cycles.value
    assert cells["conductance_uS"].value == float(profile.forming.conductance_mean_uS.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.5, "2.5 s"),
        (0.0411, "41.1 ms"),
        (7.59e-11, "75.9 ps"),
        (0, "0 ps"),
        (1e-14, "0.01 ps"),
        (1.24, "1.24 s"),
        (0.9999, "1,000 ms"),
        (1240.4, "1,240 s"),
        (123456, "123,000 s"),
    ],
)
def test_small_times_are_told_with_their_prefix(value: float, said: str) -> None:
    assert readable(value, "s") == said
