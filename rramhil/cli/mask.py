"""`rramhil mask`: what the masks of a run cost on a board, loading them, proving them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil.cli._networks import (
    AllowDigitalOption,
    ChipsOption,
    DensityOption,
    GateOption,
    OverlayOption,
)
from rramhil.cli._options import (
    BoardOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
    new_app,
)

if TYPE_CHECKING:
    from rramhil.driver import Board
    from rramhil.flow import Plan
    from rramhil.lab import Lab

app = new_app(
    "Masks of a trained run as gate schedules: price them, load them, verify them.\n\nA run is "
    "named by its folder, by its name in the lab, or by its task: the newest one of it."
)

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
    from rramhil.cli._boards import find_settings, observed_board, opened_lab
    from rramhil.cli._networks import need_extra, parse_gate
    from rramhil.cli._output import print_json

    need_extra()
    parse_gate(gate)
    settings = find_settings(board, lab)
    with opened_lab(settings) as kept, observed_board(settings) as opened:
        made = _plan(
            opened,
            kept,
            run,
            chips=chips,
            overlay=overlay,
            gate=gate,
            density=density,
            allow_digital=allow_digital,
        )
    if png is not None:
        _draw(made, png)
    if as_json:
        print_json({**made.as_dict(), "png": png})
        return
    print_plan(made)
    if png is not None:
        typer.echo(f"Picture: {png}")


def _plan(
    board: Board,
    lab: Lab,
    which: str,
    *,
    chips: str | None,
    overlay: bool,
    gate: str,
    density: float,
    allow_digital: bool,
) -> Plan:
    from rramhil.cli._networks import load_task, parse_chips
    from rramhil.errors import NotFound
    from rramhil.flow import find_run, plan_run, plan_task
    from rramhil.flow.chips import has_map, known_chips
    from rramhil.flow.training import new_network

    sockets = None if chips is None else parse_chips(chips, 0, board.identity.chips)
    try:
        _, run = find_run(lab.root, which)
    except NotFound as no_run:
        try:
            task, splits = load_task(which, lab.root)
        except NotFound:
            raise no_run from None
        return plan_task(
            new_network(task, splits, allow_digital=allow_digital),
            board.description,
            chips=sockets or (0,),
            known=_known(board, lab, sockets or (0,)),
            gate=gate,  # type: ignore[arg-type]
            density=density,
            overlay=overlay,
        )
    there = [number for number in run.placement.chips if number < board.identity.chips]
    with_maps = [number for number in sockets or there if has_map(board, lab, number)]
    maps_uS = {
        number: chip.measured.conductance_uS
        for number, chip in known_chips(board, lab, with_maps).items()
    }
    return plan_run(run, board.description, maps_uS, chips=sockets, overlay=overlay or None)


def _known(board: Board, lab: Lab, sockets: tuple[int, ...]) -> dict[int, Any]:
    from rramhil.flow.chips import has_map, known_chips

    return known_chips(board, lab, [each for each in sockets if has_map(board, lab, each)])


def _draw(plan: Plan, png: Path) -> None:
    from rramhil.errors import UsageError

    try:
        plan.placement.draw(png)
    except OSError as error:
        raise UsageError(f"{png} cannot be written: {error.strerror or error}.") from error


def print_plan(plan: Plan) -> None:
    """Print the report of one sample for people."""
    from rramhil.cli._output import print_facts, print_table

    placement, report = plan.placement, plan.report
    chips = ", ".join(str(chip) for chip in placement.chips)
    drawn = ", drawn at random: there is no run yet" if plan.drawn else ""
    print_facts(
        ("placement", f"{placement.id}, {len(placement.tiles)} tiles on chip {chips}"),
        ("masks", f"{plan.density:.1%} of the cells{drawn}"),
    )
    heading, *rows = report.table()
    titles = (heading[0], *(f">{title}" for title in heading[1:]))
    print_table(titles, rows)
    total = report.total
    print_facts(
        ("without a mask", _price(total.dense)),
        ("fewest steps", _price(total.least)),
        *_reset(plan),
        ("assumed", ", ".join(report.assumed)),
    )


def _price(price: Any) -> str:
    return (
        f"{price.steps:,.0f} steps, {price.conversions:,.0f} conversions, "
        f"{1e3 * price.board_time_s:,.3g} ms, {1e3 * price.energy_j:,.3g} mJ a sample"
    )


def _reset(plan: Plan) -> list[tuple[str, str]]:
    reset = plan.report.reset
    if reset is None:
        return [("by RESET", "not possible: layers share cells")]
    said = (
        f"once {reset.reset_pulses:,} pulses, {reset.board_time_s:.3g} s, "
        f"{1e3 * reset.energy_j:,.3g} mJ"
    )
    after = plan.report.break_even_samples
    if after is not None:
        said += f"; saves board time after {after:,.0f} samples"
    return [("by RESET", said)]
