"""From a task to an answer of the chip: map, training, price, run, inference, in this order.

The layer that puts the others together; the command line prints what it gives back. Prints
nothing itself: whoever wants to watch passes a `Progress`. Needs the extra `train`.

    chips      what networks need to know of chips and their board
    training   a task and maps become a run
    pricing    what a run costs on a board, before anything is applied
    runs       the runs that a lab keeps
    inferring  a run on the chip, beside what map and software say
    resetting  masks pulsed into the cells, in place of gates
"""

from rramhil.flow.chips import (
    KnownChip,
    geometry_of,
    has_map,
    is_of_these_chips,
    known_chips,
    refuse_other_chips,
)
from rramhil.flow.inferring import Applied, Inference, apply_run, infer, open_masks, predictions
from rramhil.flow.pricing import Plan, plan_run, plan_task
from rramhil.flow.resetting import (
    ResetPruned,
    preview_reset,
    prune_by_reset,
    refuse_what_is_not_reset,
)
from rramhil.flow.runs import find_run, newest_run, run_folder, write_report
from rramhil.flow.training import TrainedRun, TrainRequest, new_network, train_run

__all__ = [
    "Applied",
    "Inference",
    "KnownChip",
    "Plan",
    "ResetPruned",
    "TrainRequest",
    "TrainedRun",
    "apply_run",
    "find_run",
    "geometry_of",
    "has_map",
    "infer",
    "is_of_these_chips",
    "known_chips",
    "new_network",
    "newest_run",
    "open_masks",
    "plan_run",
    "plan_task",
    "predictions",
    "preview_reset",
    "prune_by_reset",
    "refuse_other_chips",
    "refuse_what_is_not_reset",
    "run_folder",
    "train_run",
    "write_report",
]
