"""A chip: pulses, reads and multiplications, numpy in and out.

Owns the sending of array commands; nobody else sends any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from calibration import siemens_from_codes
from firmware_protocol.layouts import POINT, POINT_RESULT, PULSE_ROW
from firmware_protocol.messages import (
    Command,
    DarkReply,
    DarkRequest,
    ErrorCode,
    Operation,
    PulseRowsReply,
    PulseRowsRequest,
    ReadCellsReply,
    ReadCellsRequest,
    ReadPointsReply,
    ReadPointsRequest,
    StreamChunk,
)
from firmware_protocol.requests import Request
from rramhil.driver import limits
from rramhil.driver._failures import command_failed
from rramhil.driver._halts import ask, clear, clear_and_raise
from rramhil.driver._multiply import (
    Run,
    joined,
    load_bodies,
    run_body,
    vectors_of_a_frame,
)
from rramhil.driver._running import RunningSchedule
from rramhil.driver.description import Description
from rramhil.driver.link import Link
from rramhil.driver.schedule import bit_planes, packed_steps
from rramhil.driver.values import (
    UNANSWERED,
    CodeBlock,
    FrameRange,
    Lines,
    PulseResult,
    RunResult,
    line_mask,
    line_numbers,
)
from rramhil.errors import BoardError, RramhilError
from rramhil.switching import Schedule

Progress = Callable[[int, int], None]
"""Called with codes received so far, and the board clock in ns."""

_RUN_FRAMES = 64
"""Frames of a run in flight at a time, 16 MB of requests and as much of replies."""


class Chip:
    """The chip in one socket of an open board.

    Attributes
    ----------
    number : int
        Socket.
    serial : str
        Serial number, from the chip's carrier.
    description : Description
        Of its board.
    """

    def __init__(self, link: Link, description: Description, number: int, serial: str) -> None:
        self.number = number
        self.serial = serial
        self.description = description
        self._link = link
        self._accumulators: dict[int, int] = {}

    # --- measuring -------------------------------------------------------------------------

    def read(
        self, rows: Lines, columns: Lines, reads: int = 1, range_index: int = 0
    ) -> NDArray[np.float64]:
        """Measure conductances, zero subtracted, at the board's nominal scale.

        Parameters
        ----------
        rows, columns : slice, int or ascending ints
            Which cells.
        reads : int
            Reads to average, 1 to 65,535.
        range_index : int
            TIA range, 0 the finest.

        Returns
        -------
        (R, C) float64
            Conductance in uS.
        """
        self.dark(rows, range_index)
        block = self.read_codes(rows, columns, reads, range_index)
        return siemens_from_codes(
            block.codes.mean(axis=0),
            block.zero_sums,
            self.description.zero_conversions,
            self.description.ranges[range_index].per_code_uS,
        )

    def dark(self, rows: Lines = slice(None), range_index: int = 0) -> NDArray[np.uint32]:
        """Measure the zeros of rows; the board keeps them and reports them with every read.

        Returns
        -------
        (R,) uint32
            Sum of `zero_conversions` codes of each row.
        """
        numbers = line_numbers(rows, self.description.rows, "row")
        request = DarkRequest(self.number, range_index, 0, line_mask(numbers))
        body = ask(self._link, Command.DARK, request.pack())
        return np.frombuffer(body, "<u4", offset=DarkReply.SIZE).astype(np.uint32)

    def read_codes(
        self,
        rows: Lines,
        columns: Lines,
        reads: int = 1,
        range_index: int = 0,
        progress: Progress | None = None,
    ) -> CodeBlock:
        """Measure raw codes; see `read` for the parameters.

        Raises
        ------
        BoardError, LinkLost
            The codes received until then are lost; reading disturbs nothing.
        """
        row_numbers = line_numbers(rows, self.description.rows, "row")
        column_numbers = line_numbers(columns, self.description.columns, "column")
        request = ReadCellsRequest(
            self.number, range_index, reads, line_mask(row_numbers), line_mask(column_numbers)
        ).pack()
        shape = (reads, len(row_numbers), len(column_numbers))
        words = np.empty(reads * shape[1] * shape[2], dtype=np.uint16)
        times: list[tuple[int, int]] = []

        def keep(head: StreamChunk, raw: memoryview) -> None:
            words[head.first : head.first + head.words] = np.frombuffer(raw, "<u2")
            times.append((head.first, head.board_time_ns))
            if progress is not None:
                progress(head.first + head.words, head.board_time_ns)

        body = ask(self._link, Command.READ_CELLS, request, keep)
        reply = ReadCellsReply.unpack(body)
        zero_sums = np.frombuffer(body, "<u4", offset=ReadCellsReply.SIZE).astype(np.uint32)
        return CodeBlock(
            rows=row_numbers,
            columns=column_numbers,
            codes=words.reshape(shape),
            zero_sums=zero_sums,
            range_index=range_index,
            row_time_ns=_row_times(times, reply, shape),
            start_ns=reply.start_ns,
            stop_ns=reply.stop_ns,
            saturated=reply.saturated,
        )

    def read_points(
        self, rows: NDArray[Any], columns: NDArray[Any], range_index: int = 0
    ) -> NDArray[np.uint16]:
        """Measure single cells in the order given.

        Parameters
        ----------
        rows, columns : (n,) int
            The cells.

        Returns
        -------
        (n,) uint16
            Raw codes.

        Raises
        ------
        ValueError
            A line is not there; nothing was sent.
        BoardError
            The board refused a cell.
        """
        if not len(rows):
            return np.zeros(0, dtype=np.uint16)
        for name, lines, count in (
            ("row", rows, self.description.rows),
            ("column", columns, self.description.columns),
        ):
            for line in (int(np.min(lines)), int(np.max(lines))):
                if not 0 <= line < count:
                    raise ValueError(f"there is no {name} {line}, only 0 to {count - 1}")
        points = np.zeros(len(rows), dtype=POINT)
        points["row"], points["column"] = rows, columns
        size = self.description.max_points
        parts = [points[start : start + size] for start in range(0, len(points), size)]
        bodies = [
            ReadPointsRequest(self.number, range_index, len(part)).pack() + part.tobytes()
            for part in parts
        ]
        requests = self._link.exchange(Command.READ_POINTS, bodies)
        clear(self._link, requests)
        results = [_point_results(request) for request in requests]
        self._link.raise_first_error(requests)
        return np.concatenate([result["code"] for result in results])

    # --- pulses ----------------------------------------------------------------------------

    def pulse(
        self,
        pulses: NDArray[Any],
        operation: Operation,
        before: Callable[[list[FrameRange]], None] | None = None,
    ) -> PulseResult:
        """Fire pulses in order, each at most once.

        Parameters
        ----------
        pulses : (n,) PULSE_ROW
            One operation a row; see `firmware_protocol.layouts`.
        operation : Operation
            FORM, SET or RESET.
        before : callable, optional
            Called with the frames, before any byte leaves: the place to write the journal.

        Returns
        -------
        PulseResult
            Also when an operation failed or the link was lost; never raises for those, because
            what was fired must not be lost with the exception.

        Raises
        ------
        LimitRefused
            Nothing was sent.
        """
        limits.check(self.description, operation, pulses)
        size = self.description.max_pulse_rows
        starts = range(0, len(pulses), size)
        parts = [np.ascontiguousarray(pulses[k : k + size], dtype=PULSE_ROW) for k in starts]
        bodies = [
            PulseRowsRequest(self.number, operation, len(part)).pack() + part.tobytes()
            for part in parts
        ]
        frames: list[FrameRange] = []

        def announce(session: int, sequence: int) -> None:
            frames.extend(
                FrameRange(session, sequence + k, start, start + len(part))
                for k, (start, part) in enumerate(zip(starts, parts, strict=True))
            )
            if before is not None:
                before(frames)

        requests = self._link.exchange(Command.PULSE_ROWS, bodies, announce)
        return self._pulse_result(frames, requests)

    def _pulse_result(self, frames: list[FrameRange], requests: list[Request]) -> PulseResult:
        statuses = np.full(frames[-1].stop if frames else 0, UNANSWERED, dtype=np.uint8)
        cells = 0
        error: RramhilError | None = None
        for frame, request in zip(frames, requests, strict=True):
            if request.error is not None:
                statuses[frame.start : frame.stop] = request.error.code
                error = error or command_failed(Command.PULSE_ROWS, request.error)
            elif request.reply is not None:
                reply = PulseRowsReply.unpack(request.reply)
                statuses[frame.start : frame.stop] = np.frombuffer(
                    request.reply, np.uint8, offset=PulseRowsReply.SIZE
                )
                cells += reply.cells
                if reply.error.code != ErrorCode.DONE:
                    error = error or command_failed(Command.PULSE_ROWS, reply.error)
        clear(self._link, requests)
        if error is None and (statuses == UNANSWERED).any():
            error = self._link.failure
        return PulseResult(statuses, tuple(frames), cells, error)

    # --- multiplying -----------------------------------------------------------------------

    def load_schedule(self, slot: int, schedule: Schedule) -> None:
        """Load a gate schedule into one of the board's slots, replacing what is there.

        Schedules are lost when the board is switched off.

        Parameters
        ----------
        slot : int
            0 to `description.schedule_slots` - 1.

        Raises
        ------
        ValueError
            The board could not run it; nothing was sent.
        """
        self._check_slot(slot)
        steps = packed_steps(schedule, self.description)
        max_body = self._link.hello.max_body
        bodies = load_bodies(self.number, slot, schedule.accumulator_count, steps, max_body)
        clear_and_raise(self._link, self._link.exchange(Command.LOAD_SCHEDULE, bodies))
        self._accumulators[slot] = schedule.accumulator_count

    def run_schedule(
        self,
        slot: int,
        inputs: NDArray[Any],
        bits: int,
        *,
        is_signed: bool = False,
        first_column: int = 0,
    ) -> RunResult:
        """Multiply: run a loaded gate schedule on a batch of input vectors.

        The zeros of the rows that it samples must have been measured in its ranges (`dark`).

        Parameters
        ----------
        slot : int
        inputs : (n, columns) integer
            For the columns from `first_column` on; those outside are 0.
        bits : int
            1 to 8: inputs are 0 to 2^bits - 1, or, if signed, -2^(bits - 1) to 2^(bits - 1) - 1.

        Raises
        ------
        ValueError
            The inputs are no such integers or do not fit the columns; nothing was sent.
        BoardError
            The board refused: no schedule in the slot, or a zero is missing.
        """
        run, planes = self._prepared(slot, inputs, bits, is_signed, first_column)
        results: list[RunResult] = []
        if slot not in self._accumulators:
            # loaded by somebody else: the first answer tells how long the others will be
            results.append(RunningSchedule(self._link, [run_body(run, planes[:1])]).result())
            self._accumulators[slot] = results[0].accumulators.shape[1]
            planes = planes[1:]
        bodies = self._bodies(run, slot, planes)
        for start in range(0, len(bodies), _RUN_FRAMES):
            part = bodies[start : start + _RUN_FRAMES]
            results.append(RunningSchedule(self._link, part).result())
        return joined(results)

    def start_schedule(
        self,
        slot: int,
        inputs: NDArray[Any],
        bits: int,
        *,
        is_signed: bool = False,
        first_column: int = 0,
    ) -> RunningSchedule:
        """As `run_schedule`, but do not wait: what is started later is executed later.

        Inputs and answers stay in memory until the result is taken, so a batch is best cut into
        parts.

        Raises
        ------
        ValueError
            As `run_schedule`, or the schedule was not loaded through this object, which therefore
            does not know how long the answers are.
        """
        if slot not in self._accumulators:
            raise ValueError(f"the schedule in slot {slot} was not loaded through this object")
        run, planes = self._prepared(slot, inputs, bits, is_signed, first_column)
        return RunningSchedule(self._link, self._bodies(run, slot, planes))

    def _prepared(
        self, slot: int, inputs: NDArray[Any], bits: int, is_signed: bool, first_column: int
    ) -> tuple[Run, NDArray[np.uint8]]:
        self._check_slot(slot)
        planes = bit_planes(inputs, bits, is_signed)
        columns = inputs.shape[1]
        if not 0 <= first_column <= self.description.columns - columns:
            raise ValueError(
                f"inputs of {columns} columns from column {first_column} on do not fit the "
                f"{self.description.columns} columns of the array"
            )
        return Run(self.number, slot, is_signed, first_column, columns), planes

    def _bodies(self, run: Run, slot: int, planes: NDArray[np.uint8]) -> list[bytes]:
        max_body = self._link.hello.max_body
        size = vectors_of_a_frame(planes[:1].size or 1, self._accumulators[slot], max_body)
        return [run_body(run, planes[at : at + size]) for at in range(0, len(planes), size)]

    # --- helpers ---------------------------------------------------------------------------

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.description.schedule_slots:
            raise ValueError(
                f"there is no slot {slot}, only 0 to {self.description.schedule_slots - 1}"
            )


def _point_results(request: Request) -> NDArray[Any]:
    """What a frame of points gave, (n,) POINT_RESULT; raises what the first that failed says."""
    if request.reply is None:
        return np.zeros(0, dtype=POINT_RESULT)
    results = np.frombuffer(request.reply, POINT_RESULT, offset=ReadPointsReply.SIZE)
    failed = np.flatnonzero(results["status"] != ErrorCode.DONE)
    if len(failed):
        at = int(failed[0])
        point = np.frombuffer(request.body, POINT, offset=ReadPointsRequest.SIZE)[at]
        raise BoardError(
            f"The board refused point {at} of a frame, row {point['row']}, column "
            f"{point['column']}: {ErrorCode(results['status'][at]).name}."
        )
    return results


def _row_times(
    times: list[tuple[int, int]], reply: ReadCellsReply, shape: tuple[int, int, int]
) -> NDArray[np.uint64]:
    """Board clock of each row, interpolated between the starts of the chunks and the end."""
    reads, rows, columns = shape
    first = np.arange(reads * rows, dtype=np.float64) * columns
    known = [*times, (reads * rows * columns, reply.stop_ns)]
    words, clock_ns = np.array(known, dtype=np.float64).T
    # offsets from the start keep nanoseconds exact in a float64 for a hundred days of reading
    offsets_ns = cast("NDArray[np.float64]", np.interp(first, words, clock_ns - reply.start_ns))
    times_ns = np.uint64(reply.start_ns) + offsets_ns.astype(np.uint64)
    return times_ns.reshape(reads, rows)
