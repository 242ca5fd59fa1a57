"""From a task to an answer of the chip: map, training, price, run, inference, in this order.

The layer that puts the others together; the command line prints what it gives back. Prints
nothing itself: whoever wants to watch passes a `Progress`. Needs the extra `train`.

    chips      what networks need to know of chips and their board
    bounds     what the options of a training may be
    requests   what a training is asked for
    starts     what a training starts from, fixed before its first step
    training   a task and maps become a run
    checkpoints  trainings that are under way, and going on with one
    allowance  pulses that a training in the loop has fired, and may still
    in_the_loop  fresh conductances while masks are learnt
    kept_gains gains by which maps are corrected, measured once
    keeping    trainings that survive an interruption
    pricing    what a run costs on a board, before anything is applied
    elsewhere  what the same matrices take on other hardware
    trading    accuracy against steps
    budgets    one task under several budgets of steps, each training kept
    runs       the runs that a lab keeps
    adapting   a run's masks put on other chips, without training
    inferring  a run on the chip, beside what map and software say
    resetting  masks pulsed into the cells, in place of gates
"""

from rramhil.flow.adapting import AdaptedRun, adapt_run
from rramhil.flow.bounds import check_choices, check_numbers
from rramhil.flow.budgets import Budgeted, Budgets, begin_budgets, finish_budget
from rramhil.flow.checkpoints import Checkpoint, find_unfinished, unfinished_trainings
from rramhil.flow.chips import (
    KnownChip,
    geometry_of,
    has_map,
    is_of_these_chips,
    known_chips,
    refuse_other_chips,
)
from rramhil.flow.elsewhere import Elsewhere, elsewhere
from rramhil.flow.in_the_loop import Bench
from rramhil.flow.inferring import Applied, Inference, apply_run, infer, open_masks, predictions
from rramhil.flow.keeping import (
    Training,
    begin_training,
    finish_training,
    pulse_price,
    resumed_training,
)
from rramhil.flow.kept_gains import chips_with_gains
from rramhil.flow.pricing import Plan, plan_run, plan_task
from rramhil.flow.requests import TrainRequest
from rramhil.flow.resetting import (
    ResetPruned,
    cells_lost,
    preview_reset,
    prune_by_reset,
    refuse_what_is_not_reset,
)
from rramhil.flow.runs import (
    Kept,
    check_name,
    check_run_name,
    find_run,
    kept_runs,
    name_of_request,
    newest_run,
    run_folder,
    write_report,
)
from rramhil.flow.starts import Start, digest_of, new_network, started
from rramhil.flow.trading import (
    StepCount,
    Trade,
    count_steps,
    count_steps_of,
    draw_trades,
)
from rramhil.flow.training import STEPS, TrainedRun, continue_run, train_run, usable_device

__all__ = [
    "STEPS",
    "AdaptedRun",
    "Applied",
    "Bench",
    "Budgeted",
    "Budgets",
    "Checkpoint",
    "Elsewhere",
    "Inference",
    "Kept",
    "KnownChip",
    "Plan",
    "ResetPruned",
    "Start",
    "StepCount",
    "Trade",
    "TrainRequest",
    "TrainedRun",
    "Training",
    "adapt_run",
    "apply_run",
    "begin_budgets",
    "begin_training",
    "cells_lost",
    "check_choices",
    "check_name",
    "check_numbers",
    "check_run_name",
    "chips_with_gains",
    "continue_run",
    "count_steps",
    "count_steps_of",
    "digest_of",
    "draw_trades",
    "elsewhere",
    "find_run",
    "find_unfinished",
    "finish_budget",
    "finish_training",
    "geometry_of",
    "has_map",
    "infer",
    "is_of_these_chips",
    "kept_runs",
    "known_chips",
    "name_of_request",
    "new_network",
    "newest_run",
    "open_masks",
    "plan_run",
    "plan_task",
    "predictions",
    "preview_reset",
    "prune_by_reset",
    "pulse_price",
    "refuse_other_chips",
    "refuse_what_is_not_reset",
    "resumed_training",
    "run_folder",
    "started",
    "train_run",
    "unfinished_trainings",
    "usable_device",
    "write_report",
]
