"""Steps dealt to a placement before its masks are known: what codebook gating may cost.

Owns: the channels on which a tile's rows sit, the fewest and the most steps that a tile can use,
and how a budget for a whole network is dealt to its tiles. Knows neither masks nor training.

A tile with S steps has S gate patterns, each of which any rows may use that sit on different
channels. S is at least the number of rows on the fullest channel: the steps that the tile takes
without a mask. With as many steps as rows each row has a pattern of its own.
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
    """A tile's rows and the steps that they may take."""

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

    Each tile gets what it takes without a mask. The rest goes step by step to where it is worth
    most: a step more makes the patterns of a tile finer, by a share that falls as they become more,
    for all of its cells, at the price of a step for each vector of a sample.

    Parameters
    ----------
    vectors : mapping of str to int
        Input vectors of a sample, by matrix.
    budget : float
        Steps of a sample, relative to what it takes without masks; at least 1, or infinite.

    Raises
    ------
    UsageError
        If the budget is below 1.
    """
    if not budget >= 1:
        raise UsageError(
            f"A budget of {budget:g} times the dense schedule's steps cannot be met.",
            "Rows on one channel take a step each; give 1 or more.",
        )
    steps = [tile.fewest for tile in tiles]
    left = (budget - 1) * sample_steps(map(TileSteps, tiles, steps), vectors)

    def offer(number: int) -> tuple[float, int]:
        tile = tiles[number]
        gain = math.log1p(1 / steps[number]) * tile.channel.size * tile.width
        return -gain / max(1, vectors[tile.matrix]), number

    offers = [offer(number) for number, tile in enumerate(tiles) if steps[number] < tile.most]
    heapq.heapify(offers)
    while offers:
        _, number = heapq.heappop(offers)
        price = max(1, vectors[tiles[number].matrix])
        if price > left:
            continue  # it never fits again
        left -= price
        steps[number] += 1
        if steps[number] < tiles[number].most:
            heapq.heappush(offers, offer(number))
    return tuple(map(TileSteps, tiles, steps))


def sample_steps(tiles: Iterable[TileSteps], vectors: Mapping[str, int]) -> int:
    """Steps of a sample."""
    return sum(tile.steps * max(1, vectors[tile.rows.matrix]) for tile in tiles)
