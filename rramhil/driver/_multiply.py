"""Frames of a multiplication: schedules and batches cut so that they fit, answers put together.

Owns how many steps and vectors a frame carries. Sends nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.layouts import STEP
from firmware_protocol.messages import (
    LoadScheduleRequest,
    RunScheduleReply,
    RunScheduleRequest,
)
from rramhil.driver.values import RunResult
from rramhil.errors import BoardError

_MAX_VECTORS = 0xFFFF


class Run(NamedTuple):
    """What all frames of a run have in common."""

    chip: int
    slot: int
    is_signed: bool
    first_column: int
    columns: int


def load_bodies(
    chip: int, slot: int, accumulators: int, steps: NDArray[np.void], max_body: int
) -> list[bytes]:
    """Bodies of the frames that load a schedule."""
    size = (max_body - LoadScheduleRequest.SIZE) // STEP.itemsize
    bodies: list[bytes] = []
    for first in range(0, len(steps), size):
        part = steps[first : first + size]
        head = LoadScheduleRequest(chip, 0, slot, accumulators, len(steps), first, len(part))
        bodies.append(head.pack() + part.tobytes())
    return bodies


def vectors_of_a_frame(vector_bytes: int, accumulators: int, max_body: int) -> int:
    """How many vectors request and reply have room for; one at least, if the board agrees."""
    asked = (max_body - RunScheduleRequest.SIZE) // vector_bytes
    answered = (max_body - RunScheduleReply.SIZE) // (4 * accumulators)
    return max(1, min(asked, answered, _MAX_VECTORS))


def run_body(run: Run, planes: NDArray[np.uint8]) -> bytes:
    """Body of a frame that runs a schedule on vectors, (n, bits, bytes) as bit planes."""
    vectors, bits, _ = planes.shape
    return (
        RunScheduleRequest(
            chip=run.chip,
            bits=bits,
            slot=run.slot,
            is_signed=run.is_signed,
            reserved=0,
            vectors=vectors,
            first_column=run.first_column,
            columns=run.columns,
            plane_bytes=planes.size,
        ).pack()
        + planes.tobytes()
    )


def run_result(body: bytes) -> RunResult:
    """What the reply to one frame says."""
    reply = RunScheduleReply.unpack(body)
    sums = np.frombuffer(body, "<i4", offset=RunScheduleReply.SIZE).astype(np.int32)
    return RunResult(
        accumulators=sums.reshape(reply.vectors, reply.accumulators),
        saturated=reply.saturated,
        conversions=reply.conversions,
        board_time_ns=reply.board_time_ns,
    )


def joined(results: list[RunResult]) -> RunResult:
    """The results of the frames of one batch, in order, as one.

    Raises
    ------
    BoardError
        Somebody loaded another schedule in between.
    """
    widths = {result.accumulators.shape[1] for result in results}
    if len(widths) > 1:
        raise BoardError(
            f"The schedule changed during the run: it had {widths} accumulators.",
            "Load it again, and run the batch again.",
        )
    return RunResult(
        accumulators=np.concatenate([result.accumulators for result in results]),
        saturated=sum(result.saturated for result in results),
        conversions=sum(result.conversions for result in results),
        board_time_ns=results[-1].board_time_ns,
    )
