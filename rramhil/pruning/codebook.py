"""The codebook executor: rows of a tile share a few gate patterns, so that a schedule is short.

Owns: which row picks which pattern, the patterns' scores, their straight-through gradient, and the
promise that compiled masks take no more steps than each tile was dealt. Knows no data and no board.

    w = G+ p - G- q              p, q: patterns of the tile, picked by the plus and the minus row

A step has one pattern and samples one row on each ADC channel. So no two rows on one channel pick
the same pattern, and each pattern is one step. Where a tile has fewer steps than rows on a channel,
its last outputs pick none and stay closed. The score of a pattern's bit gets the gradients of the
cells of all rows that picked it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rramhil.network import Matrix, Network, Pairs
from rramhil.pruning.reading import FIRST_SPREAD, NoiseBank, felt_by, keep_variance, spread_of
from rramhil.pruning.thresholds import Threshold
from rramhil.switching import Mask, TileSteps

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


class CodebookExecutor(nn.Module):
    """Weight executor over measured conductances whose masks compile into few steps.

    Weights are in uS. In training mode every call draws read noise; in evaluation mode there is
    none. Its parameters are the patterns' scores, (steps, inputs) for each tile; what the rows
    picked is part of its state.

    Parameters
    ----------
    pairs : mapping of str to Pairs
        Conductances in uS of every matrix, by name.
    tiles : sequence of TileSteps
        The tiles that cover these matrices, with the steps that each may take.
    density : float, optional
        Share of open bits in the patterns of a tile, 0 to 1; left out, a bit is open where its
        score is not negative.
    noise : float or mapping of str to Pairs
        Standard deviation of a read: relative to the conductance, or in uS for each cell.
    seed : int
        Of picks, first scores, and the numbers that noise is taken from; from where in them each
        call takes its own, torch's own random numbers say.

    Raises
    ------
    ValueError
        If the density is not 0 to 1.
    """

    def __init__(
        self,
        pairs: Mapping[str, Pairs],
        tiles: Sequence[TileSteps],
        *,
        density: float | None = 0.5,
        noise: float | Mapping[str, Pairs] = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.tiles = tuple(tiles)
        random = torch.Generator().manual_seed(seed)
        picking = np.random.default_rng(seed)
        self._number = {name: number for number, name in enumerate(pairs)}
        self._matrices = nn.ModuleList(
            _Matrix(pair, noise[name] if isinstance(noise, Mapping) else noise)
            for name, pair in pairs.items()
        )
        self._tiles = nn.ModuleList(_Tile(tile, density, picking, random) for tile in tiles)
        self.scores = nn.ParameterList(
            nn.Parameter(FIRST_SPREAD * torch.randn(tile.steps, tile.rows.width, generator=random))
            for tile in tiles
        )
        self._bank = NoiseBank(max(2 * pair.plus.numel() for pair in pairs.values()), random)

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix in uS, (outputs, inputs) float32, with a gradient to its scores."""
        known = cast(_Matrix, self._matrices[self._number[matrix.name]])
        read = known.cells_uS
        if self.training and known.spread_uS is not None:
            read = torch.addcmul(read, known.spread_uS, self._bank.draw(read.shape))
        parts = self._parts(matrix.name)
        scores = [part.scores for part in parts]
        return cast(Tensor, _Shared.apply(read, known.cells_uS, parts, *scores))

    @property
    def picks(self) -> tuple[Tensor, ...]:
        """What the plus and the minus rows of each tile picked, (2, outputs) int64."""
        return tuple(cast(_Tile, tile).picks for tile in self._tiles)

    def prepare(self, network: Network) -> None:
        """Set the digital scale of every layer of a network such that activations keep variance."""
        was_training = self.training
        self.eval()
        keep_variance(network, self.weight)
        self.train(was_training)

    @torch.no_grad()
    def masks(self) -> dict[str, Mask]:
        """The gates of every cell, by the matrix's name, with exact densities of the patterns."""
        was_training = self.training
        self.eval()
        masks: dict[str, Mask] = {}
        for name, number in self._number.items():
            cells = cast(_Matrix, self._matrices[number]).cells_uS
            is_open = _spread(self._parts(name), cells).cpu().numpy()
            masks[name] = Mask.cell(is_open[0], is_open[1])
        self.train(was_training)
        return masks

    def _parts(self, name: str) -> list[_Part]:
        """Tiles of a matrix with their patterns."""
        parts: list[_Part] = []
        for module, scores in zip(self._tiles, self.scores, strict=True):
            tile = cast(_Tile, module)
            if tile.matrix == name:
                is_open = scores.detach() >= tile.threshold.level(scores)
                parts.append(_Part(tile.outputs, tile.inputs, tile.picks, is_open, scores))
        return parts


def pick_patterns(channel: Int64Array, patterns: int, random: np.random.Generator) -> Int64Array:
    """Let rows pick patterns at random, every pattern as often as any other, to within one.

    Outputs pick in their order; one that finds no pattern left on its channels goes without.

    Parameters
    ----------
    channel : (outputs, 2) int64
        ADC channel of each output's plus and minus row.

    Returns
    -------
    (2, outputs) int64
        For the plus and the minus rows, 0 to patterns - 1, different for all rows on a channel; or
        `patterns` for none.
    """
    is_in = _with_room(channel, patterns).T.ravel()
    rows = channel.T.ravel()
    picks = np.full_like(rows, patterns)
    times = np.zeros(patterns, dtype=np.int64)
    for each in np.unique(rows):
        mine = np.flatnonzero((rows == each) & is_in)
        order = random.permutation(patterns)
        rarest = order[np.argsort(times[order], kind="stable")][: len(mine)]
        picks[mine] = random.permutation(rarest)
        times[rarest] += 1
    return picks.reshape(2, -1)


def _with_room(channel: Int64Array, patterns: int) -> BoolArray:
    """Whether each output's rows find patterns left, (outputs, 2) bool: both rows or neither."""
    is_in = np.zeros(channel.shape, dtype=np.bool_)
    taken = np.zeros(int(channel.max()) + 1, dtype=np.int64)
    for output, pair in enumerate(channel):
        after = taken + np.bincount(pair, minlength=len(taken))
        if after.max() <= patterns:
            is_in[output], taken = True, after
    return is_in


class _Matrix(nn.Module):
    """Cells of a matrix, (2, outputs, inputs): what each lets through, and its noise."""

    cells_uS: Tensor
    spread_uS: Tensor | None

    def __init__(self, pair: Pairs, noise: float | Pairs) -> None:
        super().__init__()
        spread = torch.stack([*spread_of(pair, noise)])
        spreads = spread if bool(spread.any()) else None
        # a training is begun with them, and does not change them
        self.register_buffer("cells_uS", torch.stack([pair.plus, -pair.minus]), persistent=False)
        self.register_buffer("spread_uS", spreads, persistent=False)


class _Tile(nn.Module):
    """What the rows of a tile picked, (2, outputs); the threshold of its patterns' scores."""

    picks: Tensor

    def __init__(
        self,
        tile: TileSteps,
        density: float | None,
        picking: np.random.Generator,
        random: torch.Generator,
    ) -> None:
        super().__init__()
        rows = tile.rows
        self.matrix, self.outputs, self.inputs = rows.matrix, rows.outputs, rows.inputs
        picks = torch.from_numpy(pick_patterns(rows.channel, tile.steps, picking))
        self.register_buffer("picks", picks)
        self.threshold = Threshold(density, tile.steps * rows.width, random)


class _Part(NamedTuple):
    """A tile of a matrix: where it is, what its rows picked, and the patterns' bits and scores."""

    outputs: slice
    inputs: slice
    picks: Tensor
    is_open: Tensor
    scores: Tensor


def _spread(parts: Sequence[_Part], like: Tensor) -> Tensor:
    """Gates of all cells of a matrix, (2, outputs, inputs) bool."""
    gates = torch.zeros_like(like, dtype=torch.bool)
    for part in parts:
        # those that pick none find a closed pattern
        patterns = nn.functional.pad(part.is_open, (0, 0, 0, 1))
        gates[:, part.outputs, part.inputs] = patterns[part.picks]
    return gates


class _Shared(torch.autograd.Function):
    """Sum over the two cells of each weight of what its rows' patterns let through."""

    @staticmethod
    def forward(
        ctx: Any, read: Tensor, mean: Tensor, parts: Sequence[_Part], *scores: Tensor
    ) -> Tensor:
        ctx.save_for_backward(mean)
        ctx.parts = [(part.outputs, part.inputs, part.picks) for part in parts]
        ctx.shapes = [each.shape for each in scores]
        through = torch.where(_spread(parts, read), read, 0)
        return through[0].add_(through[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (mean,) = ctx.saved_tensors
        felt = felt_by(mean, gradients[0])
        pushes: list[Tensor] = []
        for (outputs, inputs, picks), shape in zip(ctx.parts, ctx.shapes, strict=True):
            rows = felt[:, outputs, inputs].reshape(-1, shape[1])
            sums = felt.new_zeros(shape[0] + 1, shape[1]).index_add_(0, picks.flatten(), rows)
            pushes.append(sums[:-1])
        return None, None, None, *pushes
