"""What executors over conductances share: read noise, gradients of gates, first scales and scores.

Owns no scores and no gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rramhil.network import Matrix, Network, Pairs

FIRST_SPREAD = 0.1
"""Standard deviation of the first scores; learning rates are relative to it."""
_BANK = 1 << 20
"""Random numbers kept for read noise; a step takes a random stretch of them."""


class NoiseBank(nn.Module):
    """Standard normal numbers, a random stretch at a time: fresh ones would cost more than a step.

    Parameters
    ----------
    largest : int
        Numbers that are taken at once, at most.
    random : torch.Generator
        Of the numbers; where a stretch begins is one of torch's own random numbers.
    """

    numbers: Tensor

    def __init__(self, largest: int, random: torch.Generator) -> None:
        super().__init__()
        numbers = torch.randn(max(_BANK, 2 * largest), generator=random)
        self.register_buffer("numbers", numbers, persistent=False)

    def draw(self, shape: torch.Size) -> Tensor:
        """Numbers in a shape."""
        count = shape.numel()
        # of torch's own random numbers, which the trainer seeds for each epoch
        at = int(torch.randint(len(self.numbers) - count + 1, ()))
        return self.numbers.narrow(0, at, count).view(shape)


def spread_of(pair: Pairs, noise: float | Pairs) -> Pairs:
    """Standard deviation of a read of both cells in uS, from one that may be relative to them."""
    return noise if isinstance(noise, Pairs) else Pairs(pair.plus * noise, pair.minus * noise)


def felt_by(through: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of gates (S, outputs, inputs) that let this through, from their weights' gradient.

    Parameters
    ----------
    through : (S, outputs, inputs) float32
    gradient : (outputs, inputs) float32
    """
    # that of a convolution's weights lies in another order, in which a product is slow and after
    # which it would have to be put in order all the same
    return gradient.contiguous() * through


@torch.no_grad()
def keep_variance(
    network: Network,
    weight: Callable[[Matrix], Tensor],
    counts: Callable[[Matrix], bool] = lambda matrix: True,
) -> None:
    """Set the digital scale of every layer of a network such that activations keep variance.

    Behind a rectifier half of the variance is lost, so a layer doubles it; the two products of an
    RNN share that.

    Parameters
    ----------
    weight : callable
        Gives a matrix's weights, (outputs, inputs) float32, without noise.
    counts : callable
        Whether a matrix has such weights; a product of others keeps the scale that it has.
    """
    for layer in network.layers():
        products = layer.products()
        for product in products:
            squares = [weight(each).square().mean() for each in product.matrices if counts(each)]
            if not squares:
                continue
            power = torch.stack(squares).mean() * product.matrices[0].inputs
            product.unit.copy_(math.sqrt(2 / len(products)) / power.clamp(min=1e-12).sqrt())
