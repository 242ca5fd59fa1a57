"""What the lines' resistances do to a reading, and how to undo it, on the host.

Owns a float model of rows that are sampled at once, from nominal resistances alone. Knows neither
driver nor simulated board; written for itself, so that each can be checked by the other.

Rows are sampled in groups: their word lines are on, all others off, every bit line is driven or at
ground, every source line ends in its amplifier's virtual ground. By reciprocity the current into
amplifier r per volt on driver c is the one into driver c per volt on amplifier r.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

GROUP = 8
"""Rows of a group, where a caller names none: one for each ADC channel."""
_MICRO = 1e-6
_WITHIN = 1e-5
_MOST_ROUNDS = 25
_MOST_LOST = 2.0


class Lines(NamedTuple):
    """Resistances of every bit line and every source line, in ohm; zero is legal.

    Attributes
    ----------
    bit_path_ohm : float
        From a bit line's driver to the wire.
    bit_segment_ohm : float
        From one row to the next.
    source_segment_ohm : float
        From one column to the next.
    source_path_ohm : float
        From the wire to the amplifier.
    """

    bit_path_ohm: float
    bit_segment_ohm: float
    source_segment_ohm: float
    source_path_ohm: float


def effective_uS(conductance_uS: npt.ArrayLike, lines: Lines, group: int = GROUP) -> Float64Array:
    """Conductance that each cell of an array reads as, in groups of neighbouring rows.

    Parameters
    ----------
    conductance_uS : (R, C) array of float
        Of the cells; row 0 is the one next to the drivers, the last column the one next to the
        amplifiers. R is a multiple of `group`.
    lines : Lines
    group : int
        Rows sampled at once.

    Returns
    -------
    (R, C) float64
        In uS: current into the row's amplifier per volt on the bit line.

    Raises
    ------
    ValueError
        R is no multiple of `group`, or a resistance is negative.
    """
    cells = np.asarray(conductance_uS, dtype=np.float64)
    _check(cells, lines, group)
    return _effective(cells, lines, group)


def cells_uS(read_uS: npt.ArrayLike, lines: Lines, group: int = GROUP) -> Float64Array:
    """Conductance of the cells whose readings are given: the inverse of `effective_uS`.

    Fixed point: a guess is corrected by what its own reading lacks. A reading falls short by what
    is lost on the way to the cell and on the way from it, in proportion, so the lack is enlarged
    by the square of what the guess lost: four rounds where an eighth of the current is lost.

    Parameters
    ----------
    read_uS : (R, C) array of float
        What was read, in uS; noise may take it below zero.
    lines, group
        As in `effective_uS`.

    Returns
    -------
    (R, C) float64
        In uS; reading it again gives `read_uS` within 1e-5 of the largest reading of its group.

    Raises
    ------
    ValueError
        As `effective_uS`, or no array of cells reads so: the lines lose more than there is.
    """
    read = np.asarray(read_uS, dtype=np.float64)
    _check(read, lines, group)
    cells = read.copy()
    scale = np.abs(read).reshape(-1, group * read.shape[1]).max(axis=1).repeat(group)[:, None]
    for _ in range(_MOST_ROUNDS):
        again = _effective(cells, lines, group)
        lack = read - again
        if (np.abs(lack) <= _WITHIN * scale).all():
            return cells
        lost = np.divide(cells, again, out=np.ones_like(again), where=again > _WITHIN * scale)
        cells += lack * np.clip(lost, 1.0, _MOST_LOST) ** 2
    raise ValueError("no cells read so through lines of these resistances")


def _check(cells: Float64Array, lines: Lines, group: int) -> None:
    if cells.ndim != 2 or group < 1 or cells.shape[0] % group:
        raise ValueError(f"an array of whole groups of {group} rows is needed, got {cells.shape}")
    if not all(0.0 <= ohm < float("inf") for ohm in lines):
        raise ValueError(f"resistances are finite and not negative, got {tuple(lines)}")


def _effective(cells: Float64Array, lines: Lines, group: int) -> Float64Array:
    """All groups at once; arrays are (column, group, row of the group, ...)."""
    columns = cells.shape[1]
    own = _MICRO * cells.reshape(-1, group, columns).transpose(2, 0, 1)
    seen = _columns(own, lines)
    driver = seen.sum(axis=2)
    ahead = np.full(columns, lines.source_segment_ohm)
    ahead[-1] += lines.source_path_ohm
    eye = np.eye(group)
    passed = np.empty_like(seen)
    behind = np.zeros(seen.shape[1:])
    for c in range(columns):
        behind = behind + seen[c]
        passed[c] = np.linalg.inv(eye + ahead[c] * behind)
        behind = behind @ passed[c]
    out = np.empty((columns, *own.shape[1:]))
    volts = np.broadcast_to(eye, behind.shape)
    for c in range(columns - 1, -1, -1):
        volts = passed[c] @ volts
        out[c] = (driver[c][:, None, :] @ volts)[:, 0]
    return out.transpose(1, 2, 0).reshape(cells.shape) / _MICRO


def _columns(own: Float64Array, lines: Lines) -> Float64Array:
    """Admittance of every bit line with its cells, driver at ground, seen from the source lines.

    With D the cells, and Z the resistances that two of their nodes share on the way to the driver,
    the nodes' voltages are u = Z D (w - u); the cells then carry D (w - u) = D (1 + Z D)^-1 w.
    """
    _, groups, group = own.shape
    rows = np.arange(groups * group).reshape(groups, group)
    shared = np.minimum(rows[:, :, None], rows[:, None, :]) + 1
    common_ohm = lines.bit_path_ohm + lines.bit_segment_ohm * shared
    loop = np.eye(group) + common_ohm * own[:, :, None, :]
    return own[:, :, :, None] * np.linalg.inv(loop)
