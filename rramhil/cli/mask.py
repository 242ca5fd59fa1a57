"""`rramhil mask`: what masks cost on a board, for a run or for a task; loading, proving them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil._units import readable
from rramhil.cli import _listing
from rramhil.cli import adapt as _adapt
from rramhil.cli import pareto as _pareto
from rramhil.cli._networks import (
    AllowDigitalOption,
    ByOption,
    ChipsOption,
    DensityOption,
    ForceOption,
    GateOption,
    OverlayOption,
    adapt_hint,
    listed,
)
from rramhil.cli._options import (
    BoardOption,
    DebugOption,
    JsonOption,
    LabOption,
    RecordOption,
    examples,
    new_app,
)

if TYPE_CHECKING:
    from rramhil.driver import Board
    from rramhil.flow import Applied, Plan
    from rramhil.lab import Lab
    from rramhil.network import Run

app = new_app(
    "Masks of a trained run as gate schedules: list, price, load and verify them.\n\nA run is "
    "named by its folder, by its name in the lab, or by its task: the newest one of it."
)

app.command("adapt", epilog=_adapt.EPILOG)(_adapt.adapt)
app.command("list", epilog=_listing.EPILOG)(_listing.list_runs)
app.command("pareto", epilog=_pareto.EPILOG)(_pareto.pareto)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run, or its task.")]


@app.command(
    "plan",
    epilog=examples(
        "rramhil mask plan digits",
        "rramhil mask plan digits --png placement.png --json",
        "rramhil mask plan my_task.py:task --board 'sim://?chips=4' --chips 0-3",
        "rramhil mask plan my_task.py:task --overlay",
    ),
)
def plan(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run; or a task without one, with random masks."),
    ],
    chips: ChipsOption = None,
    overlay: OverlayOption = False,
    png: Annotated[
        Path | None,
        typer.Option("--png", metavar="FILE", help="Draw the placement into this file."),
    ] = None,
    gate: GateOption = "cell",
    density: DensityOption = 0.5,
    allow_digital: AllowDigitalOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Place a network and say what one sample costs, by layer; nothing is touched.

    Steps stand beside the fewest that any placement allows and those without a mask; below them
    what pruning by RESET would cost once. With --chips or --overlay a run is placed anew. A task
    that has no run yet is priced with random masks (--gate, --density).
    """
    from rramhil.cli._boards import find_settings
    from rramhil.cli._files import refuse_unwritable, writing
    from rramhil.cli._networks import need_extra, parse_gate, previewed
    from rramhil.cli._output import print_json
    from rramhil.cli._training import was_given
    from rramhil.errors import UsageError

    need_extra()
    from rramhil.flow import check_numbers

    parse_gate(gate)
    check_numbers(density=density)
    settings = find_settings(board, lab)
    refuse_unwritable(png)
    found = _run_or_none(settings.lab, run)
    if found is not None and (was_given(context, "density") or was_given(context, "gate")):
        raise UsageError(
            f"The run {found[0].name} has masks of its own: it takes no --gate and no --density.",
            "Leave them; they are for a task that has no run.",
        )
    with previewed(settings) as (opened, kept):
        made = _plan(
            opened,
            kept,
            run if found is None else found[1],
            settings.lab,
            chips=chips,
            overlay=overlay,
            gate=gate,
            density=density,
            allow_digital=allow_digital,
        )
    if png is not None:
        with writing(png):
            made.placement.draw(png)
    others = _elsewhere(made)
    if as_json:
        print_json({**made.as_dict(), "elsewhere": others, "png": png})
        return
    from rramhil.cli._plans import print_plan

    print_plan(made, others)
    if png is not None:
        typer.echo(f"Picture: {png}")


def _run_or_none(root: Path, which: str) -> tuple[Path, Run] | None:
    """Find a run; None where a task is named that has none.

    Raises
    ------
    NotFound
        It is neither.
    """
    from rramhil.cli._output import note
    from rramhil.errors import NotFound
    from rramhil.flow import find_run
    from rramhil.tasks import KNOWN

    try:
        return find_run(root, which, note)
    except NotFound:
        if which not in KNOWN and ".py" not in which:
            raise
        return None


def _plan(
    board: Board,
    lab: Lab,
    which: str | Run,
    root: Path,
    *,
    chips: str | None,
    overlay: bool,
    gate: str,
    density: float,
    allow_digital: bool,
) -> Plan:
    from rramhil.cli._networks import load_task, parse_chips
    from rramhil.flow import has_map, known_chips, new_network, plan_run, plan_task

    sockets = None if chips is None else parse_chips(chips, 0, board.identity.chips)
    if isinstance(which, str):
        task, splits = load_task(which, root)
        return plan_task(
            new_network(task, splits, allow_digital=allow_digital),
            board.description,
            chips=sockets or (0,),
            known=_known(board, lab, sockets or (0,)),
            gate=gate,  # type: ignore[arg-type]
            density=density,
            overlay=overlay,
        )
    run = which
    there = [number for number in run.placement.chips if number < board.identity.chips]
    with_maps = [number for number in sockets or there if has_map(board, lab, number)]
    maps_uS = {
        number: chip.measured.conductance_uS
        for number, chip in known_chips(board, lab, with_maps).items()
    }
    return plan_run(run, board.description, maps_uS, chips=sockets, overlay=overlay or None)


def _known(board: Board, lab: Lab, sockets: tuple[int, ...]) -> dict[int, Any]:
    from rramhil.flow import has_map, known_chips

    return known_chips(board, lab, [each for each in sockets if has_map(board, lab, each)])


ChipOfRunOption = Annotated[
    int | None,
    typer.Option("--chip", metavar="N", min=0, help="The chip's socket; else those of the run."),
]


@app.command(
    "apply",
    epilog=examples(
        "rramhil mask apply digits --chip 0",
        "rramhil mask apply digits-20260101-120000 --board tcp://127.0.0.1:7400 --json",
        "rramhil mask apply digits --by reset --dry-run",
    ),
)
def apply(
    run: RunArgument,
    chip: ChipOfRunOption = None,
    by: ByOption = "gate",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="With --by reset: print pulses and time; touch nothing."),
    ] = False,
    force: ForceOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Load the masks of a run into the board as gate schedules; no pulse is fired.

    Zeros and gains of every channel and range in use are measured, schedules are loaded, the
    switches are read back. The board keeps the schedules until it is switched off; a sim:// board
    ends with the command. Refused on another chip than the run was trained on, unless forced.

    With --by reset nothing is gated: what the masks prune is RESET, what they use again is SET,
    only what changes, and what pruned cells still conduct is measured. After ctrl-C, or where
    pulses have failed, run it again: it pulses what is left.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import need_extra, parse_by, previewed
    from rramhil.cli._output import print_facts, print_json
    from rramhil.errors import UsageError, VerificationFailed

    need_extra()
    if parse_by(by) == "gate" and dry_run:
        raise UsageError(
            "Gates fire nothing, so there is nothing to preview.",
            "`rramhil mask plan` prices them.",
        )
    settings = find_settings(board, lab)
    path, found = _run_for(settings.lab, run, chip)
    if dry_run:
        with previewed(settings) as (opened, kept):
            said = _preview_reset(opened, kept, found, force=force)
        said = {"run": str(path), **said}
        print_json(said) if as_json else _print_reset(said)
        return
    with opened_lab(settings) as kept, controlled_board(settings, record) as opened:
        if by == "reset":
            said = {"run": str(path), **_by_reset(opened, kept, found, force=force)}
            print_json(said) if as_json else _print_reset(said)
            return
        facts = {"run": str(path), **_applied(opened, kept, found, force=force).as_dict()}
    if facts["problems"]:
        raise VerificationFailed(
            " ".join(facts["problems"]), "`rramhil mask verify` measures what it spoils."
        )
    if as_json:
        print_json(facts)
        return
    chips = ", ".join(facts["chips"])
    print_facts(
        ("run", facts["run"]),
        ("loaded", f"{facts['steps']:,} steps in {facts['slots']} slots of chip {chips}"),
        ("pulses", f"{facts['pulses']:,}"),
        ("board time", f"{facts['board_time_s']:.3f} s"),
    )


@app.command(
    "verify",
    epilog=examples(
        "rramhil mask verify digits --chip 0", "rramhil mask verify digits --repeats 32 --json"
    ),
)
def verify(
    run: RunArgument,
    chip: ChipOfRunOption = None,
    repeats: Annotated[
        int,
        typer.Option("--repeats", metavar="N", min=1, max=4096, help="Times a sum is measured."),
    ] = 8,
    force: ForceOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Load the masks of a run, measure every gated row sum, and compare with the map.

    Wrong switches, dead channels, channels whose gain moved and drifted rows are told apart and
    named (exit code 6), and a report is written into the lab's folder `reports`. Of sound chips,
    one in a million raises an alarm.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._networks import need_extra
    from rramhil.cli._output import print_json
    from rramhil.errors import VerificationFailed
    from rramhil.flow import known_chips, write_report
    from rramhil.inference import verify_deployment

    need_extra()
    settings = find_settings(board, lab)
    path, found = _run_for(settings.lab, run, chip)
    with opened_lab(settings) as kept, controlled_board(settings, record) as opened:
        applied = _applied(opened, kept, found, force=force)
        deployment = applied.deployment
        chips = known_chips(opened, kept, found.placement.chips, deployment.front_end.gains)
        verdicts = verify_deployment(
            deployment, {number: each.cells for number, each in chips.items()}, repeats
        )
        facts = _verdict(path, applied, chips, verdicts)
    sentences = [
        *applied.deployment.problems,
        *(each.sentence for verdict in verdicts.values() for each in verdict.findings),
    ]
    if sentences:
        report = write_report(settings.lab, path.name, facts)
        raise VerificationFailed(" ".join(sentences), f"The report is {report}.")
    if as_json:
        print_json(facts)
        return
    for number, verdict in verdicts.items():
        typer.echo(
            f"Chip {number}: {verdict.samples:,} row sums agree with the map, rms "
            f"{verdict.rms_sigma:.2f} of the predicted noise; nothing beyond "
            f"{verdict.threshold_sigma:.1f} sigma."
        )


def _run_for(root: Path, which: str, chip: int | None) -> tuple[Path, Run]:
    """Find a run, before anything is opened; refuse it on a socket that is not its own."""
    from rramhil.cli._output import note
    from rramhil.errors import MaskError
    from rramhil.flow import find_run

    path, run = find_run(root, which, note)
    if chip is not None and run.placement.chips != (chip,):
        raise MaskError(
            f"The run {path.name} is placed on chip {listed(run.placement.chips)}, not on {chip}.",
            f"{adapt_hint(run, path.name, f'--chip {chip}')} "
            f"`rramhil train {run.config.task} --chip {chip}` trains one for it.".strip(),
        )
    return path, run


def _applied(board: Board, lab: Lab, run: Run, *, force: bool) -> Applied:
    """Apply a run, unless its chips are others."""
    from rramhil.flow import apply_run, refuse_other_chips

    refuse_other_chips(run, board, lab, force=force)
    return apply_run(board, run)


def _preview_reset(board: Board, lab: Lab, run: Run, *, force: bool) -> dict[str, Any]:
    from rramhil.flow import known_chips, preview_reset, refuse_other_chips

    refuse_other_chips(run, board, lab, force=force)
    return preview_reset(board, lab, run, known_chips(board, lab, run.placement.chips))


def _by_reset(board: Board, lab: Lab, run: Run, *, force: bool) -> dict[str, Any]:
    from rramhil.cli._progress import Bars
    from rramhil.flow import known_chips, prune_by_reset, refuse_other_chips

    refuse_other_chips(run, board, lab, force=force)
    chips = known_chips(board, lab, run.placement.chips)
    with Bars() as bars:
        done = prune_by_reset(board, lab, run, chips, bars)
    parts = {str(number): each.as_dict() for number, each in done.items()}
    pulses = sum(each.reset_pulses + each.set_pulses for each in done.values())
    return {"pulses": pulses, "chips": parts}


def _print_reset(facts: dict[str, Any]) -> None:
    if "dry_run" in facts:
        typer.echo(
            f"{facts['reset_pulses']:,} RESET and {facts['set_pulses']:,} SET pulses in "
            f"{facts['row_operations']:,} row operations, {readable(facts['board_time_s'], 's')} "
            f"of board time, {readable(facts['energy_j'], 'J')} in the cells at most."
        )
        return
    if not facts["pulses"]:
        typer.echo("Nothing to pulse: all cells are as the masks want them.")
    for number, each in facts["chips"].items():
        left = "" if each["residual_uS"] is None else f", {each['residual_uS']:.3f} uS on average"
        typer.echo(
            f"Chip {number}: {each['reset_pulses']:,} RESET and {each['set_pulses']:,} SET pulses; "
            f"{each['pruned']:,} pruned cells{left}, {each['still_on']:,} of them still on. "
            f"Map {each['map_id']}."
        )
    if any(each["still_on"] for each in facts["chips"].values()):
        typer.echo("Run it again for what is still on.")


def _verdict(path: Path, applied: Applied, chips: Any, verdicts: Any) -> dict[str, Any]:
    return {
        "run": str(path),
        "clean": not applied.deployment.problems and all(each.clean for each in verdicts.values()),
        **applied.as_dict(),
        "maps": {str(number): each.map_id for number, each in chips.items()},
        "verifications": {str(number): each.as_dict() for number, each in verdicts.items()},
    }


def _elsewhere(plan: Plan) -> list[dict[str, Any]]:
    """The same matrices on other hardware."""
    from rramhil.flow import elsewhere

    return [each.as_dict() for each in elsewhere(plan.matrices)]
