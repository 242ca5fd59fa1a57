"""From accumulators to products: the digital half of a multiplication on a chip.

Owns: gains and zeros of a tile's rows, the difference of a pair's two rows, the sum over tiles. A
pure function of tensors, the same whether the accumulators come from a board or from a map.

A board subtracts a whole code as the zero; what that leaves of the measured zero is subtracted
here, once for every plane: by its weights' sum, 2^bits - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rramhil.inference.cells import TileCells
from rramhil.network import Matrix
from rramhil.switching import Tile


class TileReadout(NamedTuple):
    """What a tile's accumulators are worth; entries 2 o and 2 o + 1 belong to output o.

    Attributes
    ----------
    tile : Tile
    per_code_uS : (2 outputs,) float64
        Conductance of a code of each row: the range's, corrected by its channel's gain.
    zero_rest : (2 outputs,) float64
        Measured zero less the zero that the board subtracted, in codes, times the samples of the
        accumulator: 0 for a row that is not sampled.
    """

    tile: Tile
    per_code_uS: Tensor
    zero_rest: Tensor

    def products(self, accumulators: Tensor, bits: int) -> Tensor:
        """Products in uS times code, (N, outputs) float32, of accumulators (N, 2 outputs) int32.

        Accumulators of one sample lie below 2^24, so that nothing is lost before the last rounding.
        """
        gain = self.per_code_uS.to(torch.float32)
        rest = ((1 << bits) - 1) * self.zero_rest * self.per_code_uS
        products = accumulators[:, 0::2] * gain[0::2]
        products -= accumulators[:, 1::2] * gain[1::2]
        products -= (rest[0::2] - rest[1::2]).to(torch.float32)
        return products


def nominal_readout(tile: Tile, per_code_uS: float) -> TileReadout:
    """A readout with the range's own gain and whole zeros."""
    rows = 2 * len(tile.rows)
    return TileReadout(
        tile,
        torch.full((rows,), per_code_uS, dtype=torch.float64),
        torch.zeros(rows, dtype=torch.float64),
    )


def assemble(matrix: Matrix, parts: Iterable[tuple[TileReadout, Tensor]], vectors: int) -> Tensor:
    """Add the products of a matrix's tiles.

    Parameters
    ----------
    parts : iterable of (TileReadout, (vectors, 2 outputs of the tile) int32)
        Every tile with its accumulators.
    vectors : int
        N, for which there may be no tile with accumulators.

    Returns
    -------
    (N, outputs) float32
        Sum over the inputs of conductance difference times code, in uS.
    """
    total: Tensor | None = None
    for readout, accumulators in parts:
        products = readout.products(accumulators, matrix.bits)
        if total is None and products.shape[1] == matrix.outputs:
            total = products
            continue
        if total is None:
            total = products.new_zeros(vectors, matrix.outputs)
        total[:, readout.tile.outputs] += products
    if total is None:
        raise ValueError(f"matrix {matrix.name} has no tiles")
    return total


def row_sums_of(matrix: Matrix, tiles: Sequence[TileCells]) -> Tensor:
    """Sum of each output's weights in uS, (outputs,) float32, for the correction of zero points."""
    total = torch.zeros(matrix.outputs, dtype=torch.float64, device=tiles[0].mean_uS.device)
    for cells in tiles:
        rows = cells.mean_uS.sum(dim=1, dtype=torch.float64)
        total[cells.tile.outputs] += rows[0::2] - rows[1::2]
    return total.to(torch.float32)
