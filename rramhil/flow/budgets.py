"""One task under several budgets of steps: trainings that are begun or continued, and kept.

Owns: the folder that they are kept in. Its name follows from all that the trainings follow from
but the budget, so the same command goes on where it was killed, and other budgets can be added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

from rramhil.driver import Board
from rramhil.errors import RunError
from rramhil.flow.checkpoints import Checkpoint
from rramhil.flow.chips import known_chips
from rramhil.flow.keeping import Training, begin_training, finish_training, resumed_training
from rramhil.flow.requests import TrainRequest
from rramhil.flow.runs import name_of_request, plain_name
from rramhil.flow.starts import digest_of, new_network
from rramhil.flow.trading import Trade
from rramhil.lab import Lab
from rramhil.network import Run
from rramhil.pruning import EpochRecord
from rramhil.tasks import Splits, Task

_FOLDER = "pareto"


class Budgeted(NamedTuple):
    """A training under one budget of steps.

    Attributes
    ----------
    budget : float or None
        Relative to the dense schedule's steps; None for cells that are gated freely.
    done : Trade or None
        What came of it, if it is kept already.
    training : Training or None
        What is left to do, else.
    """

    budget: float | None
    done: Trade | None = None
    training: Training | None = None


class Budgets(NamedTuple):
    """Trainings that have all in common but their budget.

    Attributes
    ----------
    folder : Path
        Where their runs are kept.
    chips, maps : tuple of str
        Serial numbers and maps.
    each : tuple of Budgeted
    """

    folder: Path
    chips: tuple[str, ...]
    maps: tuple[str, ...]
    each: tuple[Budgeted, ...]


def begin_budgets(
    board: Board,
    lab: Lab,
    sockets: tuple[int, ...],
    request: TrainRequest,
    budgets: Sequence[float | None],
    task: Task,
    splits: Splits,
) -> Budgets:
    """Take up trainings under these budgets, and begin those that are not there.

    Parameters
    ----------
    request : TrainRequest
        All but gate and budget, which are these: codebook, or cell for None.

    Raises
    ------
    NotFound, PlacementError, ModelRefused, UsageError
        As of `begin_training` and `resumed_training`.
    RunError
        What is kept of one is damaged.
    """
    requests = {each: _within(request, each) for each in budgets}
    chips = known_chips(board, lab, sockets)
    network = new_network(task, splits, seed=request.seed, allow_digital=request.allow_digital)
    said = {
        **_within(request, None).as_dict(),
        "epochs": request.epochs or task.epochs,
        "task": digest_of(request.which, splits, network),
        "maps": {number: chip.map_id for number, chip in chips.items()},
    }
    folder = lab.root / _FOLDER / name_of_request(plain_name(task.name), said)
    begun: list[Budgeted] = []
    for budget, asked in requests.items():
        checkpoint = Checkpoint(folder / _name(budget))
        if checkpoint.run_path.exists():
            begun.append(Budgeted(budget, done=Trade.of(budget, _kept(checkpoint.run_path))))
        elif checkpoint.has_begun:
            training = resumed_training(board, lab, checkpoint, task, splits)
            begun.append(Budgeted(budget, training=training))
        else:
            training = begin_training(board, lab, sockets, asked, task, splits, checkpoint)
            begun.append(Budgeted(budget, training=training))
    serials = tuple(each.serial for each in chips.values())
    return Budgets(folder, serials, tuple(each.map_id for each in chips.values()), tuple(begun))


def finish_budget(
    budgeted: Budgeted, on_epoch: Callable[[EpochRecord], None] = lambda record: None
) -> Trade:
    """Train to the end, unless that was done, and say what came of it.

    Raises
    ------
    Interrupted, RramhilError
        As of `finish_training`.
    """
    if budgeted.training is None:
        return cast(Trade, budgeted.done)
    trained = finish_training(budgeted.training, on_epoch, "The same command")
    return Trade.of(budgeted.budget, trained.run)


def _name(budget: float | None) -> str:
    # to the last digit: budgets that differ are never one folder
    return "free" if budget is None else f"steps-{budget!r}".removesuffix(".0")


def _kept(path: Path) -> Run:
    try:
        return Run.load(path)
    except RunError as damage:
        damage.next_step = f"Remove {path}, and the same command trains it again."
        raise


def _within(request: TrainRequest, budget: float | None) -> TrainRequest:
    return replace(request, gate="cell" if budget is None else "codebook", steps=budget)
