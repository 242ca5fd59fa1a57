"""Executors: who does a network's multiplications.

Owns: the two kinds of executors, the route by which layers reach the one in use, and the
executors that need no chip. A *weight executor* gives each matrix as a tensor with a gradient, and
layers use torch's own products: fast, for training. A *vector executor* gets the integer codes and
returns products, as a chip does. Both give the same to float rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from rramhil.network.matrix import Matrix


class WeightExecutor(Protocol):
    """Gives weights."""

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix, (outputs, inputs) float32, in whatever unit; a gradient may flow."""
        ...


@runtime_checkable
class NoisyExecutor(WeightExecutor, Protocol):
    """Gives weights, and says how much each conversion of them scatters."""

    def variance(self, matrix: Matrix) -> Tensor | None:
        """Variance of one conversion of each weight, (outputs, inputs) float32; None for none."""
        ...


class VectorExecutor(Protocol):
    """Multiplies integer vectors, in the same unit as the weights."""

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Sum over the inputs of weight * code.

        Parameters
        ----------
        codes : (N, inputs) uint8
            0 to 2^bits - 1.

        Returns
        -------
        (N, outputs) float32
        """
        ...

    def row_sums(self, matrix: Matrix) -> Tensor:
        """Sum of each output's weights, (outputs,) float32: what a zero point is corrected by."""
        ...


Executor = WeightExecutor | VectorExecutor


def takes_vectors(executor: Executor) -> TypeGuard[VectorExecutor]:
    """Whether an executor multiplies vectors instead of giving weights."""
    return hasattr(executor, "multiply")


@dataclass
class Route:
    """Where the layers of one network find the executor in use; all share one route."""

    weights: WeightExecutor | None = None
    vectors: VectorExecutor | None = field(default=None)

    def use(self, executor: Executor) -> None:
        """Let every layer use this executor."""
        is_chip = takes_vectors(executor)
        self.vectors = executor if is_chip else None
        self.weights = None if is_chip else executor  # type: ignore[assignment]


class TrainedWeights(nn.Module):
    """Weight executor with ordinary weights, which training may change.

    Parameters
    ----------
    weights : mapping of str to (outputs, inputs) float32
        Their first values by the matrix's name, such as `Network.first_weights`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        # numbered, since torch allows no dots in the names of parameters
        self._number = {name: number for number, name in enumerate(weights)}
        self._weights = nn.ParameterList(
            nn.Parameter(weight.detach().clone()) for weight in weights.values()
        )

    def weight(self, matrix: Matrix) -> Tensor:
        """Weights of a matrix, (outputs, inputs) float32."""
        return self._weights[self._number[matrix.name]]


class Exact:
    """Vector executor that multiplies with given weights exactly: no chip, no noise.

    Parameters
    ----------
    weights : mapping of str to (outputs, inputs) float32
        By the matrix's name.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = {name: weight.detach() for name, weight in weights.items()}

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Sum over the inputs of weight * code, (N, outputs) float32."""
        return codes.to(torch.float32) @ self._weights[matrix.name].T

    def row_sums(self, matrix: Matrix) -> Tensor:
        """Sum of each output's weights, (outputs,) float32."""
        return self._weights[matrix.name].sum(dim=1)


class Int8:
    """Vector executor of 8-bit integers on this computer.

    Parameters
    ----------
    weights : mapping of str to (outputs, inputs) float32
        By the matrix's name; rounded to 8 bits each.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._steps = {name: float(each.abs().max()) / 127 for name, each in weights.items()}
        self._weights = {
            name: torch.round(each / self._steps[name]).to(torch.int8).T.contiguous()
            for name, each in weights.items()
        }

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Sum over the inputs of weight * code, (N, outputs) float32."""
        products = torch.ops.aten._int_mm(codes.to(torch.int8), self._weights[matrix.name])
        return products.to(torch.float32) * self._steps[matrix.name]

    def row_sums(self, matrix: Matrix) -> Tensor:
        """Sum of each output's weights, (outputs,) float32."""
        sums = self._weights[matrix.name].sum(dim=0, dtype=torch.float32)
        return sums * self._steps[matrix.name]
