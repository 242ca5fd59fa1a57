"""The lab: the folder in which everything that outlives a run is kept.

Owns: the folder's layout. What the parts mean is said in `chips`, `journal` and `map_store`.

    lab.sqlite3      chips and journal
    maps/            one HDF5 file a conductance map, and its pictures
    locks/           one lock a board
"""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import platformdirs

from rramhil.errors import LabUnusable
from rramhil.lab._database import Database
from rramhil.lab._lock import Holder, board_lock
from rramhil.lab.chips import ChipRegister
from rramhil.lab.journal import Journal
from rramhil.lab.map_store import MapStore

_ENVIRONMENT = "RRAMHIL_LAB"


def default_root() -> Path:
    """Return the folder to use when none is named: RRAMHIL_LAB, else the user's data folder."""
    named = os.environ.get(_ENVIRONMENT, "")
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("rramhil", appauthor=False) / "lab"


class Lab:
    """Open a lab folder, creating it and its parents where they are missing.

    Parameters
    ----------
    root : Path
        The folder.

    Attributes
    ----------
    root : Path
        The folder, absolute.
    chips : ChipRegister
        Which chips were seen where.
    journal : Journal
        What was done to them.
    maps : MapStore
        What was measured of them.

    Raises
    ------
    LabUnusable
        If the folder cannot be created, written, or was made by a newer version.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).expanduser().absolute()
        self._locks = self.root / "locks"
        _prepare(self.root, [self._locks, self.root / "maps"])
        self._database = Database(self.root / "lab.sqlite3")
        self.chips = ChipRegister(self._database)
        self.journal = Journal(self._database)
        self.maps = MapStore(self.root / "maps")

    def lock(self, board_serial: str) -> AbstractContextManager[Holder]:
        """Hold a board for the body of a `with`.

        Raises
        ------
        BoardHeld
            On entry, if the board is held; the sentence names who holds it.
        """
        return board_lock(self._locks, board_serial)

    def close(self) -> None:
        """Close the database; closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _prepare(root: Path, folders: list[Path]) -> None:
    try:
        for folder in (root, *folders):
            folder.mkdir(parents=True, exist_ok=True)
        # Permission bits do not tell for every user and file system; writing does.
        tempfile.TemporaryFile(dir=root).close()
    except OSError as error:
        raise LabUnusable(
            f"The lab folder {root} cannot be created or written: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}.",
            "Choose another folder with --lab or RRAMHIL_LAB.",
        ) from error
