"""`rramhil infer`: a trained network on the chip, beside what its map and software say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rramhil.cli._networks import GateOption
from rramhil.cli._options import (
    BoardOption,
    ChipOption,
    DebugOption,
    JsonOption,
    LabOption,
    RecordOption,
    examples,
    new_app,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rramhil.driver import Board
    from rramhil.flow import Inference, Plan
    from rramhil.lab import Lab
    from rramhil.network import Run
    from rramhil.tasks import Examples, Splits, Task

app = new_app()

TRAINS_ITSELF = "digits"
"""The task that is trained where there is no run of it yet: it takes seconds, and no download."""


class _Asked(NamedTuple):
    """What the options say."""

    task: str
    chip: int
    run: str | None
    samples: int | None
    gate: str
    force: bool


@app.command(
    epilog=examples(
        "rramhil infer digits --chip 0",
        "rramhil infer digits --chip 0 --dry-run",
        "rramhil infer my_task.py:task --run wide --samples 200 --json",
    )
)
def infer(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="A built-in task (digits), or my_task.py:task of one's own."
        ),
    ],
    chip: ChipOption = 0,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="A run; else the newest one of task and chip."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", metavar="N", min=1, help="Of the test data; else all of them."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print conversions, board time, energy; touch nothing."),
    ] = False,
    gate: GateOption = "cell",
    force: Annotated[
        bool,
        typer.Option("--force", help="Take a run that was trained on another chip nevertheless."),
    ] = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the test data of a task on the chip: masks as gates, not a single pulse.

    Takes the newest run of the task that was trained on this chip. For `digits` without one, all
    before it is done first: the chip is programmed where the lab has no map of it, and a network
    is trained (--gate) and kept. For other tasks `rramhil train` does that.
    """
    from rramhil.cli._boards import controlled_board, find_settings, observed_board, opened_lab
    from rramhil.cli._networks import need_extra, parse_gate
    from rramhil.cli._output import print_json

    need_extra()
    asked = _Asked(task, chip, run, samples, parse_gate(gate), force)
    settings = find_settings(board, lab)
    with opened_lab(settings) as kept:
        if dry_run:
            with observed_board(settings) as opened:
                facts = _preview(opened, kept, asked)
        else:
            with controlled_board(settings, record) as opened:
                facts = _infer(opened, kept, asked)
    if as_json:
        print_json(facts)
    elif dry_run:
        _print_preview(facts)
    else:
        _print(facts)


def _find(board: Board, lab: Lab, asked: _Asked) -> tuple[Path, Run] | None:
    """Find the run that is meant; None where one is to be trained first.

    Raises
    ------
    NotFound
        There is none, and the task is not trained here.
    MaskError
        The run is of another chip.
    """
    from rramhil.errors import MaskError, NotFound
    from rramhil.flow import find_run, is_of_these_chips, newest_run, refuse_other_chips

    chip = board.chip(asked.chip)
    if asked.run is not None:
        path, run = find_run(lab.root, asked.run)
        if chip.number not in run.placement.chips:
            raise MaskError(f"The run {path.name} has nothing on chip {chip.number}.")
        refuse_other_chips(run, board, lab, force=asked.force)
        return path, run
    found = newest_run(
        lab.root,
        asked.task,
        lambda run: chip.number in run.placement.chips and is_of_these_chips(run, board, lab),
    )
    if found is None and asked.task != TRAINS_ITSELF:
        raise NotFound(
            f"There is no run of task {asked.task} that was trained on chip {chip.serial}.",
            f"`rramhil train {asked.task} --chip {chip.number}` makes one.",
        )
    return found


def _infer(board: Board, lab: Lab, asked: _Asked) -> dict[str, Any]:
    import time

    from rramhil.cli._networks import load_task, program_where_needed
    from rramhil.cli._output import note

    began_s = time.perf_counter()
    found = _find(board, lab, asked)
    task, splits = load_task(asked.task, lab.root)
    programming_pulses = 0
    if found is None:
        programmed = program_where_needed(board, lab, (asked.chip,))
        programming_pulses = sum(each.pulses for each in programmed.values())
        found = _train(board, lab, asked, task, splits)
    path, run = found
    note(f"Run {path.name}: {run.config.gate} gating, {run.masks.density:.1%} of the cells.")
    facts = _on_chip(board, lab, run, task, splits, asked)
    return {
        "task": asked.task,
        "run": str(path),
        "gate": run.config.gate,
        **facts,
        "programming_pulses": programming_pulses,
        "wall_time_s": time.perf_counter() - began_s,
    }


def _train(board: Board, lab: Lab, asked: _Asked, task: Task, splits: Splits) -> tuple[Path, Run]:
    from rramhil.cli._output import note
    from rramhil.cli.train import train_and_keep
    from rramhil.flow import TrainRequest, run_folder

    request = TrainRequest(which=asked.task, gate=asked.gate)  # type: ignore[arg-type]
    path = run_folder(lab.root, task.name)
    trained = train_and_keep(board, lab, (asked.chip,), request, task, splits, path)
    note(
        f"Trained: {task.metric_name} {trained.result.validation:.2%} in validation, "
        f"{trained.result.test:.2%} in test; no weight was tuned."
    )
    return path, trained.run


def _on_chip(
    board: Board, lab: Lab, run: Run, task: Task, splits: Splits, asked: _Asked
) -> dict[str, Any]:
    """Plan, apply, infer; each step is told."""
    from rramhil.cli._output import note
    from rramhil.cli._progress import Bars
    from rramhil.flow import apply_run, infer, known_chips, new_network, plan_run

    examples = _first(splits.test, asked.samples)
    network = new_network(task, splits, allow_digital=run.config.allow_digital)
    run.restore(network)
    chips = known_chips(board, lab, run.placement.chips)
    maps_uS = {number: chip.cells.own_uS for number, chip in chips.items()}
    plan = plan_run(run, board.description, maps_uS)
    note(_told(plan, len(examples.inputs)))
    applied = apply_run(board, run)
    note(f"Applied: {plan.report.total.bounds.steps:,} steps loaded, {applied.pulses} pulses.")
    gains = applied.deployment.front_end.gains
    chips = known_chips(board, lab, run.placement.chips, gains)
    with Bars() as bars:
        inference: Inference = infer(
            applied,
            run,
            network,
            task,
            examples,
            chips,
            progress=bars,
        )
    return inference.as_dict()


def _preview(board: Board, lab: Lab, asked: _Asked) -> dict[str, Any]:
    from rramhil.cli._networks import load_task
    from rramhil.flow import has_map, known_chips, new_network, plan_run, plan_task
    from rramhil.programming import preview

    found = _find(board, lab, asked)
    task, splits = load_task(asked.task, lab.root)
    known = {}
    if has_map(board, lab, asked.chip):
        known = known_chips(board, lab, (asked.chip,))
    if found is None:
        plan = plan_task(
            new_network(task, splits),
            board.description,
            chips=(asked.chip,),
            known=known,
            gate=asked.gate,  # type: ignore[arg-type]
        )
    else:
        maps_uS = {number: chip.cells.own_uS for number, chip in known.items()}
        plan = plan_run(found[1], board.description, maps_uS)
    count = len(_first(splits.test, asked.samples).inputs)
    first = "" if known else preview(board, lab, asked.chip).message
    return {
        "task": asked.task,
        "run": None if found is None else str(found[0]),
        **plan.cost_of(count),
        "steps": plan.report.total.bounds.steps,
        "drawn": plan.drawn,
        "before": first,
        "message": _told(plan, count),
        "dry_run": True,
    }


def _first(examples: Examples, samples: int | None) -> Examples:
    from rramhil.tasks import Examples

    return Examples(examples.inputs[:samples], examples.targets[:samples])


def _told(plan: Plan, samples: int) -> str:
    cost = plan.cost_of(samples)
    total = plan.report.total.bounds
    drawn = " (with random masks: there is no run yet)" if plan.drawn else ""
    return (
        f"Planned{drawn}: {samples:,} samples, {total.steps:,} steps a pass, {total.dense:,} "
        f"without a mask; {cost['conversions']:,} conversions, {cost['board_time_s']:.3g} s of "
        f"board time, {cost['energy_j']:.3g} J."
    )


def _print_preview(facts: dict[str, Any]) -> None:
    if facts["before"]:
        typer.echo(facts["before"])
    typer.echo(facts["message"])


def _print(facts: dict[str, Any]) -> None:
    from rramhil.cli._output import print_facts
    from rramhil.cli.train import chip_share

    agreement = facts["agreement"]
    print_facts(
        ("task", f"{facts['task']}, {facts['samples']:,} samples, {facts['gate']} gating"),
        (facts["metric"], f"{facts['value']:.2%} on the chip"),
        ("", f"{facts['software_value']:.2%} in software, with the same masked cells"),
        ("", f"{facts['on_map_value']:.2%} on the map, with the noise that is predicted"),
        *([] if agreement is None else [("same class", f"{agreement:.2%} as in software")]),
        ("noise", f"{facts['noise_ratio']:.2f} of what is predicted"),
        ("on the chip", chip_share(facts)),
        ("pulses", f"{facts['pulses']:,}"),
        ("speed", f"{facts['samples_per_s']:,.0f} samples/s"),
        ("board time", f"{facts['board_time_s']:.3f} s, {facts['conversions']:,} conversions"),
        ("energy", f"{facts['energy_j']:.3g} J, by constants that are partly assumed"),
        *([("clipped", f"{facts['saturated']:,} conversions")] if facts["saturated"] else []),
        ("run", facts["run"]),
    )
