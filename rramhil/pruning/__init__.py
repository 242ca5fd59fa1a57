"""Pruning: learn which cells of a measured map a network keeps. No weight is ever tuned.

Owns the supermask executor and the one trainer. Knows no board, no wire and no inference.

    thresholds  the score that a given share of cells exceeds, fast
    supermask   a weight executor over the chip's own pairs
    training    epochs, seeds, the choice of the epoch; for any weight executor
    fitting     train masks for a task
"""

from rramhil.pruning.fitting import FitResult, fit
from rramhil.pruning.supermask import SupermaskExecutor
from rramhil.pruning.training import EpochRecord, Outcome, TrainSettings, evaluate, train

__all__ = [
    "EpochRecord",
    "FitResult",
    "Outcome",
    "SupermaskExecutor",
    "TrainSettings",
    "evaluate",
    "fit",
    "train",
]
