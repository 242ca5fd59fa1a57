"""What masks are compared with: other ways to get weights from the same chip, or from none.

Owns: weight executors of the baselines, the weights that masks let through, and outputs on
weights that are given. Knows neither boards nor statistics.

    FrozenRandom     the chip's pairs as they are; only the last matrix is trained
    FixedWeights     given weights, such as a mask on another map than it was trained on
    flat_pairs       every cell alike: what a mask is trained on that knows no map
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from rramhil.network import Matrix, Network, Pairs
from rramhil.network.layers import Product
from rramhil.pruning.norms import batch_of
from rramhil.pruning.reading import keep_variance
from rramhil.pruning.supermask import SupermaskExecutor
from rramhil.switching import Mask
from rramhil.tasks import Examples


class FixedWeights:
    """Weight executor whose weights are given and stay.

    Parameters
    ----------
    weights : mapping of str to (outputs, inputs) float32
        By the matrix's name.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = {name: weight.detach() for name, weight in weights.items()}

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix, (outputs, inputs) float32."""
        return self._weights[matrix.name]


class FrozenRandom(nn.Module):
    """Weight executor of a random network with a trained read-out.

    All pairs of the chip are in use, each with the weight G+ - G- in uS; only the last matrix has
    ordinary weights, which are its parameters. Batch norm normalises, but of the digital part too
    only the last layer's is trained, unless `trains_digital`.

    Parameters
    ----------
    pairs : mapping of str to Pairs
        Conductances in uS of every matrix, by name.
    last : str
        Name of the matrix that is trained.
    first_weights : (outputs, inputs) float32
        What its training begins with.
    trains_digital : bool
        Train gains, biases and batch norm of all layers.
    noise : float
        Standard deviation of a read, relative to the conductance.
    seed : int
        Of the numbers that noise is taken from.
    """

    def __init__(
        self,
        pairs: Mapping[str, Pairs],
        last: str,
        first_weights: Tensor,
        *,
        trains_digital: bool = False,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._last = last
        self._trains_digital = trains_digital
        frozen = {name: pair for name, pair in pairs.items() if name != last}
        self._chip = SupermaskExecutor(frozen, "pair", density=None, noise=noise, seed=seed)
        for scores in self._chip.scores:
            # every gate is open, and stays so
            scores.requires_grad_(False).fill_(1.0)
        self.readout = nn.Parameter(first_weights.detach().clone())

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix, (outputs, inputs) float32."""
        return self.readout if matrix.name == self._last else self._chip.weight(matrix)

    @torch.no_grad()
    def prepare(self, network: Network) -> None:
        """Set the digital scales such that activations keep variance; the read-out's stays.

        What is not to be trained takes no gradient from then on.
        """
        if not self._trains_digital:
            network.requires_grad_(False)
            for layer in network.layers():
                if any(self._last in _names(product) for product in layer.products()):
                    cast(nn.Module, layer).requires_grad_(True)
        was_training = self._chip.training
        self._chip.eval()  # no noise
        keep_variance(network, self._chip.weight, lambda matrix: matrix.name != self._last)
        self._chip.train(was_training)


def _names(product: Product) -> list[str]:
    return [matrix.name for matrix in product.matrices]


def masked_weights(pairs: Mapping[str, Pairs], masks: Mapping[str, Mask]) -> dict[str, Tensor]:
    """What masks let through: G+ m+ - G- m- of every matrix, (outputs, inputs) float32, in uS."""
    return {
        name: pairs[name].plus * torch.from_numpy(mask.plus.copy())
        - pairs[name].minus * torch.from_numpy(mask.minus.copy())
        for name, mask in masks.items()
    }


def flat_pairs(pairs: Mapping[str, Pairs]) -> dict[str, Pairs]:
    """Give every cell the mean conductance in uS of all of them: all that a flat mask knows."""
    cells = [cell for pair in pairs.values() for cell in pair]
    total = sum(float(cell.sum(dtype=torch.float64)) for cell in cells)
    mean = total / sum(cell.numel() for cell in cells)
    return {
        name: Pairs(torch.full_like(pair.plus, mean), torch.full_like(pair.minus, mean))
        for name, pair in pairs.items()
    }


@torch.no_grad()
def outputs_of(network: Network, examples: Examples) -> Tensor:
    """Outputs (N, ...) of a network over examples, on the processor, in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    parts = examples.inputs.split(batch_of(examples.inputs))
    return torch.cat([network(part.to(device)).cpu() for part in parts])
