"""Which TIA range each matrix is multiplied in: the finest that does not saturate.

Owns: that choice, from the map and what a calibration batch really drives. Knows no board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rramhil.inference.cells import TileCells
from rramhil.inference.conversions import Converter
from rramhil.network import Inputs, Matrix, Network, VectorExecutor

SATURATED_SHARE = 1e-4
"""Conversions that may saturate in the range chosen."""
MARGIN = 0.05
"""Part of the scale kept free for gain errors, noise and inputs not seen."""


class RangeChoice(NamedTuple):
    """The range of a matrix.

    Attributes
    ----------
    range_index : int
    saturated : float
        Share of the calibration batch's conversions that saturate in it, the margin included.
    largest_code : float
        Largest reading expected, without noise.
    """

    range_index: int
    saturated: float
    largest_code: float


def choose_ranges(
    cells: Mapping[str, Sequence[TileCells]],
    codes: Mapping[str, Tensor],
    converter: Converter,
    bits: int,
    saturated_share: float = SATURATED_SHARE,
) -> dict[str, RangeChoice]:
    """Choose the range of every matrix, the coarsest if all saturate too much.

    Parameters
    ----------
    cells : mapping of str to sequence of TileCells
        Tiles of every matrix.
    codes : mapping of str to (N, inputs) uint8
        Vectors of every matrix, such as `recorded_codes` gives.
    saturated_share : float
        Share of conversions that may saturate.
    """
    return {
        name: _choose(tiles, codes[name], converter, bits, saturated_share)
        for name, tiles in cells.items()
    }


class Recorder:
    """Vector executor that keeps some of the vectors that another one multiplies.

    Parameters
    ----------
    executor : VectorExecutor
    most : int
        Vectors kept of each multiplication, evenly spread.
    """

    def __init__(self, executor: VectorExecutor, most: int) -> None:
        self._executor = executor
        self._most = most
        self._kept: dict[str, list[Tensor]] = {}

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """As the other one's."""
        step = max(1, -(-len(codes) // self._most))
        self._kept.setdefault(matrix.name, []).append(codes[::step].clone())
        return self._executor.multiply(matrix, codes)

    def row_sums(self, matrix: Matrix) -> Tensor:
        """As the other one's."""
        return self._executor.row_sums(matrix)

    def codes(self) -> dict[str, Tensor]:
        """What was kept, (N, inputs) uint8 by the matrix's name."""
        return {name: torch.cat(parts) for name, parts in self._kept.items()}


@torch.no_grad()
def recorded_codes(
    network: Network, executor: VectorExecutor, batches: Iterable[Inputs], most: int = 1024
) -> dict[str, Tensor]:
    """Run a network and keep what its matrices are multiplied with.

    The network uses `executor` afterwards.

    Parameters
    ----------
    batches : iterable of Tensor or tuple of Tensor
        Inputs of the network.
    most : int
        Vectors kept of each matrix and batch, evenly spread.
    """
    recorder = Recorder(executor, most)
    was_training = network.training
    network.use(recorder).eval()
    for batch in batches:
        network(*(batch if isinstance(batch, tuple) else (batch,)))
    network.use(executor).train(was_training)
    return recorder.codes()


def _choose(
    tiles: Sequence[TileCells],
    codes: Tensor,
    converter: Converter,
    bits: int,
    saturated_share: float,
) -> RangeChoice:
    sums_uS = torch.cat([_sums_uS(cells, codes, bits) for cells in tiles])
    largest = float(sums_uS.max()) if len(sums_uS) else 0.0
    room = (1 - MARGIN) * (converter.code_max - converter.pedestal)
    choice = RangeChoice(0, 0.0, 0.0)
    for index, per_code in enumerate(converter.per_code_uS):
        share = float((sums_uS > room * per_code).float().mean()) if len(sums_uS) else 0.0
        choice = RangeChoice(index, share, largest / per_code + converter.pedestal)
        if share <= saturated_share:
            break
    return choice


def _sums_uS(cells: TileCells, codes: Tensor, bits: int) -> Tensor:
    """What each conversion adds up, (conversions,) float32."""
    rows = cells.mean_uS[cells.sampled].T
    inputs = codes[:, cells.tile.inputs]
    planes = torch.cat([(inputs >> plane) & 1 for plane in range(bits)])
    return (planes.to(torch.float32) @ rows).flatten()
