"""Sending the pulses of a job, group by group, each group in the journal before it leaves.

Owns: the size of groups and the order journal, board, journal. After an error or a ctrl-C, what
is not concluded is left open for `settle`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import ErrorCode, Operation
from rramhil.driver import FrameRange
from rramhil.lab import Conclusion, IntendedFrame, Job, PulseFate
from rramhil.programming._bench import Bench
from rramhil.programming.operations import PulseRows, cells_of
from rramhil.programming.plan import PulsePlan

GROUP_CELLS = 16_384
"""Cells between two looks at the progress and at ctrl-C; a dense macro takes 16 groups."""

_PHASES = {Operation.FORM: "forming", Operation.SET: "setting", Operation.RESET: "resetting"}


def fire(bench: Bench, job: Job, plan: PulsePlan) -> None:
    """Fire a plan's pulses.

    Raises
    ------
    RramhilError
        The first failure. What was fired until then is in the journal, or can be asked for.
    """
    if not plan.pulse_count:
        return
    fire_rows(bench, job, Operation.FORM, plan.pulses)


def fire_rows(bench: Bench, job: Job | None, operation: Operation, pulses: PulseRows) -> None:
    """Fire operations, of a job or of none.

    Raises
    ------
    RramhilError
        As `fire`.
    """
    cells = cells_of(pulses)
    bench.progress.phase(_PHASES[operation], int(cells.sum()), "cells")
    for group in _groups(cells):
        _fire_group(bench, job, operation, pulses[group])
        bench.progress.advance(int(cells[group].sum()), bench.board_time_ns())


def _fire_group(bench: Bench, job: Job | None, operation: Operation, pulses: PulseRows) -> None:
    journal = bench.lab.journal
    pulse_ids: list[int] = []

    def intend(frames: list[FrameRange]) -> None:
        intended = [
            IntendedFrame(frame.session, frame.sequence, pulses[frame.start : frame.stop].tobytes())
            for frame in frames
        ]
        job_id = None if job is None else job.id
        pulse_ids.extend(journal.intend(job_id, bench.chip.serial, operation, intended))

    result = bench.chip.pulse(pulses, operation, intend)
    conclusions: list[Conclusion] = []
    for pulse_id, frame in zip(pulse_ids, result.frames, strict=True):
        statuses = result.statuses[frame.start : frame.stop]
        # A frame that failed half-way stays open: the board's record of it says more.
        if (statuses == ErrorCode.DONE).all():
            conclusions.append(
                Conclusion(pulse_id, PulseFate.FIRED, len(statuses), statuses.tobytes())
            )
    journal.conclude_all(conclusions)
    if result.error is not None:
        raise result.error


def _groups(cells_of_operation: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Cut operations into groups of about `GROUP_CELLS`, one operation at least."""
    group_of = (np.cumsum(cells_of_operation) - 1) // GROUP_CELLS
    starts = np.flatnonzero(np.diff(group_of, prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(group_of)]):
        yield slice(start, stop)
