"""Reading chosen cells: the measurement behind `rramhil read`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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


def read_series(
    board: Board, chip: Chip, what: Selection, reads: int, every_s: float
) -> Iterator[tuple[float, CodeBlock]]:
    """Measure zeros, then the cells once at each multiple of `every_s`.

    Yields
    ------
    float, CodeBlock
        Seconds on the wall since the first read, and what was read. A read that takes longer
        than `every_s` makes the next one late; none is left out. On a simulated board the time
        between the reads is board time, which nobody waits for.
    """
    chip.dark(what.rows, what.range_index)
    began_s = time.monotonic()
    first_ns = stop_ns = 0
    for number in range(reads):
        if not board.identity.simulated:
            time.sleep(max(0.0, began_s + number * every_s - time.monotonic()))
        elif number and (left_ns := first_ns + round(number * every_s * 1e9) - stop_ns) > 0:
            board.wait(left_ns / 1e9)
        wall_s = time.monotonic() - began_s
        block = chip.read_codes(what.rows, what.cols, 1, what.range_index)
        stop_ns = block.stop_ns
        first_ns = first_ns if number else block.start_ns
        yield wall_s, block


def to_uS(board: Board, block: CodeBlock) -> Any:
    """Conductances of a block, (R, C) float64 in uS, mean over its reads."""
    model = code_model(board.description)
    return model.to_uS(block.codes.mean(axis=0), block.zero_sums, block.range_index)
