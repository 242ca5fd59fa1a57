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
_NEARLY = 3e-4
_MEASURABLE = 1e-5
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


def effective_of_rows_uS(
    conductance_uS: npt.ArrayLike, rows: npt.ArrayLike, lines: Lines
) -> Float64Array:
    """Conductance that cells read as where any rows are sampled together.

    Parameters
    ----------
    conductance_uS : (N, n, C) array of float
        Of the cells of N groups of n rows.
    rows : (N, n) array of int
        Their numbers on the array, ascending in each group.
    lines : Lines

    Returns
    -------
    (N, n, C) float64
        In uS.

    Raises
    ------
    ValueError
        The shapes differ, rows do not ascend, or a resistance is negative.
    """
    cells = np.asarray(conductance_uS, dtype=np.float64)
    numbers = np.asarray(rows, dtype=np.int64)
    if cells.ndim != 3 or numbers.shape != cells.shape[:2]:
        raise ValueError(f"rows {numbers.shape} do not fit cells {cells.shape}")
    if (numbers < 0).any() or (np.diff(numbers, axis=1) < 1).any():
        raise ValueError("the rows of a group must ascend")
    _check_lines(lines)
    return _of_groups(cells, numbers, lines)


def cells_uS(read_uS: npt.ArrayLike, lines: Lines, group: int = GROUP) -> Float64Array:
    """Conductance of the cells whose readings are given: the inverse of `effective_uS`.

    Fixed point: a guess is corrected by what its own reading lacks. A reading falls short by what
    is lost on the way to the cell and on the way from it, in proportion, so the lack is enlarged
    by the square of what the guess lost. Each correction leaves a seventh or less of it: three
    rounds where an eighth of the current is lost, the last of which need not be checked.

    Parameters
    ----------
    read_uS : (R, C) array of float
        What was read, in uS; noise may take it below zero.
    lines, group
        As in `effective_uS`.

    Returns
    -------
    (R, C) float64
        In uS; reading it again gives `read_uS` within 1e-4 of the largest reading of its group,
        which is less than the noise of a conversion.

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
        if not np.isfinite(lack).all():
            break
        nearly = bool((np.abs(lack) <= _NEARLY * scale).all())
        lost = np.divide(cells, again, out=np.ones_like(again), where=again > _MEASURABLE * scale)
        cells += lack * np.clip(lost, 1.0, _MOST_LOST) ** 2
        if nearly:
            return cells
    raise ValueError("no cells read so through lines of these resistances")


def _check(cells: Float64Array, lines: Lines, group: int) -> None:
    if cells.ndim != 2 or group < 1 or cells.shape[0] % group:
        raise ValueError(f"an array of whole groups of {group} rows is needed, got {cells.shape}")
    _check_lines(lines)


def _check_lines(lines: Lines) -> None:
    if not all(0.0 <= ohm < float("inf") for ohm in lines):
        raise ValueError(f"resistances are finite and not negative, got {tuple(lines)}")


def _effective(cells: Float64Array, lines: Lines, group: int) -> Float64Array:
    rows, columns = cells.shape
    groups = cells.reshape(-1, group, columns)
    return _of_groups(groups, np.arange(rows).reshape(-1, group), lines).reshape(cells.shape)


def _of_groups(cells: Float64Array, rows: npt.NDArray[np.int64], lines: Lines) -> Float64Array:
    # Loads numba, which nobody needs who only looks at maps.
    from calibration._wire_kernel import effective

    ahead_ohm = np.full(cells.shape[2], lines.source_segment_ohm)
    ahead_ohm[-1:] += lines.source_path_ohm
    driver_ohm = lines.bit_path_ohm + lines.bit_segment_ohm * (1 + rows).astype(np.float64)
    return effective(_MICRO * np.ascontiguousarray(cells), driver_ohm, ahead_ohm) / _MICRO
