"""What programming gives back, in the words that others rely on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rramhil.driver import Identity
from rramhil.lab import ConductanceMap, MapEntry
from rramhil.programming.report import Report


@dataclass(frozen=True, eq=False)
class ProgramResult:
    """A programmed chip.

    Attributes
    ----------
    chip, chip_serial : int, str
        Socket and serial number.
    board : Identity
        The board it sits in.
    recipe : str or None
        Name of the recipe that made the chip what it is; None where it is not known.
    cells, pulses : int
        Cells that the recipe asks for, and pulses that this run fired, one a cell at most.
    resumed : bool
        Whether an interrupted job was continued.
    board_time_s, wall_time_s : float
        Time on the board's clock and on the wall.
    message : str
        What happened, in a sentence.
    map : MapEntry
        Where the read-back is kept; its `heatmap` was drawn.
    measured : ConductanceMap
        The read-back.
    report : Report
        What it says.
    """

    chip: int
    chip_serial: str
    board: Identity
    recipe: str | None
    cells: int
    pulses: int
    resumed: bool
    board_time_s: float
    wall_time_s: float
    message: str
    map: MapEntry
    measured: ConductanceMap
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values, ready for JSON."""
        report = self.report
        return {
            "chip": self.chip,
            "chip_serial": self.chip_serial,
            "board": board_as_dict(self.board),
            "recipe": self.recipe,
            "cells": self.cells,
            "pulses": self.pulses,
            "formed": report.formed,
            "formed_fraction": report.formed_fraction,
            "conductance_uS": asdict(report.conductance_uS),
            "map": str(self.map.path),
            "map_id": self.map.id,
            "heatmap": str(self.map.heatmap),
            "board_time_s": self.board_time_s,
            "wall_time_s": self.wall_time_s,
            "resumed": self.resumed,
            "unknown": len(report.unknown),
            "shorts": [list(cell) for cell in report.shorts],
            "dead_rows": list(report.dead_rows),
            "dead_columns": list(report.dead_columns),
            "message": self.message,
            "report": report.as_dict(),
        }


@dataclass(frozen=True)
class Preview:
    """What programming would do, as far as can be said without touching the chip.

    Attributes
    ----------
    chip, chip_serial, board, recipe, cells
        As in `ProgramResult`.
    pulses : int
        Pulses it would fire; cells that turn out to be shorts are still among them.
    board_time_s : float
        Estimate for forming and reading.
    energy_j : float
        Upper bound of the energy in the cells: as if each carried its compliance current for the
        whole pulse.
    message : str
        What would happen, in a sentence.
    """

    chip: int
    chip_serial: str
    board: Identity
    recipe: str
    cells: int
    pulses: int
    board_time_s: float
    energy_j: float
    message: str

    def as_dict(self) -> dict[str, Any]:
        """The preview as plain values, ready for JSON."""
        return asdict(self) | {"board": board_as_dict(self.board), "dry_run": True}


def board_as_dict(board: Identity) -> dict[str, Any]:
    """Return what results say of a board."""
    return {
        "serial": board.serial,
        "simulated": board.simulated,
        "firmware": board.firmware,
        "name": board.name,
        "address": board.address,
    }
