"""Ageing against measurements: relaxation of two technologies, telegraph noise of a third.

The simulated board knows parameters only; the data are read here, and cells of a simulated chip
are given the conductances that the measured ones began with.
"""

from __future__ import annotations

import os
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from sim_backend.board import SimulatedBoard
from sim_backend.cells import FORMED
from sim_backend.technology import load

DATA = Path(os.environ.get("RRAMHIL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FOLDER = DATA / "rram_measured" / "relaxation"
ROWS = np.arange(512)
NS = 10**9

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"there are no measured data at {FOLDER}"
)


def board_of(folder: Path, technology: str, seed: int = 3) -> SimulatedBoard:
    board = SimulatedBoard(folder, seed, 1)
    board.replace_chip(0, technology=technology)
    return board


def give(board: SimulatedBoard, conductance_uS: np.ndarray) -> None:
    """Give the first cells of chip 0 these conductances, as if a pulse had done so just now."""
    cells, count = board.chips[0].cells, len(conductance_uS)
    cells.conductance_ps.reshape(-1)[:count] = np.rint(conductance_uS * 1e6)
    cells.flags.reshape(-1)[:count] = FORMED
    now = board.chips[0].ageing.clock.slot(board.clock_ns)
    cells.changed_slot.reshape(-1)[:count] = now


class Measured:
    """Changes of measured cells: `change_uS[n]` at `times_s[n]`, nan where there is none."""

    def __init__(self, name: str) -> None:
        cell, _, _, after, before, _, time_s = np.loadtxt(FOLDER / f"{name}.min.tsv.gz").T
        self.times_s = np.unique(time_s)[1:]
        cells, number = np.unique(cell, return_inverse=True)
        self.before_uS = np.zeros(len(cells))
        self.before_uS[number] = before * 1e6
        self.change_uS = np.full((len(self.times_s), len(cells)), np.nan)
        for n, at_s in enumerate(self.times_s):
            here = time_s == at_s
            self.change_uS[n, number[here]] = (after - before)[here] * 1e6


NAMES = {"tech_b": "techB_relaxdata_10k", "tech_c": "techC_relaxdata"}


@pytest.fixture(scope="module", params=sorted(NAMES))
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A technology, what was measured, and what a simulated chip of it did in the same time."""
    measured = Measured(NAMES[request.param])
    with board_of(tmp_path_factory.mktemp("ageing"), request.param) as board:
        board.advance(NS)
        give(board, measured.before_uS)
        start_ns, count = board.clock_ns, len(measured.before_uS)
        given_ps = board.chips[0].cells.conductance_ps.reshape(-1)[:count].astype(np.int64)
        changes = []
        for time_s in measured.times_s:
            board.advance(start_ns + round(time_s * NS) - board.clock_ns)
            aged_ps = board.chips[0].aged_ps(board.clock_ns).reshape(-1)[:count]
            changes.append((aged_ps - given_ps) / 1e6)
    simulated = np.where(np.isnan(measured.change_uS), np.nan, changes)
    return request.param, measured, simulated


def test_conductance_changes_spread_as_measured_at_every_time(followed):
    _, measured, simulated = followed
    for time_s, real, drawn in zip(measured.times_s, measured.change_uS, simulated, strict=True):
        ratio = np.nanstd(drawn) / np.nanstd(real)
        distance = ks_2samp(drawn[~np.isnan(drawn)], real[~np.isnan(real)]).statistic
        assert ratio == pytest.approx(1, abs=0.10), f"sd at {time_s} s"
        assert distance < 0.1, f"KS at {time_s} s"


def test_cells_of_every_eighth_of_the_conductances_change_as_measured(followed):
    """Not only pooled: quantiles, not moments, for single cells far out rule those of an eighth."""
    _, measured, simulated = followed
    edges = np.quantile(measured.before_uS, np.linspace(0, 1, 9))
    edges[-1] += 1
    for real, drawn in zip(measured.change_uS, simulated, strict=True):
        for low_uS, high_uS in pairwise(edges):
            here = (measured.before_uS >= low_uS) & (measured.before_uS < high_uS)
            here &= ~np.isnan(real)
            assert ks_2samp(drawn[here], real[here]).statistic < 0.13


def test_the_mean_drifts_as_measured(followed):
    _, measured, simulated = followed
    for real, drawn in zip(measured.change_uS, simulated, strict=True):
        spread = np.nanstd(real) / np.sqrt(np.isfinite(real).sum())
        assert abs(np.nanmean(drawn) - np.nanmean(real)) < 6 * spread


@pytest.mark.parametrize(
    "kind",
    # ten thousand cells take twenty seconds to fit, the others one
    [
        pytest.param(kind, marks=pytest.mark.slow if kind == "tech_b" else ())
        for kind in sorted(NAMES)
    ],
)
def test_the_tables_are_those_that_the_fit_gives(kind: str):
    fit = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "fit_ageing.py"))
    facts = load(kind).relaxation
    levels_uS = fit["LEVELS_US"][NAMES[kind]]
    assert levels_uS == pytest.approx([float(level) for level in facts.levels_uS.value])
    found = fit["relaxation"](NAMES[kind], levels_uS)
    assert list(found) == [float(time_s) for time_s in facts.times_s.value]
    assert np.array(list(found.values())) == pytest.approx(
        np.array(facts.change_uS.value, dtype=float), abs=0.002
    )


def ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()


def test_a_cell_remembers_its_change_about_as_long_as_measured(followed):
    _, measured, simulated = followed
    for n in range(len(measured.times_s) - 1):
        pair = slice(n, n + 2)
        both = np.isfinite(measured.change_uS[pair]).all(axis=0)
        real, drawn = (
            np.corrcoef(ranks(one[n][both]), ranks(one[n + 1][both]))[0, 1]
            for one in (measured.change_uS, simulated)
        )
        assert drawn == pytest.approx(real, abs=0.28), measured.times_s[pair]


def test_rram40_hardly_ages_and_by_what_its_file_says(tmp_path: Path):
    with board_of(tmp_path, "rram40") as board:
        give(board, np.full(512 * 512, 12.35))
        start_ns = board.clock_ns
        spreads = []
        for time_s in (0.9, 1e1, 1e4, 1e7):
            board.advance(start_ns + round(time_s * NS) - board.clock_ns)
            spreads.append((board.chips[0].aged_ps(board.clock_ns) / 12.35e6).std())
        assert spreads[0] == 0
        assert spreads[1:] == pytest.approx([0.01 / 7, 0.04 / 7, 0.01], rel=0.04)


# --- telegraph noise ------------------------------------------------------------------------

SLOT_NS = 2_500_000
SAMPLES = 8_000


def states_of(trace: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Both levels of a trace, and which one it is on; a state ends 35 % from the other level."""
    low, high = trace.min(), trace.max()
    for _ in range(50):
        up = trace >= (low + high) / 2
        if up.all() or not up.any():
            break
        low, high = trace[~up].mean(), trace[up].mean()
    states, state = np.empty(len(trace), dtype=bool), bool(up[0])
    for n, value in enumerate(trace):
        state = value >= low + (0.35 if state else 0.65) * (high - low)
        states[n] = state
    return low, high, states


def figures_of(trace: np.ndarray) -> np.ndarray:
    """Relative sd, relative step, mean dwell in samples on the low and on the high level."""
    low, high, states = states_of(trace)
    ends = np.flatnonzero(np.diff(states)) + 1
    lengths, of = np.diff(ends), states[ends[:-1]]
    dwell = lengths[~of].mean(), lengths[of].mean()
    return np.array([trace.std() / trace.mean(), (high - low) / trace.mean(), *dwell])


@pytest.fixture(scope="module")
def read_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Cells of one row, read every 2.5 ms: those with a trap like the median one, and without.

    Returns which have one, (columns,), and the readings in codes, (samples, columns).
    """
    with board_of(tmp_path_factory.mktemp("telegraph"), "tech_a") as board:
        give(board, np.full(512 * 512, 184.0))
        traps = board.chips[0].ageing.traps
        there = traps.step > 0
        alike = there.copy()
        for of in traps:
            middle = np.median(of[there])
            alike &= abs(np.log(np.maximum(of, 1) / middle)) < 0.1
        row = alike.sum(axis=1).argmax(keepdims=True)
        quiet = np.flatnonzero(~there[row[0]])[:10]
        columns = np.sort(np.concatenate([np.flatnonzero(alike[row[0]]), quiet]))
        zero = board.measure_zeros(0, row, 1)[0] / 16
        codes = np.empty((SAMPLES, len(columns)))
        start_ns = board.clock_ns
        for n in range(SAMPLES):
            board.wait(start_ns + n * SLOT_NS - board.clock_ns)
            (part,) = board.read(0, row, columns, 1, 1, len(columns))
            codes[n] = part.codes - zero
        return alike[row[0], columns], codes


def test_telegraph_noise_has_the_spread_and_the_dwell_times_of_the_measured_trace(read_out):
    traces = np.loadtxt(FOLDER / "techA_tsdata.min.tsv.gz")
    real = figures_of(traces[traces[:, 0] == 24][0, 2:][1_500:17_800])
    traps, codes = read_out
    drawn = np.array([figures_of(trace) for trace in codes.T[traps]])
    assert len(drawn) > 4
    middle = np.median(drawn, axis=0)
    assert middle[:2] == pytest.approx(real[:2], rel=0.10), "relative sd and step"
    assert middle[2:] == pytest.approx(real[2:], rel=0.20), "mean dwell times, low and high"


def test_cells_without_a_trap_show_white_noise_only(read_out):
    traps, codes = read_out
    quiet = codes[:, ~traps]
    quiet = quiet - quiet.mean(axis=0)
    correlation = (quiet[1:] * quiet[:-1]).mean(axis=0) / quiet.var(axis=0)
    assert abs(correlation).max() < 5 / np.sqrt(SAMPLES)
    assert codes[:, ~traps].std(axis=0) / codes[:, ~traps].mean(axis=0) == pytest.approx(
        0.00235, rel=0.1
    )


def test_the_share_of_cells_with_a_trap_is_that_of_the_technology(tmp_path: Path):
    with board_of(tmp_path, "tech_a") as board:
        share = (board.chips[0].ageing.traps.step > 0).mean()
    assert share == pytest.approx(0.2, abs=0.005)
