"""Reading chosen cells: the measurement behind `rramhil read`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rramhil.driver import Board, Chip, CodeBlock
from rramhil.errors import UsageError
from rramhil.programming.readback import code_model


@dataclass(frozen=True)
class Selection:
    """Which cells to read, and how: line numbers ascending, and the TIA range."""

    rows: list[int]
    cols: list[int]
    range_index: int


def check_range(board: Board, range_index: int) -> None:
    """Refuse a range that the board does not have.

    Raises
    ------
    UsageError
        There is no such range.
    """
    ranges = len(board.description.ranges)
    if range_index >= ranges:
        raise UsageError(
            f"There is no range {range_index}; this board has 0 to {ranges - 1}.",
            "`rramhil board info` shows them.",
        )


def read_once(chip: Chip, what: Selection, reads: int) -> CodeBlock:
    """Measure zeros, then the cells."""
    chip.dark(what.rows, what.range_index)
    return chip.read_codes(what.rows, what.cols, reads, what.range_index)


class Moment(NamedTuple):
    """One read of a series.

    Attributes
    ----------
    wall_s : float
        On the wall, since the first read.
    late_s : float
        How much later than asked for it began, 0 if it did not: the one before took too long.
    block : CodeBlock
        What was read.
    """

    wall_s: float
    late_s: float
    block: CodeBlock


def read_series(
    board: Board, chip: Chip, what: Selection, reads: int, every_s: float
) -> Iterator[Moment]:
    """Measure zeros, then the cells once at each multiple of `every_s`.

    Yields
    ------
    Moment
        A read. One that takes longer than `every_s` makes the next one late; none is left out. On
        a simulated board the time between the reads is board time, which nobody waits for.
    """
    chip.dark(what.rows, what.range_index)
    began_s = time.monotonic()
    first_ns = stop_ns = 0
    for number in range(reads):
        left_s = 0.0
        if not board.identity.simulated:
            left_s = began_s + number * every_s - time.monotonic()
            time.sleep(max(0.0, left_s))
        elif number:
            left_s = (first_ns + round(number * every_s * 1e9) - stop_ns) / 1e9
            if left_s > 0:
                board.wait(left_s)
        wall_s = time.monotonic() - began_s
        block = chip.read_codes(what.rows, what.cols, 1, what.range_index)
        stop_ns = block.stop_ns
        first_ns = first_ns if number else block.start_ns
        yield Moment(wall_s, max(0.0, -left_s) if number else 0.0, block)


def to_uS(board: Board, block: CodeBlock) -> Any:
    """Conductances of a block, (R, C) float64 in uS, mean over its reads."""
    model = code_model(board.description)
    return model.to_uS(block.codes.mean(axis=0), block.zero_sums, block.range_index)
