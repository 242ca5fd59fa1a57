"""What is left behind when a run ends early: a board that is idle, and a job that can be resumed.

Owns: the way out. Whatever the reason, nothing stays in flight, and the journal learns what the
board still can say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rramhil.errors import Interrupted, LinkLost, RramhilError
from rramhil.lab import Job, JobState
from rramhil.programming._bench import Bench
from rramhil.programming.settle import settle_intents

CHECK_THE_LINK = "Check the board's power, its cable or its server"
"""What to do first when a link was lost."""

_GO_ON = (
    f"{CHECK_THE_LINK}, then `rramhil program --resume`: it asks the board what was fired, and "
    "fires the rest."
)


@contextmanager
def left_resumable(bench: Bench) -> Iterator[None]:
    """Leave board and journal in order if the body fails; ctrl-C becomes `Interrupted`."""
    try:
        yield
    except KeyboardInterrupt:
        idle = put_in_order(bench)
        raise _interrupted(bench, idle) from None
    except BaseException as error:
        put_in_order(bench)
        if isinstance(error, LinkLost) and _is_unfinished(bench):
            raise LinkLost(error.sentence, _GO_ON) from error
        raise


def put_in_order(bench: Bench) -> bool:
    """Stop the board, settle what was in flight, mark the job; whether the board took part."""
    try:
        bench.board.abort()
        settle_intents(bench)
        job = bench.lab.journal.unfinished_job(bench.chip.serial)
        if job is not None:
            bench.lab.journal.close_job(job, JobState.INTERRUPTED)
    except (RramhilError, KeyboardInterrupt):
        # Then the intents stay open: the job counts as unfinished, and resuming it settles them.
        return False
    return True


def _interrupted(bench: Bench, idle: bool) -> Interrupted:
    job = bench.lab.journal.unfinished_job(bench.chip.serial)
    state = (
        "the board is idle"
        if idle
        else "the board did not confirm that it stopped, it goes to its safe state by itself"
    )
    if job is None:
        return Interrupted(
            f"Stopped by the user before any pulse on chip {bench.chip.serial}; {state}.",
            "Run it again when you like.",
        )
    return Interrupted(
        f"Stopped by the user after {_fired(bench, job):,} of {int(job.cells.sum()):,} pulses on "
        f"chip {bench.chip.serial}; {state}.",
        "Run again with --resume.",
    )


def _is_unfinished(bench: Bench) -> bool:
    return bench.lab.journal.unfinished_job(bench.chip.serial) is not None


def _fired(bench: Bench, job: Job) -> int:
    return int(((bench.lab.journal.pulsed(bench.chip.serial).fired > 0) & job.cells).sum())
