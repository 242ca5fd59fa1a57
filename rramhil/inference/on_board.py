"""The executor on a board: matrices multiplied by a chip.

Owns: the way of integer vectors to the tiles of a deployment and of accumulators back, and what is
counted on it. The digital half is that of the map (`readout`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.driver import Description, RunningSchedule
from rramhil.errors import VerificationFailed
from rramhil.inference.deploy import DeployedTile, Deployment
from rramhil.inference.readout import TileReadout, assemble
from rramhil.network import Matrix
from rramhil.switching import BoardFacts, Work, price_masks

Float64Array = npt.NDArray[np.float64]

_ROW_SUM_REPEATS = 64
_WINDOW_VECTORS = 1 << 12
"""Vectors that are prepared, sent and read out together."""
_WINDOWS = 2
"""Windows under way beside the one that is being prepared or read out."""


@dataclass
class Done:
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

    def __add__(self, other: Done) -> Done:
        return Done(
            self.vectors + other.vectors,
            self.conversions + other.conversions,
            self.saturated + other.saturated,
            self.board_time_s + other.board_time_s,
        )


class _Window(NamedTuple):
    """Vectors that are under way on every tile of a matrix; None for a tile without steps."""

    vectors: int
    tiles: Sequence[DeployedTile]
    runs: list[RunningSchedule | None]


class OnBoard:
    """Vector executor on a board; products are in uS times code.

    Use it from one thread.

    Parameters
    ----------
    deployment : Deployment

    Attributes
    ----------
    deployment : Deployment
    work : dict of str to Done
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
        self.work: dict[str, Done] = {}
        self._row_sums: dict[str, Tensor] = {}
        self._bits: dict[str, int] = {}

    @property
    def total(self) -> Done:
        """All matrices together."""
        return sum(self.work.values(), Done())

    def energy_j(self, conductance_uS: float | Mapping[int, Float64Array]) -> float:
        """Energy of all that was multiplied, in J, by the constants of `switching.energy_model`.

        Parameters
        ----------
        conductance_uS : float or mapping of int to (R, C) float64
            Of a cell, or of each cell by chip.
        """
        compiled = [
            tile.compiled for tile in self.deployment.tiles if tile.tile.matrix in self.work
        ]
        work = {name: Work(done.vectors, self._bits[name]) for name, done in self.work.items()}
        board = board_facts(self.deployment.board.description)
        geometry = self.deployment.placement.geometry
        report = price_masks(compiled, work, geometry, board, conductance_uS)
        return report.total.gated.energy_j

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Products of vectors (N, inputs) uint8: (N, outputs) float32 in uS times code.

        Raises
        ------
        BoardError, LinkLost
            See the driver.
        """
        tiles = self.deployment.tiles_of(matrix.name)
        done = Done(vectors=len(codes))
        start_ns = self.deployment.board.status().board_time_ns
        parts: list[Tensor] = []
        in_flight: deque[_Window] = deque()
        for window in codes.cpu().split(_WINDOW_VECTORS):
            in_flight.append(self._started(tiles, matrix, window.numpy()))
            if len(in_flight) > _WINDOWS:
                parts.append(_finished(in_flight.popleft(), matrix, done, start_ns))
        parts += [_finished(window, matrix, done, start_ns) for window in in_flight]
        self._bits[matrix.name] = matrix.bits
        self.work[matrix.name] = self.work.get(matrix.name, Done()) + done
        return torch.cat(parts).to(codes.device)

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

    def _started(
        self, tiles: Sequence[DeployedTile], matrix: Matrix, codes: npt.NDArray[np.uint8]
    ) -> _Window:
        runs = [
            self.deployment.start(tile, tile.on_lines(codes[:, tile.tile.inputs]), matrix.bits)
            if tile.schedule.steps and len(codes)
            else None
            for tile in tiles
        ]
        return _Window(len(codes), tiles, runs)

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


def board_facts(description: Description) -> BoardFacts:
    """What of a board's description decides prices."""
    return BoardFacts(
        conversion_ns=description.conversion_ns,
        switch_load_ns=description.switch_load_ns,
        settle_ns=tuple(each.settle_ns for each in description.ranges),
        read_voltage_v=description.read_voltage_v,
    )


def _finished(window: _Window, matrix: Matrix, done: Done, start_ns: int) -> Tensor:
    """Products of a window (vectors, outputs); adds to what was done since a time of the clock."""
    parts: list[tuple[TileReadout, Tensor]] = []
    for tile, run in zip(window.tiles, window.runs, strict=True):
        if run is None:
            sums = torch.zeros((window.vectors, 2 * len(tile.tile.rows)), dtype=torch.int32)
        else:
            result = run.result()
            sums = torch.from_numpy(result.accumulators)
            done.conversions += result.conversions
            done.saturated += result.saturated
            done.board_time_s = (result.board_time_ns - start_ns) / 1e9
        parts.append((tile.readout, sums))
    return assemble(matrix, parts, window.vectors)
