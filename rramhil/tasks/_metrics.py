"""Metrics that tasks share."""

from __future__ import annotations

from collections.abc import Callable

from sklearn import metrics
from torch import Tensor

Metric = Callable[[Tensor, Tensor], float]
"""Of outputs and targets."""


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of samples whose largest output is that of their class, 0 to 1."""
    return float((outputs.argmax(dim=1) == targets).float().mean())


def roc_auc(outputs: Tensor, targets: Tensor) -> float:
    """Area under the curve of true over false positives, 0 to 1; targets below 0 do not count."""
    return float(metrics.roc_auc_score(*_counted(outputs, targets)))


def pr_auc(outputs: Tensor, targets: Tensor) -> float:
    """Average precision over the recall, 0 to 1; targets below 0 do not count."""
    return float(metrics.average_precision_score(*_counted(outputs, targets)))


def whole_frame(metric: Metric) -> Metric:
    """The same metric of all pixels: those outside, whose targets are below 0, have no vessels.

    Their answers are counted as the network gives them.
    """
    return lambda outputs, targets: metric(outputs, targets.clamp(min=0))


def _counted(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    counted = targets >= 0
    return targets[counted], outputs[counted]
