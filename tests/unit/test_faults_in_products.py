"""Faults of switches and converters in products: the same board, sound and spoilt, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_protocol.executor import FrameId
from firmware_protocol.layouts import STEP
from firmware_protocol.messages import Operation, Use
from sim_backend.board import SimulatedBoard
from sim_backend.faults import DeadChannel, DriftingTia, Faults, StuckSwitch
from sim_backend.multiply import Inputs, Schedule
from tests.physics.test_forming import pulses

ROWS = np.arange(16)
RANGE = 2
LINE = 17


def schedule() -> Schedule:
    steps = np.zeros(2, dtype=STEP)
    steps["range"], steps["gate"] = RANGE, 255
    steps["samples"]["row"] = steps["samples"]["accumulator"] = ROWS.reshape(2, 8)
    steps["samples"]["use"] = Use.ADD
    return Schedule.of(steps, 16, 512)


def products(root: Path, vectors: np.ndarray, *faults: Any, wait_ns: int = 0) -> np.ndarray:
    """Accumulators of vectors of 3-bit inputs on 16 formed rows, zeros measured just before."""
    wanted = Faults(board=faults)
    with SimulatedBoard(root, 5, 1) as board:
        board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(ROWS, 4.0))
    with SimulatedBoard(root, 5, 1, faults=wanted) as board:
        board.measure_zeros(0, ROWS, RANGE)
        board.wait(wait_ns)
        bits = (vectors[:, None, :] >> np.arange(3)[:, None]) & 1
        planes = np.packbits(bits.astype(np.uint8), axis=2, bitorder="little")
        return board.multiply(0, schedule(), Inputs(planes, False), 0, 512).sums


def some_vectors(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 8, (count, 512))


def test_a_dead_channel_gives_its_zero_and_the_others_are_untouched(tmp_path: Path) -> None:
    vectors = some_vectors(20)
    sound = products(tmp_path / "sound", vectors)
    spoilt = products(tmp_path / "spoilt", vectors, DeadChannel(channel=3, code=777))
    assert not spoilt[:, 3::8].any()
    others = ROWS % 8 != 3
    assert np.array_equal(spoilt[:, others], sound[:, others])
    assert (sound[:, 3::8] > 1000).all()


def test_a_drift_since_the_zeros_adds_to_every_plane(tmp_path: Path) -> None:
    vectors, second_ns = some_vectors(20), 10**9
    fault = DriftingTia(channel=2, range=RANGE, codes_per_s=64)
    sound = products(tmp_path / "sound", vectors, wait_ns=second_ns)
    spoilt = products(tmp_path / "spoilt", vectors, fault, wait_ns=second_ns)
    more = spoilt - sound
    assert np.isin(more[:, 2::8], 7 * np.arange(63, 67)).all()
    assert not more[:, ROWS % 8 != 2].any()


def test_a_drift_of_another_range_is_not_seen(tmp_path: Path) -> None:
    vectors, fault = some_vectors(5), DriftingTia(channel=2, range=0, codes_per_s=1000)
    sound = products(tmp_path / "sound", vectors, wait_ns=10**9)
    assert np.array_equal(products(tmp_path / "spoilt", vectors, fault, wait_ns=10**9), sound)


@pytest.mark.parametrize("state", ["GND", "RAIL_A", "RAIL_B", "FLOAT"])
def test_a_stuck_line_follows_no_input(state: Any, tmp_path: Path) -> None:
    """Away from the read voltage its cells are missing; at it the zeros have them already."""
    vectors = some_vectors(300)
    without = vectors.copy()
    without[:, LINE] = 0
    fault = StuckSwitch(line=LINE, state=state)
    spoilt = products(tmp_path / "spoilt", vectors, fault).mean(axis=0)
    missing = products(tmp_path / "missing", without).mean(axis=0)
    complete = products(tmp_path / "complete", vectors).mean(axis=0)
    assert np.allclose(spoilt, missing, rtol=0.002, atol=8)
    assert (complete - missing > 60).all()


def test_a_line_that_is_always_driven_shows_when_zeros_were_measured_before(tmp_path: Path) -> None:
    fault = Faults(board=(StuckSwitch(line=LINE, state="RAIL_A"),))
    none = Inputs(np.zeros((200, 1, 64), np.uint8), False)
    with SimulatedBoard(tmp_path, 5, 1) as board:
        board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(ROWS, 4.0))
        board.measure_zeros(0, ROWS, RANGE)
        part = next(board.read(0, ROWS, np.array([LINE]), 200, RANGE, 1 << 16))
        alone = part.codes.reshape(200, 16).mean(axis=0) - board.chips[0].zeros(ROWS, RANGE) / 16
    with SimulatedBoard(tmp_path, 5, 1, faults=fault) as board:
        dark = board.multiply(0, schedule(), none, 0, 512).sums.mean(axis=0)
    assert np.allclose(dark, alone, atol=1.5)
