"""Metrics that tasks share."""

from __future__ import annotations

from torch import Tensor


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of samples whose largest output is that of their class, 0 to 1."""
    return float((outputs.argmax(dim=1) == targets).float().mean())
