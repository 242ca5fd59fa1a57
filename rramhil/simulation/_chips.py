"""Look into a simulated chip, and exchange it for a fresh one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sim_backend.board
from rramhil.simulation._which import SimulatedBoardName, errors_of, refuse_unknown
from sim_backend.board import SimulatedBoard
from sim_backend.defects import Defects
from sim_backend.faults import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sim_backend.chips import ChipTruth


def inspect(name: SimulatedBoardName, chip: int) -> ChipTruth:
    """Look at the state of a chip, also while another process serves its board.

    It may be in any socket that was ever in use, whatever `name.chips` says.

    Raises
    ------
    NotFound
        There is no such chip, or its board was never opened.
    LabUnusable
        The state is damaged.
    """
    refuse_unknown(name)
    with errors_of(name):
        return sim_backend.board.inspect(name.root, name.seed, name.sockets, chip)


def replace(
    name: SimulatedBoardName,
    chip: int,
    *,
    shorted: int = 0,
    dead: int = 0,
    stuck_on: int = 0,
    stuck_off: int = 0,
    dead_rows: Sequence[int] = (),
    dead_columns: Sequence[int] = (),
    technology: str = "rram40",
    faults: Path | None = None,
) -> tuple[str, str]:
    """Put a fresh chip of the next generation into a socket; of a board that is made, if need be.

    Parameters
    ----------
    chip : int
        Socket.
    shorted, dead : int
        Cells of the fresh chip that conduct before any pulse, or never form.
    stuck_on, stuck_off : int
        Cells that form and are never switched off, or are off and never switched on.
    dead_rows, dead_columns : sequence of int
        Broken lines of the fresh chip.
    technology : str
        What its cells are: rram40, tech_a, tech_b or tech_c.
    faults : Path, optional
        TOML file whose `[chip]` says more defects.

    Returns
    -------
    (str, str)
        Serial numbers of the chip that was there and of the fresh one.

    Raises
    ------
    BoardHeld
        The board is in use; nothing was done.
    NotFound
        There is no such socket.
    UsageError
        No board has such a seed or so many chips, the defects do not fit into the array, or there
        is no such technology.
    LabUnusable
        The state cannot be read or written.
    """
    asked = Defects(
        shorted=shorted,
        dead=dead,
        stuck_on=stuck_on,
        stuck_off=stuck_off,
        dead_rows=tuple(dead_rows),
        dead_columns=tuple(dead_columns),
    )
    with errors_of(name):
        defects = asked if faults is None else asked + load(faults).chip
    with errors_of(name), SimulatedBoard(name.root, name.seed, name.chips) as board:
        before = board.chips[chip].serial if 0 <= chip < len(board.chips) else ""
        board.replace_chip(chip, defects, technology)
        return before, board.chips[chip].serial
