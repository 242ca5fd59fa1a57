"""Values that the driver takes and gives: plain, frozen, with numpy arrays inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.messages import OutcomeKind
from rramhil.errors import RramhilError


@dataclass(frozen=True)
class Identity:
    """Which board this is."""

    name: str
    serial: str
    firmware: str
    simulated: bool
    chips: int
    protocol_version: int
    address: str

    def __str__(self) -> str:
        kind = "simulated board" if self.simulated else "board"
        return f"{kind} {self.serial} ({self.name}, firmware {self.firmware}) at {self.address}"


@dataclass(frozen=True)
class Counters:
    """The board's non-volatile counts for the chip in one socket."""

    chip_serial: str
    form_pulses: int
    set_pulses: int
    reset_pulses: int
    conversions: int
    switch_loads: int


class FrameRange(NamedTuple):
    """A pulse frame, and which of the call's operations it carries."""

    session: int
    sequence: int
    start: int
    stop: int


class Outcome(NamedTuple):
    """What became of a pulse frame; `operation` as OutcomeKind says."""

    kind: OutcomeKind
    operation: int


@dataclass(frozen=True)
class PulseResult:
    """What became of a list of pulses.

    Attributes
    ----------
    statuses : (n,) uint8
        ErrorCode of each operation; 0 (DONE) if it was executed. Where the link was lost before
        the frame was answered the status is `UNANSWERED`: ask for the outcome.
    frames : tuple of FrameRange
        The frames that carried them.
    cells : int
        Cells that saw a pulse, by the board's answers.
    error : RramhilError or None
        Why the first operation failed.
    """

    statuses: NDArray[np.uint8]
    frames: tuple[FrameRange, ...]
    cells: int
    error: RramhilError | None


UNANSWERED = 0xFF
"""Status of an operation about which the board said nothing."""


@dataclass(frozen=True)
class CodeBlock:
    """Codes of a rectangle of cells.

    Attributes
    ----------
    rows, columns : (R,), (C,) int64
        Absolute line numbers, ascending.
    codes : (reads, R, C) uint16
        Raw ADC codes.
    zero_sums : (R,) uint32
        Sum of `zero_conversions` dark codes of each row; 0 where no zero was ever measured.
    range_index : int
        TIA range.
    row_time_ns : (reads, R) uint64
        Board clock before the row's first conversion.
    start_ns, stop_ns : int
        Board clock before and after.
    saturated : int
        Codes at either end of the scale.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    codes: NDArray[np.uint16]
    zero_sums: NDArray[np.uint32]
    range_index: int
    row_time_ns: NDArray[np.uint64]
    start_ns: int
    stop_ns: int
    saturated: int


@dataclass(frozen=True)
class Measurement:
    """Codes of a reference in place of the array.

    Attributes
    ----------
    channels : (n,) int64
        ADC channels, ascending.
    sums : (n,) uint32
        Sum of the codes of each.
    conversions : int
        Codes in a sum.
    temperature_k : float
        Of the board.
    board_time_ns : int
        Board clock afterwards.
    """

    channels: NDArray[np.int64]
    sums: NDArray[np.uint32]
    conversions: int
    temperature_k: float
    board_time_ns: int

    @property
    def codes(self) -> NDArray[np.float64]:
        """Mean code of each channel, (n,) float64."""
        return self.sums.astype(np.float64) / self.conversions


@dataclass(frozen=True)
class RunResult:
    """What a gate schedule computed.

    Attributes
    ----------
    accumulators : (n, accumulators) int32
        Sums of codes less zeros, weighted by the inputs' bits, by vector.
    saturated : int
        Codes at either end of the scale.
    conversions : int
    board_time_ns : int
        Board clock afterwards.
    """

    accumulators: NDArray[np.int32]
    saturated: int
    conversions: int
    board_time_ns: int


Lines = slice | int | list[int] | NDArray[Any]
"""A choice of rows or columns: a slice, one number, or several."""


def line_numbers(lines: Lines, count: int, what: str) -> NDArray[np.int64]:
    """Ascending line numbers of a choice among `count` lines.

    Raises
    ------
    ValueError
        Numbers repeat, descend, lie outside, or there are none.
    """
    if isinstance(lines, slice):
        numbers = np.arange(count)[lines]
    else:
        numbers = np.atleast_1d(np.asarray(lines))
    if numbers.ndim != 1 or numbers.size == 0 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"{what} must be a non-empty list of whole numbers, not {lines!r}")
    if numbers.min() < 0 or numbers.max() >= count:
        outside = numbers[(numbers < 0) | (numbers >= count)][0]
        raise ValueError(f"{what} {outside} lies outside 0 to {count - 1}")
    if (np.diff(numbers) <= 0).any():
        raise ValueError(f"{what} numbers must ascend without repetition")
    return numbers.astype(np.int64)


def line_mask(numbers: NDArray[np.int64]) -> bytes:
    """64 bytes with bit n set for every line n."""
    bits = np.zeros(512, dtype=np.uint8)
    bits[numbers] = 1
    return np.packbits(bits, bitorder="little").tobytes()
