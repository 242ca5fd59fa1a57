"""The host's model of the lines against the simulated board's, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.wires import Lines, cells_uS, effective_of_rows_uS, effective_uS
from sim_backend.wires import Resistances, unrounded_ps

OHMS = st.one_of(st.just(0.0), st.floats(0.05, 5.0))
NOMINAL = Lines(125.0, 0.5, 0.1, 1.0)


def array_of(seed: int, rows: int, columns: int, formed: float) -> np.ndarray:
    """Conductances in uS, whole pS, a share of them formed."""
    random = np.random.default_rng(seed)
    on = random.lognormal(np.log(12.2), 0.15, (rows, columns))
    off = random.lognormal(np.log(0.1), 0.2, (rows, columns))
    return np.rint(np.where(random.random((rows, columns)) < formed, on, off) * 1e6) / 1e6


def simulated_uS(cells: np.ndarray, lines: Lines, group: int) -> np.ndarray:
    wires = Resistances(
        lines.bit_path_ohm, lines.bit_segment_ohm, lines.source_path_ohm, lines.source_segment_ohm
    )
    ps = np.rint(cells * 1e6).astype(np.uint32)
    rows = np.arange(len(cells)).reshape(-1, group)
    return np.concatenate([unrounded_ps(ps, one, wires) for one in rows]) / 1e6


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    groups=st.integers(1, 8),
    group=st.integers(1, 8),
    columns=st.integers(1, 96),
    formed=st.floats(0, 1),
    lines=st.builds(Lines, st.floats(0, 300), OHMS, OHMS, st.floats(0, 10)),
)
def test_effective_conductances_are_those_of_the_simulated_board(
    seed: int, groups: int, group: int, columns: int, formed: float, lines: Lines
):
    cells = array_of(seed, groups * group, columns, formed)
    expected = simulated_uS(cells, lines, group)
    assert effective_uS(cells, lines, group) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 8))
def test_any_rows_may_be_sampled_together(seed: int, size: int):
    cells = array_of(seed, 64, 40, 0.7)
    random = np.random.default_rng(seed)
    rows = np.sort([random.permutation(64)[:size] for _ in range(5)], axis=1)
    wires = Resistances(125.0, 0.5, 1.0, 0.1)
    ps = np.rint(cells * 1e6).astype(np.uint32)
    expected = np.stack([unrounded_ps(ps, group, wires) for group in rows]) / 1e6
    assert effective_of_rows_uS(cells[rows], rows, NOMINAL) == pytest.approx(expected, rel=1e-6)
    for wrong in (rows[:4], rows[:, ::-1] if size > 1 else rows - 64):
        with pytest.raises(ValueError, match="rows"):
            effective_of_rows_uS(cells[rows], wrong, NOMINAL)


def test_a_whole_macro_reads_as_on_the_simulated_board_and_loses_an_eighth():
    cells = array_of(1, 512, 512, 1.0)
    read = effective_uS(cells, NOMINAL)
    rows = [*range(8), *range(256, 264), *range(504, 512)]
    for first in (0, 256, 504):
        part = simulated_uS_group(cells, first)
        assert read[first : first + 8] == pytest.approx(part, rel=1e-6)
    lost = 1 - read[rows].mean() / cells[rows].mean()
    assert 0.10 < lost < 0.14


def simulated_uS_group(cells: np.ndarray, first: int) -> np.ndarray:
    wires = Resistances(125.0, 0.5, 1.0, 0.1)
    ps = np.rint(cells * 1e6).astype(np.uint32)
    return unrounded_ps(ps, np.arange(first, first + 8), wires) / 1e6


@pytest.mark.parametrize("formed", [1.0, 0.55, 0.03])
def test_the_inverse_gives_back_the_cells_of_a_whole_macro(formed: float):
    cells = array_of(2, 512, 512, formed)
    back = cells_uS(effective_uS(cells, NOMINAL), NOMINAL)
    assert abs(back - cells).max() < 1e-4 * cells.max()


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    formed=st.floats(0, 1),
    lines=st.builds(Lines, st.floats(0, 300), st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 10)),
)
def test_reading_and_its_inverse_cancel(seed: int, formed: float, lines: Lines):
    cells = array_of(seed, 32, 128, formed)
    back = cells_uS(effective_uS(cells, lines), lines)
    assert abs(back - cells).max() < 1e-4 * cells.max()


def test_noise_of_a_reading_stays_what_it_was():
    """Readings of unformed cells spread about zero; the inverse neither clips nor blows them up."""
    cells = array_of(3, 64, 512, 0.5)
    noise = np.random.default_rng(4).normal(0, 0.1, cells.shape)
    back = cells_uS(effective_uS(cells, NOMINAL) + noise, NOMINAL)
    assert (back - cells).std() == pytest.approx(0.1, rel=0.2)
    assert (back < 0).any()


def test_what_cannot_be_is_refused():
    cells = array_of(5, 16, 8, 1.0)
    with pytest.raises(ValueError, match="whole groups of 8 rows"):
        effective_uS(cells[:9], NOMINAL)
    with pytest.raises(ValueError, match="not negative"):
        cells_uS(cells, NOMINAL._replace(bit_path_ohm=-1.0))
    with pytest.raises(ValueError, match="no cells read so"):
        cells_uS(np.full((8, 512), 5000.0), NOMINAL)
