"""What a network takes on other hardware, and constants that two places need."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.cli._networks import readable
from rramhil.flow import elsewhere
from rramhil.network import Matrix
from rramhil.switching import energy_model
from sim_backend.profile import load

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
    assert host.energy_j >= host.time_s * energy_model().host["core_power_w"].value
    assert "measured" in host.basis
    (alone, _) = elsewhere([SMALL])
    assert alone.time_s < host.time_s


def test_what_the_price_assumes_of_cells_is_what_the_simulated_ones_have() -> None:
    profile, cells = load("rram40_256k"), energy_model().cells
    assert cells["endurance_cycles"].value == profile.endurance.median_cycles.value
    assert cells["conductance_uS"].value == float(profile.forming.conductance_mean_uS.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(2.5, "2.5 s"), (0.0411, "41.1 ms"), (7.59e-11, "75.9 ps"), (0, "0 ps"), (1e-14, "0.01 ps")],
)
def test_small_times_are_told_with_their_prefix(value: float, said: str) -> None:
    assert readable(value, "s") == said
