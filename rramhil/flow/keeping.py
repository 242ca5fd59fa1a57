"""Trainings that survive an interruption: begun or continued, kept while they run, saved as runs.

Owns: the order of checkpoint, training and run, what an interruption leaves, and whether a
checkpoint belongs to the chips and the task that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from firmware_protocol.messages import Operation
from rramhil.driver import Board, Description
from rramhil.errors import (
    Interrupted,
    MapFileError,
    NotFound,
    RramhilError,
    RunError,
    TrainingFailed,
    UsageError,
)
from rramhil.flow.allowance import Fired, pulsed
from rramhil.flow.checkpoints import Checkpoint
from rramhil.flow.chips import KnownChip, known_chips
from rramhil.flow.in_the_loop import Bench
from rramhil.flow.kept_gains import chips_with_gains
from rramhil.flow.pricing import ENDURANCE_CYCLES
from rramhil.flow.requests import TrainRequest
from rramhil.flow.starts import Start, digest_of, new_network, started
from rramhil.flow.training import TrainedRun, continue_run
from rramhil.lab import Lab
from rramhil.network import Network
from rramhil.programming import pulse_of
from rramhil.pruning import EpochRecord, TrainState, Written, steps_of_epoch
from rramhil.tasks import Splits, Task


@dataclass(frozen=True, eq=False)
class Training:
    """A training that is ready to go on.

    Attributes
    ----------
    checkpoint : Checkpoint
    start : Start
    state : TrainState or None
        None at its very beginning.
    network : Network
        As it was first.
    task : Task
    splits : Splits
    bench : Bench
        The board that its chips are on.
    """

    checkpoint: Checkpoint
    start: Start
    state: TrainState | None
    network: Network
    task: Task
    splits: Splits
    bench: Bench

    @property
    def epochs_done(self) -> int:
        """Epochs that need not be trained any more."""
        return 0 if self.state is None else len(self.state.history)


def begin_training(
    board: Board,
    lab: Lab,
    sockets: tuple[int, ...],
    request: TrainRequest,
    task: Task,
    splits: Splits,
    checkpoint: Checkpoint,
) -> Training:
    """Measure what a training needs of chips, and write down what it starts from.

    Raises
    ------
    NotFound
        There is no such chip, or no map of it.
    PlacementError, ModelRefused
        As of `train_run`.
    RunError
        There is an unfinished training of that name.
    UsageError
        It is to be in the loop, and too short for that; or its first masks take more pulses than
        it may have.
    """
    _refuse_idle_loop(request, task, splits)
    chips = known_chips(board, lab, sockets)  # before anything is measured: one may be missing
    network = new_network(task, splits, seed=request.seed, allow_digital=request.allow_digital)
    _refuse_small_budget(request, network)
    chips = chips_with_gains(board, lab, chips)
    start = started(request, task, splits, network, chips, board.description)
    if request.is_pulsed:
        serials = {number: chips[number].serial for number in start.placement.chips}
        start = replace(start, pulsed=pulsed(lab, serials))
    checkpoint.begin(start)
    return Training(checkpoint, start, None, network, task, splits, Bench(board, lab, chips))


def resumed_training(
    board: Board, lab: Lab, checkpoint: Checkpoint, task: Task, splits: Splits
) -> Training:
    """Take an unfinished training up again.

    Raises
    ------
    RunError
        It is damaged, its task is another one by now, or its chips are not there.
    """
    start, state = checkpoint.load()
    request = start.request
    network = new_network(task, splits, seed=request.seed, allow_digital=request.allow_digital)
    if digest_of(request.which, splits, network) != start.digest:
        raise RunError(
            f"The task {request.which} has another file, data or model than when the training "
            f"{checkpoint.name} began.",
            "Put it back as it was, or train anew.",
        )
    chips = _chips_of(start, board, lab, checkpoint.name)
    return Training(checkpoint, start, state, network, task, splits, Bench(board, lab, chips))


def finish_training(
    training: Training,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    goes_on: str | None = None,
) -> TrainedRun:
    """Train to the end and save the run; what is kept on the way is removed then.

    Parameters
    ----------
    on_epoch : callable
        Told after each epoch.
    goes_on : str, optional
        What goes on after an interruption, unless it is `rramhil train --resume`.

    Raises
    ------
    Interrupted
        By the user; the training is kept, and the sentence says how to go on.
    RramhilError
        Of the task or the board; what was trained is kept, and the next step says so, unless it is
        `TrainingFailed`.
    """
    checkpoint, start = training.checkpoint, training.start
    if goes_on is None:
        goes_on = f"`{checkpoint.goes_on(start.request.which)}`"
    try:
        trained = continue_run(
            start,
            training.network,
            training.task,
            training.splits,
            training.bench.board.description,
            state=training.state,
            bench=training.bench,
            on_epoch=on_epoch,
            on_state=checkpoint.keep,
        )
    except (KeyboardInterrupt, Interrupted) as interrupt:
        checkpoint.flush()
        raise Interrupted(
            f"Stopped by the user after {checkpoint.epochs_kept} of {start.epochs} epochs.",
            f"{goes_on} goes on from there.",
        ) from interrupt
    except Exception as error:
        if not checkpoint.epochs_kept or isinstance(error, TrainingFailed):
            checkpoint.remove()
        elif isinstance(error, RramhilError):
            checkpoint.flush()
            error.next_step = f"{error.next_step} {goes_on} goes on.".strip()
        raise
    trained.run.save(checkpoint.run_path)
    checkpoint.remove()
    return trained


def pulse_price(written: Written, fired: Fired | None, description: Description) -> dict[str, Any]:
    """What masks take that are written by pulses: counts, energy at most, and life of a cell.

    Parameters
    ----------
    written : Written
        What they would have taken up to the epoch that was kept.
    fired : Fired or None
        What was fired on chips, if they were in the loop.
    """
    if fired is None:
        fired = Fired(written.first + written.resets, written.sets, written.most)
    counts = {Operation.RESET: fired.resets, Operation.SET: fired.sets}
    energy_j = 0.0
    for operation, count in counts.items():
        if operation in description.envelopes:
            pulse = pulse_of(operation, description)
            energy_j += count * pulse.amplitude_v * pulse.compliance_a * pulse.width_ns * 1e-9
    return {
        "reset_pulses": counts[Operation.RESET],
        "set_pulses": counts[Operation.SET],
        "most_of_a_cell": fired.most,
        "energy_j": energy_j,
        # a cycle is a RESET and a SET
        "endurance_used": fired.most / 2 / ENDURANCE_CYCLES,
    }


def _refuse_idle_loop(request: TrainRequest, task: Task, splits: Splits) -> None:
    """Refuse a loop that is longer than the training."""
    epochs = request.epochs or task.epochs
    steps = epochs * steps_of_epoch(len(splits.train.inputs), task.batch)
    if request.in_the_loop is not None and request.in_the_loop >= steps:
        raise UsageError(
            f"--in-the-loop {request.in_the_loop} never reads: all {epochs} epochs have {steps:,} "
            "steps.",
            "Write fewer of them, or leave it.",
        )


def _refuse_small_budget(request: TrainRequest, network: Network) -> None:
    """Refuse fewer pulses than the first masks take: half-written ones are worth nothing."""
    if request.pulse_budget is None or request.density is None:
        return
    weights = [each.outputs * each.inputs for each in network.matrices]
    # a pair has one gate for two cells
    gates, cells = (1, 2) if request.gate == "pair" else (2, 1)
    first = sum(cells * (gates * each - round(request.density * gates * each)) for each in weights)
    if first > request.pulse_budget:
        raise UsageError(
            f"The first masks take {first:,} RESET pulses, and --pulse-budget allows "
            f"{request.pulse_budget:,}.",
            f"Give {first} or more, or a higher --density.",
        )


def _chips_of(start: Start, board: Board, lab: Lab, name: str) -> Mapping[int, KnownChip]:
    """The chips that a training began with, which must sit in their sockets."""
    for number, map_id in start.map_ids.items():
        serial = board.chip(number).serial
        try:
            began_with = lab.maps.find(map_id).info.chip_serial
        except (NotFound, MapFileError):
            began_with = "of an unknown map"
        if began_with != serial:
            raise RunError(
                f"The training {name} began with chip {began_with} in socket {number}, where "
                f"{serial} is now.",
                "Put it back, or train anew.",
            )
    return known_chips(board, lab, start.placement.chips)
