"""`rramhil train`: which cells of a chip's map a network keeps, learnt and saved as a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from rramhil.cli._compare import (
    CompareOption,
    ConditionsOption,
    ReplicatesOption,
    RowsOption,
    TriesOption,
)
from rramhil.cli._networks import (
    AllowDigitalOption,
    ChipsOption,
    DensityOption,
    OverlayOption,
    listed,
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
    HysteresisOption,
    InTheLoopOption,
    MapOption,
    NameArgument,
    NoiseOption,
    ResumeOption,
    RunOption,
    SeedOption,
    StepsOption,
    TaskArgument,
    TensorBoardOption,
    ThresholdOption,
    TrainGateOption,
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
    from rramhil.tasks import Splits, Task

app = new_app()

_MAPS_TOLD = 4
"""Maps that are listed by their ids; the run has them all."""


@app.command(
    epilog=examples(
        "rramhil train digits --chip 0",
        "rramhil train digits --gate pair --epochs 40 --seed 1 --json",
        "rramhil train digits --gate codebook --steps 1.25",
        "rramhil train my_task.py:task --chips 0-3 --run wide",
        "rramhil train digits --resume",
        "rramhil train digits --by reset --hysteresis 1 --in-the-loop 50",
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
    density: DensityOption = 0.5,
    free_density: ThresholdOption = False,
    seed: SeedOption = 0,
    overlay: OverlayOption = False,
    allow_digital: AllowDigitalOption = False,
    noise: NoiseOption = "map",
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
    with the same masks as an undisturbed one.

    With --compare all ways to get weights are trained, on several chips, and make one table; the
    same command goes on with it after a kill.
    """
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
            as_json=as_json,
            epochs=epochs,
            density=density,
            seed=seed,
            replicates=replicates,
            overlay=overlay,
            allow_digital=allow_digital,
            device=device,
            conditions=conditions,
        )
        return

    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import load_task, need_extra, parse_chips, parse_gate
    from rramhil.cli._output import print_json
    from rramhil.errors import UsageError

    need_extra()
    from rramhil.flow import TrainRequest, begin_training, resumed_training

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
        map=map_kind,  # type: ignore[arg-type]
        by=by,  # type: ignore[arg-type]
        hysteresis=hysteresis,
        pulse_budget=pulse_budget,
        cell_pulses=cell_pulses,
        in_the_loop=in_the_loop,
    )
    if name is not None and not resume:
        raise UsageError(f"{name} is no option.", "NAME goes with --resume; --run names a new run.")
    settings = find_settings(board, lab)
    kept_one = None
    if resume:
        refuse_new_name(context)
        kept_one = _unfinished(settings.lab, context, request, name, chips, chip)
    found, splits = load_task(task, settings.lab)
    with opened_lab(settings) as kept, controlled_board(settings) as opened:
        if kept_one is None:
            sockets = parse_chips(chips, chip, opened.identity.chips)
            checkpoint = new_checkpoint(kept, found, run)
            training = begin_training(opened, kept, sockets, request, found, splits, checkpoint)
        else:
            training = resumed_training(opened, kept, kept_one, found, splits)
        with tensorboard(tensorboard_folder, training.epochs_done) as log:
            trained = finish(training, log)
        facts = _facts(trained, training)
    print_json(facts) if as_json else _print(facts)


def _unfinished(
    lab_root: Path,
    context: typer.Context,
    request: TrainRequest,
    name: str | None,
    chips: str | None,
    chip: int,
) -> Checkpoint:
    """Find the training to continue, and refuse options that contradict it."""
    from rramhil.cli._networks import parse_chips
    from rramhil.flow import find_unfinished

    any_chip = name is not None and not (was_given(context, "chip") or was_given(context, "chips"))
    sockets = None if any_chip else parse_chips(chips, chip, 1 << 16)
    checkpoint = find_unfinished(lab_root, request.which, sockets, name)
    refuse_contradictions(context, request, checkpoint.load()[0].request, checkpoint.name)
    return checkpoint


def new_checkpoint(lab: Lab, task: Task, name: str | None) -> Checkpoint:
    """Where a training is to be kept; refuses a name that is taken, before anything is done."""
    from rramhil.errors import RunError
    from rramhil.flow import Checkpoint, run_folder

    if name is None:
        return Checkpoint(run_folder(lab.root, task.name))
    path = lab.root / "runs" / name
    if not name or path.parent != lab.root / "runs" or name.startswith("."):
        raise RunError(f"{name!r} is no name of a run.", "Take letters, digits and hyphens.")
    if path.exists():
        raise RunError(f"There is a run {name} already, and runs are never overwritten.")
    return Checkpoint(path)


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
    from rramhil.flow import finish_training

    with Bars() as bars:
        bars.phase("training", training.start.epochs, "epochs")
        bars.advance(training.epochs_done, 0)

        def tell(record: EpochRecord) -> None:
            bars.advance(1, 0)
            bars.say(_epoch(record, training.task.metric_name))
            also(record)

        return finish_training(training, tell)


def _epoch(record: EpochRecord, metric: str) -> str:
    parts = [f"loss {record.loss:.3f}", f"{metric} {record.validation:.2%}"]
    if record.density is not None and record.flips is not None:
        parts += [f"density {record.density:.1%}", f"{record.flips:,} flips"]
    if record.pulses is not None:
        parts.append(f"{record.pulses:,} pulses")
    return ", ".join([*parts, f"{record.seconds:.1f} s"])


def _facts(trained: TrainedRun, training: Training) -> dict[str, Any]:
    from rramhil.flow import count_steps, pulse_price

    result, run = trained.result, trained.run
    path, task, request = training.checkpoint.run_path, training.task, training.start.request
    count = count_steps(run)
    facts = {
        "task": run.config.task,
        "gate": run.config.gate,
        "epochs": run.config.epochs,
        "best_epoch": result.best_epoch,
        "resumed_after": training.epochs_done,
        "metric": task.metric_name,
        "validation": result.validation,
        "test": result.test,
        "density": result.density,
        "masks": str(path / "masks.npz"),
        "masks_id": run.masks.id,
        "run": str(path),
        "maps": {str(chip): each for chip, each in run.masks.map_ids.items()},
        "epoch_s": result.epoch_s,
        "steps": count.steps,
        "dense_steps": count.dense,
        "chip_share": trained.share.weights,
        "chip_share_multiplications": trained.share.multiplications,
        "device": request.device,
        "threads": training.start.threads,
        "history": [record.as_dict() for record in result.history],
    }
    if result.written is not None:
        facts["by_reset"] = {
            **pulse_price(result.written, training.bench.board.description),
            "in_the_chip": {str(chip): each.as_dict() for chip, each in trained.written.items()},
        }
    return facts


def _print(facts: dict[str, Any]) -> None:
    from rramhil.cli._output import print_facts

    maps = ", ".join(f"{each} of chip {chip}" for chip, each in facts["maps"].items())
    if len(facts["maps"]) > _MAPS_TOLD:
        maps = f"of chips {listed(int(chip) for chip in facts['maps'])}"
    print_facts(
        ("task", f"{facts['task']}, {facts['gate']} gating, {facts['density']:.1%} of the cells"),
        (
            facts["metric"],
            f"{facts['test']:.2%} test, {facts['validation']:.2%} validation, after epoch "
            f"{facts['best_epoch']} of {facts['epochs']}",
        ),
        ("on the chip", chip_share(facts)),
        (
            "steps",
            f"{facts['steps']:,} a sample, {facts['steps'] / facts['dense_steps']:.3g} times the "
            "dense schedule",
        ),
        *([("by RESET", _by_reset(facts["by_reset"]))] if "by_reset" in facts else []),
        ("map", maps or "none: for any chip"),
        ("time", f"{facts['epoch_s']:.3f} s an epoch"),
        ("run", facts["run"]),
    )


def _by_reset(facts: dict[str, Any]) -> str:
    written = "written" if facts["in_the_chip"] else "would take"
    return (
        f"{written} {facts['reset_pulses']:,} RESET and {facts['set_pulses']:,} SET pulses, "
        f"{facts['most_of_a_cell']} at most a cell, {1e3 * facts['energy_j']:.3g} mJ at most"
    )


def chip_share(facts: dict[str, Any]) -> str:
    """Say which part of a network is on the chip."""
    return (
        f"{facts['chip_share']:.1%} of the weights, "
        f"{facts['chip_share_multiplications']:.1%} of the multiplications"
    )
