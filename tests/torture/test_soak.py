"""A long random life of a served board: memory stays flat, and every count is right at the end.

The board runs in a process of its own, served by the command line; the host keeps its own
expectation of what each cell went through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.messages import (
    BoardState,
    ClearRequest,
    Command,
    ErrorCode,
    MeasureSource,
    Operation,
    PulseRowsReply,
    PulseRowsRequest,
    Rail,
)
from rramhil.driver import Board
from rramhil.switching import row_schedule
from sim_backend.board import SimulatedBoard, inspect
from sim_backend.cells import CellFlag
from tests.support.boards import endpoint
from tests.support.cli import Cli, line_of
from tests.support.pulses import row_pulses

CELLS_A_PULSE = 96
"""At most; so many the rail feeds in RESET."""
GROWTH_KIB = 2048
"""What the memory of the board's process may differ between the second and the last quarter."""


class Life:
    """Random operations on one chip, at most so many a step, and what they must have done to it."""

    def __init__(self, board: Board, seed: int, most: int) -> None:
        self.board = board
        self.most = most
        self.chip = board.chip(0)
        self.rng = np.random.default_rng(seed)
        facts = board.description
        self.shape = (facts.rows, facts.columns)
        self.templates = {
            operation: row_pulses(facts, operation, [0], [0]) for operation in Operation
        }
        self.pulses = {operation: np.zeros(self.shape, dtype=np.int64) for operation in Operation}
        self.conversions = np.zeros(facts.rows, dtype=np.int64)
        self.too_high = facts.dac_code(Rail.SOURCE, 4.9)
        self.done: Counter[str] = Counter()
        self.sampled = [self._load(slot) for slot in range(4)]

    def _load(self, slot: int) -> np.ndarray:
        """Load a schedule of some rows, and measure their zeros."""
        rows = np.sort(self.rng.choice(self.shape[0], 12, replace=False))
        gate = self.rng.random(self.shape[1]) < 0.5
        channels = self.board.description.channels
        self.chip.load_schedule(slot, row_schedule(rows, gate, 1, channels))
        self.chip.dark(rows, 1)
        self.conversions[rows] += self.board.description.zero_conversions
        return rows

    def step(self) -> None:
        """One command, or one batch of operations."""
        steps: list[Callable[[], int]] = [self._pulse, self._pulse, self._points, self._violate]
        steps += [self._read, self._dark, self._wait, self._multiply, self._measure]
        chosen = steps[self.rng.integers(len(steps))]
        self.done[chosen.__name__] += chosen()

    def _random_pulses(self) -> tuple[Operation, np.ndarray]:
        rng = self.rng
        operation = Operation(rng.integers(1, 4))
        count = int(rng.integers(1, self.most + 1))
        pulses = np.repeat(self.templates[operation], count)
        pulses["row"] = rng.integers(self.shape[0], size=count)
        selected = np.zeros((count, self.shape[1]), dtype=np.bool_)
        columns = rng.integers(self.shape[1], size=(count, CELLS_A_PULSE))
        np.put_along_axis(selected, columns, True, axis=1)
        pulses["column_mask"] = np.packbits(selected, axis=1, bitorder="little")
        return operation, pulses

    def _expect(self, operation: Operation, pulses: np.ndarray) -> int:
        selected = np.unpackbits(pulses["column_mask"], axis=1, bitorder="little")
        np.add.at(self.pulses[operation], pulses["row"], selected.astype(np.int64))
        return len(pulses)

    def _pulse(self) -> int:
        operation, pulses = self._random_pulses()
        result = self.chip.pulse(pulses, operation)
        assert result.error is None
        assert result.cells == np.bitwise_count(pulses["column_mask"]).sum(dtype=np.int64)
        return self._expect(operation, pulses)

    def _violate(self) -> int:
        """A frame with one pulse over the limit, and another one in flight behind it."""
        operation, pulses = self._random_pulses()
        size = self.board.description.max_pulse_rows
        pulses = pulses[:size]
        bad = int(self.rng.integers(len(pulses)))
        spoilt = pulses.copy()
        spoilt["bit_code" if operation == Operation.RESET else "source_code"][bad] = self.too_high
        bodies = [
            PulseRowsRequest(0, operation, len(part)).pack() + part.tobytes()
            for part in (spoilt, pulses)
        ]
        first, second = self.board.link.exchange(Command.PULSE_ROWS, bodies)
        assert first.reply is not None
        reply = PulseRowsReply.unpack(first.reply)
        assert (reply.fired, reply.error.code) == (bad, ErrorCode.LIMIT_VOLTAGE)
        assert second.error is not None
        assert second.error.code == ErrorCode.SKIPPED
        assert self.board.status().state == BoardState.HALTED
        clear = ClearRequest(first.sequence).pack()
        self.board.link.request(Command.CLEAR, clear)
        return self._expect(operation, pulses[:bad]) + 1

    def _points(self) -> int:
        count = int(self.rng.integers(1, self.most + 1))
        rows = self.rng.integers(self.shape[0], size=count)
        columns = self.rng.integers(self.shape[1], size=count)
        self.chip.read_points(rows, columns, range_index=self._range())
        np.add.at(self.conversions, rows, 1)
        return count

    def _read(self) -> int:
        rows, columns = self._lines(0), self._lines(1)
        reads = int(self.rng.integers(1, 4))
        self.chip.read_codes(rows, columns, reads, self._range())
        self.conversions[rows] += reads * len(columns)
        return 1

    def _dark(self) -> int:
        rows = self._lines(0)
        self.chip.dark(rows, self._range())
        self.conversions[rows] += self.board.description.zero_conversions
        return 1

    def _multiply(self) -> int:
        slot, bits = int(self.rng.integers(4)), int(self.rng.integers(1, 9))
        vectors = int(self.rng.integers(1, 40))
        inputs = self.rng.integers(0, 1 << bits, (vectors, self.shape[1]))
        result = self.chip.run_schedule(slot, inputs, bits)
        assert result.conversions == vectors * bits * len(self.sampled[slot])
        self.conversions[self.sampled[slot]] += vectors * bits
        return vectors

    def _measure(self) -> int:
        measured = self.board.measure(MeasureSource.OPEN, range_index=self._range())
        assert (measured.codes > 0).all()
        return 1

    def _wait(self) -> int:
        self.board.wait(float(self.rng.exponential(10.0)) + 1e-9)
        return 1

    def _range(self) -> int:
        return int(self.rng.integers(len(self.board.description.ranges)))

    def _lines(self, axis: int) -> np.ndarray:
        count = int(self.rng.integers(1, 40))
        return np.sort(self.rng.choice(self.shape[axis], count, replace=False))


def memory_kib(process: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def check_state(lab: Path, life: Life) -> None:
    """The chip's file against the host's expectation."""
    truth = inspect(lab / "simulated", 0, 1, 0)
    cells = truth.cells
    for operation, counts in (
        (Operation.FORM, cells.form_pulses),
        (Operation.SET, cells.set_pulses),
        (Operation.RESET, cells.reset_pulses),
    ):
        assert (counts == life.pulses[operation]).all(), operation
    assert truth.conversions == life.conversions.sum()
    formed, off = ((cells.flags & flag) != 0 for flag in (CellFlag.FORMED, CellFlag.OFF))
    assert not (off & ~formed).any()
    assert not (formed & (cells.form_pulses + cells.set_pulses == 0)).any()
    assert (cells.cycles <= cells.set_pulses + cells.form_pulses).all()
    assert (cells.conductance_ps > 0).all()


def soak(folder: Path, operations: int, seed: int, most: int) -> Counter[str]:
    cli = Cli(folder)
    used_kib: list[int] = []
    with cli.start("sim", "serve", "--tcp", "127.0.0.1:0") as server:
        try:
            address = line_of(server).strip()
            assert endpoint(address)[1]
            with Board.open(address, lab_root=cli.lab) as board:
                life = Life(board, seed, most)
                while life.done.total() < operations:
                    life.step()
                    used_kib.append(memory_kib(server.pid))
                told = board.counters(0)
                link = board.link.statistics
        finally:
            server.terminate()
            server.communicate()
    totals = {operation: int(counts.sum()) for operation, counts in life.pulses.items()}
    assert told.form_pulses == totals[Operation.FORM]
    assert told.set_pulses == totals[Operation.SET]
    assert told.reset_pulses == totals[Operation.RESET]
    assert told.conversions == life.conversions.sum()
    assert link.bad_frames == 0
    check_state(cli.lab, life)
    SimulatedBoard(cli.lab / "simulated", 0, 1).close()  # the state opens again
    second, last = (np.array_split(np.array(used_kib), 4)[quarter] for quarter in (1, 3))
    growth_kib = float(last.mean() - second.mean())
    print(f"{life.done.total()} operations {dict(life.done)}; memory grew by {growth_kib:.0f} KiB")
    assert growth_kib < GROWTH_KIB
    return life.done


def test_a_short_life_leaves_memory_flat_and_every_count_right(tmp_path: Path) -> None:
    kinds = soak(tmp_path, 20_000, seed=1, most=200)
    assert len(kinds) == 8  # each kind of step was taken


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_operations_leave_memory_flat_and_every_count_right(tmp_path: Path) -> None:
    soak(tmp_path, 1_000_000, seed=2, most=2000)
