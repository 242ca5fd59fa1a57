"""Defects of a fresh chip: what to ask for, and where it lies.

Owns the placing. Cells can be named, or asked for by number and are then placed by the chip's
own key, the same every time. A chip has none unless asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from sim_backend.cells import CellFlag, UInt8Array, UInt32Array
from sim_backend.errors import OutOfRange
from sim_backend.randomness import Stream, child

_Cells = Annotated[int, Field(ge=0, strict=True)]
_Line = Annotated[int, Field(strict=True)]
_STUCK_OFF = CellFlag.FORMED | CellFlag.OFF | CellFlag.STUCK


@dataclass(frozen=True)
class Defects:
    """Defects to build into a chip.

    Attributes
    ----------
    shorted, dead : int
        How many cells conduct before any pulse, or never form, at places of the chip's own.
    stuck_on, stuck_off : int
        How many cells form and are then never switched off, or are off from the beginning and
        never switched on; no SET or RESET changes them.
    shorted_cells, dead_cells, stuck_on_cells, stuck_off_cells : tuple of (row, column)
        The same at given places.
    dead_rows, dead_columns : tuple of int
        Broken lines; their cells read zero and never form.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # where it is a part of a fault file

    shorted: _Cells = 0
    dead: _Cells = 0
    stuck_on: _Cells = 0
    stuck_off: _Cells = 0
    shorted_cells: tuple[tuple[_Line, _Line], ...] = ()
    dead_cells: tuple[tuple[_Line, _Line], ...] = ()
    stuck_on_cells: tuple[tuple[_Line, _Line], ...] = ()
    stuck_off_cells: tuple[tuple[_Line, _Line], ...] = ()
    dead_rows: tuple[_Line, ...] = ()
    dead_columns: tuple[_Line, ...] = ()

    def __post_init__(self) -> None:
        """Refuse, by a ValueError, a cell that is named with two defects."""
        kind_of: dict[tuple[int, int], str] = {}
        for kind in ("shorted_cells", "dead_cells", "stuck_on_cells", "stuck_off_cells"):
            for cell in getattr(self, kind):
                if kind_of.setdefault(cell, kind) != kind:
                    raise ValueError(
                        f"cell {list(cell)} is in {kind_of[cell]} and in {kind}; "
                        "a cell has one defect"
                    )

    def __add__(self, other: Defects) -> Defects:
        """Both together."""
        names = (field.name for field in fields(self))
        return Defects(**{name: getattr(self, name) + getattr(other, name) for name in names})


def place(
    defects: Defects, chip_key: int, shorted_ps: int, conductance_ps: UInt32Array, flags: UInt8Array
) -> None:
    """Write defects into the arrays, (rows, columns), of a fresh chip.

    Raises
    ------
    OutOfRange
        A defect lies outside the array, or more are asked for than there are cells.
    """
    kinds = (
        (CellFlag.SHORTED, defects.shorted, defects.shorted_cells),
        (CellFlag.DEAD, defects.dead, defects.dead_cells),
        (CellFlag.STUCK, defects.stuck_on, defects.stuck_on_cells),
        (_STUCK_OFF, defects.stuck_off, defects.stuck_off_cells),
    )
    cells = [cell for _, _, named in kinds for cell in named]
    _check_lines("row", flags.shape[0], [*defects.dead_rows, *(row for row, _ in cells)])
    _check_lines("column", flags.shape[1], [*defects.dead_columns, *(col for _, col in cells)])
    for flag, _, named in kinds:
        _mark(flags, flag, named)
    _mark(flags, CellFlag.OPEN, [(row,) for row in defects.dead_rows])
    _mark(flags.T, CellFlag.OPEN, [(column,) for column in defects.dead_columns])
    asked, room = sum(count for _, count, _ in kinds), int((flags == 0).sum())
    if asked > room:
        raise OutOfRange(f"The array has room for 0 to {room} defective cells, not {asked}.")
    for flag, count, _ in kinds:
        _scatter(flags, flag, count, chip_key)
    conductance_ps[(flags & CellFlag.SHORTED) != 0] = shorted_ps


def _check_lines(what: str, count: int, lines: Iterable[int]) -> None:
    for line in lines:
        if not 0 <= line < count:
            raise OutOfRange(f"The array has {what}s 0 to {count - 1}, and no {what} {line}.")


def _mark(flags: UInt8Array, flag: CellFlag, places: Sequence[tuple[int, ...]]) -> None:
    """Give `flag` to cells, or to whole lines where a place is one number."""
    for place in places:
        flags[place] |= np.uint8(flag)


def _scatter(flags: UInt8Array, flag: CellFlag, count: int, chip_key: int) -> None:
    """Give `flag` to that many cells without one."""
    flat = flags.reshape(-1)
    attempt = 0
    while count > 0:
        cell = child(chip_key, Stream.DEFECT, flag, attempt) % flat.size
        attempt += 1
        if flat[cell] == 0:
            flat[cell] = flag
            count -= 1
