"""Resident gate schedules: what may be loaded into a slot, and what a run needs to be ready.

Owns the slots of one chip, volatile as the memory of a board, and every check of LOAD_SCHEDULE and
RUN_SCHEDULE. Knows nothing of what a schedule computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from firmware_protocol.executor import Refused
from firmware_protocol.messages import (
    MAX_SAMPLES,
    DescribeReply,
    ErrorCode,
    LoadScheduleRequest,
    RunScheduleReply,
    RunScheduleRequest,
    Use,
)
from sim_backend.fixedpoint import Int64Array
from sim_backend.macro import Macro
from sim_backend.multiply import Inputs, Schedule

Steps = np.ndarray[Any, np.dtype[Any]]


class _Loading(NamedTuple):
    """A schedule of which some steps are in."""

    accumulators: int
    total: int
    parts: tuple[Steps, ...]

    @property
    def loaded(self) -> int:
        return sum(len(part) for part in self.parts)


class Slots:
    """The slots of one chip.

    Parameters
    ----------
    facts : DescribeReply
        Of the board: the limits are those that it tells.
    ranges : int
        TIA ranges.
    """

    def __init__(self, facts: DescribeReply, ranges: int) -> None:
        self._facts = facts
        self._ranges = ranges
        self._slots: dict[int, _Loading | Schedule] = {}

    def load(self, request: LoadScheduleRequest, steps: Steps) -> int:
        """Take the steps of one frame, (n,) of `layouts.STEP`; returns how many are in the slot.

        Raises
        ------
        Refused
            The slot is as it was.
        """
        facts = self._facts
        _within(request.slot, facts.schedule_slots - 1, "slot")
        _within(request.total, facts.schedule_steps, "total", 1)
        _within(request.accumulators, facts.schedule_accumulators, "accumulators", 1)
        before = _Loading(request.accumulators, request.total, ())
        if request.first:
            before = self._continued(request)
        _within(request.first + request.steps, request.total, "first + steps", 1)
        self._check(steps, request.accumulators)
        now = before._replace(parts=(*before.parts, steps))
        if now.loaded < now.total:
            self._slots[request.slot] = now
            return now.loaded
        every = np.concatenate(now.parts)
        _refuse_overflow(every)
        self._slots[request.slot] = Schedule.of(every, now.accumulators, facts.columns)
        return now.total

    def ready(self, slot: int) -> Schedule:
        """The schedule in a slot.

        Raises
        ------
        Refused
            There is none, or steps of it are missing.
        """
        _within(slot, self._facts.schedule_slots - 1, "slot")
        found = self._slots.get(slot)
        if found is None:
            text = "there is no schedule in this slot; send LOAD_SCHEDULE"
            raise Refused(ErrorCode.NOT_READY, slot, 0, 0, text)
        if isinstance(found, _Loading):
            text = "steps are missing in this slot; send LOAD_SCHEDULE"
            raise Refused(ErrorCode.NOT_READY, slot, found.loaded, found.total, text)
        return found

    def _continued(self, request: LoadScheduleRequest) -> _Loading:
        found = self._slots.get(request.slot)
        if not isinstance(found, _Loading):
            raise Refused(ErrorCode.BAD_FIELD, request.first, 0, 0, "first")
        _within(request.first, found.loaded, "first", found.loaded)
        _within(request.total, found.total, "total", found.total)
        _within(request.accumulators, found.accumulators, "accumulators", found.accumulators)
        return found

    def _check(self, steps: Steps, accumulators: int) -> None:
        samples = steps["samples"]
        used = samples["use"] != Use.UNUSED
        channels = self._facts.adc_channels
        _all_within(steps["reserved"], 0, "step.reserved")
        _all_within(steps["range"], self._ranges - 1, "step.range")
        _all_within(samples["reserved"], 0, "sample.reserved")
        _all_within(samples["use"], max(Use), "sample.use")
        _all_within(used.sum(axis=1), channels, "samples that are used", 1)
        _all_within(np.nonzero(used)[1], channels - 1, "channel")
        rows, channel = samples["row"][used], np.nonzero(used)[1]
        _all_within(rows, self._facts.rows - 1, "sample.row")
        wrong = np.flatnonzero(rows % channels != channel)
        if len(wrong):
            text = "channel of sample.row"
            n = wrong[0]
            raise Refused(
                ErrorCode.BAD_FIELD, int(rows[n] % channels), int(channel[n]), int(channel[n]), text
            )
        _all_within(samples["accumulator"][used], accumulators - 1, "sample.accumulator")


def decode_inputs(
    request: RunScheduleRequest,
    body: bytes,
    schedule: Schedule,
    facts: DescribeReply,
    max_body: int,
) -> Inputs:
    """The inputs of a run.

    Raises
    ------
    Refused
        They do not fit the array, or the reply would not fit `max_body`.
    """
    _within(request.first_column, facts.columns - 1, "first_column")
    _within(request.columns, facts.columns - request.first_column, "columns", 1)
    shape = request.vectors, request.bits, -(-request.columns // 8)
    size = shape[0] * shape[1] * shape[2]
    _within(request.plane_bytes, size, "plane_bytes", size)
    expected = RunScheduleRequest.SIZE + size
    if len(body) != expected:
        raise Refused(ErrorCode.BAD_LENGTH, len(body), expected, expected)
    room = (max_body - RunScheduleReply.SIZE) // (4 * schedule.accumulators)
    _within(request.vectors, room, "vectors", 1)
    planes = np.frombuffer(body, np.uint8, offset=RunScheduleRequest.SIZE)
    return Inputs(planes.reshape(shape), bool(request.is_signed))


def refuse_without_zeros(schedule: Schedule, chip: Macro) -> None:
    """Refuse a run whose rows have zeros that were never measured."""
    for range_index, rows in schedule.rows_of_ranges():
        missing = rows[chip.zeros(rows, range_index) == 0]
        if len(missing):
            text = f"no zero in range {range_index} of this row; send DARK"
            raise Refused(ErrorCode.NOT_READY, int(missing[0]), 0, 0, text)


def _refuse_overflow(steps: Steps) -> None:
    samples = steps["samples"]
    counts = np.bincount(samples["accumulator"][samples["use"] != Use.UNUSED])
    if counts.max() > MAX_SAMPLES:
        text = f"samples of accumulator {int(counts.argmax())}"
        raise Refused(ErrorCode.BAD_FIELD, int(counts.max()), 0, MAX_SAMPLES, text)


def _within(value: int, high: int, text: str, low: int = 0) -> None:
    if not low <= value <= high:
        raise Refused(ErrorCode.BAD_FIELD, value, low, high, text)


def _all_within(values: Int64Array, high: int, text: str, low: int = 0) -> None:
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise Refused(ErrorCode.BAD_FIELD, int(outside.flat[0]), low, high, text)
