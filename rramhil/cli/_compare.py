"""`rramhil train TASK --compare`: every row trained, one table.

Owns: its options, where a comparison is kept, and how its table reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rramhil._units import POINTS, scale_of
from rramhil.cli._training import was_given
from rramhil.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rramhil.cli._progress import Bars
    from rramhil.comparison import CompareRequest, Replicate, Step
    from rramhil.driver import Board
    from rramhil.lab import Lab
    from rramhil.pruning import EpochRecord
    from rramhil.tasks import Splits, Task

FOLDER = "comparisons"

_ANY_TRAININGS = (
    "task", "chip", "chips", "epochs", "density", "seed", "overlay", "allow_digital", "final",
    "device", "run", "compare", "board", "lab", "as_json", "debug",
)  # fmt: skip
"""Parameters of the command that one training and a comparison both have."""

_MANY_TRAININGS = ("rows", "replicates", "tries", "conditions", "jobs")
"""Parameters of the command that say how a comparison is to be."""

CompareOption = Annotated[
    bool, typer.Option("--compare", help="Compare all ways to get weights, on several chips.")
]
RowsOption = Annotated[
    str | None,
    typer.Option("--rows", metavar="ROW,ROW", help="With --compare: these rows; else all."),
]
ReplicatesOption = Annotated[
    int,
    typer.Option(
        "--replicates", metavar="N", min=1, help="With --compare: chips, each with its own seed."
    ),
]
TriesOption = Annotated[
    int,
    typer.Option(
        "--tries", metavar="N", min=1, max=3, help="With --compare: learning rates a row tries."
    ),
]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        help="With --compare: trainings side by side, each in a process with one thread.",
    ),
]
ConditionsOption = Annotated[
    bool,
    typer.Option(
        "--conditions", help="With --compare: masks under noise, stuck and unformed cells too."
    ),
]


def refuse_other_options(context: typer.Context) -> None:
    """Refuse what says how one training is to be, which a comparison does in all ways.

    Raises
    ------
    UsageError
        An option was given that a comparison has not.
    """
    every = {str(parameter.name) for parameter in context.command.params}
    option = _first_given(context, every.difference(_ANY_TRAININGS, _MANY_TRAININGS))
    if option is not None:
        raise UsageError(
            f"{option} does not go with --compare, which trains in all ways.",
            "Leave it; --rows chooses which.",
        )


def refuse_options_of_comparisons(context: typer.Context) -> None:
    """Refuse what says how a comparison is to be, where one training is asked for.

    Raises
    ------
    UsageError
        An option was given that one training has not.
    """
    option = _first_given(context, _MANY_TRAININGS)
    if option is not None:
        raise UsageError(f"{option} goes with --compare.", "Add it, or leave both.")


def _first_given(context: typer.Context, names: Collection[str]) -> str | None:
    """The option that a user gave of these parameters, the command's first one."""
    for parameter in context.command.params:
        if parameter.name in names and was_given(context, parameter.name):
            return parameter.opts[0]
    return None


def run_compare(
    which: str,
    chips: tuple[int, str | None],
    where: tuple[str | None, Path | None],
    *,
    name: str | None,
    rows: str | None,
    tries: int,
    jobs: int,
    as_json: bool,
    **said: Any,
) -> None:
    """Carry out the command.

    Parameters
    ----------
    chips : (int, str or None)
        As `--chip` and `--chips` have it.
    where : (str or None, Path or None)
        As `--board` and `--lab` have it.
    jobs : int
        Trainings side by side.
    said : Any
        The rest of a `CompareRequest`.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import load_task, need_extra, parse_chips, with_all_training_data
    from rramhil.cli._output import print_json

    need_extra()
    from rramhil.comparison import RATES, ROWS, CompareRequest
    from rramhil.datasets import data_root
    from rramhil.flow import usable_device

    chosen = tuple(row.name for row in ROWS) if rows is None else tuple(rows.split(","))
    request = CompareRequest(which=which, rows=chosen, rates=RATES[:tries], **said)
    usable_device(request.device)
    settings = find_settings(*where)
    task, splits = load_task(which, settings.lab)
    final = with_all_training_data(task, splits, settings.lab) if request.final else None
    chip, several = chips
    with opened_lab(settings) as lab, controlled_board(settings) as board:
        sockets = parse_chips(several, chip, board.identity.chips)
        folder = lab.root / FOLDER / (_checked(name) if name else _name_of(board, sockets, request))
        replicates = _found(board, lab, sockets, request, task, splits, folder)
    # the board is free again: training takes hours, and only needs what its cells read
    side_by_side = None
    if jobs > 1:
        side_by_side = _SideBySide(request, folder, data_root(settings.lab), jobs)
    try:
        facts = compare_and_keep(request, task, splits, replicates, folder, final, side_by_side)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(
            "Stopped by the user; what was trained to its end is kept.",
            "The same command goes on from there.",
        ) from interrupt
    print_json(facts) if as_json else print_comparison(facts)


def compare_and_keep(
    request: CompareRequest,
    task: Task,
    splits: Splits,
    replicates: Sequence[Replicate],
    folder: Path,
    final: Splits | None,
    side_by_side: _SideBySide | None,
) -> dict[str, Any]:
    """Compare, with bars, and keep table and picture in the folder.

    Parameters
    ----------
    side_by_side : _SideBySide or None
        Where trainings are to go on several at a time.

    Returns
    -------
    dict
        As `Comparison.as_dict`, and where it is kept.
    """
    from rramhil.cli._progress import Bars
    from rramhil.comparison import compare, draw_comparison

    with Bars() as bars:
        watch = _Watch(bars)
        ahead = None if side_by_side is None else partial(watch.ahead, side_by_side)
        done = compare(
            request,
            task,
            splits,
            replicates,
            folder,
            final=final,
            ahead=ahead,
            on_step=watch.step,
            on_epoch=watch.epoch,
        )
    facts = done.as_dict() | {"folder": str(folder), "picture": str(folder / "comparison.png")}
    draw_comparison(facts, folder / "comparison.png")
    return facts


def print_comparison(facts: dict[str, Any]) -> None:
    """Print the table and what it is of."""
    from rramhil.cli._output import print_facts, print_table

    rates = ", ".join(f"{rate:g}" for rate in facts["rates_tried"])
    scale = scale_of(*(value for row in facts["rows"] for value in row["test"]))
    print_facts(
        ("task", f"{facts['task']}, {facts['metric']} of {facts['units']:,} test samples"),
        (
            "budget of a row",
            f"{_counted(facts['epochs'], 'epoch')}, "
            f"{_counted(facts['settings_tried'], 'setting')} tried "
            f"(learning rate {rates}), chosen on validation data",
        ),
        *(
            [("at last", "trained once more on all training data, for the epochs that were chosen")]
            if facts["final"]
            else []
        ),
        (
            "replicates",
            "; ".join(
                f"chip {' '.join(chips)}, seed {seed}"
                for chips, seed in zip(facts["chips"], facts["seeds"], strict=True)
            ),
        ),
    )
    print_table(
        (
            "row",
            ">test",
            *(f">{name}" for name in facts["rows"][0]["test_also"]),
            ">BN again",
            ">validation",
            f">less {facts['comparator']}, 95 %",
            ">steps",
            ">rate",
            ">epochs",
            ">s",
            "what",
        ),
        [_line(row, facts, scale) for row in facts["rows"]],
    )
    if facts["conditions"]:
        _print_conditions(facts["conditions"], scale)
    if not facts["is_mean_of_units"]:
        print_facts(
            ("note", "Differences are means over units of the metric of each unit by itself.")
        )
    print_facts(("kept in", facts["folder"]))


def _line(row: dict[str, Any], facts: dict[str, Any], scale: float) -> tuple[str, ...]:
    difference = row["difference"]
    less = "" if row["name"] == facts["comparator"] else _points(difference, scale)
    return (
        row["name"],
        f"{scale * mean(row['test']):.2f}",
        *(f"{scale * mean(values):.2f}" for values in row["test_also"].values()),
        f"{scale * mean(row['reestimated']):.2f}",
        f"{scale * mean(row['validation']):.2f}" if row["validation"] else "",
        less,
        f"{mean(row['steps']):.2f}" if row["steps"] else "",
        f"{row['rate']:g}",
        " ".join(str(epoch) for epoch in row["best_epochs"]),
        f"{row['seconds']:.0f}",
        row["what"],
    )


def _print_conditions(conditions: list[dict[str, Any]], scale: float) -> None:
    from rramhil.cli._output import print_table

    print_table(
        ("row", "condition", ">level", "in the map", ">test", ">change, 95 %", ">BN again"),
        [
            (
                each["row"],
                each["condition"],
                f"{each['level']:.0%}",
                "yes" if each["known"] else "no",
                f"{scale * mean(each['test']):.2f}",
                _points(each["change"], scale),
                f"{scale * mean(each['reestimated']):.2f}",
            )
            for each in conditions
        ],
    )


def _points(difference: dict[str, float], scale: float) -> str:
    value, low, high = (scale * difference[key] for key in ("value", "low", "high"))
    return f"{value:{POINTS}} ({low:{POINTS}} to {high:{POINTS}})"


def _found(
    board: Board,
    lab: Lab,
    sockets: tuple[int, ...],
    request: CompareRequest,
    task: Task,
    splits: Splits,
    folder: Path,
) -> tuple[Replicate, ...]:
    """Replicates of the comparison in a folder: those that it was begun with, if it was."""
    from rramhil.comparison import begin, replicates_of
    from rramhil.flow import digest_of, new_network

    network = new_network(task, splits, allow_digital=request.allow_digital)

    def find() -> tuple[Replicate, ...]:
        return replicates_of(
            board,
            lab,
            sockets,
            network,
            count=request.replicates,
            seed=request.seed,
            overlay=request.overlay,
        )

    return begin(request, folder, digest_of(request.which, splits, network), find)


class _SideBySide(NamedTuple):
    """Which trainings go on at a time, and of what."""

    request: CompareRequest
    folder: Path
    root: Path
    jobs: int


class _Watch(NamedTuple):
    """Draws a bar for each training, or one for those that go on side by side."""

    bars: Bars

    def ahead(self, how: _SideBySide, steps: Sequence[Step]) -> None:
        from rramhil.comparison import train_side_by_side

        if not steps:
            return
        self.bars.phase(f"{len(steps)} trainings, {how.jobs} at a time", len(steps), "trainings")

        def tell(step: Step) -> None:
            self.bars.advance(1, 0)
            self.bars.say(_told(step))

        train_side_by_side(how.request, how.folder, how.root, steps, jobs=how.jobs, on_done=tell)

    def step(self, step: Step) -> None:
        if not step.is_kept:
            self.bars.phase(_told(step), step.epochs, "epochs")

    def epoch(self, record: EpochRecord) -> None:
        self.bars.advance(1, 0)


def _told(step: Step) -> str:
    what = f"{step.kind}, replicate {step.replicate + 1}, rate {step.rate:g}"
    if step.condition is not None:
        what += f", {step.condition.kind} {step.condition.level:g}"
    return what + ", on all training data" * step.is_final


def _name_of(board: Board, sockets: tuple[int, ...], request: CompareRequest) -> str:
    """Task and a digest of all that the trainings depend on, rows and device aside."""
    from rramhil.flow import name_of_request

    said = request.identity
    said["chips"] = [board.chip(number).serial for number in sockets]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", request.which.rpartition("/")[2]).strip("-")
    return name_of_request(plain, said)


def _checked(name: str) -> str:
    from rramhil.flow import check_name

    check_name(name, "comparison")
    return name


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
