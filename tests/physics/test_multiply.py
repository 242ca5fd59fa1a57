"""Multiplying: mean and spread of products against what independent noise of the cells gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.executor import FrameId
from firmware_protocol.layouts import STEP
from firmware_protocol.messages import Operation, Use
from sim_backend.board import SimulatedBoard
from sim_backend.multiply import Inputs, Schedule
from sim_backend.wires import resistances, unrounded_ps
from tests.physics.test_forming import pulses
from tests.support.ideal import without_errors

ROWS = np.arange(16)
RANGE, PER_CODE_US = 2, 0.4


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimulatedBoard]:
    with SimulatedBoard(tmp_path, 5, 1) as opened:
        opened.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(ROWS, 3.45))
        opened.chips[0].read_through(without_errors(opened))
        opened.measure_zeros(0, ROWS, RANGE)
        yield opened


def schedule(gate: np.ndarray) -> Schedule:
    steps = np.zeros(2, dtype=STEP)
    steps["range"] = RANGE
    steps["gate"] = np.packbits(gate, bitorder="little")
    steps["samples"]["row"] = steps["samples"]["accumulator"] = ROWS.reshape(2, 8)
    steps["samples"]["use"] = Use.ADD
    return Schedule.of(steps, 16, 512)


def effective_uS(board: SimulatedBoard) -> np.ndarray:
    conductance_ps, wires = board.chips[0].cells.conductance_ps, resistances(board.profile)
    parts = [unrounded_ps(conductance_ps, rows, wires) for rows in ROWS.reshape(2, 8)]
    return np.concatenate(parts) / 1e6


def run(board: SimulatedBoard, gate: np.ndarray, vector: np.ndarray, times: int) -> np.ndarray:
    """Codes less zeros of one vector of one bit, again and again."""
    plane = np.packbits(vector, bitorder="little")
    inputs = Inputs(np.broadcast_to(plane, (times, 1, 64)).copy(), False)
    return board.multiply(0, schedule(gate), inputs, 0, 512).sums


@pytest.mark.parametrize("driven", [1, 8, 64, 400])
def test_a_product_has_the_mean_and_the_variance_of_independent_cells(
    board: SimulatedBoard, driven: int
):
    generator = np.random.default_rng(driven)
    vector = np.zeros(512, dtype=np.uint8)
    vector[generator.choice(512, driven, replace=False)] = 1
    gate = np.ones(512, dtype=np.uint8)
    gate[::5] = 0
    sums = run(board, gate, vector, 4000)
    codes = effective_uS(board)[:, (vector & gate) == 1] / PER_CODE_US
    zero = board.chips[0].zeros(ROWS, RANGE) / 16
    expected_sd = np.sqrt((0.02**2 * codes**2).sum(axis=1) + 0.75**2 + 1 / 12)
    # the zero in the register is itself measured, and rounded to a whole code
    zero_error = 0.5 + 5 * np.hypot(0.75, 1 / 12**0.5) / 4
    assert abs(sums.mean(axis=0) - codes.sum(axis=1)).max() < zero_error + 0.2
    assert np.allclose(sums.std(axis=0, ddof=1), expected_sd, rtol=0.06)
    assert (zero > 200).all()


def test_noise_of_vectors_rows_and_planes_is_independent(board: SimulatedBoard):
    every = np.ones(512, dtype=np.uint8)
    sums = run(board, every, every * (np.arange(512) < 200), 6000).astype(np.float64)
    noise = (sums - sums.mean(axis=0)) / sums.std(axis=0)
    for a, b in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
        assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_a_bit_line_that_is_gated_off_carries_nothing(board: SimulatedBoard):
    every, none = np.ones(512, dtype=np.uint8), np.zeros(512, dtype=np.uint8)
    dark, gated = run(board, every, none, 500), run(board, none, every, 500)
    assert abs(dark.mean(axis=0)).max() < 2
    assert abs(gated.mean(axis=0) - dark.mean(axis=0)).max() < 0.2


def test_wires_cost_a_product_what_they_cost_a_reading(board: SimulatedBoard):
    """The network does not know the input: cells read one by one add up to the product."""
    vector = (np.arange(512) % 3 == 0).astype(np.uint8)
    every, none = np.ones(512, dtype=np.uint8), np.zeros(512, dtype=np.uint8)
    dark = run(board, every, none, 10_000).mean(axis=0)
    product = run(board, every, vector, 4000).mean(axis=0) - dark
    columns = np.flatnonzero(vector)
    parts = board.read(0, ROWS, columns, 40, RANGE, 1 << 19)
    codes = np.concatenate([part.codes for part in parts]).reshape(40, 16, len(columns))
    zero = (board.chips[0].zeros(ROWS, RANGE).astype(np.int64) + 8) // 16 + dark
    read = (codes.mean(axis=0) - zero[:, None]).sum(axis=1)
    assert np.allclose(product, read, rtol=0.003, atol=10)
    alone_uS = board.chips[0].cells.conductance_ps[ROWS][:, columns].sum(axis=1) / 1e6
    assert (product < 0.98 * alone_uS / PER_CODE_US).all()
