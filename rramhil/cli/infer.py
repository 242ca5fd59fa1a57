"""`rramhil infer`: a trained network on the chip, beside what its map and software say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rramhil._units import metric, readable
from rramhil.cli._networks import (
    AllowDigitalOption,
    ByOption,
    ChipsOption,
    ForceOption,
    GateOption,
    adapt_hint,
    listed,
)
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
    from rramhil.errors import MaskError, NotFound
    from rramhil.flow import Inference, Plan
    from rramhil.lab import Lab
    from rramhil.network import Run
    from rramhil.switching import Placement
    from rramhil.tasks import Examples, Splits, Task

app = new_app()

TRAINS_ITSELF = "digits"
"""The task that is trained where there is no run of it yet: it takes seconds, and no download."""


class _Asked(NamedTuple):
    """What the options say."""

    task: str
    loaded: Task
    root: Path
    chip: int
    chips: str | None
    overlay: bool
    run: str | None
    samples: int | None
    gate: str
    only_gate: bool
    gated: bool
    force: bool
    allow_digital: bool

    def splits(self) -> Splits:
        """Data of the task."""
        from rramhil.datasets import data_root

        return self.loaded.data(data_root(self.root))

    def sockets(self, board: Board) -> tuple[int, ...]:
        """Of `--chips`, else of `--chip`."""
        from rramhil.cli._networks import parse_chips

        return parse_chips(self.chips, self.chip, board.identity.chips)

    @property
    def where(self) -> str:
        """The option that names the sockets."""
        return f"--chip {self.chip}" if self.chips is None else f"--chips {self.chips}"

    def takes(self, run: Run) -> bool:
        """Whether a run has the gating that is asked for, if one is."""
        return not self.only_gate or run.config.gate == self.gate

    def means(self, placement: Placement, sockets: tuple[int, ...]) -> bool:
        """Whether a run that is placed so is asked for."""
        if self.overlay and not placement.overlay:
            return False
        if self.chips is None:
            return self.chip in placement.chips
        return set(placement.chips) <= set(sockets)


@app.command(
    epilog=examples(
        "rramhil infer digits --chip 0",
        "rramhil infer digits --chip 0 --dry-run",
        "rramhil infer my_task.py:task --run wide --samples 200 --json",
        "rramhil infer my_task.py:task --board 'sim://?chips=4' --chips 0-3 --dry-run",
    )
)
def infer(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="A built-in task (digits), or my_task.py:task of one's own."
        ),
    ],
    chip: ChipOption = 0,
    chips: ChipsOption = None,
    overlay: Annotated[
        bool,
        typer.Option("--overlay", help="Take a run whose layers share cells; else any run."),
    ] = False,
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
    by: ByOption = "gate",
    force: ForceOption = False,
    allow_digital: AllowDigitalOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the test data of a task on the chip: masks as gates, not a single pulse.

    Takes the newest run of the task that was trained on this chip. For `digits` without one, all
    before it is done first: the chip is programmed where the lab has no map of it, and a network
    is trained (--gate) and kept. For other tasks `rramhil train` does that; --dry-run needs no run,
    and places (--chips, --overlay) and prices them with random masks.

    With --by reset every gate is open, after `rramhil mask apply --by reset` has pruned the cells.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._inferred import print_inference, print_preview
    from rramhil.cli._networks import need_extra, parse_by, parse_gate, previewed
    from rramhil.cli._output import print_json
    from rramhil.cli._training import refuse_chip_and_chips, was_given
    from rramhil.errors import UsageError
    from rramhil.tasks import load

    refuse_chip_and_chips(context)
    need_extra()
    if allow_digital and not dry_run:
        raise UsageError(
            "A run knows itself what of it stays digital.", "--allow-digital goes with --dry-run."
        )
    gated = parse_by(by) == "gate"
    kind, settings = parse_gate(gate), find_settings(board, lab)
    asked = _Asked(
        task=task,
        loaded=load(task),
        root=settings.lab,
        chip=chip,
        chips=chips,
        overlay=overlay,
        run=run,
        samples=samples,
        gate=kind,
        only_gate=was_given(context, "gate"),
        gated=gated,
        force=force,
        allow_digital=allow_digital,
    )
    if dry_run:
        with previewed(settings) as (opened, kept):
            facts = _preview(opened, kept, asked)
    else:
        with opened_lab(settings) as kept, controlled_board(settings, record) as opened:
            facts = _infer(opened, kept, asked)
    if as_json:
        print_json(facts)
    elif dry_run:
        print_preview(facts)
    else:
        print_inference(facts)


def _find(board: Board, lab: Lab, asked: _Asked) -> tuple[Path, Run] | None:
    """Find the run that is meant; None where there is none yet.

    Raises
    ------
    NotFound
        The board lacks the chip, or the lab the run that was named.
    RunError
        The run is of another task, or damaged.
    MaskError
        The run is of another chip.
    MapFileError
        The map that a run was trained on is damaged.
    """
    from rramhil.cli._output import note
    from rramhil.errors import RunError
    from rramhil.flow import find_run, is_of_these_chips, newest_run, refuse_other_chips

    sockets = asked.sockets(board)
    if asked.run is not None:
        path, run = find_run(asked.root, asked.run, note)
        if _is_another(run.config.task, asked.task):
            raise RunError(
                f"The run {path.name} is of task {run.config.task}, not of {asked.task}.",
                f"`rramhil infer {run.config.task} --run {asked.run}` runs it.",
            )
        if not asked.takes(run):
            raise RunError(
                f"The run {path.name} has {run.config.gate} gating, not {asked.gate} gating.",
                "Leave --gate, or --run.",
            )
        if not asked.means(run.placement, sockets):
            raise _elsewhere_placed(path.name, run, asked)
        refuse_other_chips(run, board, lab, force=asked.force)
        return path, run
    return newest_run(
        asked.root,
        asked.task,
        lambda run: (
            asked.takes(run)
            and asked.means(run.placement, sockets)
            and (asked.force or is_of_these_chips(run, board, lab))
        ),
        note,
    )


def _elsewhere_placed(name: str, run: Run, asked: _Asked) -> MaskError:
    from rramhil.errors import MaskError

    if asked.overlay and not run.placement.overlay:
        return MaskError(
            f"The layers of the run {name} share no cells.",
            "Leave out --overlay, or train with it.",
        )
    own = listed(run.placement.chips)
    return MaskError(
        f"The run {name} is placed on chip {own}, not on "
        f"{asked.chip if asked.chips is None else asked.chips}.",
        f"Give its own, {own}. {adapt_hint(run, name, asked.where)}".strip(),
    )


def _is_another(task: str, asked: str) -> bool:
    """Whether two names are certainly of two tasks: one file can be named in several ways."""
    return task != asked and not (".py" in task and ".py" in asked)


def _no_run(board: Board, asked: _Asked) -> NotFound:
    from rramhil.errors import NotFound

    serials = [board.chip(number).serial for number in asked.sockets(board)]
    chips = f"chip {serials[0]}" if len(serials) == 1 else f"chips {serials[0]} to {serials[-1]}"
    return NotFound(
        f"There is no run of task {asked.task} that was trained on {chips}"
        f"{f' with {asked.gate} gating' if asked.only_gate else ''}"
        f"{' with layers that share cells' if asked.overlay else ''}.",
        f"`rramhil train {asked.task} {asked.where}"
        f"{f' --gate {asked.gate}' if asked.only_gate else ''}"
        f"{' --overlay' if asked.overlay else ''}` makes one.",
    )


def _infer(board: Board, lab: Lab, asked: _Asked) -> dict[str, Any]:
    import time

    from rramhil.cli._networks import program_where_needed
    from rramhil.cli._output import note

    began_s = time.perf_counter()
    found = _find(board, lab, asked)
    if found is None and asked.task != TRAINS_ITSELF:
        raise _no_run(board, asked)
    splits = asked.splits()
    programming_pulses = 0
    if found is None:
        programmed = program_where_needed(board, lab, asked.sockets(board))
        programming_pulses = sum(each.pulses for each in programmed.values())
        found = _train(board, lab, asked, splits)
    path, run = found
    note(f"Run {path.name}: {run.config.gate} gating, {run.masks.density:.1%} of the cells.")
    facts = _on_chip(board, lab, found, splits, asked)
    return {
        "task": asked.task,
        "run": str(path),
        "gate": run.config.gate,
        "by": "gate" if asked.gated else "reset",
        **facts,
        "programming_pulses": programming_pulses,
        "wall_time_s": time.perf_counter() - began_s,
    }


def _train(board: Board, lab: Lab, asked: _Asked, splits: Splits) -> tuple[Path, Run]:
    from rramhil.cli._output import note
    from rramhil.cli.train import train_and_keep
    from rramhil.flow import TrainRequest, run_folder

    request = TrainRequest(
        which=asked.task,
        gate=asked.gate,  # type: ignore[arg-type]
        overlay=asked.overlay,
    )
    task = asked.loaded
    path = run_folder(lab.root, task.name)
    trained = train_and_keep(board, lab, asked.sockets(board), request, task, splits, path)
    note(
        f"Trained: {task.metric_name} {metric(trained.result.validation or 0.0)} in validation, "
        f"{metric(trained.result.test)} in test; no weight was tuned."
    )
    return path, trained.run


def _on_chip(
    board: Board, lab: Lab, found: tuple[Path, Run], splits: Splits, asked: _Asked
) -> dict[str, Any]:
    """Plan, apply, infer; each step is told."""
    from rramhil.cli._output import note
    from rramhil.cli._progress import Bars
    from rramhil.flow import (
        apply_run,
        cells_lost,
        elsewhere,
        infer,
        known_chips,
        new_network,
        plan_run,
        refuse_what_is_not_reset,
    )

    path, run = found
    task, examples = asked.loaded, _first(splits.test, asked.samples)
    network = new_network(task, splits, allow_digital=run.config.allow_digital)
    run.restore(network)
    chips = known_chips(board, lab, run.placement.chips)
    if not asked.gated:
        refuse_what_is_not_reset(asked.run or path.name, run, lab, chips)
    elif not asked.force and (lost := cells_lost(run, lab, chips)) is not None:
        note(f"{lost} `rramhil train {asked.task}` learns masks of the cells as they are.")
    maps_uS = {number: chip.cells.own_uS for number, chip in chips.items()}
    plan = plan_run(run, board.description, maps_uS)
    note(_told(plan, len(examples.inputs), asked))
    applied = apply_run(board, run, gated=asked.gated)
    steps = sum(tile.schedule.steps for tile in applied.deployment.tiles)
    note(f"Applied: {steps:,} steps loaded, {applied.pulses} pulses.")
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
    others = [each.as_dict() for each in elsewhere(plan.matrices)]
    return {**inference.as_dict(), "elsewhere": others}


def _preview(board: Board, lab: Lab, asked: _Asked) -> dict[str, Any]:
    from rramhil.flow import elsewhere, has_map, known_chips, new_network, plan_run, plan_task

    found = _find(board, lab, asked)
    splits = asked.splits()
    sockets = asked.sockets(board) if found is None else found[1].placement.chips
    known = known_chips(board, lab, [each for each in sockets if has_map(board, lab, each)])
    if found is None:
        plan = plan_task(
            new_network(asked.loaded, splits, allow_digital=asked.allow_digital),
            board.description,
            chips=sockets,
            known=known,
            gate=asked.gate,  # type: ignore[arg-type]
            overlay=asked.overlay,
        )
    else:
        maps_uS = {number: chip.cells.own_uS for number, chip in known.items()}
        plan = plan_run(found[1], board.description, maps_uS)
    count = len(_first(splits.test, asked.samples).inputs)
    return {
        "task": asked.task,
        "run": None if found is None else str(found[0]),
        **plan.cost_of(count, gated=asked.gated),
        "steps": plan.report.total.bounds.steps,
        "drawn": plan.drawn,
        "chips": list(plan.placement.chips),
        "tiles": len(plan.placement.tiles),
        "overlay": plan.placement.overlay,
        "before": _before(board, lab, [each for each in sockets if each not in known]),
        "elsewhere": [each.as_dict() for each in elsewhere(plan.matrices)],
        "placed": _placed(plan),
        "message": _told(plan, count, asked),
        "dry_run": True,
    }


def _before(board: Board, lab: Lab, without_map: list[int]) -> str:
    """What programming the chips of which there is no map would do; empty where there is none."""
    from rramhil.programming import preview

    each = [preview(board, lab, number) for number in without_map]
    if len(each) <= 1:
        return "".join(one.message for one in each)
    pulses, board_time_s = sum(one.pulses for one in each), sum(one.board_time_s for one in each)
    return (
        f"Programming chips {listed(without_map)} first would fire {pulses:,} pulses in "
        f"{readable(board_time_s, 's')} of board time."
    )


def _placed(plan: Plan) -> str:
    placement = plan.placement
    cells = sum(matrix.cells for matrix in placement.matrices)
    macros = cells / (placement.geometry.rows * placement.geometry.columns)
    chips = "chip" if len(placement.chips) == 1 else "chips"
    return (
        f"Placed: {cells // 2:,} weights, {macros:,.2f} macros' worth of cells, in "
        f"{len(placement.tiles):,} tiles on {chips} {listed(placement.chips)}"
        f"{', layers sharing cells' if placement.overlay else ''}."
    )


def _first(examples: Examples, samples: int | None) -> Examples:
    from rramhil.cli._output import note
    from rramhil.tasks import Examples

    if samples is not None and samples > len(examples.inputs):
        note(f"There are only {len(examples.inputs):,} test samples, not {samples:,}: all are run.")
    return Examples(examples.inputs[:samples], examples.targets[:samples])


def _told(plan: Plan, samples: int, asked: _Asked) -> str:
    cost = plan.cost_of(samples, gated=asked.gated)
    total = plan.report.total.bounds
    drawn = " (with random masks: there is no run yet)" if plan.drawn else ""
    steps = (
        f"{total.steps:,} steps a pass, {total.dense:,} without a mask"
        if asked.gated
        else f"{total.dense:,} steps a pass, every gate open"
    )
    return (
        f"Planned{drawn}: {samples:,} samples, {steps}; {cost['conversions']:,} conversions, "
        f"{readable(cost['board_time_s'], 's')} of board time, {readable(cost['energy_j'], 'J')}."
    )
