"""Which simulated board is meant, and what its errors mean to a caller."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs

from rramhil.errors import BoardHeld, LabUnusable, NotFound, UsageError
from rramhil.transport.simulated import DAMAGED_HINT, FOLDER
from sim_backend.board import board_serial, sockets_kept
from sim_backend.errors import (
    BadSetting,
    FaultsError,
    NoFaultsFile,
    NoSuchBoard,
    NoSuchTechnology,
    OutOfRange,
    SimError,
    StateDamaged,
    StateHeld,
)


@dataclass(frozen=True)
class SimulatedBoardName:
    """A simulated board of a lab.

    Attributes
    ----------
    lab_root : Path
        Lab folder.
    seed, chips : int
        Which board, as in `sim://?seed=N&chips=M`.
    """

    lab_root: Path
    seed: int = 0
    chips: int = 1

    @property
    def root(self) -> Path:
        """Folder of all simulated boards of the lab."""
        return self.lab_root / FOLDER

    @property
    def serial(self) -> str:
        """The board's serial number.

        Raises
        ------
        UsageError
            No board has such a seed or so many chips.
        """
        with errors_of(self):
            return board_serial(self.seed, self.chips)

    @property
    def sockets(self) -> int:
        """Sockets that were ever in use, as the lab has them; 0 for a board that it does not have.

        Raises
        ------
        UsageError
            No board has such a seed.
        """
        with errors_of(self):
            return sockets_kept(self.root, self.seed)

    def __str__(self) -> str:
        return f"sim://?seed={self.seed}&chips={self.chips}"


def named_by(
    address: str, lab_root: Path, seed: int | None, chips: int | None
) -> SimulatedBoardName:
    """Name the board of an address, or the default one where the address is of another kind.

    Parameters
    ----------
    address : str
        Board in force; only `sim://` has something to say.
    seed, chips : int, optional
        Come before what the address says.

    Raises
    ------
    UsageError
        The address is a malformed `sim://`.
    """
    said = _said(address)
    try:
        return SimulatedBoardName(
            lab_root,
            int(said.get("seed", ["0"])[0]) if seed is None else seed,
            int(said.get("chips", ["1"])[0]) if chips is None else chips,
        )
    except ValueError:
        raise UsageError(
            f"{address!r} names no simulated board.", "Write sim://?seed=N&chips=M."
        ) from None


def kept_by(
    address: str, lab_root: Path, seed: int | None, chips: int | None
) -> SimulatedBoardName:
    """Name a board as `named_by`, with all the sockets the lab has of it where nobody says chips.

    Raises
    ------
    UsageError
        The address is a malformed `sim://`, or no board has such a seed.
    """
    name = named_by(address, lab_root, seed, chips)
    if chips is not None or "chips" in _said(address):
        return name
    return replace(name, chips=max(1, name.sockets))


def refuse_unknown(name: SimulatedBoardName) -> None:
    """Refuse a board that the lab does not have.

    Raises
    ------
    NotFound
        It was never opened in this lab.
    """
    if not name.sockets:
        raise NotFound(
            f"The lab {name.lab_root} has no simulated board {name.serial}.",
            "`rramhil board list` shows those that it has; --seed and --lab say which is meant.",
        )


def _said(address: str) -> dict[str, list[str]]:
    scheme, _, rest = address.partition("://")
    return parse_qs(rest.partition("?")[2]) if scheme.lower() == "sim" else {}


@contextmanager
def errors_of(name: SimulatedBoardName) -> Generator[None]:
    """Turn the simulated board's errors into those of this package."""
    try:
        yield
    except StateHeld:
        raise BoardHeld(
            f"The simulated board {name} is held by another process.",
            "End that process first, or use another --seed or --lab.",
        ) from None
    except NoFaultsFile as error:
        raise NotFound(str(error), "Name another, or leave --faults out.") from None
    except FaultsError as error:
        raise UsageError(str(error), "The user guide shows a file of faults.") from None
    except BadSetting as error:
        raise UsageError(str(error), "Change or unset this environment variable.") from None
    except NoSuchTechnology as error:
        raise UsageError(str(error), "Choose one of those.") from None
    except OutOfRange as error:
        raise UsageError(str(error), "Choose a value within that range.") from None
    except NoSuchBoard as error:
        raise NotFound(
            str(error), "--seed and --chips say which board; it is made when it is first opened."
        ) from None
    except StateDamaged as error:
        raise LabUnusable(str(error), DAMAGED_HINT) from None
    except (SimError, OSError) as error:
        raise LabUnusable(
            f"The simulated board {name} cannot keep its state in {name.lab_root}: "
            f"{str(error).rstrip('.')}.",
            "Choose another lab folder with --lab or RRAMHIL_LAB.",
        ) from None
