"""The supermask executor: the weights of a network are the chip's own pairs, some switched off.

Owns: scores, the gates that follow from them, their straight-through gradient, and read noise
while training. Knows neither data nor boards.

    pair    w = (G+ - G-) m              both cells of a pair have one gate, the paper's way
    cell    w = G+ m+ - G- m-            each cell has its own

A gate is open where its score reaches the threshold of its matrix; the gradient of a score is that
of the weight times what the gate lets through, as if the gate were linear (Ramanujan et al.,
arXiv 1911.13299). With an `Economy` a gate is a cell's state, which lags behind its score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from rramhil.network import Matrix, Network, Pairs
from rramhil.pruning.economy import Economy, HeldGates, Written
from rramhil.pruning.reading import FIRST_SPREAD, NoiseBank, felt_by, keep_variance, spread_of
from rramhil.pruning.thresholds import Level, Threshold
from rramhil.switching import Mask

Gate = Literal["pair", "cell"]

_LOWEST = np.float32(-np.inf)


class _Cells(nn.Module):
    """What is known of one matrix; S is 1 for pair gating, 2 for cell gating.

    Attributes
    ----------
    cells_uS : (S, outputs, inputs) float32
        What each gate lets through.
    off_uS : the same or None
        What it lets through where it is closed.
    spread_uS : the same or None
        Standard deviation of a read.
    reads_uS : (reads, S, outputs, inputs) float32 or None
        Recorded reads.
    threshold : Threshold
        Of its scores.
    held : HeldGates or None
        Its masks, where they are written.
    """

    cells_uS: Tensor
    off_uS: Tensor | None
    spread_uS: Tensor | None
    reads_uS: Tensor | None

    def __init__(
        self, threshold: Threshold, held: HeldGates | None, live: bool, **tensors: Tensor | None
    ) -> None:
        super().__init__()
        self.threshold = threshold
        self.held = held
        for name, tensor in tensors.items():
            # what a training begins with is not kept with what it changes
            kept = live and name in ("cells_uS", "off_uS")
            self.register_buffer(name, tensor, persistent=kept)


class SupermaskExecutor(nn.Module):
    """Weight executor over measured conductances; its parameters are scores.

    Weights are in uS. In training mode thresholds come from a sample of the scores and every call
    sees a read with its noise; in evaluation mode thresholds are exact and there is no noise.

    Parameters
    ----------
    pairs : mapping of str to Pairs
        Conductances in uS of every matrix, by name.
    gate : "pair" or "cell"
    density : float or mapping of str to float, optional
        Share of gates that are open, 0 to 1, of all matrices or each; left out, a gate is open
        where its score is not negative.
    noise : float or mapping of str to Pairs
        Standard deviation of a read: relative to the conductance, or in uS for each cell.
    reads : mapping of str to Pairs, optional
        Recorded reads in uS, (reads, outputs, inputs) each: a step sees one of them, in turn, in
        place of drawn noise.
    per_conversion : bool
        Noise is drawn for each product and not for each weight, as a chip's conversions have it;
        twice the work.
    economy : Economy, optional
        Masks are written into cells, and this sparingly.
    live : bool
        Conductances will be renewed: they are part of the state.
    seed : int
        Of the first scores, and of the numbers that noise is taken from; from where in them each
        call takes its own, torch's own random numbers say.

    Raises
    ------
    ValueError
        If a density is not 0 to 1.
    """

    def __init__(
        self,
        pairs: Mapping[str, Pairs],
        gate: Gate,
        *,
        density: float | Mapping[str, float] | None = 0.5,
        noise: float | Mapping[str, Pairs] = 0.0,
        reads: Mapping[str, Pairs] | None = None,
        per_conversion: bool = False,
        economy: Economy | None = None,
        live: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.gate: Gate = gate
        self.economy = economy
        self.per_conversion = per_conversion
        self._turn = 0
        random = torch.Generator().manual_seed(seed)
        self._layers = nn.ModuleList()
        self.scores = nn.ParameterList()
        for name, pair in pairs.items():
            share = density[name] if isinstance(density, Mapping) else density
            spread = noise[name] if isinstance(noise, Mapping) else noise
            shape = (1 if gate == "pair" else 2, *pair.plus.shape)
            self.scores.append(nn.Parameter(FIRST_SPREAD * torch.randn(shape, generator=random)))
            threshold = Threshold(share, math.prod(shape), random)
            recorded = None if reads is None else reads[name]
            self._layers.append(self._cells_of(pair, spread, recorded, threshold, live))
        # a step asks for each: a module's own lists take longer to look into
        self._known = dict(zip(pairs, zip(self._each(), self.scores, strict=True), strict=True))
        noisy = not per_conversion and any(each.spread_uS is not None for each in self._each())
        largest = max(layer.cells_uS.numel() for layer in self._each())
        self._bank = NoiseBank(largest, random) if noisy else None
        self._ahead: dict[str, Tensor] = {}
        self._write(0.0)

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix in uS, (outputs, inputs) float32, with a gradient to its scores."""
        ahead = self._ahead.pop(matrix.name, None) if self.training else None
        return self._weights([self._known[matrix.name]])[0] if ahead is None else ahead

    def variance(self, matrix: Matrix) -> Tensor | None:
        """Variance of one conversion of each weight in uS^2, (outputs, inputs) float32.

        None where noise is drawn for each weight, and in evaluation mode.
        """
        if not self.training or not self.per_conversion:
            return None
        layer, scores = self._known[matrix.name]
        if layer.spread_uS is None:
            return None
        squares = layer.spread_uS.square()
        if layer.held is not None:
            return torch.where(layer.held.is_open, squares, 0).sum(dim=0)
        is_open = scores.detach() >= layer.threshold.level(scores)
        return torch.where(is_open, squares, 0).sum(dim=0)

    def prepare(self, network: Network) -> None:
        """Set the digital scale of every layer of a network such that activations keep variance."""
        was_training = self.training
        self.eval()  # no noise
        keep_variance(network, self.weight)
        self.train(was_training)

    def before_step(self, number: int, done: float) -> None:
        """Write masks anew where it is their turn, and read all matrices for the step.

        Parameters
        ----------
        number : int
            Of the step, from 0 at the very beginning of training.
        done : float
            Share of the training that is over.
        """
        self._turn = number
        # before there is anything to change in cells, masks are free to follow every step
        if self.economy and number and not (self.is_in_cells and number % self.economy.every):
            self._write(done)
        # all at once: between the products of layers each would find the processor's caches cold
        weights = self._weights(self._known.values())
        self._ahead = dict(zip(self._known, weights, strict=True))

    @property
    def is_in_cells(self) -> bool:
        """Whether a chip is to have the present masks: not before written ones begin to be."""
        return all(layer.held is None or bool(layer.held.has_begun) for layer in self._each())

    @torch.no_grad()
    def masks(self) -> dict[str, Mask]:
        """The gates of every matrix, by name, with exact densities unless they are written."""
        masks: dict[str, Mask] = {}
        for name, (layer, scores) in self._known.items():
            gates = (
                scores >= layer.threshold.exact(scores)
                if layer.held is None
                else layer.held.is_open
            )
            is_open = gates.cpu().numpy()
            masks[name] = (
                Mask.pair(is_open[0]) if self.gate == "pair" else Mask.cell(is_open[0], is_open[1])
            )
        return masks

    @property
    def written(self) -> Written | None:
        """Pulses that the masks have taken so far; None where they are gates."""
        if self.economy is None:
            return None
        parts = [cast(HeldGates, layer.held).written for layer in self._each()]
        first, resets, sets, most = zip(*parts, strict=True)
        return Written(sum(first), sum(resets), sum(sets), max(most))

    @torch.no_grad()
    def renew(self, pairs: Mapping[str, Pairs]) -> None:
        """Take conductances as they were measured again: of written masks, closed cells' too.

        Parameters
        ----------
        pairs : mapping of str to Pairs
            In uS, by the matrix's name.
        """
        self._ahead.clear()
        for name, pair in pairs.items():
            layer, _ = self._known[name]
            sides = self._sides(pair).to(layer.cells_uS)
            if layer.held is None:
                layer.cells_uS.copy_(sides)
                continue
            off, is_open = cast(Tensor, layer.off_uS), layer.held.is_open
            layer.cells_uS.copy_(torch.where(is_open, sides, layer.cells_uS))
            off.copy_(torch.where(is_open, off, sides))

    def _cells_of(
        self,
        pair: Pairs,
        noise: float | Pairs,
        reads: Pairs | None,
        threshold: Threshold,
        live: bool,
    ) -> _Cells:
        """What is known of one matrix."""
        cells = self._sides(pair)
        off, held = None, None
        if self.economy is not None:
            closed = torch.full_like(pair.plus, self.economy.off_uS)
            off = self._sides(Pairs(closed, closed))
            held = HeldGates(tuple(cells.shape), cells=1 if self.gate == "cell" else 2)
        return _Cells(
            threshold,
            held,
            live,
            cells_uS=cells,
            off_uS=off,
            spread_uS=self._spread(pair, noise) if reads is None else None,
            reads_uS=None if reads is None else self._sides(reads).movedim(1, 0),
        )

    def _weights(self, known: Iterable[tuple[_Cells, nn.Parameter]]) -> tuple[Tensor, ...]:
        """Weights of matrices as they are read now, with a gradient to their scores."""
        layers, scores = zip(*known, strict=True)
        with torch.no_grad():
            reads = self._reads(layers)
            felt = [layer.cells_uS for layer in layers]
            if self.economy is None:
                levels = [layer.threshold.level(s) for layer, s in zip(layers, scores, strict=True)]
                through = map(_open, reads, scores, levels)
            else:
                off = [cast(Tensor, layer.off_uS) for layer in layers]
                is_open = [cast(HeldGates, layer.held).is_open for layer in layers]
                through = map(torch.where, is_open, reads, off)
                felt = list(map(torch.sub, felt, off))
            weights = [_sum(each) for each in through]
        return cast("tuple[Tensor, ...]", _Gated.apply(weights, felt, *scores))

    def _reads(self, layers: Sequence[_Cells]) -> list[Tensor]:
        """What is read of matrices now, (S, outputs, inputs) float32 each, the caller's own."""
        means = [layer.cells_uS for layer in layers]
        if self.training and layers[0].reads_uS is not None:
            recorded = [cast(Tensor, layer.reads_uS) for layer in layers]
            return [reads[self._turn % len(reads)].clone() for reads in recorded]
        if not self.training or self._bank is None:
            return [mean.clone() for mean in means]
        spreads = [cast(Tensor, layer.spread_uS) for layer in layers]
        noises = [self._bank.draw(mean.shape) for mean in means]
        return [torch.addcmul(*each) for each in zip(means, spreads, noises, strict=True)]

    def _each(self) -> Iterator[_Cells]:
        return (cast(_Cells, layer) for layer in self._layers)

    def _sides(self, pair: Pairs) -> Tensor:
        """What gates let through, (S, outputs, inputs), the reads of a pair in between."""
        if self.gate == "pair":
            return (pair.plus - pair.minus)[None]
        return torch.stack([pair.plus, -pair.minus])

    def _spread(self, pair: Pairs, noise: float | Pairs) -> Tensor | None:
        if not isinstance(noise, Pairs) and not noise:
            return None
        spread = spread_of(pair, noise)
        return torch.hypot(*spread)[None] if self.gate == "pair" else torch.stack([*spread])

    def _write(self, done: float) -> None:
        """Write the masks that scores ask for, as far as the budget of the run lets them."""
        economy = self.economy
        if economy is None:
            return
        width = economy.hysteresis * FIRST_SPREAD
        for layer, scores in zip(self._each(), self.scores, strict=True):
            held, threshold = cast(HeldGates, layer.held), layer.threshold.exact(scores)
            if done < economy.begin:
                held.follow(scores, threshold)
                continue
            left = None
            if economy.run_pulses is not None:
                spent = sum(cast(HeldGates, each.held).spent for each in self._each())
                left = max(0, economy.run_pulses - spent)
            held.write(scores.detach(), threshold, replace(economy, run_pulses=left), width)


class _Gated(torch.autograd.Function):
    """Weights of matrices, and their gradients to scores: as if gates were linear."""

    @staticmethod
    def forward(
        ctx: Any, weights: Sequence[Tensor], felt: Sequence[Tensor], *scores: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*felt)
        return tuple(weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *map(felt_by, ctx.saved_tensors, gradients)


def _sum(through: Tensor) -> Tensor:
    return through[0] if len(through) == 1 else through[0].add_(through[1])


def _open(read: Tensor, scores: Tensor, level: Level) -> Tensor:
    """What is read where scores reach the level, and 0 elsewhere; the read is written over.

    The memory of another one would cost more than all the rest.
    """
    if scores.is_cuda:
        return torch.where(scores >= level, read, 0)
    # a processor has one pass for it, which keeps what is above, five times as fast as `where`
    below = float(np.nextafter(np.float32(level), _LOWEST))
    return torch.ops.aten.threshold_backward.grad_input(read, scores, below, grad_input=read)
