"""The executor on a board: matrices multiplied by a chip.

Owns: the way of integer vectors to the tiles of a deployment and of accumulators back, and what is
counted on it. The digital half is that of the map (`readout`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.errors import VerificationFailed
from rramhil.inference.deploy import DeployedTile, Deployment
from rramhil.inference.readout import TileReadout, assemble
from rramhil.network import Matrix

_ROW_SUM_REPEATS = 64
_WINDOW_VECTORS = 1 << 15
"""Vectors that are prepared, sent and read out together."""


@dataclass
class Work:
    """What was done for one matrix.

    Attributes
    ----------
    vectors, conversions, saturated : int
        Vectors multiplied; conversions, and those at an end of the scale.
    board_time_s : float
        By the board's clock.
    """

    vectors: int = 0
    conversions: int = 0
    saturated: int = 0
    board_time_s: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.vectors + other.vectors,
            self.conversions + other.conversions,
            self.saturated + other.saturated,
            self.board_time_s + other.board_time_s,
        )


class OnBoard:
    """Vector executor on a board; products are in uS times code.

    Use it from one thread.

    Parameters
    ----------
    deployment : Deployment

    Attributes
    ----------
    deployment : Deployment
    work : dict of str to Work
        What was done, by matrix.

    Raises
    ------
    VerificationFailed
        The deployment has problems.
    """

    def __init__(self, deployment: Deployment) -> None:
        if deployment.problems:
            raise VerificationFailed(
                " ".join(deployment.problems), "`rramhil mask verify` measures what it spoils."
            )
        self.deployment = deployment
        self.work: dict[str, Work] = {}
        self._row_sums: dict[str, Tensor] = {}

    @property
    def total(self) -> Work:
        """All matrices together."""
        return sum(self.work.values(), Work())

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Products of vectors (N, inputs) uint8: (N, outputs) float32 in uS times code.

        Raises
        ------
        BoardError, LinkLost
            See the driver.
        """
        if not len(codes):
            return torch.zeros(0, matrix.outputs)
        windows = codes.cpu().split(_WINDOW_VECTORS)
        parts = [self._multiply(matrix, window.numpy()) for window in windows]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(codes.device)

    def row_sums(self, matrix: Matrix) -> Tensor:
        """Sum of each output's weights in uS, (outputs,) float32, measured on the first call.

        Inputs are driven in as few parts as the range has room for.
        """
        if matrix.name not in self._row_sums:
            total = torch.zeros(matrix.outputs, dtype=torch.float64)
            for tile in self.deployment.tiles_of(matrix.name):
                if tile.schedule.steps:
                    total[tile.tile.outputs] += self._tile_sums(tile)
            self._row_sums[matrix.name] = total.to(torch.float32)
        return self._row_sums[matrix.name]

    def _multiply(self, matrix: Matrix, codes: npt.NDArray[np.uint8]) -> Tensor:
        deployment, done = self.deployment, Work(vectors=len(codes))
        start_ns = stop_ns = deployment.board.status().board_time_ns
        parts: list[tuple[TileReadout, Tensor]] = []
        for tile in deployment.tiles_of(matrix.name):
            if not tile.schedule.steps:
                sums = torch.zeros((len(codes), 2 * len(tile.tile.rows)), dtype=torch.int32)
            else:
                lines = tile.on_lines(codes[:, tile.tile.inputs])
                result = deployment.run(tile, lines, matrix.bits)
                sums = torch.from_numpy(result.accumulators)
                done.conversions += result.conversions
                done.saturated += result.saturated
                stop_ns = result.board_time_ns
            parts.append((tile.readout, sums))
        done.board_time_s = (stop_ns - start_ns) / 1e9
        self.work[matrix.name] = self.work.get(matrix.name, Work()) + done
        return assemble(matrix, parts, len(codes))

    def _tile_sums(self, tile: DeployedTile) -> Tensor:
        inputs = len(tile.tile.columns)
        parts = 1
        while True:
            of_input = np.arange(inputs) * parts // inputs
            vectors = (of_input == np.arange(parts)[:, None]).astype(np.uint8)
            lines = tile.on_lines(np.tile(vectors, (_ROW_SUM_REPEATS, 1)))
            result = self.deployment.run(tile, lines, 1)
            if not result.saturated or parts >= inputs:
                break
            parts = min(inputs, 2 * parts)
        products = tile.readout.products(torch.from_numpy(result.accumulators), 1)
        return products.sum(dim=0) / _ROW_SUM_REPEATS
