"""Gains by which a map is corrected for training: measured once, kept in the lab beside the maps.

Owns: `LAB/gains`. A measurement has noise, and a training follows from every bit of its cells: two
trainings with one seed on one map are the same only if they take the same gains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from calibration import Gains
from rramhil._arrays import load_arrays, save_arrays
from rramhil.driver import Board
from rramhil.errors import RunError
from rramhil.flow.chips import KnownChip, known_chips
from rramhil.inference import measured_gains
from rramhil.lab import Lab

_FOLDER = "gains"
_SCALARS = ("tolerance", "temperature_k")


def chips_with_gains(
    board: Board, lab: Lab, known: Mapping[int, KnownChip]
) -> dict[int, KnownChip]:
    """Correct chips' maps by gains, measuring those that the lab does not have yet.

    Parameters
    ----------
    known : mapping of int to KnownChip
        By socket, with nominal gains.

    Raises
    ------
    BoardError, LinkLost
        See the driver.
    """
    files = {number: _file(board, lab, chip) for number, chip in known.items()}
    found = {number: _read(file) for number, file in files.items()}
    if any(gains is None for gains in found.values()):
        measured = measured_gains(board)
        for number, gains in found.items():
            if gains is None:
                _write(files[number], measured)
                found[number] = measured
    return {
        number: known_chips(board, lab, [number], gains)[number] for number, gains in found.items()
    }


def _file(board: Board, lab: Lab, chip: KnownChip) -> Path:
    serial = re.sub(r"[^A-Za-z0-9_-]+", "-", board.identity.serial)
    return lab.root / _FOLDER / f"{chip.map_id}-{serial}.npz"


def _read(file: Path) -> Gains | None:
    try:
        scalars, arrays = load_arrays(file)
        return Gains(**{**scalars, **arrays})
    except (RunError, TypeError):
        return None  # measured again


def _write(file: Path, gains: Gains) -> None:
    file.parent.mkdir(exist_ok=True)
    said = {field.name: getattr(gains, field.name) for field in fields(Gains)}
    scalars = {name: float(said.pop(name)) for name in _SCALARS}
    save_arrays(scalars, said, file)
