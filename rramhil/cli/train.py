"""`rramhil train`: which cells of a chip's map a network keeps, learnt and saved as a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil.cli._networks import (
    AllowDigitalOption,
    ChipsOption,
    DensityOption,
    GateOption,
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

if TYPE_CHECKING:
    from pathlib import Path

    from rramhil.driver import Board
    from rramhil.flow import TrainedRun, TrainRequest
    from rramhil.lab import Lab
    from rramhil.tasks import Splits, Task

app = new_app()

_MAPS_TOLD = 4
"""Maps that are listed by their ids; the run has them all."""

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="A built-in task (digits), or my_task.py:task of one's own."
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", min=1, help="Passes over the data; else the task's own."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Of all that is drawn.")
]


@app.command(
    epilog=examples(
        "rramhil train digits --chip 0",
        "rramhil train digits --gate pair --epochs 40 --seed 1 --json",
        "rramhil train my_task.py:task --chips 0-3 --run wide",
    )
)
def train(
    task: TaskArgument,
    chip: ChipOption = 0,
    chips: ChipsOption = None,
    gate: GateOption = "cell",
    epochs: EpochsOption = None,
    density: DensityOption = 0.5,
    seed: SeedOption = 0,
    overlay: OverlayOption = False,
    allow_digital: AllowDigitalOption = False,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="What to call the run; else task and time."),
    ] = None,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn which cells of a programmed chip a network uses; no weight is ever tuned.

    The chip's newest map in the lab is trained on; a chip without one is to be programmed first.
    The gains of the board's channels are measured first; nothing is fired. The run is a folder of
    the lab, which `mask` and `infer` take.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import load_task, need_extra, parse_chips, parse_gate
    from rramhil.cli._output import print_json

    need_extra()
    from rramhil.flow import TrainRequest

    request = TrainRequest(
        which=task,
        gate=parse_gate(gate),  # type: ignore[arg-type]
        epochs=epochs,
        density=density,
        seed=seed,
        overlay=overlay,
        allow_digital=allow_digital,
    )
    settings = find_settings(board, lab)
    found, splits = load_task(task, settings.lab)
    with opened_lab(settings) as kept, controlled_board(settings) as opened:
        sockets = parse_chips(chips, chip, opened.identity.chips)
        path = new_run_path(kept, found, run)
        trained = train_and_keep(opened, kept, sockets, request, found, splits, path)
    facts = _facts(trained, found, path)
    print_json(facts) if as_json else _print(facts)


def new_run_path(lab: Lab, task: Task, name: str | None) -> Path:
    """Folder of a run that is to be; refuses a name that is taken, before anything is done."""
    from rramhil.errors import RunError
    from rramhil.flow import run_folder

    if name is None:
        return run_folder(lab.root, task.name)
    path = lab.root / "runs" / name
    if not name or path.parent != lab.root / "runs" or name.startswith("."):
        raise RunError(f"{name!r} is no name of a run.", "Take letters, digits and hyphens.")
    if path.exists():
        raise RunError(f"There is a run {name} already, and runs are never overwritten.")
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
    from rramhil.cli._progress import Bars
    from rramhil.flow import known_chips, train_run
    from rramhil.inference import measured_gains

    chips = known_chips(board, lab, sockets)  # before anything is measured: one may be missing
    chips = known_chips(board, lab, sockets, measured_gains(board))
    with Bars() as bars:
        bars.phase("training", request.epochs or task.epochs, "epochs")
        trained = train_run(
            request,
            task,
            splits,
            chips,
            board.description,
            on_epoch=lambda record: bars.advance(1, 0),
        )
    trained.run.save(path)
    return trained


def _facts(trained: TrainedRun, task: Task, path: Path) -> dict[str, Any]:
    result, run = trained.result, trained.run
    return {
        "task": run.config.task,
        "gate": run.config.gate,
        "epochs": run.config.epochs,
        "best_epoch": result.best_epoch,
        "metric": task.metric_name,
        "validation": result.validation,
        "test": result.test,
        "density": result.density,
        "masks": str(path / "masks.npz"),
        "masks_id": run.masks.id,
        "run": str(path),
        "maps": {str(chip): each for chip, each in run.masks.map_ids.items()},
        "epoch_s": result.epoch_s,
        "chip_share": trained.share.weights,
        "chip_share_multiplications": trained.share.multiplications,
    }


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
        ("map", maps),
        ("time", f"{facts['epoch_s']:.3f} s an epoch"),
        ("run", facts["run"]),
    )


def chip_share(facts: dict[str, Any]) -> str:
    """Say which part of a network is on the chip."""
    return (
        f"{facts['chip_share']:.1%} of the weights, "
        f"{facts['chip_share_multiplications']:.1%} of the multiplications"
    )
