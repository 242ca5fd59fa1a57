"""Steps dealt to a placement before its masks are known: what codebook gating may cost.

Owns: the channels on which a tile's rows sit, the fewest and the most steps that a tile can use,
and how a budget for a whole network is dealt to its tiles. Knows neither masks nor training.

A tile with S steps has S gate patterns, each of which any rows may use that sit on different
channels. Without a mask it takes as many steps as there are rows on the fullest channel; with fewer
some rows are left out. With as many steps as rows each row has a pattern of its own.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.errors import UsageError
from rramhil.switching.placement import Placement

Int64Array = npt.NDArray[np.int64]

_KEPT = 0.75
"""Share of its outputs that a matrix keeps at least, where steps are dear."""


class TileRows(NamedTuple):
    """Rows of a tile.

    Attributes
    ----------
    matrix : str
    outputs, inputs : slice
        Of the matrix.
    channel : (outputs, 2) int64
        ADC channel of each output's plus and minus row.
    """

    matrix: str
    outputs: slice
    inputs: slice
    channel: Int64Array

    @property
    def cells(self) -> int:
        """Cells of the tile."""
        return self.channel.size * self.width

    @property
    def width(self) -> int:
        """Inputs of the tile."""
        return self.inputs.stop - self.inputs.start

    @property
    def fewest(self) -> int:
        """Steps that it takes with one pattern for all rows, as without a mask."""
        return int(np.bincount(self.channel.ravel()).max())

    @property
    def most(self) -> int:
        """Steps with a pattern for each row."""
        return self.channel.size


class TileSteps(NamedTuple):
    """A tile's rows and the steps that they may take; with fewer than `fewest`, not all of them."""

    rows: TileRows
    steps: int


def tile_rows(placement: Placement) -> tuple[TileRows, ...]:
    """Rows of every tile, in the placement's order."""
    channels = placement.geometry.channels
    return tuple(
        TileRows(tile.matrix, tile.outputs, tile.inputs, tile.rows.astype(np.int64) % channels)
        for tile in placement.tiles
    )


def deal_steps(
    tiles: Sequence[TileRows], vectors: Mapping[str, int], budget: float
) -> tuple[TileSteps, ...]:
    """Deal a budget of steps to tiles.

    Each tile gets what it takes without a mask; a matrix that multiplies several vectors a sample,
    and is not the last one, three quarters of that: it may go without a quarter of its outputs. The
    rest goes step by step to where a step is worth most for its price, which is one for each vector
    of a sample:

    - rows that were left out bring their cells, and a share of those of the next matrix;
    - a further pattern makes those of all cells of the tile finer, the less the more there are.

    Parameters
    ----------
    tiles : sequence of TileRows
        In the network's order.
    vectors : mapping of str to int
        Input vectors of a sample, by matrix.
    budget : float
        Steps of a sample, relative to what it takes without masks.

    Raises
    ------
    UsageError
        If the budget cannot be met, with the smallest one that can.
    """
    prices = [max(1, vectors[tile.matrix]) for tile in tiles]
    dense = sum(tile.fewest * price for tile, price in zip(tiles, prices, strict=True))
    last = tiles[-1].matrix
    steps = [
        math.ceil(_KEPT * tile.fewest) if price > 1 and tile.matrix != last else tile.fewest
        for tile, price in zip(tiles, prices, strict=True)
    ]
    least = sample_steps(map(TileSteps, tiles, steps), vectors)
    left = budget * dense - least
    if not left >= 0:
        raise UsageError(
            f"A budget of {budget:g} times the dense schedule's steps cannot be met.",
            f"Rows on one channel take a step each; give {math.ceil(100 * least / dense) / 100:g} "
            "or more.",
        )
    followed = _followed(tiles)

    def offer(number: int) -> tuple[float, int]:
        tile, now = tiles[number], steps[number]
        if now < tile.fewest:
            gain = (1 + followed[tile.matrix]) / tile.fewest
        else:
            gain = math.log1p(1 / now)
        return -gain * tile.cells / prices[number], number

    offers = [offer(number) for number, tile in enumerate(tiles) if steps[number] < tile.most]
    heapq.heapify(offers)
    while offers:
        _, number = heapq.heappop(offers)
        if prices[number] > left:
            continue  # it never fits again
        left -= prices[number]
        steps[number] += 1
        if steps[number] < tiles[number].most:
            heapq.heappush(offers, offer(number))
    return tuple(map(TileSteps, tiles, steps))


def _followed(tiles: Sequence[TileRows]) -> dict[str, float]:
    """Cells of the next matrix, relative to those of each; 0 for the last."""
    cells: dict[str, int] = {}
    for tile in tiles:
        cells[tile.matrix] = cells.get(tile.matrix, 0) + tile.cells
    sizes = list(cells.values())
    following = [*sizes[1:], 0]
    return {name: after / own for name, own, after in zip(cells, sizes, following, strict=True)}


def sample_steps(tiles: Iterable[TileSteps], vectors: Mapping[str, int]) -> int:
    """Steps of a sample."""
    return sum(tile.steps * max(1, vectors[tile.rows.matrix]) for tile in tiles)
