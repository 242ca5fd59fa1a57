"""Gate schedules through the driver, over TCP and inside the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_protocol.layouts import PULSE_ROW
from firmware_protocol.messages import Operation, Rail
from rramhil.driver import Board, Chip
from rramhil.errors import BoardError
from rramhil.switching import Sample, Schedule, Step, row_schedule
from tests.support.boards import served_board

ROWS = np.arange(24)
RANGE = 1


@pytest.fixture(params=["tcp", "sim"])
def board(request: pytest.FixtureRequest, lab_root: Path) -> Iterator[Board]:
    if request.param == "sim":
        with Board.open("sim://", lab_root=lab_root) as board:
            yield board
        return
    with served_board(lab_root) as address, Board.open(address, lab_root=lab_root) as board:
        yield board


@pytest.fixture
def chip(board: Board) -> Chip:
    """A chip with half of the cells of 24 rows formed, and zeros of all ranges."""
    pulses = np.zeros(len(ROWS), dtype=PULSE_ROW)
    pulses["row"] = ROWS
    code = board.description.dac_code(Rail.SOURCE, 4.0)
    pulses["source_code"] = pulses["inhibit_code"] = code
    pulses["word_code"] = board.description.word_code(100e-6)
    pulses["width_ns"] = 1_000_000
    pulses["column_mask"] = 0x55
    chip = board.chip(0)
    assert chip.pulse(pulses, Operation.FORM).error is None
    for range_index in range(3):
        chip.dark(ROWS, range_index)
    return chip


def gate(*columns: int) -> NDArray[np.bool_]:
    lines = np.zeros(512, dtype=np.bool_)
    lines[list(columns) or slice(None)] = True
    return lines


def schedule_of(steps: list[Step], accumulators: int, spread: bool = False) -> Schedule:
    """A schedule of steps; `spread`: the sample of step n into accumulator n."""
    if spread:
        steps = [
            step._replace(samples=(step.samples[0]._replace(accumulator=n),))
            for n, step in enumerate(steps)
        ]
    return Schedule.from_steps(steps, 8, accumulators)


def some_inputs(vectors: int, low: int, high: int, columns: int = 512) -> NDArray[Any]:
    return np.random.default_rng(1).integers(low, high + 1, (vectors, columns))


def test_a_product_is_the_inputs_times_the_conductances(chip: Chip) -> None:
    # in the range of the product, so that both have the same gains
    conductance_uS = chip.read(ROWS, slice(0, 64), reads=200, range_index=RANGE)
    chip.load_schedule(3, row_schedule(ROWS, gate(*range(0, 64, 3)), RANGE, 8))
    inputs = some_inputs(400, 0, 15, 64)
    result = chip.run_schedule(3, inputs, 4)
    gated_uS = conductance_uS * gate(*range(0, 64, 3))[:64]
    expected = inputs @ gated_uS.T / 0.05
    assert result.accumulators.shape == (400, 24)
    assert result.conversions == 400 * 4 * 24
    assert result.saturated == 0
    error = (result.accumulators - expected).mean(axis=0)
    # zero and conductance are measured: 16 conversions, 200 reads
    assert abs(error).max() < 0.01 * expected.mean()


def test_signed_inputs_and_subtracted_samples_have_their_signs(chip: Chip) -> None:
    pair = Step(2, gate(), (Sample(0, 0), Sample(1, 0, sign=-1), Sample(2, 1)))
    chip.load_schedule(0, schedule_of([pair], 2))
    inputs = np.repeat(some_inputs(6, -8, 7), 300, axis=0)
    result = chip.run_schedule(0, inputs, 4, is_signed=True)
    chip.load_schedule(1, row_schedule(np.arange(3), gate(), 2, 8))
    alone = chip.run_schedule(1, inputs, 4, is_signed=True)

    def means(sums: NDArray[np.int32]) -> NDArray[np.float64]:
        return sums.reshape(6, 300, -1).mean(axis=1)

    one, two, three = means(alone.accumulators).T
    pair, single = means(result.accumulators).T
    # what cells and converter leave of their noise in the mean of 300 vectors
    assert np.allclose(pair, one - two, atol=6 * 180 / np.sqrt(300))
    assert np.allclose(single, three, atol=6 * 130 / np.sqrt(300))
    assert abs(one - two).max() > 200
    # every second column is formed
    assert np.corrcoef(three, inputs[::300, ::2].sum(axis=1))[0, 1] > 0.99


def test_long_schedules_and_batches_are_cut_into_frames(chip: Chip, board: Board) -> None:
    """3,000 steps take two frames, 1,000 vectors of 512 accumulators eight."""
    steps = [
        Step(2, gate(), tuple(Sample(row, (8 * n + row) % 512) for row in range(8)))
        for n in range(3000)
    ]
    sent = board.link.statistics.frames_sent
    chip.load_schedule(5, schedule_of(steps, 512))
    assert board.link.statistics.frames_sent - sent >= 2
    chip.load_schedule(6, schedule_of(steps[:64], 512))
    inputs = some_inputs(1000, 0, 1)
    sent = board.link.statistics.frames_sent
    result = chip.run_schedule(6, inputs, 1)
    assert board.link.statistics.frames_sent - sent >= 8
    assert (result.accumulators.shape, result.conversions) == ((1000, 512), 512_000)
    assert chip.run_schedule(5, inputs[:2], 1).conversions == 2 * 24_000


def test_a_schedule_that_somebody_else_loaded_can_be_run(chip: Chip, board: Board) -> None:
    chip.load_schedule(0, row_schedule(ROWS, gate(), RANGE, 8))
    result = board.chip(0).run_schedule(0, some_inputs(5, 0, 1), 1)
    assert result.accumulators.shape == (5, 24)
    assert result.conversions == 5 * 24


def test_runs_in_flight_are_executed_in_order_and_skipped_after_one_that_failed(
    board: Board, chip: Chip
) -> None:
    chip.load_schedule(0, row_schedule(ROWS, gate(), RANGE, 8))
    chip.load_schedule(1, row_schedule([40], gate(), RANGE, 8))  # its zero was never measured
    inputs = some_inputs(50, 0, 1)
    running = [chip.start_schedule(0, inputs[n : n + 10], 1) for n in range(0, 50, 10)]
    ends_ns = [each.result().board_time_ns for each in running]
    assert ends_ns == sorted(set(ends_ns))
    counted = board.counters(0).conversions
    failing, after = chip.start_schedule(1, inputs, 1), chip.start_schedule(0, inputs, 1)
    with pytest.raises(BoardError, match=r"no zero in range 1 of this row \(40\)"):
        failing.result()
    with pytest.raises(BoardError):
        after.result()
    assert board.counters(0).conversions == counted
    assert chip.run_schedule(0, inputs, 1).conversions == 50 * 24
    with pytest.raises(ValueError, match="slot 7 was not loaded through this object"):
        chip.start_schedule(7, inputs, 1)


def test_what_is_not_ready_is_said_with_the_next_step(board: Board) -> None:
    chip = board.chip(0)
    with pytest.raises(BoardError, match=r"no schedule in this slot \(9\).*LOAD_SCHEDULE"):
        chip.run_schedule(9, some_inputs(5, 0, 1), 1)
    chip.load_schedule(9, row_schedule(ROWS, gate(), RANGE, 8))
    with pytest.raises(BoardError, match=r"no zero in range 1 of this row \(0\).*DARK"):
        chip.run_schedule(9, some_inputs(5, 0, 1), 1)
    chip.dark(ROWS, RANGE)
    assert chip.run_schedule(9, some_inputs(5, 0, 1), 1).conversions == 120


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        (row_schedule([0, 512], gate(), 0, 8), "step 1 of the schedule: there is no row 512"),
        (row_schedule([0], gate(), 3, 8), "step 0 .* no range 3, only 0 to 2"),
        (row_schedule([0], gate()[:8], 0, 8), "8 bit lines and 8 channels does not fit"),
        (row_schedule([0], gate(), 0, 4), "512 bit lines and 4 channels does not fit"),
        (schedule_of([Step(0, gate(), (Sample(0, 0),))] * 4097, 4097, spread=True), "4096 steps"),
        (schedule_of([Step(0, gate(), (Sample(0, 0),))], 4097), "1 to 4096 accumulators"),
    ],
)
def test_a_schedule_that_cannot_be_run_is_refused_before_it_is_sent(
    chip: Chip, board: Board, schedule: Schedule, why: str
) -> None:
    sent = board.link.statistics.frames_sent
    with pytest.raises(ValueError, match=why):
        chip.load_schedule(0, schedule)
    with pytest.raises(ValueError, match="no slot 64"):
        chip.load_schedule(64, row_schedule([0], gate(), 0, 8))
    assert board.link.statistics.frames_sent == sent


def test_inputs_that_are_none_are_refused(chip: Chip) -> None:
    chip.load_schedule(0, row_schedule([0], gate(), 0, 8))
    good = np.zeros((1, 8), dtype=np.int64)
    for inputs, named, why in (
        (good.astype(float), {}, "whole numbers"),
        (good[0], {}, r"shape \(8,\)"),
        (good[:0], {}, r"shape \(0, 8\)"),
        (good + 4, {}, "input 4 lies outside 0 to 3"),
        (good + 2, {"is_signed": True}, "input 2 lies outside -2 to 1"),
        (good, {"first_column": 505}, "do not fit"),
    ):
        with pytest.raises(ValueError, match=why):
            chip.run_schedule(0, inputs, 2, **named)
    with pytest.raises(ValueError, match="1 to 8 bits"):
        chip.run_schedule(0, good, 9)
