"""`rramhil mask adapt`: a run's masks on another chip, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil._units import metric
from rramhil.cli._networks import ChipsOption
from rramhil.cli._options import (
    BoardOption,
    ChipOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rramhil.flow import AdaptedRun
    from rramhil.tasks import Task

EPILOG = examples(
    "rramhil mask adapt digits --chip 1",
    "rramhil mask adapt flat --chip 1 --run flat-on-1 --json",
    "rramhil mask adapt flat --board 'sim://?chips=4' --chips 1-3",
)


def adapt(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, or its task.")],
    chip: ChipOption = 0,
    chips: ChipsOption = None,
    name: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="Of the new run; else its task and the time."),
    ] = None,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Put a run's masks on another chip: nothing is trained, no pulse is fired.

    Batch norm is measured on training data with what the chip's map says of its cells, and the
    ranges of its amplifiers are chosen again; a new run keeps both, and belongs to this chip. For
    masks of cells, best those that were trained with --map flat. Masks of pairs are refused: they
    are worth nothing on another chip.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import load_task, need_extra, parse_chips
    from rramhil.cli._output import note, print_json
    from rramhil.cli._training import refuse_chip_and_chips
    from rramhil.cli.train import new_run_path

    refuse_chip_and_chips(context)
    need_extra()
    from rramhil.flow import adapt_run, chips_with_gains, find_run, known_chips, new_network

    settings = find_settings(board, lab)
    source, found = find_run(settings.lab, run, note)
    task, splits = load_task(found.config.task, settings.lab)
    network = new_network(task, splits, allow_digital=found.config.allow_digital)
    with opened_lab(settings) as kept, controlled_board(settings) as opened:
        path = new_run_path(kept, task, name)
        known = known_chips(opened, kept, parse_chips(chips, chip, opened.identity.chips))
        known = chips_with_gains(opened, kept, known)
        adapted = adapt_run(found, network, task, splits, known, opened.description)
        adapted.run.save(path)
    facts = _facts(task, source, path, adapted)
    print_json(facts) if as_json else _print(facts)


def _facts(task: Task, source: Path, path: Path, adapted: AdaptedRun) -> dict[str, Any]:
    run = adapted.run
    return {
        "task": run.config.task,
        "from": str(source),
        "run": str(path),
        "gate": run.config.gate,
        "maps": {str(number): map_id for number, map_id in run.masks.map_ids.items()},
        "metric": task.metric_name,
        "validation_before": adapted.before,
        "validation": adapted.after,
    }


def _print(facts: dict[str, Any]) -> None:
    from rramhil.cli._output import print_facts

    maps = (f"{map_id} of chip {number}" for number, map_id in facts["maps"].items())
    print_facts(
        ("run", facts["run"]),
        ("masks of", facts["from"]),
        ("maps", ", ".join(maps)),
        (
            f"{facts['metric']} by the map, validation data",
            f"{metric(facts['validation'])}, {metric(facts['validation_before'])} with the batch "
            "norm of the run before",
        ),
    )
