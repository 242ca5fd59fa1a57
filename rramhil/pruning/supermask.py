"""The supermask executor: the weights of a network are the chip's own pairs, some switched off.

Owns: scores, the gates that follow from them, their straight-through gradient, and read noise
while training. Knows neither data nor boards.

    pair    w = (G+ - G-) m              both cells of a pair have one gate, the paper's way
    cell    w = G+ m+ - G- m-            each cell has its own

A gate is open where its score reaches the threshold of its matrix; the gradient of a score is that
of the weight times what the gate lets through, as if the gate were linear (Ramanujan et al.,
arXiv 1911.13299).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from rramhil.network import Matrix, Network, Pairs
from rramhil.pruning import thresholds
from rramhil.switching import Mask

Gate = Literal["pair", "cell"]

_FIRST_SPREAD = 0.1
"""Standard deviation of the first scores; learning rates are relative to it."""
_BANK = 1 << 20
"""Random numbers kept for read noise; a step takes a random stretch of them."""


class _Layer(NamedTuple):
    """What is known of one matrix; S is 1 for pair gating, 2 for cell gating."""

    number: int
    cells_uS: Tensor  # (S, outputs, inputs): what each gate lets through
    spread_uS: Tensor | None  # the same shape: standard deviation of a read
    density: float | None
    places: Tensor | None


class SupermaskExecutor(nn.Module):
    """Weight executor over measured conductances; its parameters are scores.

    Weights are in uS. In training mode thresholds come from a sample of the scores and every call
    draws read noise; in evaluation mode thresholds are exact and there is no noise.

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
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.gate: Gate = gate
        random = torch.Generator().manual_seed(seed)
        self._layers: dict[str, _Layer] = {}
        self.scores = nn.ParameterList()
        for name, pair in pairs.items():
            share = density[name] if isinstance(density, Mapping) else density
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"the density of {name} must be 0 to 1, not {share}")
            own_noise = noise[name] if isinstance(noise, Mapping) else noise
            self._add(name, pair, share, own_noise, random)
        self._bank = self._new_bank(random) if self._is_noisy else None

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix in uS, (outputs, inputs) float32, with a gradient to its scores."""
        layer = self._layers[matrix.name]
        scores = self.scores[layer.number]
        cells = layer.cells_uS
        if self.training and layer.spread_uS is not None:
            cells = torch.addcmul(cells, layer.spread_uS, self._noise(cells.shape))
        return cast(Tensor, _Gated.apply(scores, self._threshold(layer), cells, layer.cells_uS))

    def prepare(self, network: Network) -> None:
        """Set the digital scale of every layer of a network such that activations keep variance.

        Behind a rectifier half of the variance is lost, so a layer doubles it; the two products of
        an RNN share that.
        """
        was_training = self.training
        self.eval()  # no noise
        for layer in network.layers():
            products = layer.products()
            for product in products:
                squares = [self.weight(each).detach().square().mean() for each in product.matrices]
                power = torch.stack(squares).mean() * product.matrices[0].inputs
                product.unit.copy_(math.sqrt(2 / len(products)) / power.clamp(min=1e-12).sqrt())
        self.train(was_training)

    @torch.no_grad()
    def masks(self) -> dict[str, Mask]:
        """The gates of every matrix, by name, with exact densities."""
        masks: dict[str, Mask] = {}
        for name, layer in self._layers.items():
            scores = self.scores[layer.number]
            is_open = (scores >= self._exact_threshold(layer)).cpu().numpy()
            masks[name] = (
                Mask.pair(is_open[0]) if self.gate == "pair" else Mask.cell(is_open[0], is_open[1])
            )
        return masks

    def _add(
        self,
        name: str,
        pair: Pairs,
        density: float | None,
        noise: float | Pairs,
        random: torch.Generator,
    ) -> None:
        spread = noise if isinstance(noise, Pairs) else Pairs(pair.plus * noise, pair.minus * noise)
        if self.gate == "pair":
            cells, spreads = (pair.plus - pair.minus)[None], torch.hypot(*spread)[None]
        else:
            cells, spreads = torch.stack([pair.plus, -pair.minus]), torch.stack([*spread])
        scores = _FIRST_SPREAD * torch.randn(cells.shape, generator=random)
        number = len(self._layers)
        self.scores.append(nn.Parameter(scores))
        self._layers[name] = _Layer(
            number,
            cells,
            spreads if bool(spreads.any()) else None,
            density,
            thresholds.places_of(scores.numel(), random),
        )

    def _apply(self, fn: Any, recurse: bool = True) -> SupermaskExecutor:
        """Move the conductances with the parameters."""
        super()._apply(fn, recurse)
        for name, layer in self._layers.items():
            self._layers[name] = layer._replace(
                cells_uS=fn(layer.cells_uS),
                spread_uS=None if layer.spread_uS is None else fn(layer.spread_uS),
                places=None if layer.places is None else fn(layer.places),
            )
        self._bank = None if self._bank is None else fn(self._bank)
        return self

    def _threshold(self, layer: _Layer) -> Tensor:
        if not self.training or layer.places is None or layer.density is None:
            return self._exact_threshold(layer)
        scores = self.scores[layer.number].flatten()
        return thresholds.sampled(scores, layer.density, layer.places)

    def _exact_threshold(self, layer: _Layer) -> Tensor:
        scores = self.scores[layer.number].detach().flatten()
        if layer.density is None:
            return scores.new_zeros(())
        return thresholds.exact(scores, round(layer.density * len(scores)))

    @property
    def _is_noisy(self) -> bool:
        return any(layer.spread_uS is not None for layer in self._layers.values())

    def _new_bank(self, random: torch.Generator) -> Tensor:
        largest = max(layer.cells_uS.numel() for layer in self._layers.values())
        return torch.randn(max(_BANK, 2 * largest), generator=random)

    def _noise(self, shape: torch.Size) -> Tensor:
        """A stretch of the bank: fresh numbers for every cell would cost more than the step."""
        bank = cast(Tensor, self._bank)
        count = shape.numel()
        # of torch's own random numbers, which the trainer seeds for each epoch
        at = int(torch.randint(len(bank) - count + 1, ()))
        return bank[at : at + count].view(shape)


class _Gated(torch.autograd.Function):
    """Sum over the S cells of each weight of what open gates let through."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, threshold: Tensor, read: Tensor, mean: Tensor) -> Tensor:
        ctx.save_for_backward(mean)
        through = _open(read, scores, threshold)
        return through[0] if len(through) == 1 else through[0].add_(through[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (mean,) = ctx.saved_tensors
        return gradients[0] * mean, None, None, None


def _open(read: Tensor, scores: Tensor, threshold: Tensor) -> Tensor:
    """What is read where scores reach the threshold, and 0 elsewhere."""
    if scores.is_cuda:
        return torch.where(scores >= threshold, read, 0)
    # a processor has one pass for it, which keeps what is above, five times as fast as `where`
    below = float(torch.nextafter(threshold, threshold.new_tensor(-torch.inf)))
    return torch.ops.aten.threshold_backward(read, scores, below)
