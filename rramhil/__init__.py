"""Control stack of a resistive-memory chip: program, map, prune, switch, infer.

    import rramhil

    with rramhil.open("sim://") as board:
        chip = board.chip(0)
        conductance_uS = chip.read(slice(0, 8), slice(0, 16))

Importing this package loads neither numpy nor the simulated board; `open` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rramhil.driver import Board

__all__ = ["__version__", "open"]
__version__ = "0.1.0"


def open(address: str = "sim://", *, lab: Path | str | None = None) -> Board:
    """Open a board as its controller.

    Parameters
    ----------
    address : str
        `sim://?seed=N&chips=M`, `tcp://host:port`, `serial:///dev/ttyACM0`, `tape:///file` or any
        VISA string.
    lab : path, optional
        Lab folder, where simulated boards keep their chips; default as for the command line.

    Returns
    -------
    Board
        Use it in a `with` block; leaving it leaves the board safe.

    Raises
    ------
    NotFound, BoardHeld, ProtocolMismatch, LinkLost, UsageError
        See `rramhil.errors`.
    """
    from rramhil.driver import Board
    from rramhil.lab import default_root

    return Board.open(address, lab_root=Path(lab) if lab is not None else default_root())
