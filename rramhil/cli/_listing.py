"""`rramhil mask list`: the runs that a lab keeps, and the trainings that are not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from rramhil._units import metric
from rramhil.cli._options import DebugOption, JsonOption, LabOption, examples

if TYPE_CHECKING:
    from rramhil.flow import Checkpoint, Kept

EPILOG = examples("rramhil mask list", "rramhil mask list --lab /data/lab --json")


def list_runs(
    lab: LabOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """List trained runs, the newest first, and trainings that can be continued.

    Every run is verified; one that is damaged is named with what is wrong. No board is opened, and
    a lab that does not exist is not made.
    """
    from rramhil.cli._boards import find_settings
    from rramhil.cli._networks import need_extra
    from rramhil.cli._output import print_json

    need_extra()
    from rramhil.flow import kept_runs, unfinished_trainings

    root = find_settings(None, lab).lab
    runs = [_run_facts(each) for each in kept_runs(root)]
    unfinished = [_unfinished_facts(each) for each in unfinished_trainings(root)]
    if as_json:
        print_json({"runs": runs, "unfinished": unfinished})
        return
    _print_runs(runs)
    for each in unfinished:
        typer.echo(_told(each))
    if not runs and not unfinished:
        typer.echo(f"There are no runs in {root}; `rramhil train TASK` makes one.")


def _run_facts(kept: Kept) -> dict[str, Any]:
    run = kept.run
    facts: dict[str, Any] = {"name": kept.path.name, "run": str(kept.path), "fault": kept.fault}
    if run is None:
        return facts
    return {
        **facts,
        "task": run.config.task,
        "gate": run.config.gate,
        "chips": list(run.placement.chips),
        "maps": {str(chip): each for chip, each in run.masks.map_ids.items()},
        "density": run.masks.density,
        "epochs": run.config.epochs,
        "validation": run.metrics.get("validation"),
        "test": run.metrics.get("test"),
        "created": run.created,
    }


def _unfinished_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    from rramhil.errors import RunError

    facts: dict[str, Any] = {"name": checkpoint.name, "folder": str(checkpoint.folder)}
    try:
        start, _ = checkpoint.load()
    except RunError as damage:
        return {**facts, "fault": damage.sentence}
    which = start.request.which
    return {
        **facts,
        "fault": None,
        "task": which,
        "gate": start.request.gate,
        "chips": list(start.placement.chips),
        "epochs_done": checkpoint.epochs_kept,
        "epochs": start.epochs,
        "command": checkpoint.goes_on(which),
    }


def _print_runs(runs: list[dict[str, Any]]) -> None:
    from rramhil.cli._networks import listed
    from rramhil.cli._output import print_table

    if not runs:
        return
    titles = ("run", "task", "gate", ">chip", ">cells", ">validation", ">test", "made (UTC)")
    rows = [
        (
            each["name"],
            each["task"],
            each["gate"],
            listed(each["chips"]) if each["maps"] else "any",
            f"{each['density']:.1%}",
            *("" if each[name] is None else metric(each[name]) for name in ("validation", "test")),
            each["created"][:16].replace("T", " "),
        )
        if each["fault"] is None
        else (each["name"], f"damaged: {each['fault']}", *[""] * 6)
        for each in runs
    ]
    print_table(titles, rows)


def _told(each: dict[str, Any]) -> str:
    if each["fault"] is not None:
        return f"{each['fault']} Remove {each['folder']}."
    return (
        f"Unfinished: {each['name']}, {each['epochs_done']} of {each['epochs']} epochs; "
        f"`{each['command']}` goes on."
    )
