"""Typed calls on a board: numpy in and out, every limit checked, nothing fired twice.

`Board` and `Chip` are the public face; `link` is the session over a pipe; `limits` the safe
operating area; `schedule` the wire's side of a multiplication; `description` what the board says
of itself.
"""

from rramhil.driver._running import RunningSchedule
from rramhil.driver.board import Board
from rramhil.driver.chip import Chip
from rramhil.driver.description import Description, Envelope, LineResistances, References
from rramhil.driver.link import Link
from rramhil.driver.values import (
    UNANSWERED,
    CodeBlock,
    Counters,
    FrameRange,
    Identity,
    Measurement,
    Outcome,
    PulseResult,
    RunResult,
)

__all__ = [
    "UNANSWERED",
    "Board",
    "Chip",
    "CodeBlock",
    "Counters",
    "Description",
    "Envelope",
    "FrameRange",
    "Identity",
    "LineResistances",
    "Link",
    "Measurement",
    "Outcome",
    "PulseResult",
    "References",
    "RunResult",
    "RunningSchedule",
]
