"""`rramhil train`: which cells of a chip's map a network keeps, learnt and saved as a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from rramhil.cli._compare import (
    CompareOption,
    ConditionsOption,
    JobsOption,
    ReplicatesOption,
    RowsOption,
    TriesOption,
    refuse_options_of_comparisons,
)
from rramhil.cli._networks import (
    AllowDigitalOption,
    ChipsOption,
    DensityOption,
    OverlayOption,
)
from rramhil.cli._options import (
    BoardOption,
    ChipOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
    new_app,
)
from rramhil.cli._training import (
    BudgetOption,
    ByOption,
    CellPulsesOption,
    DeviceOption,
    EpochsOption,
    FinalOption,
    HysteresisOption,
    InTheLoopOption,
    MapOption,
    NameArgument,
    NoiseLevelOption,
    NoiseOption,
    RateOption,
    ResumeOption,
    RobustOption,
    RunOption,
    SeedOption,
    StepsOption,
    TaskArgument,
    TensorBoardOption,
    ThresholdOption,
    TrainGateOption,
    refuse_chip_and_chips,
    refuse_contradictions,
    refuse_new_name,
    tensorboard,
    was_given,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rramhil.driver import Board
    from rramhil.flow import Checkpoint, TrainedRun, Training, TrainRequest
    from rramhil.lab import Lab
    from rramhil.pruning import EpochRecord
    from rramhil.settings import Settings
    from rramhil.tasks import Splits, Task

app = new_app()


@app.command(
    epilog=examples(
        "rramhil train digits --chip 0",
        "rramhil train digits --gate pair --epochs 40 --seed 1 --json",
        "rramhil train digits --gate codebook --steps 1.25",
        "rramhil train my_task.py:task --chips 0-3 --run wide",
        "rramhil train digits --robust",
        "rramhil train digits --resume",
        "rramhil train digits --epochs 12 --rate 0.003 --final",
        "rramhil train digits --by reset --hysteresis 0.2 --in-the-loop 10",
        "rramhil train digits --compare --chips 0-2",
    )
)
def train(
    context: typer.Context,
    task: TaskArgument,
    name: NameArgument = None,
    chip: ChipOption = 0,
    chips: ChipsOption = None,
    gate: TrainGateOption = "cell",
    steps: StepsOption = None,
    epochs: EpochsOption = None,
    rate: RateOption = 0.01,
    final: FinalOption = False,
    density: DensityOption = 0.5,
    free_density: ThresholdOption = False,
    seed: SeedOption = 0,
    overlay: OverlayOption = False,
    allow_digital: AllowDigitalOption = False,
    noise: NoiseOption = "map",
    noise_level: NoiseLevelOption = None,
    robust: RobustOption = False,
    map_kind: MapOption = "own",
    in_the_loop: InTheLoopOption = None,
    by: ByOption = "gate",
    hysteresis: HysteresisOption = 0.0,
    pulse_budget: BudgetOption = None,
    cell_pulses: CellPulsesOption = None,
    device: DeviceOption = "cpu",
    tensorboard_folder: TensorBoardOption = None,
    run: RunOption = None,
    resume: ResumeOption = False,
    compare: CompareOption = False,
    rows: RowsOption = None,
    replicates: ReplicatesOption = 3,
    tries: TriesOption = 2,
    conditions: ConditionsOption = False,
    jobs: JobsOption = 1,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn which cells of a programmed chip a network uses; no weight is ever tuned.

    The chip's newest map in the lab is trained on; a chip without one is to be programmed first.
    The gains of the board's channels are measured first; nothing is fired, unless masks are to be
    written by pulses with the chip in the loop. The run is a folder of the lab, which `mask` and
    `infer` take.

    After ctrl-C, or whatever else ended it, --resume continues a training where it was; it ends
    with the same masks as an undisturbed one, but in the loop, where cells are read again.

    With --compare all ways to get weights are trained, on several chips, and make one table; the
    same command goes on with it after a kill.
    """
    refuse_chip_and_chips(context)
    if compare:
        from rramhil.cli._compare import refuse_other_options, run_compare

        refuse_other_options(context)
        run_compare(
            task,
            (chip, chips),
            (board, lab),
            name=run,
            rows=rows,
            tries=tries,
            jobs=jobs,
            as_json=as_json,
            epochs=epochs,
            density=density,
            seed=seed,
            replicates=replicates,
            overlay=overlay,
            allow_digital=allow_digital,
            device=device,
            conditions=conditions,
            final=final,
        )
        return
    refuse_options_of_comparisons(context)

    from rramhil.cli._boards import find_settings
    from rramhil.cli._networks import need_extra, parse_gate
    from rramhil.cli._output import print_json
    from rramhil.cli._trained import print_run
    from rramhil.errors import UsageError

    need_extra()
    from rramhil.flow import TrainRequest, usable_device

    request = TrainRequest(
        which=task,
        gate=parse_gate(gate, codebook=True),  # type: ignore[arg-type]
        steps=steps,
        epochs=epochs,
        density=None if free_density else density,
        seed=seed,
        overlay=overlay,
        allow_digital=allow_digital,
        device=device,
        noise=noise,  # type: ignore[arg-type]
        noise_level=noise_level,
        robust=robust,
        map=map_kind,  # type: ignore[arg-type]
        by=by,  # type: ignore[arg-type]
        hysteresis=hysteresis,
        pulse_budget=pulse_budget,
        cell_pulses=cell_pulses,
        in_the_loop=in_the_loop,
        rate=rate,
        final=final,
    )
    if free_density and was_given(context, "density"):
        raise UsageError(
            "--free-density and --density both say how many gates are open.", "Leave one."
        )
    if name is not None and not resume:
        raise UsageError(f"{name} is no option.", "NAME goes with --resume; --run names a new run.")
    settings = find_settings(board, lab)
    unfinished = None
    if resume:
        refuse_new_name(context)
        unfinished, request = _unfinished(settings.lab, context, request, name, chips, chip)
    usable_device(request.device)
    facts = _trained(request, settings, unfinished, (chip, chips), run, tensorboard_folder)
    print_json(facts) if as_json else print_run(facts)


def _trained(
    request: TrainRequest,
    settings: Settings,
    unfinished: Checkpoint | None,
    chips: tuple[int, str | None],
    name: str | None,
    tensorboard_folder: Path | None,
) -> dict[str, Any]:
    """Begin a training, under a name if it is given one, or go on with one; what it came to."""
    from rramhil.cli._boards import controlled_board, opened_lab
    from rramhil.cli._networks import load_task, parse_chips, with_all_training_data
    from rramhil.cli._trained import run_facts
    from rramhil.flow import Checkpoint, begin_training, resumed_training

    task, splits = load_task(request.which, settings.lab)
    if request.final:
        splits = with_all_training_data(task, splits, settings.lab)
    done = 0 if unfinished is None else unfinished.epochs_kept
    with (
        # the first: where it cannot be had, nothing is begun
        tensorboard(tensorboard_folder, done) as log,
        opened_lab(settings) as lab,
    ):
        with controlled_board(settings) as board:
            if unfinished is None:
                chip, several = chips
                sockets = parse_chips(several, chip, board.identity.chips)
                checkpoint = Checkpoint(new_run_path(lab, task, name))
                training = begin_training(board, lab, sockets, request, task, splits, checkpoint)
            else:
                training = resumed_training(board, lab, unfinished, task, splits)
            if request.in_the_loop is not None:
                return run_facts(finish(training, log), training)
        # the board is free again: training may take hours, and only needs what its cells read
        return run_facts(finish(training, log), training)


def _unfinished(
    lab_root: Path,
    context: typer.Context,
    request: TrainRequest,
    name: str | None,
    chips: str | None,
    chip: int,
) -> tuple[Checkpoint, TrainRequest]:
    """Find the training to continue and what it was asked for; refuse what contradicts that."""
    from rramhil.cli._networks import parse_chips
    from rramhil.flow import find_unfinished

    any_chip = name is not None and not (was_given(context, "chip") or was_given(context, "chips"))
    sockets = None if any_chip else parse_chips(chips, chip, 1 << 16)
    checkpoint = find_unfinished(lab_root, request.which, sockets, name)
    kept = checkpoint.load()[0].request
    refuse_contradictions(context, request, kept, checkpoint.name)
    return checkpoint, kept


def new_run_path(lab: Lab, task: Task, name: str | None) -> Path:
    """Where a run is to be kept; refuses a name that is taken, before anything is done."""
    from rramhil.errors import RunError
    from rramhil.flow import check_run_name, run_folder

    if name is None:
        return run_folder(lab.root, task.name)
    check_run_name(name)
    path = lab.root / "runs" / name
    if os.path.lexists(path):
        raise RunError(
            f"There is a run {name} already, and runs are never overwritten.",
            f"Name another with --run, or remove {path}.",
        )
    return path


def train_and_keep(
    board: Board,
    lab: Lab,
    sockets: tuple[int, ...],
    request: TrainRequest,
    task: Task,
    splits: Splits,
    path: Path,
) -> TrainedRun:
    """Train on the chips' maps, with a bar, and write the run."""
    from rramhil.flow import Checkpoint, begin_training

    checkpoint = Checkpoint(path)
    return finish(begin_training(board, lab, sockets, request, task, splits, checkpoint))


def finish(
    training: Training, also: Callable[[EpochRecord], None] = lambda record: None
) -> TrainedRun:
    """Train to the end, with a bar."""
    from rramhil.cli._progress import Bars
    from rramhil.cli._trained import epoch_line
    from rramhil.flow import finish_training

    with Bars() as bars:
        bars.phase("training", training.start.epochs, "epochs")
        bars.advance(training.epochs_done, 0)

        def tell(record: EpochRecord) -> None:
            bars.advance(1, 0)
            bars.say(epoch_line(record, training.task.metric_name))
            also(record)

        return finish_training(training, tell)
