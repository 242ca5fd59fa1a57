"""The wires against a direct sparse solve of the same network, and against the laws they obey."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rramhil.bench._network import DirectNetwork
from sim_backend import fixedpoint, tables
from sim_backend.cells import fill_unformed
from sim_backend.profile import load
from sim_backend.wires import (
    Resistances,
    array_currents,
    effective_ps,
    resistances,
    unrounded_ps,
)

BOARD = resistances(load("rram40_256k"))
HIGHEST_PS = 100_000_000
EXTREME_PS = 2**32 - 1


@st.composite
def wires(draw: st.DrawFn) -> Resistances:
    segment, path = st.floats(0.1, 5), st.sampled_from([0.0, 1.0, 125.0])
    return Resistances(draw(path), draw(segment), draw(path), draw(segment))


@st.composite
def arrays(draw: st.DrawFn, highest_ps: int = HIGHEST_PS) -> np.ndarray:
    """Any size and formed fraction; cells of a row or column may all be at the top or at zero."""
    rows, columns = draw(st.integers(16, 128)), draw(st.integers(16, 128))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    formed = generator.random((rows, columns)) < draw(st.sampled_from([0.0, 0.03, 0.5, 0.97, 1.0]))
    top_ps = draw(st.sampled_from([12_350_000, highest_ps]))
    level = generator.uniform(draw(st.sampled_from([0.0, 0.5, 1.0])), 1, (rows, columns))
    cells = np.where(formed, level * top_ps, 100_000 * level).astype(np.uint32)
    cells[draw(st.integers(0, rows - 1))] = draw(st.sampled_from([0, highest_ps]))
    cells[:, draw(st.integers(0, columns - 1))] = draw(st.sampled_from([0, highest_ps]))
    return cells


@st.composite
def sampled(draw: st.DrawFn, rows: int) -> np.ndarray:
    return np.array(sorted(draw(st.sets(st.integers(0, rows - 1), min_size=1, max_size=8))))


def random_map(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """A lognormal map of the measured mean and spread."""
    generator = np.random.default_rng(seed)
    spread = np.exp(0.1497 * generator.standard_normal((rows, columns)))
    return (12.35e6 * 0.9889 * spread).astype(np.uint32)


# --- effective conductances -----------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.data(), arrays(), wires())
def test_effective_conductances_are_those_of_a_direct_solve(
    data: st.DataObject, cells: np.ndarray, lines: Resistances
):
    rows = data.draw(sampled(len(cells)))
    exact_ps = DirectNetwork(cells[rows] * 1e-12, lines, rows).effective_s() * 1e12
    found_ps = unrounded_ps(cells, rows, lines)
    # far below the largest the direct solve itself has no digits left
    assert (abs(found_ps - exact_ps) <= 1e-6 * exact_ps + 1e-12 * exact_ps.max()).all()
    assert abs(effective_ps(cells, rows, lines) - found_ps).max() <= 0.5


@settings(deadline=None, max_examples=30)
@given(st.data(), arrays(), wires())
def test_currents_of_any_gate_are_those_of_a_direct_solve(
    data: st.DataObject, cells: np.ndarray, lines: Resistances
):
    rows = data.draw(sampled(len(cells)))
    gates = [0, 2**128 - 1, data.draw(st.integers(0, 2**128 - 1))]
    network = DirectNetwork(cells[rows] * 1e-12, lines, rows)
    effective = unrounded_ps(cells, rows, lines)
    for gate in gates:
        open_lines = np.array([float(gate >> c & 1) for c in range(cells.shape[1])])
        current_pa = effective @ open_lines
        exact_pa = network.currents_a(open_lines) * 1e12
        assert (abs(current_pa - exact_pa) <= 1e-6 * exact_pa).all()


@settings(deadline=None, max_examples=30)
@given(st.data(), arrays(EXTREME_PS), wires())
def test_extreme_conductances_are_solved_as_well(
    data: st.DataObject, cells: np.ndarray, lines: Resistances
):
    rows = data.draw(sampled(len(cells)))
    exact_ps = DirectNetwork(cells[rows] * 1e-12, lines, rows).effective_s() * 1e12
    error_ps = abs(unrounded_ps(cells, rows, lines) - exact_ps)
    assert (error_ps <= 1e-9 * exact_ps.max()).all()


def test_without_resistance_effective_conductances_are_the_conductances():
    cells = random_map(32, 64)
    cells[3], cells[:, 5] = 0, EXTREME_PS
    rows = np.array([0, 3, 4, 17, 31])
    assert (effective_ps(cells, rows, Resistances(0, 0, 0, 0)) == cells[rows]).all()
    nearly = effective_ps(cells, rows, Resistances(1e-10, 1e-10, 1e-10, 1e-10))
    assert abs(nearly.astype(np.int64) - cells[rows]).max() <= 1


def test_one_cell_sees_its_lines_in_series():
    cells = np.zeros((16, 16), dtype=np.uint32)
    cells[4, 9] = 10_000_000
    ohm = (125 + 5 * 0.5) + 1 / 10e-6 + (7 * 0.1 + 1)
    expected = np.zeros((1, 16))
    expected[0, 9] = round(1e12 / ohm)
    assert (effective_ps(cells, np.array([4]), BOARD) == expected).all()


def test_the_network_is_reciprocal():
    """Turned over, drivers and amplifiers change places and the conductances stay."""
    cells = random_map(8, 8)
    rows = np.arange(8)
    there = effective_ps(cells, rows, BOARD)
    # the far end of a source line is column 0, that of a bit line the last row
    turned = Resistances(*BOARD[2:], *BOARD[:2])
    back = effective_ps(np.ascontiguousarray(cells[::-1, ::-1].T), rows, turned)[::-1, ::-1].T
    assert (there == back).all()


def test_a_row_alone_carries_at_least_what_it_carries_in_company():
    cells = random_map(64, 64)
    together = effective_ps(cells, np.arange(16, 24), BOARD)
    for n, row in enumerate(range(16, 24)):
        alone = effective_ps(cells, np.array([row]), BOARD)[0]
        assert alone.sum(dtype=np.int64) >= together[n].sum(dtype=np.int64)


def test_wires_cost_an_eighth_of_the_current_of_a_dense_step_of_eight_rows():
    cells = random_map(512, 512)
    kept = [
        effective_ps(cells, rows, BOARD).sum(dtype=np.int64) / cells[rows].sum(dtype=np.int64)
        for rows in np.arange(512).reshape(64, 8)
    ]
    lost = 1 - np.array(kept)
    assert (np.diff(lost.reshape(8, 8).mean(axis=1)) > 0).all()
    assert lost.mean() == pytest.approx(0.12, abs=0.003)
    assert lost[0] == pytest.approx(0.11, abs=0.003)
    assert lost[-1] == pytest.approx(0.13, abs=0.003)


# --- the whole array ------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(st.data(), arrays(), wires())
def test_currents_of_a_whole_array_are_those_of_a_direct_solve(
    data: st.DataObject, cells: np.ndarray, lines: Resistances
):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    volts = generator.random(cells.shape[1])
    volts[generator.random(len(volts)) < data.draw(st.sampled_from([0.0, 0.5, 0.95]))] = 0
    exact_a = DirectNetwork(cells * 1e-12, lines).currents_a(volts)
    current_a = array_currents(cells, volts, lines).current_a
    assert (abs(current_a - exact_a) <= 1e-6 * abs(exact_a) + 1e-12 * exact_a.max()).all()


def test_all_cells_at_the_top_need_no_tuning():
    cells = np.full((128, 128), HIGHEST_PS, dtype=np.uint32)
    volts = np.ones(128)
    for segment in (0.1, 1.0, 5.0):
        lines = Resistances(0.0, segment, 0.0, segment)
        exact_a = DirectNetwork(cells * 1e-12, lines).currents_a(volts)
        np.testing.assert_allclose(array_currents(cells, volts, lines).current_a, exact_a, 1e-6)


@pytest.mark.parametrize("segment", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("shape", [(16, 128), (128, 16), (128, 128)])
def test_half_formed_arrays_of_the_largest_sizes_are_solved_as_well(
    shape: tuple[int, int], segment: float
):
    generator = np.random.default_rng(shape)
    formed = generator.random(shape) < 0.5
    cells = np.where(formed, generator.integers(0, HIGHEST_PS, shape), 100_000).astype(np.uint32)
    volts, lines = generator.random(shape[1]), Resistances(125.0, segment, 1.0, segment)
    exact_a = DirectNetwork(cells * 1e-12, lines).currents_a(volts)
    np.testing.assert_allclose(array_currents(cells, volts, lines).current_a, exact_a, 1e-6)
    rows = np.sort(generator.choice(shape[0], 8, replace=False))
    exact_s = DirectNetwork(cells[rows] * 1e-12, lines, rows).effective_s()
    np.testing.assert_allclose(unrounded_ps(cells, rows, lines) * 1e-12, exact_s, 1e-6)


def test_both_ways_to_solve_agree():
    cells = random_map(32, 48)
    volts = np.random.default_rng(1).random(48)
    effective = effective_ps(cells, np.arange(32), BOARD) * 1e-12
    np.testing.assert_allclose(
        array_currents(cells, volts, BOARD).current_a, effective @ volts, 1e-6
    )


def test_a_whole_array_without_resistance_multiplies():
    cells, volts = random_map(19, 23), np.random.default_rng(2).random(23)
    solved = array_currents(cells, volts, Resistances(0, 0, 0, 0))
    np.testing.assert_allclose(solved.current_a, cells * 1e-12 @ volts, 1e-14)


@pytest.mark.parametrize("level_ps", [0, 1, EXTREME_PS])
@pytest.mark.parametrize("driven", [0, 1, 16])
def test_the_hardest_and_the_emptiest_arrays_come_to_an_end(level_ps: int, driven: int):
    cells = np.full((512, 16), level_ps, dtype=np.uint32)
    volts = np.zeros(16)
    volts[:driven] = 1
    solved = array_currents(cells, volts, Resistances(0, 50, 0, 50))
    assert (solved.current_a >= 0).all()
    assert (solved.current_a > 0).any() == bool(level_ps and driven)


# --- the promise of the bits ----------------------------------------------------------------


def digest() -> str:
    """Of everything that a few small networks give."""
    found = hashlib.sha256()
    for seed, (rows, columns) in enumerate([(16, 16), (11, 9), (8, 30)]):
        cells = random_map_of_integers(rows, columns, seed)
        volts = (np.arange(columns) % 5) / 7
        for lines in (BOARD, Resistances(3.3, 1.7, 0.3, 4.9)):
            found.update(array_currents(cells, volts, lines).current_a.astype("<f8").tobytes())
            found.update(effective_ps(cells, np.arange(1, 8, 2), lines).astype("<u4").tobytes())
    return found.hexdigest()


def random_map_of_integers(rows: int, columns: int, seed: int) -> np.ndarray:
    """A map whose bits no library's floats decide."""
    cells = np.empty((rows, columns), dtype=np.uint32)
    numbers = fixedpoint.forming_numbers(load("rram40_256k"))
    fill_unformed(cells, np.uint64(seed), numbers, tables.load())
    return cells * np.uint32(100)


def test_results_are_the_committed_ones():
    assert digest() == "4b3774e6892be4a78909eb927b91993c37cb3e5dfb9cc424649b8002e41093ef"


def test_compiled_code_gives_the_bits_of_plain_python():
    """Nothing is contracted, reordered or vectorised into other bits: Python does neither."""
    code = "from tests.physics.test_wires import digest; print(digest())"
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest()


def test_two_threads_give_the_bits_of_one():
    cells = random_map(512, 512)
    groups = list(np.arange(512).reshape(64, 8))
    volts = np.full(512, 0.2)
    alone = [effective_ps(cells, rows, BOARD) for rows in groups]
    array = array_currents(cells, volts, BOARD)
    with ThreadPoolExecutor(2) as pool:
        arrays = [pool.submit(array_currents, cells, volts, BOARD) for _ in range(2)]
        together = list(pool.map(lambda rows: effective_ps(cells, rows, BOARD), groups))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
    assert all((array.current_a == a.result().current_a).all() for a in arrays)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [[], [-1], [16], [3, 3], [4, 2]])
def test_rows_that_are_no_group_are_refused(rows: list[int]):
    with pytest.raises(ValueError, match="ascend"):
        effective_ps(random_map(16, 16), np.array(rows, dtype=np.int64), BOARD)


@pytest.mark.parametrize("ohm", [-1.0, float("inf"), float("nan")])
def test_resistances_that_cannot_be_are_refused(ohm: float):
    lines = BOARD._replace(bit_path=ohm)
    with pytest.raises(ValueError, match="resistances"):
        effective_ps(random_map(16, 16), np.arange(8), lines)
    with pytest.raises(ValueError, match="resistances"):
        array_currents(random_map(16, 16), np.ones(16), lines)


@pytest.mark.parametrize("volts", [np.ones(15), -np.ones(16), np.full(16, np.nan)])
def test_voltages_that_do_not_fit_are_refused(volts: np.ndarray):
    with pytest.raises(ValueError, match="16 voltages"):
        array_currents(random_map(16, 16), volts, BOARD)
