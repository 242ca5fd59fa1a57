"""From a task to an answer of the chip: map, training, price, run, inference, in this order.

The layer that puts the others together; the command line prints what it gives back. Prints
nothing itself: whoever wants to watch passes a `Progress` and a `say`. Needs the extra `train`.

    chips      what networks need to know of chips and their board
    training   a task and maps become a run
    pricing    what a run costs on a board, before anything is applied
    runs       the runs that a lab keeps
"""

from rramhil.flow.chips import KnownChip, board_facts, geometry_of, known_chips
from rramhil.flow.pricing import Plan, plan_run, plan_task
from rramhil.flow.runs import find_run, newest_run, run_folder
from rramhil.flow.training import TrainedRun, TrainRequest, train_run

__all__ = [
    "KnownChip",
    "Plan",
    "TrainRequest",
    "TrainedRun",
    "board_facts",
    "find_run",
    "geometry_of",
    "known_chips",
    "newest_run",
    "plan_run",
    "plan_task",
    "run_folder",
    "train_run",
]
