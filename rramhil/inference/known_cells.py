"""What is known of a chip's cells: their own conductance, and how far it may be off.

Owns: putting a map and what was measured of a board's front end together. Maps are read at nominal
gains; here each row gets the gain of its channel, before the lines' resistances are taken out.
Touches no board.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import Gains, siemens_from_codes
from calibration.wires import Lines, cells_uS, effective_of_rows_uS
from rramhil.driver import Description
from rramhil.errors import UsageError
from rramhil.inference.cells import CellErrors, TileCells, tile_cells
from rramhil.inference.conversions import Converter
from rramhil.lab import ConductanceMap
from rramhil.switching import CompiledTile, Mask, Noise

Float64Array = npt.NDArray[np.float64]

READ_NOISE = 0.02
"""Relative standard deviation of one conversion of a cell, where a map has a single read. Source:
published code of the group."""
CONVERTER_NOISE_CODES = 0.75
"""Noise of a conversion, in codes; no board describes it. Source: datasheet of the ADS8324."""
DRIFT = 0.003
"""Relative change of a cell between its map and a run. Source: assumed."""
NONLINEARITY_CODES = 0.8
"""Standard deviation of a converter's bends, in codes. Source: assumed; 1.5 at most, the class of
the ADS8324."""
_GAIN_ERROR = 0.0125
"""Relative error of the rows of a channel where gains are not known. Source: assumed, 2.5 % at
most."""
_REFERENCE_ERROR = 0.001
"""The same where gains are measured: two references, and the converter's bends. Source: assumed."""


@dataclass(frozen=True, eq=False)
class KnownCells:
    """A chip's cells.

    Attributes
    ----------
    own_uS : (R, C) float64
        Conductance of the cells themselves.
    noise : float
        Relative standard deviation of one conversion of a cell.
    cell_error : float
        Relative standard deviation of what is known of a cell, each for itself.
    channel_error : float
        The same of all cells on the rows of a channel together.
    offset_uS : float
        Standard deviation of what all cells of a row are off by, by the error of the map's zero.
    """

    own_uS: Float64Array
    noise: float = READ_NOISE
    cell_error: float = 0.0
    channel_error: float = 0.0
    offset_uS: float = 0.0

    @property
    def errors(self) -> CellErrors:
        """How far cells may be off."""
        return CellErrors(self.cell_error, self.channel_error, self.offset_uS)


def known_cells(
    measured: ConductanceMap,
    description: Description,
    gains: Gains | None = None,
    noise: float | None = None,
) -> KnownCells:
    """What a map says of the cells of a whole array.

    Parameters
    ----------
    measured : ConductanceMap
    description : Description
        Of the board that the map was read on.
    gains : Gains, optional
        Measured on that board. Left out, or for a map without codes, rows are known to a per cent.
    noise : float, optional
        Relative standard deviation of one conversion of a cell; left out, from the map's reads.

    Raises
    ------
    UsageError
        The map is of another array, or of a part of it: the other cells load the lines too.
    """
    if measured.shape != (description.rows, description.columns):
        raise UsageError(
            f"A map of {measured.shape[0]} x {measured.shape[1]} cells does not say what a macro "
            f"of {description.rows} x {description.columns} cells multiplies with.",
            "Take a map of the whole array.",
        )
    relative = _noise_of(measured) if noise is None else noise
    reads = max(1, measured.reads)
    own, channel_error = measured.conductance_uS, _GAIN_ERROR
    if gains is not None and measured.reads:
        own, channel_error = _own_uS(measured, description, gains), _REFERENCE_ERROR
    return KnownCells(
        own_uS=own,
        noise=relative,
        cell_error=float(np.hypot(relative / np.sqrt(reads), DRIFT)),
        channel_error=channel_error,
        offset_uS=measured.per_code_uS
        * CONVERTER_NOISE_CODES
        / float(np.sqrt(measured.zero_conversions)),
    )


def converter_of(description: Description) -> Converter:
    """Ranges, pedestal and noise of a board's converters."""
    return Converter(
        per_code_uS=tuple(each.per_code_uS for each in description.ranges),
        pedestal=description.pedestal,
        code_max=(1 << description.adc_bits) - 1,
        noise=Noise(READ_NOISE, CONVERTER_NOISE_CODES, description.zero_conversions),
        nonlinearity_codes=NONLINEARITY_CODES,
    )


def lines_of(description: Description) -> Lines:
    """Nominal resistances of a board's lines."""
    ohm = description.lines
    return Lines(
        bit_path_ohm=ohm.bit_path_ohm,
        bit_segment_ohm=ohm.bit_segment_ohm,
        source_segment_ohm=ohm.source_segment_ohm,
        source_path_ohm=ohm.source_path_ohm,
    )


def seen_uS(part: CompiledTile, own_uS: Float64Array, lines: Lines) -> Float64Array:
    """Conductance that the cells of each sample of a schedule read as in its own step.

    Parameters
    ----------
    part : CompiledTile
        With M samples.
    own_uS : (R, C) float64
        Of the chip's cells.

    Returns
    -------
    (M, C) float64
        In uS, gates left aside: a closed line is at ground and loads the others all the same.
    """
    schedule = part.schedule
    samples = schedule.samples
    seen = np.zeros((len(samples.row), own_uS.shape[1]))
    begins = np.searchsorted(samples.step, np.arange(schedule.steps))
    sizes = np.diff(begins, append=len(samples.step))
    for size in np.unique(sizes).tolist():
        # samples of the steps that have this many, (steps, size), by ascending row
        which = begins[sizes == size][:, None] + np.arange(size)
        order = np.argsort(samples.row[which], axis=1)
        which = np.take_along_axis(which, order, axis=1)
        rows = samples.row[which]
        seen[which] = effective_of_rows_uS(own_uS[rows], rows, lines)
    return seen


def cells_in_steps(
    compiled: Sequence[CompiledTile],
    masks: Mapping[str, Mask],
    chips: Mapping[int, KnownCells],
    lines: Lines,
) -> dict[str, tuple[TileCells, ...]]:
    """Gate the cells of every tile, as its own schedule sees them through the lines.

    Returns
    -------
    dict of str to tuple of TileCells
        Tiles of each matrix, by its name, in the order given: for `OnMap`.
    """
    found: dict[str, tuple[TileCells, ...]] = {}
    for part in compiled:
        tile, known = part.tile, chips[part.tile.chip]
        seen = seen_uS(part, known.own_uS, lines)
        rows = np.zeros((tile.rows.size, len(tile.columns)))
        rows[part.schedule.samples.accumulator] = seen[:, tile.columns]
        cells = tile_cells(tile, masks[tile.matrix], rows, known.noise)
        cells = cells._replace(errors=known.errors)
        found[tile.matrix] = (*found.get(tile.matrix, ()), cells)
    return found


def _own_uS(measured: ConductanceMap, description: Description, gains: Gains) -> Float64Array:
    read = siemens_from_codes(
        _mean_codes(measured.codes),
        measured.zero_sums,
        measured.zero_conversions,
        gains.per_row_uS(measured.rows, measured.range_index),
    )
    if measured.own_uS is None:
        return read
    return cells_uS(read, lines_of(description), description.channels)


def _mean_codes(codes: npt.NDArray[Any]) -> Float64Array:
    return np.asarray(codes.mean(axis=0), dtype=np.float64)


def _noise_of(measured: ConductanceMap) -> float:
    """Relative noise of a read, from the scatter of a map's reads."""
    if measured.reads < 2:
        return READ_NOISE
    good = measured.valid
    variance = measured.per_code_uS**2 * (CONVERTER_NOISE_CODES**2 + 1 / 12)
    own = np.square(measured.sd_uS[good]).mean() - variance
    return float(np.sqrt(max(0.0, own) / max(1e-12, np.square(measured.read_uS[good]).mean())))
