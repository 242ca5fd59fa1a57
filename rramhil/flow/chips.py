"""What networks need to know of chips: their maps and defects, and facts of their board.

Owns: which of a lab's maps is a chip's present one, whether a run belongs to the chips that are
there, and what a board's description says in the words of `switching`. Fires nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration import Gains
from calibration.wires import effective_uS
from rramhil.driver import Board, Description
from rramhil.errors import MapFileError, MaskError, NotFound
from rramhil.inference import KnownCells, known_cells, lines_of
from rramhil.lab import ConductanceMap, Lab, MapEntry
from rramhil.network import Run
from rramhil.switching import Defects, Geometry

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KnownChip:
    """A chip with its map.

    Attributes
    ----------
    number, serial : int, str
        Socket and serial number.
    map_id : str
    measured : ConductanceMap
        Of the whole array.
    cells : KnownCells
        What it says of the cells, with the gains that were measured.
    """

    number: int
    serial: str
    map_id: str
    measured: ConductanceMap
    cells: KnownCells

    @property
    def defects(self) -> Defects:
        """Lines of which no cell is to be believed, and other such cells."""
        valid = self.measured.valid
        return Defects(
            dead_rows=tuple(int(row) for row in np.flatnonzero(~valid.any(axis=1))),
            dead_columns=tuple(int(column) for column in np.flatnonzero(~valid.any(axis=0))),
            stuck=~valid,
        )

    def alone_uS(self, description: Description) -> Float64Array:
        """What each cell reads as where its row is sampled alone, (R, C), as under most gates."""
        return effective_uS(self.cells.own_uS, lines_of(description), 1)


def known_chips(
    board: Board, lab: Lab, numbers: Iterable[int], gains: Gains | None = None
) -> dict[int, KnownChip]:
    """Find the present map of each chip: the newest of its whole array since it was programmed.

    That is a read-back, or the reading that follows one after RESET.

    Parameters
    ----------
    gains : Gains, optional
        As measured on the board: maps are read at nominal ones.

    Raises
    ------
    NotFound
        There is no such chip, or no such map of it.
    MapFileError
        There may be one, but it is damaged.
    """
    return {number: _known(board, lab, number, gains) for number in numbers}


def has_map(board: Board, lab: Lab, number: int) -> bool:
    """Whether the lab has a map of the chip that networks can be trained on."""
    return _newest(board, lab, board.chip(number).serial) is not None


def is_of_these_chips(run: Run, board: Board, lab: Lab) -> bool:
    """Whether the masks of a run were trained on maps of the chips that sit in its sockets now.

    Raises
    ------
    MapFileError
        Such a map is damaged, so that nobody can tell.
    """
    if any(chip >= board.identity.chips for chip in run.placement.chips):
        return False
    return dict(run.masks.map_ids) == _present_maps(run, board, lab)


def refuse_other_chips(run: Run, board: Board, lab: Lab, *, force: bool = False) -> None:
    """Refuse a run whose masks were trained on other chips, unless forced.

    A later map of the same chip is no other chip.

    Raises
    ------
    MaskError
        They were.
    MapFileError
        The map that they were trained on is damaged, so that nobody can tell.
    NotFound
        The board lacks a socket of the run's.
    """
    for number in run.placement.chips:
        board.chip(number)
    if force:
        return
    for number in run.masks.on_other_maps(_present_maps(run, board, lab)):
        trained_on = run.masks.map_ids[number]
        raise _of_another_chip(lab, number, trained_on, board.chip(number).serial)


def geometry_of(description: Description) -> Geometry:
    """Lines and channels."""
    return Geometry(description.rows, description.columns, description.channels)


def _known(board: Board, lab: Lab, number: int, gains: Gains | None) -> KnownChip:
    serial = board.chip(number).serial
    found = _newest(board, lab, serial)
    if found is None:
        raise _no_map(lab, number, serial)
    try:
        measured = lab.maps.load(found.id)
    except MapFileError as error:
        raise MapFileError(error.sentence, _read_back(number)) from error
    cells = known_cells(measured, board.description, gains)
    return KnownChip(number, serial, found.id, measured, cells)


def _newest(board: Board, lab: Lab, serial: str) -> MapEntry | None:
    whole = board.description.rows, board.description.columns
    for entry in lab.maps.list(serial):
        follows = entry.info.kind == "read" and entry.info.parent is not None
        if entry.shape == whole and (entry.info.kind == "readback" or follows):
            return entry
    return None


def _present_maps(run: Run, board: Board, lab: Lab) -> Mapping[int, str]:
    """Map of each chip of a run: the run's own, if it is of this chip, else the newest one."""
    present: dict[int, str] = {}
    for number in run.placement.chips:
        serial = board.chip(number).serial
        own = run.masks.map_ids.get(number)
        newest = _newest(board, lab, serial)
        if own is not None and _is_of(lab, own, serial, number):
            present[number] = own
        elif newest is not None:
            present[number] = newest.id
    return present


def _of_another_chip(lab: Lab, number: int, map_id: str, serial: str) -> MaskError:
    try:
        theirs = f"chip {lab.maps.find(map_id).info.chip_serial}"
    except NotFound:
        theirs = f"map {map_id}, which the lab does not have"
    return MaskError(
        f"The masks were trained on {theirs}; in socket {number} sits chip {serial}.",
        f"Train with --chip {number}, or let `rramhil mask adapt` put masks of cells there; "
        "--force takes them as they are, with another accuracy.",
    )


def _is_of(lab: Lab, map_id: str, serial: str, number: int) -> bool:
    try:
        return lab.maps.find(map_id).info.chip_serial == serial
    except NotFound:
        return False
    except MapFileError as error:
        raise MapFileError(
            f"{error.sentence} The run was trained on it.",
            f"Bring the file back from a copy. Or read it back with `rramhil program --chip "
            f"{number}`, and take the run on that map with --force.",
        ) from error


def _no_map(lab: Lab, number: int, serial: str) -> NotFound | MapFileError:
    damaged = [str(path) for path in lab.maps.damaged()]
    missing = f"The lab has no map of chip {serial} in socket {number}"
    if not damaged:
        return NotFound(f"{missing}.", f"`rramhil program --chip {number}` makes one.")
    others = len(damaged) - 1
    which = f"{damaged[0]} and {others} more are" if others else f"{damaged[0]} is"
    return MapFileError(f"{missing} that can be read: {which} damaged.", _read_back(number))


def _read_back(number: int) -> str:
    return f"`rramhil program --chip {number}` reads the chip back."
