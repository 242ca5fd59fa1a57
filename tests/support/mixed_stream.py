"""A fixed mixed stream of operations, and the SHA-256 of everything that the board answers.

    python -m tests.support.mixed_stream [--batch N] [--board ADDRESS] [--lab FOLDER]

prints the digest; without `--board` of a fresh simulated board inside the process. When what a
board answers changes on purpose, the new one goes into `DIGEST` below, which the test of
reproducibility compares with, and the changelog says why.

What is hashed does not depend on how operations are cut into frames. A reply's parts are two:
items, one an operation, which are hashed in the order of operations, and a head (sums over the
frame and the clock at its end), of which the sums are added up and hashed after the items. The
clock, the counters and the switches are hashed at the end, and so are bulk reads, whole. To add an
operation, write a function that takes a `Stream` and hand what comes back to `Stream.note`; call it
in `_STREAM`.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from firmware_protocol.layouts import POINT, STEP
from firmware_protocol.messages import (
    ChipRequest,
    Command,
    LoadScheduleRequest,
    MeasureRequest,
    MeasureSource,
    Operation,
    PulseRowsReply,
    PulseRowsRequest,
    ReadPointsReply,
    ReadPointsRequest,
    RunScheduleReply,
    RunScheduleRequest,
    SwitchesRequest,
    Use,
)
from rramhil.driver import Board
from tests.support.pulses import row_pulses

DIGEST = "ba0dc34e9f0d2e2c2a264319f665046b412dab4ef6b4c72bb1861395633e9a70"
"""SHA-256 that every way to carry out the stream must give, for seed `SEED`."""
SEED = 20

ROWS, COLUMNS = range(3, 48), range(5, 205, 3)


class Stream:
    """An open board, how many operations a frame carries, and the digest so far."""

    def __init__(self, board: Board, batch: int) -> None:
        self.board = board
        self.batch = batch
        self._digest = hashlib.sha256()

    def note(self, *answers: bytes) -> None:
        """Hash answers, each with its length."""
        for answer in answers:
            self._digest.update(len(answer).to_bytes(8, "little"))
            self._digest.update(answer)

    def hexdigest(self) -> str:
        """SHA-256 of all that was noted."""
        return self._digest.hexdigest()

    def frames(self, command: Command, bodies: Sequence[bytes]) -> list[bytes]:
        """Send frames with a full window; their replies."""
        return self.board.link.request_many(command, bodies)

    def parts(self, operations: np.ndarray) -> list[np.ndarray]:
        """Cut operations into frames."""
        return [operations[at : at + self.batch] for at in range(0, len(operations), self.batch)]


def _pulse(operation: Operation, rows: Sequence[int]) -> Callable[[Stream], None]:
    def run(stream: Stream) -> None:
        pulses = row_pulses(stream.board.description, operation, rows, COLUMNS)
        # amplitudes from no effect on any cell to an effect on nearly all
        name = "bit_code" if operation == Operation.RESET else "source_code"
        pulses[name] -= (np.arange(len(pulses)) % 5 * pulses[name] // 16).astype(np.uint16)
        if operation != Operation.RESET:
            pulses["inhibit_code"] = pulses["source_code"]
        bodies = [
            PulseRowsRequest(0, operation, len(part)).pack() + part.tobytes()
            for part in stream.parts(pulses)
        ]
        replies = stream.frames(Command.PULSE_ROWS, bodies)
        heads = [PulseRowsReply.unpack(reply) for reply in replies]
        stream.note(*(status for r in replies for status in _items(r, PulseRowsReply.SIZE, 1)))
        for total in (sum(head.fired for head in heads), sum(head.cells for head in heads)):
            stream.note(total.to_bytes(8, "little"))

    return run


def _points(stream: Stream) -> None:
    points = np.zeros(600, dtype=POINT)
    points["row"] = np.arange(600) * 7 % 48
    points["column"] = np.arange(600) * 11 % 210
    for range_index in range(3):
        bodies = [
            ReadPointsRequest(0, range_index, len(part)).pack() + part.tobytes()
            for part in stream.parts(points)
        ]
        replies = stream.frames(Command.READ_POINTS, bodies)
        size = (len(replies[0]) - ReadPointsReply.SIZE) // min(stream.batch, len(points))
        stream.note(*(item for r in replies for item in _items(r, ReadPointsReply.SIZE, size)))


def _read(stream: Stream) -> None:
    for range_index in range(3):
        block = stream.board.chip(0).read_codes(range(64), range(0, 300, 2), 3, range_index)
        stream.note(block.codes.tobytes(), block.zero_sums.tobytes())
        stream.note(block.saturated.to_bytes(8, "little"))
        stream.note(block.start_ns.to_bytes(8, "little"), block.stop_ns.to_bytes(8, "little"))


def _dark(stream: Stream) -> None:
    for range_index in range(3):
        stream.note(stream.board.chip(0).dark(range(1, 60, 2), range_index).tobytes())


def _multiply(bits: int, is_signed: bool) -> Callable[[Stream], None]:
    slot, steps, accumulators, vectors, first, columns = bits, 14, 40, 300, 3, 200

    def run(stream: Stream) -> None:
        rng = np.random.default_rng(bits)
        for range_index in range(3):
            stream.note(stream.board.chip(0).dark(range(64), range_index).tobytes())
        items = np.zeros(steps, dtype=STEP)
        items["range"] = rng.integers(0, 3, steps)
        items["gate"] = rng.integers(0, 256, (steps, 64))
        samples = items["samples"]
        samples["row"] = 8 * rng.integers(0, 8, (steps, 8)) + np.arange(8)
        samples["accumulator"] = rng.integers(0, accumulators, (steps, 8))
        samples["use"] = rng.choice([Use.UNUSED, Use.ADD, Use.SUBTRACT], (steps, 8))
        samples["use"][:, 2] = Use.ADD
        loads, done = [], 0
        for part in stream.parts(items):
            head = LoadScheduleRequest(0, 0, slot, accumulators, steps, done, len(part))
            loads.append(head.pack() + part.tobytes())
            done += len(part)
        stream.frames(Command.LOAD_SCHEDULE, loads)
        planes = rng.integers(0, 256, (vectors, bits, columns // 8)).astype(np.uint8)
        runs = []
        for part in stream.parts(planes):
            head = RunScheduleRequest(
                0, bits, slot, int(is_signed), 0, len(part), first, columns, part.size
            )
            runs.append(head.pack() + part.tobytes())
        replies = stream.frames(Command.RUN_SCHEDULE, runs)
        heads = [RunScheduleReply.unpack(reply) for reply in replies]
        size = 4 * accumulators
        stream.note(*(sums for r in replies for sums in _items(r, RunScheduleReply.SIZE, size)))
        for total in (sum(h.saturated for h in heads), sum(h.conversions for h in heads)):
            stream.note(total.to_bytes(8, "little"))

    return run


def _measure(stream: Stream) -> None:
    requests = [
        MeasureRequest(MeasureSource.GROUND, 0, 0, 0, 0, 100, 0b1010_1010),
        MeasureRequest(MeasureSource.VOLTAGE, 0, 0, 0, 0, 1, 255),
        MeasureRequest(MeasureSource.OPEN, 0, 1, 0, 0, 50, 255),
        MeasureRequest(MeasureSource.RESISTOR, 0, 2, 0, 2000, 50, 255),
        MeasureRequest(MeasureSource.RAIL, 3, 0, 0, 30_000, 50, 1),
    ]
    stream.note(*stream.frames(Command.MEASURE, [request.pack() for request in requests]))


def _wait(stream: Stream) -> None:
    stream.board.wait(100.0)


def _registers(stream: Stream) -> None:
    """Counters, switches and clock."""
    stream.note(*stream.frames(Command.CHIP, [ChipRequest(0).pack()]))
    stream.note(*stream.frames(Command.SWITCHES, [SwitchesRequest(0).pack()]))
    stream.note(stream.board.status().board_time_ns.to_bytes(8, "little"))


_FORM = _pulse(Operation.FORM, ROWS)
_SET = _pulse(Operation.SET, ROWS)
_RESET = _pulse(Operation.RESET, ROWS)
_STREAM = (
    *(_dark, _read, _FORM, _points, _wait, _read, _RESET, _points, _dark, _read, _SET, _points),
    *(_wait, _FORM, _multiply(3, True), _RESET, _wait, _SET, _measure, _multiply(5, False)),
    *(_RESET, _multiply(1, False), _read, _registers),
)


def _items(reply: bytes, head: int, size: int) -> list[bytes]:
    return [reply[at : at + size] for at in range(head, len(reply), size)]


def digest(board: Board, batch: int) -> str:
    """Drive the whole stream through a fresh board with seed `SEED`, `batch` operations a frame."""
    stream = Stream(board, batch)
    for step in _STREAM:
        step(stream)
    return stream.hexdigest()


def main() -> None:
    """Print the digest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--board", default=f"sim://?seed={SEED}")
    parser.add_argument("--lab", type=Path)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Board.open(asked.board, lab_root=asked.lab or Path(folder)) as board,
    ):
        print(digest(board, asked.batch))


if __name__ == "__main__":
    main()
