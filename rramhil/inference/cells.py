"""The gated cells of a placement's tiles: what a chip adds up.

Owns: the order of a tile's rows, the same as that of its accumulators: plus row of output 0, minus
row of output 0, plus row of output 1, and so on. Knows neither converters nor boards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.switching import Mask, Placement, Tile

Values = npt.NDArray[Any]


class CellErrors(NamedTuple):
    """How far what is known of cells may be off, as standard deviations.

    Attributes
    ----------
    cell : float
        Relative, of each cell for itself.
    channel : float
        Relative, of all cells of a row together.
    offset_uS : float
        Of all cells of a row together.
    """

    cell: float = 0.0
    channel: float = 0.0
    offset_uS: float = 0.0


class TileCells(NamedTuple):
    """A tile with its open cells.

    Attributes
    ----------
    tile : Tile
    mean_uS, sd_uS : (2 outputs, inputs) float32
        Conductance of each cell and the standard deviation of one conversion of it; 0 where its
        gate is closed.
    sampled : (2 outputs,) bool
        Rows with an open gate; a board does not convert the others, whose accumulators stay 0.
    errors : CellErrors
        Of `mean_uS`.
    """

    tile: Tile
    mean_uS: Tensor
    sd_uS: Tensor
    sampled: Tensor
    errors: CellErrors = CellErrors()

    def to(self, device: torch.device | str) -> TileCells:
        """The same on another device."""
        return self._replace(
            mean_uS=self.mean_uS.to(device),
            sd_uS=self.sd_uS.to(device),
            sampled=self.sampled.to(device),
        )


def cells_of(
    placement: Placement,
    masks: Mapping[str, Mask],
    maps_uS: Mapping[int, Values],
    noise: float | Mapping[int, Values],
) -> dict[str, tuple[TileCells, ...]]:
    """Gate the cells of every tile of a placement.

    Parameters
    ----------
    masks : mapping of str to Mask
        Of every matrix of the placement.
    maps_uS : mapping of int to (rows, columns) array
        Conductance in uS by chip; effective ones where wires matter.
    noise : float, or mapping of int to (rows, columns) array
        Standard deviation of a conversion: relative to the conductance, or in uS by chip.

    Returns
    -------
    dict of str to tuple of TileCells
        Tiles of each matrix, by its name, in the placement's order.
    """
    return {
        matrix.name: tuple(
            tile_cells(
                tile,
                masks[matrix.name],
                _lines(tile, maps_uS[tile.chip]),
                _lines(tile, noise[tile.chip]) if isinstance(noise, Mapping) else noise,
            )
            for tile in placement.tiles_of(matrix.name)
        )
        for matrix in placement.matrices
    }


def tile_cells(tile: Tile, mask: Mask, rows_uS: Values, noise: float | Values) -> TileCells:
    """Gate the cells of one tile.

    Parameters
    ----------
    mask : Mask
        Of the whole matrix.
    rows_uS : (2 outputs, inputs) array
        Conductance of the tile's cells in uS, such as wires make it seem in the tile's own steps.
    noise : float or (2 outputs, inputs) array
        Standard deviation of a conversion: relative, or in uS.
    """
    gates = mask.rows[tile.outputs, :, tile.inputs].reshape(-1, len(tile.columns))
    mean = rows_uS * gates
    spread = noise * gates if isinstance(noise, np.ndarray) else np.abs(mean) * noise
    return TileCells(tile, _tensor(mean), _tensor(spread), torch.from_numpy(gates.any(axis=1)))


def _lines(tile: Tile, values: Values) -> Values:
    return values[np.ix_(tile.rows.ravel(), tile.columns)]


def _tensor(values: Values) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
