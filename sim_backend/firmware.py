"""The firmware of the simulated board: commands of the wire, carried out on the board.

Implements the `Executor` of `firmware_protocol.executor`. Owns the meaning of each command
and every check that a board must make itself, whatever the host sends; knows no socket, no
session rule and no physics. What a gate schedule may be is checked in `slots`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from firmware_protocol import layouts
from firmware_protocol.executor import (
    WHOLE_FRAME,
    Answer,
    BoardFacts,
    Chunk,
    Condition,
    FrameId,
    Refused,
)
from firmware_protocol.messages import (
    MAX_BODY,
    ChipReply,
    ChipRequest,
    Command,
    DarkReply,
    DarkRequest,
    Error,
    ErrorCode,
    LoadScheduleReply,
    LoadScheduleRequest,
    Operation,
    OutcomeReply,
    OutcomeRequest,
    PulseRowsReply,
    PulseRowsRequest,
    ReadCellsReply,
    ReadCellsRequest,
    ReadPointsReply,
    ReadPointsRequest,
    RunScheduleReply,
    RunScheduleRequest,
    StreamChunk,
    SwitchesReply,
    SwitchesRequest,
    WaitReply,
    WaitRequest,
)
from sim_backend.board import SimulatedBoard
from sim_backend.cells import leading
from sim_backend.description import board_facts, describe
from sim_backend.fixedpoint import Int64Array
from sim_backend.limits import decode_rows, first_refused, stated_volts
from sim_backend.measuring import measure
from sim_backend.slots import Slots, decode_inputs, refuse_without_zeros

Reply = Answer | Generator[Chunk, None, Answer]
_NO_ERROR = Error(ErrorCode.DONE, WHOLE_FRAME, 0, 0, 0, 0, "")


class Firmware:
    """The commands of one board.

    Parameters
    ----------
    board : SimulatedBoard
        Open; the caller closes it.
    """

    def __init__(self, board: SimulatedBoard) -> None:
        self._board = board
        self._facts = describe(board.profile)
        self._identity = board_facts(board.profile, board.serial, len(board.chips))
        self._ranges = len(board.profile.converters.ranges)
        self._slots = [Slots(self._facts, self._ranges) for _ in board.chips]
        self._commands: dict[Command, Callable[[FrameId, bytes, int], Reply]] = {
            Command.DESCRIBE: self._describe,
            Command.CHIP: self._chip,
            Command.SWITCHES: self._switches,
            Command.OUTCOME: self._outcome,
            Command.PULSE_ROWS: self._pulse_rows,
            Command.WAIT: self._wait,
            Command.DARK: self._dark,
            Command.READ_CELLS: self._read_cells,
            Command.READ_POINTS: self._read_points,
            Command.LOAD_SCHEDULE: self._load_schedule,
            Command.RUN_SCHEDULE: self._run_schedule,
            Command.MEASURE: self._measure,
        }

    def facts(self) -> BoardFacts:
        """Identity, for HELLO."""
        return self._identity

    def open_session(self) -> int:
        """Number a new session from the non-volatile counter."""
        return self._board.next_session()

    def condition(self) -> Condition:
        """Clock and temperature."""
        return Condition(self._board.clock_ns, self._board.temperature_mk)

    def make_safe(self) -> None:
        """Word lines to zero, then rails to zero, then switches open."""
        self._board.registers.make_safe()

    def execute(self, frame: FrameId, command: Command, body: bytes, max_body: int) -> Reply:
        """Carry out one command; see `executor.Executor`.

        Raises
        ------
        Refused, FieldError
            Nothing was done.
        """
        run = self._commands.get(command)
        if run is None:
            raise Refused(ErrorCode.UNKNOWN_COMMAND, command)
        return run(frame, body, max_body)

    # --- questions ---------------------------------------------------------------------------

    def _describe(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        return Answer(self._facts.pack())

    def _chip(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        index = self._socket(ChipRequest.unpack(body).chip)
        chip = self._board.chips[index]
        form, set_, reset = chip.pulse_totals()
        reply = ChipReply(chip.serial, form, set_, reset, chip.conversions, chip.switch_loads)
        return Answer(reply.pack())

    def _switches(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        index = self._socket(SwitchesRequest.unpack(body).chip)
        registers = self._board.registers
        high = int(np.count_nonzero(registers.word_lines[index]))
        return Answer(SwitchesReply(high, 0, registers.switch_bits(index)).pack())

    def _outcome(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        outcome = self._board.outcomes.outcome(*OutcomeRequest.unpack(body))
        return Answer(OutcomeReply(outcome.kind, 0, outcome.operation).pack())

    # --- pulses ------------------------------------------------------------------------------

    def _pulse_rows(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        request = PulseRowsRequest.unpack(body)
        chip = self._socket(request.chip)
        operation = Operation(request.operation)
        limit = self._facts.max_pulse_rows
        items = _items(body, PulseRowsRequest.SIZE, layouts.PULSE_ROW, request.operations, limit)
        rows = decode_rows(items, self._facts, stated_volts(self._facts))
        error = first_refused(rows, operation, self._facts)
        fired = request.operations if error is None else error.operation
        cells = 0
        if fired:
            applied = decode_rows(items, self._facts, self._board.front.rail_uv).pulses
            cells = self._board.pulse(frame, chip, operation, leading(applied, fired))
        error = _NO_ERROR if error is None else error._replace(sequence=frame.sequence)
        reply = PulseRowsReply(request.operations, fired, cells, self._board.clock_ns, error)
        statuses = _statuses(request.operations, fired, error.code)
        return Answer(reply.pack() + statuses.tobytes(), halted=fired < request.operations)

    def _wait(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        self._board.wait(WaitRequest.unpack(body).duration_ns)
        return Answer(WaitReply(self._board.clock_ns).pack())

    # --- conversions -------------------------------------------------------------------------

    def _dark(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        request = DarkRequest.unpack(body)
        chip, range_index = self._socket(request.chip), self._range(request.range)
        rows = _lines(request.row_mask, self._facts.rows, "row_mask")
        sums = self._board.measure_zeros(chip, rows, range_index)
        reply = DarkReply(len(rows), 0, self._board.clock_ns)
        return Answer(reply.pack() + sums.astype("<u4").tobytes())

    def _read_cells(
        self, frame: FrameId, body: bytes, max_body: int
    ) -> Generator[Chunk, None, Answer]:
        request = ReadCellsRequest.unpack(body)
        self._socket(request.chip)
        self._range(request.range)
        rows = _lines(request.row_mask, self._facts.rows, "row_mask")
        columns = _lines(request.column_mask, self._facts.columns, "column_mask")
        words = (max_body - StreamChunk.SIZE) // 2
        if words < 1:
            least = StreamChunk.SIZE + 2
            raise Refused(ErrorCode.BAD_FIELD, max_body, least, MAX_BODY, "max_body")
        return self._stream(request, rows, columns, words)

    def _stream(
        self,
        request: ReadCellsRequest,
        rows: Int64Array,
        columns: Int64Array,
        words: int,
    ) -> Generator[Chunk, None, Answer]:
        board = self._board
        start_ns, saturated = board.clock_ns, 0
        for part in board.read(request.chip, rows, columns, request.reads, request.range, words):
            saturated += part.saturated
            yield Chunk(part.first, part.board_time_ns, part.codes.astype("<u2").tobytes())
        reply = ReadCellsReply(
            rows=len(rows),
            reserved=0,
            reserved2=0,
            words=request.reads * len(rows) * len(columns),
            saturated=saturated,
            start_ns=start_ns,
            stop_ns=board.clock_ns,
        )
        zeros = board.chips[request.chip].zeros(rows, request.range)
        return Answer(reply.pack() + zeros.astype("<u4").tobytes())

    def _read_points(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        request = ReadPointsRequest.unpack(body)
        chip, range_index = self._socket(request.chip), self._range(request.range)
        limit = self._facts.max_points
        items = _items(body, ReadPointsRequest.SIZE, layouts.POINT, request.operations, limit)
        rows, columns = items["row"].astype(np.int64), items["column"].astype(np.int64)
        outside = (rows >= self._facts.rows) | (columns >= self._facts.columns)
        measured = int(outside.argmax()) if outside.any() else request.operations
        results = np.zeros(request.operations, dtype=layouts.POINT_RESULT)
        results["status"] = _statuses(request.operations, measured, ErrorCode.BAD_FIELD)
        if measured:
            results["code"][:measured] = self._board.read_points(
                chip, rows[:measured], columns[:measured], range_index
            )
        reply = ReadPointsReply(request.operations, 0, self._board.clock_ns)
        return Answer(reply.pack() + results.tobytes(), halted=measured < request.operations)

    # --- multiplying -------------------------------------------------------------------------

    def _load_schedule(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        request = LoadScheduleRequest.unpack(body)
        slots = self._slots[self._socket(request.chip)]
        limit = self._facts.schedule_steps
        steps = _items(body, LoadScheduleRequest.SIZE, layouts.STEP, request.steps, limit)
        return Answer(LoadScheduleReply(slots.load(request, steps), 0).pack())

    def _run_schedule(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        request = RunScheduleRequest.unpack(body)
        chip = self._socket(request.chip)
        schedule = self._slots[chip].ready(request.slot)
        inputs = decode_inputs(request, body, schedule, self._facts, max_body)
        refuse_without_zeros(schedule, self._board.chips[chip])
        products = self._board.multiply(
            chip, schedule, inputs, request.first_column, request.columns
        )
        reply = RunScheduleReply(
            vectors=request.vectors,
            accumulators=schedule.accumulators,
            values=products.sums.size,
            saturated=products.saturated,
            reserved=0,
            conversions=request.vectors * request.bits * len(schedule.row),
            board_time_ns=self._board.clock_ns,
        )
        return Answer(reply.pack() + products.sums.astype("<i4").tobytes())

    def _measure(self, frame: FrameId, body: bytes, max_body: int) -> Answer:
        return measure(self._board, self._facts, body)

    # --- checks ------------------------------------------------------------------------------

    def _socket(self, chip: int) -> int:
        last = len(self._board.chips) - 1
        if chip > last:
            raise Refused(ErrorCode.NO_CHIP, chip, 0, last, "chip")
        return chip

    def _range(self, range_index: int) -> int:
        if range_index >= self._ranges:
            raise Refused(ErrorCode.BAD_FIELD, range_index, 0, self._ranges - 1, "range")
        return range_index


def _items(
    body: bytes, offset: int, dtype: np.dtype[Any], count: int, limit: int
) -> np.ndarray[Any, np.dtype[Any]]:
    """Repeated items of a request, whose number must match its count and be within the limit."""
    if count > limit:
        raise Refused(ErrorCode.BAD_FIELD, count, 1, limit, "operations")
    expected = offset + count * dtype.itemsize
    if len(body) != expected:
        raise Refused(ErrorCode.BAD_LENGTH, len(body), expected, expected)
    return np.frombuffer(body, dtype=dtype, offset=offset)


def _lines(mask: bytes, count: int, name: str) -> Int64Array:
    """Lines of a mask, ascending; at least one, and none beyond `count`."""
    lines = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), bitorder="little").nonzero()[0]
    if len(lines) == 0 or lines[-1] >= count:
        value = int(lines[-1]) if len(lines) else -1
        raise Refused(ErrorCode.BAD_FIELD, value, 0, count - 1, name)
    return lines.astype(np.int64)


def _statuses(count: int, done: int, code: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Status of each operation of a frame that stopped at operation `done`."""
    statuses = np.full(count, ErrorCode.SKIPPED, dtype=np.uint8)
    statuses[:done] = ErrorCode.DONE
    statuses[done : done + 1] = code
    return statuses
