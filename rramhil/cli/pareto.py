"""`rramhil mask pareto`: a task trained under several budgets of steps; accuracy against steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rramhil._units import metric
from rramhil.cli._networks import AllowDigitalOption, ChipsOption, DensityOption, OverlayOption
from rramhil.cli._options import (
    BoardOption,
    ChipOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
)
from rramhil.cli._training import RateOption, SeedOption, refuse_chip_and_chips

if TYPE_CHECKING:
    from rramhil.flow import Budgets, Trade

EPILOG = examples(
    "rramhil mask pareto digits --chip 0",
    "rramhil mask pareto fashion-mnist --steps 1,1.25,2 --epochs 8 --png steps.png --json",
)

_BUDGETS = "1,1.25,2,4,free"
_FREE = "free"


def pareto(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task, as `train` takes it.")],
    chip: ChipOption = 0,
    chips: ChipsOption = None,
    steps: Annotated[
        str,
        typer.Option(
            "--steps",
            metavar="BUDGETS",
            help="Steps of a sample relative to the dense schedule, and free for none.",
        ),
    ] = _BUDGETS,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", min=1, help="Of each training; else the task's own."),
    ] = None,
    rate: RateOption = 0.01,
    density: DensityOption = 0.5,
    seed: SeedOption = 0,
    overlay: OverlayOption = False,
    allow_digital: AllowDigitalOption = False,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw the table into this file.")
    ] = None,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a task under several budgets of steps: what a short schedule costs in accuracy.

    Each budget is trained by codebook, with the same seed and epochs; free is cell gating. Nothing
    is fired. Each line is said as soon as it is there; after ctrl-C, or whatever else ended it, the
    same command goes on where it was, and budgets can be added. Each training is kept as a run, in
    a folder of the lab that is named at the end: `infer TASK --run FOLDER/steps-1.25` runs one.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._files import refuse_unwritable
    from rramhil.cli._networks import load_task, need_extra, parse_chips
    from rramhil.cli._output import note, print_json

    refuse_chip_and_chips(context)
    need_extra()
    budgets = parse_budgets(steps)
    refuse_unwritable(png)
    from rramhil.flow import TrainRequest, begin_budgets
    from rramhil.lab import software_version

    request = TrainRequest(
        which=task,
        epochs=epochs,
        rate=rate,
        density=density,
        seed=seed,
        overlay=overlay,
        allow_digital=allow_digital,
    )
    settings = find_settings(board, lab)
    found, splits = load_task(task, settings.lab)
    with opened_lab(settings) as kept, controlled_board(settings) as opened:
        sockets = parse_chips(chips, chip, opened.identity.chips)
        begun = begin_budgets(opened, kept, sockets, request, budgets, found, splits)
    # the board is free again: training takes long, and only needs what its cells read
    trades = _finished(begun, epochs or found.epochs)
    if not as_json:
        _print(trades, found.metric_name)
    if png is not None:
        _draw(trades, png, f"{task}, {epochs or found.epochs} epochs", found.metric_name)
    if as_json:
        print_json(
            {
                "task": task,
                "epochs": epochs or found.epochs,
                "rate": rate,
                "density": density,
                "seed": seed,
                "overlay": overlay,
                "metric": found.metric_name,
                "chips": begun.chips,
                "maps": begun.maps,
                "trades": [trade.as_dict() for trade in trades],
                "folder": begun.folder,
                "png": png,
                "software": software_version(),
            }
        )
        return
    note(f"Runs: {begun.folder}")
    if png is not None:
        note(f"Picture: {png}")


def parse_budgets(text: str) -> tuple[float | None, ...]:
    """Budgets of `--steps`, None for free.

    Raises
    ------
    UsageError
        It is no list of them, or names one twice.
    """
    from rramhil.errors import UsageError

    budgets: list[float | None] = []
    for part in text.split(","):
        try:
            budgets.append(None if part.strip() == _FREE else float(part))
        except ValueError:
            raise UsageError(
                f"{part.strip()!r} is no budget of steps.", f"Write --steps {_BUDGETS}."
            ) from None
    if len(set(budgets)) < len(budgets):
        raise UsageError(f"{text!r} names a budget twice.", f"Write --steps {_BUDGETS}.")
    return tuple(budgets)


def _finished(begun: Budgets, epochs: int) -> tuple[Trade, ...]:
    """Train what is left, with a bar for each training."""
    from rramhil.cli._progress import Bars
    from rramhil.flow import finish_budget

    trades: list[Trade] = []
    with Bars() as bars:
        for each in begun.each:
            if each.training is not None:
                bars.phase(f"steps {_named(each.budget)}", epochs, "epochs")
                bars.advance(each.training.epochs_done, 0)
            trades.append(finish_budget(each, lambda record: bars.advance(1, 0)))
            # said at once: the table comes at the very end
            bars.say(_told(trades[-1]))
    return tuple(trades)


def _named(budget: float | None) -> str:
    return _FREE if budget is None else f"{budget:g}"


def _print(trades: tuple[Trade, ...], name: str) -> None:
    from rramhil.cli._output import print_table

    titles = (">budget", ">steps", ">x dense", f">validation {name}", f">test {name}", ">epoch")
    rows = [
        (
            _named(trade.budget),
            f"{trade.taken.steps:,}",
            f"{trade.taken.ratio:.3f}",
            "" if trade.validation is None else metric(trade.validation),
            metric(trade.test),
            f"{trade.epoch_s:.3g} s",
        )
        for trade in trades
    ]
    print_table(titles, rows)


def _told(trade: Trade) -> str:
    chosen = "" if trade.validation is None else f"{metric(trade.validation)} validation, "
    return f"{trade.taken.ratio:.3f} x dense, {chosen}{metric(trade.test)} test"


def _draw(trades: tuple[Trade, ...], png: Path, title: str, name: str) -> None:
    from rramhil.cli._files import writing
    from rramhil.flow import draw_trades

    with writing(png):
        draw_trades(trades, png, title, name)
