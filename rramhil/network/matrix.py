"""The matrices of a network as values: what a placement must hold and a chip must multiply.

Owns: their names and sizes, and the share of a network that they are. Knows neither torch nor
chips.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Matrix:
    """A matrix that inputs are multiplied with.

    Attributes
    ----------
    name : str
        Path of its layer in the model, with a suffix where a layer has several: `.input` and
        `.hidden` of an RNN, `.group0`, `.group1`, ... of a grouped convolution.
    outputs, inputs : int
        Its shape.
    bits : int
        Of its inputs, 1 to 8.
    vectors : int
        Input vectors of one sample: 1 for a linear layer, the output's pixels for a convolution.
    """

    name: str
    outputs: int
    inputs: int
    bits: int
    vectors: int = 0

    @property
    def weights(self) -> int:
        """Weights in it."""
        return self.outputs * self.inputs

    @property
    def multiplications(self) -> int:
        """Multiplications of one sample."""
        return self.weights * self.vectors


class Share(NamedTuple):
    """Parts of a network that its matrices are, 0 to 1.

    Counted against the modules that stay digital although they have weights. Bias, batch norm,
    scale and activations are digital by design and not counted.
    """

    weights: float
    multiplications: float


@dataclass(frozen=True)
class DigitalModule:
    """A module with weights that stays digital because the user allowed it.

    Attributes
    ----------
    name : str
        Path in the model.
    kind : str
        Its class.
    weights : int
        Elements of its parameters, biases left out.
    multiplications : int
        Of one sample: its weights by the positions of its output, a good estimate for
        convolutions and layers that act on features.
    """

    name: str
    kind: str
    weights: int
    multiplications: int = 0


def share_of(matrices: Iterable[Matrix], digital: Iterable[DigitalModule]) -> Share:
    """Weigh the matrices against what stays digital."""
    on_chip, beside = list(matrices), list(digital)
    weights = sum(matrix.weights for matrix in on_chip)
    multiplications = sum(matrix.multiplications for matrix in on_chip)
    all_weights = weights + sum(module.weights for module in beside)
    everything = multiplications + sum(module.multiplications for module in beside)
    return Share(weights / max(1, all_weights), multiplications / max(1, everything))
