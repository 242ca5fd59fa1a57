"""SET, RESET and endurance of the simulated chip against the parameters of its profile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from firmware_protocol.executor import FrameId
from firmware_protocol.messages import Operation
from sim_backend.board import SimulatedBoard
from sim_backend.cells import CellFlag
from sim_backend.macro import Macro
from tests.physics.test_forming import pulses

ALL = np.arange(512)
FACTS = {
    "on_uS": 12.35, "on_devices": 0.10, "on_cycles": 0.12,
    "off_uS": 1.0, "off_devices": 0.3, "off_cycles": 0.4,
}  # fmt: skip


class Bench:
    """A dense chip and the pulses that tests give to its rows."""

    def __init__(self, board: SimulatedBoard) -> None:
        self.board = board
        self._numbers = count(1)
        self.pulse(Operation.FORM, 4.0)

    @property
    def chip(self) -> Macro:
        return self.board.chips[0]

    def pulse(
        self,
        operation: Operation,
        seen_v: float,
        rows: np.ndarray = ALL,
        width_ns: int = 100_000,
        compliance_na: int = 100_000,
    ) -> np.ndarray:
        """Fire, and return the conductances in uS."""
        fired = pulses(rows, seen_v, width_ns, compliance_na)
        self.board.pulse(FrameId(1, next(self._numbers)), 0, operation, fired)
        return self.chip.cells.conductance_ps / 1e6

    def reset(self, seen_v: float = -2.0) -> np.ndarray:
        return self.pulse(Operation.RESET, seen_v)

    def set(self, seen_v: float = 2.0, compliance_na: int = 100_000) -> np.ndarray:
        return self.pulse(Operation.SET, seen_v, compliance_na=compliance_na)

    def has(self, flag: CellFlag) -> np.ndarray:
        return (self.chip.cells.flags & flag) != 0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SimulatedBoard(tmp_path, 5, 1) as board:
        yield Bench(board)


def test_levels_have_the_mean_and_the_two_spreads_of_the_profile(bench: Bench):
    cycled: dict[str, list[np.ndarray]] = {"off": [], "on": []}
    good = np.ones((512, 512), dtype=np.bool_)
    for _ in range(8):
        cycled["off"].append(bench.reset())
        good &= bench.has(CellFlag.OFF)
        cycled["on"].append(bench.set())
        good &= ~bench.has(CellFlag.OFF)
    for state, levels_uS in cycled.items():
        levels = np.array(levels_uS)[:, good]
        assert levels.mean() == pytest.approx(FACTS[f"{state}_uS"], rel=0.005)
        logs = np.log(levels)
        within = logs.var(axis=0, ddof=1).mean()
        between = logs.mean(axis=0).var() - within / 8
        assert within == pytest.approx(np.log1p(FACTS[f"{state}_cycles"] ** 2), rel=0.01)
        assert between == pytest.approx(np.log1p(FACTS[f"{state}_devices"] ** 2), rel=0.02)
        assert abs(np.corrcoef(logs[0] - logs[1], logs[2] - logs[3])[0, 1]) < 0.01


@pytest.mark.parametrize(("operation", "mean_v"), [(Operation.SET, 1.2), (Operation.RESET, 1.0)])
def test_thresholds_are_normal_and_a_longer_pulse_switches_earlier(
    bench: Bench, operation: Operation, mean_v: float
):
    sign = 1 if operation == Operation.SET else -1
    if operation == Operation.SET:
        bench.reset()
    ready = bench.has(CellFlag.OFF) == (operation == Operation.SET)
    groups = np.array_split(ALL, 8)
    shifts_v = np.linspace(-0.15, 0.15, 4)
    for n, rows in enumerate(groups):
        longer = n >= 4
        level_v = sign * (mean_v + shifts_v[n % 4] - 0.06 * longer)
        bench.pulse(operation, level_v, rows, 1_000_000 if longer else 100_000)
    switched = (bench.has(CellFlag.OFF) == (operation == Operation.RESET)) & ready
    for n, rows in enumerate(groups):
        share = switched[rows].sum() / ready[rows].sum()
        assert share == pytest.approx(stats.norm.cdf(shifts_v[n % 4] / 0.1), abs=0.012)


def test_some_pulses_fail_at_the_rate_of_the_profile_and_the_next_one_does_it(bench: Bench):
    bench.reset()
    still_on = ~bench.has(CellFlag.OFF)
    assert still_on.mean() == pytest.approx(0.002, abs=4 * np.sqrt(0.002 / 512**2))
    bench.reset()
    assert (still_on & ~bench.has(CellFlag.OFF)).sum() < 10
    bench.set()
    still_off = bench.has(CellFlag.OFF)
    assert still_off.mean() == pytest.approx(0.001, abs=4 * np.sqrt(0.001 / 512**2))


def test_the_on_level_is_proportional_to_compliance_and_the_off_level_is_not(bench: Bench):
    bench.reset()
    on_uS = bench.set(compliance_na=50_000)
    assert on_uS[~bench.has(CellFlag.OFF)].mean() == pytest.approx(12.35 / 2, rel=0.005)
    off_uS = bench.pulse(Operation.RESET, -2.0, compliance_na=270_000)
    assert off_uS[bench.has(CellFlag.OFF)].mean() == pytest.approx(1.0, rel=0.01)


def test_a_cell_that_is_there_already_stays_as_it_is(bench: Bench):
    formed_uS = bench.chip.cells.conductance_ps / 1e6
    assert np.array_equal(bench.set(), formed_uS)
    off_uS = bench.reset()
    off = bench.has(CellFlag.OFF)
    assert np.array_equal(bench.reset()[off], off_uS[off])
    assert not bench.chip.cells.cycles.any()


def test_unselected_cells_switch_only_if_their_voltages_say_so(bench: Bench):
    half = pulses(np.arange(2), -2.0)
    half.masks[:] = 0x0F
    bench.board.pulse(FrameId(2, 1), 0, Operation.RESET, half)
    selected = np.arange(512) % 8 < 4
    off = bench.has(CellFlag.OFF)[:2]
    assert off[:, selected].mean() > 0.98
    assert not off[:, ~selected].any()
    assert not bench.has(CellFlag.OFF)[2:].any()
    half.inhibited_uv[:] = -2_000_000
    bench.board.pulse(FrameId(2, 2), 0, Operation.RESET, half)
    assert bench.has(CellFlag.OFF)[:2].mean() > 0.98
    assert (bench.chip.cells.reset_pulses[:2] == 2 * selected).all()


def test_lifetimes_are_lognormal_about_a_million_cycles(bench: Bench):
    bench.reset()
    life = np.log(bench.chip.rules.devices.life)  # nothing else shows them before they end
    assert np.exp(np.median(life)) == pytest.approx(1e6, rel=0.01)
    assert life.std() == pytest.approx(np.sqrt(np.log1p(0.6**2)), rel=0.01)


def test_wear_closes_the_window_and_then_cells_stick_half_of_them_on(bench: Bench):
    life = bench.chip.rules.devices.life
    bench.chip.cells.cycles[:] = life // 2
    off_uS = bench.reset()
    assert np.median(off_uS) == pytest.approx(2 * 1.0 / np.sqrt(1.09 * 1.16), rel=0.02)
    on_uS = bench.set()
    assert np.median(on_uS) == pytest.approx(12.35 / np.sqrt(2) * 0.988, rel=0.01)
    assert not bench.has(CellFlag.STUCK).any()

    bench.chip.cells.cycles[:] = life - 1
    for _ in range(4):
        bench.reset()
        bench.set()
    stuck, off = bench.has(CellFlag.STUCK), bench.has(CellFlag.OFF)
    assert stuck.mean() > 0.999
    assert off[stuck].mean() == pytest.approx(0.5, abs=0.005)
    before = bench.chip.cells.conductance_ps.copy()
    bench.reset()
    bench.set()
    assert np.array_equal(bench.chip.cells.conductance_ps[stuck], before[stuck])
