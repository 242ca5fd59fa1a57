"""Accumulators of a served board against sums written down from the contract.

Any mask, any placement, any batch: placements are drawn line by line, masks and inputs at random,
and everything goes through compiler, driver and the bytes of the wire. One board serves all
examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rramhil.driver import Board, Chip, RunResult
from rramhil.switching import (
    CompiledTile,
    Mask,
    MatrixShape,
    Placement,
    Sample,
    Schedule,
    Step,
    Tile,
    compile_masks,
)
from sim_backend.frontend import REFERENCE_MK, converters
from sim_backend.randomness import board_key
from tests.support.ideal import IDEAL
from tests.support.networks import MACRO, Programmed, programmed_lab, still_board
from tests.support.products import (
    ChipTruth,
    Sampled,
    accumulators,
    accumulators_with_noise,
)

Int64Array = npt.NDArray[np.int64]
SEED = 3
ROWS, COLUMNS, CHANNELS = MACRO.rows, MACRO.columns, MACRO.channels
PER_CODE_PS = (6250, 50_000, 400_000)


@dataclass
class Bench:
    """A chip behind the wire, and what is true of it."""

    board: Board
    chip: Chip
    truth: ChipTruth

    def run(
        self, schedule: Schedule, lines: Int64Array, bits: int, *, is_signed: bool
    ) -> tuple[RunResult, dict[tuple[int, int], int]]:
        """Load and run a schedule; also the zeros that its rows had, by row and range."""
        zeros: dict[tuple[int, int], int] = {}
        for range_index in np.unique(schedule.ranges).tolist():
            used = schedule.samples.row[schedule.ranges[schedule.samples.step] == range_index]
            rows = np.unique(used)
            sums = (self.chip.dark(rows, range_index).astype(int) + 8) // 16
            zeros |= {(row, range_index): zero for row, zero in zip(rows.tolist(), sums)}  # noqa: B905
        self.chip.load_schedule(0, schedule)
        return self.chip.run_schedule(0, lines, bits, is_signed=is_signed), zeros


@contextmanager
def bench_of(root: Path, *, quiet: bool = True, ideal: bool = False) -> Iterator[Bench]:
    with (
        still_board(root, SEED, quiet=quiet, ideal=ideal) as (address, simulated),
        Board.open(address, lab_root=root) as board,
    ):
        real = converters(simulated.profile, board_key(SEED), REFERENCE_MK)
        truth = ChipTruth(simulated, (IDEAL,) * CHANNELS if ideal else real)
        yield Bench(board, board.chip(0), truth)


@pytest.fixture(scope="module")
def programmed(tmp_path_factory: pytest.TempPathFactory) -> Programmed:
    return programmed_lab(tmp_path_factory.mktemp("programmed") / "lab", SEED)


@pytest.fixture(scope="module")
def quiet(programmed: Programmed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Gains, offsets and converters with all their errors, but no noise."""
    with bench_of(programmed.copy(tmp_path_factory.mktemp("quiet") / "lab")) as bench:
        yield bench


@pytest.fixture(scope="module")
def ideal(programmed: Programmed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = programmed.copy(tmp_path_factory.mktemp("ideal") / "lab")
    with bench_of(root, ideal=True) as bench:
        yield bench


@pytest.fixture(scope="module")
def noisy(programmed: Programmed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = programmed.copy(tmp_path_factory.mktemp("noisy") / "lab")
    with bench_of(root, quiet=False) as bench:
        yield bench


# --- what is drawn ---------------------------------------------------------------------------


@dataclass
class Case:
    """A matrix somewhere on the macro, its mask, and a batch."""

    placement: Placement
    mask: Mask
    range_index: int
    inputs: Int64Array
    bits: int
    is_signed: bool

    @property
    def compiled(self) -> tuple[CompiledTile, ...]:
        return compile_masks(self.placement, {"m": self.mask}, self.range_index)

    def lines(self, tile: Tile) -> Int64Array:
        """The batch on the bit lines; those of other tiles and of none carry noise of their own."""
        lines = np.random.default_rng(len(self.inputs)).permuted(
            np.resize(self.inputs, (len(self.inputs), COLUMNS)), axis=1
        )
        lines[:, tile.columns] = self.inputs[:, tile.inputs]
        return lines

    def samples(self, part: CompiledTile) -> list[Sampled]:
        """What masks and placement want converted; the schedule says only what goes together."""
        found: list[Sampled] = []
        gates = self.mask.rows[part.tile.outputs, :, part.tile.inputs]
        for accumulator, row in enumerate(part.tile.rows.ravel().tolist()):
            gate = np.zeros(COLUMNS, dtype=np.bool_)
            gate[part.tile.columns] = gates.reshape(-1, len(part.tile.columns))[accumulator]
            if gate.any():
                (step,) = np.flatnonzero((part.schedule.rows == row).any(axis=1))
                rows = part.schedule.rows[step]
                beside = tuple(rows[rows >= 0].tolist())
                found.append(Sampled(row, self.range_index, accumulator, 1, beside, gate))
        return found


def pairs_of_rows(random: np.random.Generator, count: int) -> npt.NDArray[np.int16]:
    """Pairs of neighbouring rows anywhere, either row the plus one."""
    first = np.arange(int(random.integers(0, 2)), ROWS - 1, 2)
    pairs = random.permutation(first)[:count, None] + np.array([0, 1])
    return random.permuted(pairs, axis=1).astype(np.int16)


def placed(random: np.random.Generator, outputs: int, inputs: int, tiled: bool) -> Placement:
    """A matrix cut into one or four tiles, each on lines of its own choice."""
    down = sorted({0, outputs // 2, outputs} if tiled else {0, outputs})
    across = sorted({0, inputs // 2, inputs} if tiled else {0, inputs})
    pairs = pairs_of_rows(random, outputs * (len(across) - 1))
    tiles: list[Tile] = []
    for left, right in zip(across, across[1:]):  # noqa: B905, RUF007
        for top, bottom in zip(down, down[1:]):  # noqa: B905, RUF007
            rows, pairs = pairs[: bottom - top], pairs[bottom - top :]
            columns = random.permutation(COLUMNS)[: right - left].astype(np.int16)
            tiles.append(Tile("m", 0, top, left, rows, columns))
    return Placement(MACRO, (MatrixShape("m", outputs, inputs),), tuple(tiles))


@st.composite
def cases(draw: st.DrawFn, largest: tuple[int, int] = (12, 48)) -> Case:
    outputs, inputs = (draw(st.integers(1, most)) for most in largest)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    placement = placed(random, outputs, inputs, draw(st.booleans()))
    gates = random.random((2, outputs, inputs)) < draw(st.sampled_from([0.0, 0.1, 0.1, 0.5, 1.0]))
    if draw(st.booleans()):
        gates[:] = gates[:, random.integers(0, outputs, outputs)]  # rows that share a pattern
    mask = Mask.pair(gates[0]) if draw(st.booleans()) else Mask.cell(*gates)
    bits, is_signed = draw(st.integers(1, 8)), draw(st.booleans())
    low = -(1 << (bits - 1)) if is_signed else 0
    batch = random.integers(low, low + (1 << bits), (draw(st.integers(1, 4)), inputs))
    return Case(placement, mask, draw(st.sampled_from([0, 0, 1, 2])), batch, bits, is_signed)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Steps of any ranges and gates; rows come twice, accumulators are shared and subtracted."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 5))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 4))):
        channels = random.permutation(CHANNELS)[: random.integers(1, CHANNELS + 1)]
        rows = channels + CHANNELS * random.integers(0, ROWS // CHANNELS, len(channels))
        samples = tuple(
            Sample(row, int(random.integers(0, count)), int(random.choice([-1, 1])))
            for row in rows.tolist()
        )
        gate = random.random(COLUMNS) < draw(st.sampled_from([0.02, 0.5, 1.0]))
        steps.append(Step(int(random.integers(0, 3)), gate, samples))
    return Schedule.from_steps(steps, CHANNELS, count)


quick = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# --- promises --------------------------------------------------------------------------------


def check_case(bench: Bench, case: Case) -> None:
    for part in case.compiled:
        samples = case.samples(part)
        assert part.schedule.steps or not samples
        if not samples:
            continue
        lines = case.lines(part.tile)
        said, zeros = bench.run(part.schedule, lines, case.bits, is_signed=case.is_signed)
        expected = accumulators(
            bench.truth,
            samples,
            2 * len(part.tile.rows),
            lines,
            case.bits,
            is_signed=case.is_signed,
        )
        assert said.accumulators.tolist() == expected.tolist()
        assert said.conversions == len(lines) * case.bits * len(samples)
        assert all(bench.truth.zero(*where) == zero for where, zero in zeros.items())


@quick(max_examples=80)
@given(case=cases())
def test_accumulators_of_any_mask_placement_and_batch_equal_the_contract_bit_for_bit(
    quiet: Bench, case: Case
):
    check_case(quiet, case)


@pytest.mark.slow
@quick(max_examples=800)
@given(case=cases(largest=(120, 300)))
def test_accumulators_of_large_matrices_equal_the_contract_bit_for_bit(quiet: Bench, case: Case):
    check_case(quiet, case)


@quick(max_examples=60)
@given(schedule=schedules(), seed=st.integers(0, 2**32), bits=st.integers(1, 8), sign=st.booleans())
def test_any_schedule_adds_and_subtracts_as_the_contract_says(
    quiet: Bench, schedule: Schedule, seed: int, bits: int, sign: bool
):
    low = -(1 << (bits - 1)) if sign else 0
    lines = np.random.default_rng(seed).integers(low, low + (1 << bits), (2, COLUMNS))
    said, _ = quiet.run(schedule, lines, bits, is_signed=sign)
    samples = [
        Sampled(
            each.row,
            step.range_index,
            each.accumulator,
            each.sign,
            tuple(one.row for one in step.samples),
            step.gate,
        )
        for step in map(schedule.step, range(schedule.steps))
        for each in step.samples
    ]
    count = schedule.accumulator_count
    expected = accumulators(quiet.truth, samples, count, lines, bits, is_signed=sign)
    assert said.accumulators.tolist() == expected.tolist()


@quick(max_examples=60)
@given(case=cases())
def test_with_ideal_converters_the_masked_product_is_exact_within_half_a_code_a_conversion(
    ideal: Bench, case: Case
):
    for part in case.compiled:
        samples = case.samples(part)
        if not samples:
            continue
        lines = case.lines(part.tile)
        said, _ = ideal.run(part.schedule, lines, case.bits, is_signed=case.is_signed)
        # of what overruns the scale in any plane, nothing is promised
        fits = np.ones(said.accumulators.shape, dtype=np.bool_)
        exact, most = (np.zeros(said.accumulators.shape) for _ in range(2))
        for each in samples:
            codes = ideal.truth.units(each.row, each.beside) * 4 / PER_CODE_PS[case.range_index]
            fits[:, each.accumulator] = codes[each.gate].sum() < 16_000
            exact[:, each.accumulator] = lines[:, each.gate] @ codes[each.gate]
            most[:, each.accumulator] = 0.501 * ((1 << case.bits) - 1)
        assert (abs(said.accumulators - exact) <= most)[fits].all()
        assert fits.any() or case.range_index == 0


@pytest.mark.parametrize("seed", range(6))
def test_on_a_noisy_board_accumulators_lie_within_the_predicted_noise(noisy: Bench, seed: int):
    random = np.random.default_rng(seed)
    outputs, inputs = int(random.integers(2, 8)), int(random.integers(4, 40))
    bits, is_signed, repeats = 1 + seed, seed % 2 == 1, 300
    gates = random.random((2, outputs, inputs)) < 0.5
    low = -(1 << (bits - 1)) if is_signed else 0
    batch = random.integers(low, low + (1 << bits), (3, inputs))
    placement = placed(random, outputs, inputs, tiled=False)
    case = Case(placement, Mask.cell(*gates), 1 + seed % 2, batch, bits, is_signed)
    (part,) = case.compiled
    lines = case.lines(part.tile)
    said, zeros = noisy.run(
        part.schedule, np.repeat(lines, repeats, axis=0), bits, is_signed=is_signed
    )
    samples = case.samples(part)
    predicted = accumulators_with_noise(
        noisy.truth, samples, 2 * outputs, lines, bits, zeros, is_signed=is_signed
    )
    sampled = sorted({each.accumulator for each in samples})
    sd = np.sqrt(predicted.variance[:, sampled])
    sums = said.accumulators.reshape(len(lines), repeats, -1)[:, :, sampled]
    sigma = (sums - predicted.mean[:, None, sampled]) / sd[:, None]
    assert said.saturated == 0
    assert abs(sigma).max() < 6
    # each accumulator of each vector on its own: its mean, and its spread
    assert abs(sigma.mean(axis=1)).max() < 4.5 / np.sqrt(repeats)
    assert abs(sigma.std(axis=1, ddof=1) - 1).max() < 4.5 / np.sqrt(2 * repeats)
    assert abs(sigma.std() - 1) < 4 / np.sqrt(2 * sigma.size)
