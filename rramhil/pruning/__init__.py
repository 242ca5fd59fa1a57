"""Pruning: learn which cells of a measured map a network keeps. No weight is ever tuned.

Owns the supermask executor and the one trainer. Knows no board, no wire and no inference.

    thresholds  the score that a given share of cells exceeds, fast
    supermask   a weight executor over the chip's own pairs
    economy     masks that are written by pulses: hysteresis, budgets, counts
    records     settings and outcome of a training, and what it says after each epoch
    state       where a training stands, to go on from there
    codebook    another one, whose rows share gate patterns, for short schedules
    reading     what the two share: noise, and the first scales
    norms       batch norm measured for the masks as they are
    robust      how masks are trained that are to bear faults
    training    epochs, seeds, the choice of the epoch; for any weight executor
    fitting     train masks for a task
    baselines   what masks are compared with
    statistics  intervals of metrics and of their differences
"""

from rramhil.pruning.baselines import (
    FixedWeights,
    FrozenRandom,
    flat_pairs,
    masked_weights,
    outputs_of,
)
from rramhil.pruning.codebook import CodebookExecutor
from rramhil.pruning.economy import Economy, Written
from rramhil.pruning.fitting import FitResult, fit
from rramhil.pruning.norms import reestimate_batch_norm
from rramhil.pruning.records import EpochRecord, Outcome, Reread, TrainSettings
from rramhil.pruning.robust import held_epochs, robust_noise
from rramhil.pruning.state import TrainState
from rramhil.pruning.statistics import Interval, mean_interval, paired_difference
from rramhil.pruning.supermask import SupermaskExecutor
from rramhil.pruning.training import evaluate, finite, steps_of_epoch, train

__all__ = [
    "CodebookExecutor",
    "Economy",
    "EpochRecord",
    "FitResult",
    "FixedWeights",
    "FrozenRandom",
    "Interval",
    "Outcome",
    "Reread",
    "SupermaskExecutor",
    "TrainSettings",
    "TrainState",
    "Written",
    "evaluate",
    "finite",
    "fit",
    "flat_pairs",
    "held_epochs",
    "masked_weights",
    "mean_interval",
    "outputs_of",
    "paired_difference",
    "reestimate_batch_norm",
    "robust_noise",
    "steps_of_epoch",
    "train",
]
