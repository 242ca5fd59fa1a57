"""The board behind its sessions: what the session machine asks of it, and what it answers.

Owns: the `Executor` protocol and the values that pass through it. A simulated board implements
it in software, a real one in firmware.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from firmware_protocol.fields import fitting_text
from firmware_protocol.messages import Command, Error, ErrorCode

WHOLE_FRAME = 0xFFFF
"""`Error.operation` of an error that concerns no single operation."""


class FrameId(NamedTuple):
    """What names a frame for ever: sessions are never numbered twice."""

    session: int
    sequence: int


class BoardFacts(NamedTuple):
    """What HELLO tells of the board."""

    board: str
    serial: str
    firmware: str
    features: int
    chips: int


class Condition(NamedTuple):
    """What only the hardware knows of the board's status."""

    board_time_ns: int
    temperature_mk: int


class Pace(NamedTuple):
    """Wall time that a command takes at least, for a board whose work takes next to none.

    Attributes
    ----------
    command_s : float
        Each command.
    board_s : float
        Each second that the board's clock moves in it; 1 is real time.
    """

    command_s: float = 0.0
    board_s: float = 0.0


class Chunk(NamedTuple):
    """A piece of a bulk answer: raw little-endian u16 words."""

    first: int
    board_time_ns: int
    words: bytes


@dataclass(frozen=True)
class Answer:
    """A command's reply; `halted` if an operation failed, so that what follows must be skipped."""

    body: bytes
    halted: bool = False


class Refused(Exception):
    """The whole frame is refused and nothing of it was done."""

    def __init__(
        self, code: ErrorCode, value: int = 0, low: int = 0, high: int = 0, text: str = ""
    ) -> None:
        super().__init__(f"{code.name} {text} {value} ({low} to {high})")
        self.error = Error(code, WHOLE_FRAME, 0, value, low, high, fitting_text(text))


class Executor(Protocol):
    """The board behind the sessions."""

    def facts(self) -> BoardFacts:
        """Identity, for HELLO."""
        ...

    def open_session(self) -> int:
        """Number a new session from the non-volatile counter; never the same twice, never 0."""
        ...

    def condition(self) -> Condition:
        """Clock and temperature."""
        ...

    def execute(
        self, frame: FrameId, command: Command, body: bytes, max_body: int
    ) -> Answer | Generator[Chunk, None, Answer]:
        """Carry out one command whose length was checked.

        A command that streams returns a generator; each chunk is measured when it is asked for,
        its words fit `max_body` together with the chunk's head, and the answer is returned.

        Raises
        ------
        Refused, FieldError
            Nothing was done.
        """
        ...

    def make_safe(self) -> None:
        """Word lines 0, then rails 0, then switches open."""
        ...
