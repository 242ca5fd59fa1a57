"""`rramhil program`: one forming pulse a cell, ever, and the conductance map that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from rramhil.driver import Board
    from rramhil.lab import Lab
    from rramhil.programming import Preview, ProgramResult, Recipe

app = new_app()

_MOST_NAMED = 8
"""Cells or lines that are named one by one on the screen."""


@app.command(
    epilog=examples(
        "rramhil program --chip 0",
        "rramhil program --chip 0 --recipe sparse --reads 16 --notes 'wafer 3, die 7'",
        "rramhil program --chip 0 --recipe forming.toml --dry-run",
        "rramhil program --chip 0 --resume",
    )
)
def program(
    chip: ChipOption = 0,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="dense (all cells form; the default), sparse (about half), ladder (groups of rows "
            "at rising amplitudes), or a TOML file. With --resume, that of the interrupted job.",
        ),
    ] = None,
    reads: Annotated[
        int, typer.Option("--reads", metavar="N", min=1, max=65535, help="Reads of the read-back.")
    ] = 8,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish a job that was interrupted.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print pulses, time and energy; touch nothing.")
    ] = False,
    notes: Annotated[
        str, typer.Option("--notes", metavar="TEXT", help="Free text to keep with the map.")
    ] = "",
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Form a chip: read it virgin, give every cell its one pulse, read it back, keep the map.

    Cells that conduct before their pulse are shorts; they are named and get none. A cell gets one
    pulse, ever: on a chip that is programmed already nothing is fired, and it is read back again.
    Conductances are the cells' own: the nominal resistance of the lines is taken out.
    After ctrl-C the board is idle and --resume finishes the job.
    """
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._output import print_json
    from rramhil.programming import find_recipe

    wanted = None if recipe is None else find_recipe(recipe)
    settings = find_settings(board, lab)
    with opened_lab(settings) as kept, controlled_board(settings, record) as opened:
        if dry_run:
            plan = _preview(opened, kept, chip, wanted, reads, resume)
            print_json(plan.as_dict()) if as_json else _print_plan(plan)
            return
        result = _program(opened, kept, chip, wanted, reads, resume, notes)
    if as_json:
        print_json(result.as_dict())
    else:
        _print_result(result)


def _preview(
    board: Board, lab: Lab, chip: int, recipe: Recipe | None, reads: int, resume: bool
) -> Preview:
    from rramhil.programming import preview

    return preview(board, lab, chip, recipe, reads=reads, resume=resume)


def _program(
    board: Board,
    lab: Lab,
    chip: int,
    recipe: Recipe | None,
    reads: int,
    resume: bool,
    notes: str,
) -> ProgramResult:
    from rramhil.cli._progress import Bars
    from rramhil.programming import program as program_chip

    with Bars() as bars:
        return program_chip(
            board, lab, chip, recipe, reads=reads, resume=resume, progress=bars, notes=notes
        )


def _print_plan(plan: Preview) -> None:
    from rramhil.cli._output import print_facts

    print_facts(
        ("chip", f"{plan.chip_serial} in socket {plan.chip}"),
        ("recipe", f"{plan.recipe}, {plan.cells:,} cells"),
        ("pulses", f"{plan.pulses:,}"),
        ("board time", f"{plan.board_time_s:.3f} s, reads included"),
        ("energy", f"{plan.energy_j * 1e3:.3g} mJ in the cells, at most"),
    )
    typer.echo(plan.message)


def _print_result(result: ProgramResult) -> None:
    from rramhil.cli._output import print_facts
    from rramhil.cli._picture import print_picture

    print_picture(result.measured)
    report = result.report
    share = "" if report.formed_fraction is None else f" ({report.formed_fraction:.2%})"
    print_facts(
        ("chip", f"{result.chip_serial} in socket {result.chip} of board {result.board.serial}"),
        ("recipe", f"{result.recipe or 'not known'}, {result.cells:,} cells"),
        ("pulses", f"{result.pulses:,}"),
        ("formed", f"{report.formed:,} of {report.cells:,} cells{share}"),
        ("conductance", f"{_spread(report.conductance_uS)}; {_lines(report.wires_removed)}"),
        ("unformed", _spread(report.unformed_uS)),
        *_trouble(result),
        *_reference(result),
        ("map", f"{result.map.id} in {result.map.path}"),
        ("picture", str(result.map.heatmap)),
        ("wall time", f"{result.wall_time_s:.2f} s, {_rate(result):,.0f} cells/s with all reads"),
        ("board time", f"{result.board_time_s:.2f} s"),
    )
    _print_steps(result)
    typer.echo(result.message)


def _rate(result: ProgramResult) -> float:
    return result.cells / result.wall_time_s if result.wall_time_s > 0 else 0.0


def _spread(spread: Any) -> str:
    if spread.mean is None:
        return "-"
    parts = [f"mean {spread.mean:.3f} uS"]
    if spread.sd is not None:
        parts.append(f"sd {spread.sd:.3f} uS")
    if spread.skew is not None:
        parts.append(f"skew {spread.skew:.3f}")
    return ", ".join(parts)


def _lines(removed: bool) -> str:
    return "the lines' resistance is taken out" if removed else "as read, lines included"


def _trouble(result: ProgramResult) -> list[tuple[str, str]]:
    """Say what is wrong with the chip, where something is."""
    report = result.report
    found = (
        ("shorts", [f"{row},{col}" for row, col in report.shorts]),
        ("dead rows", [str(row) for row in report.dead_rows]),
        ("dead columns", [str(column) for column in report.dead_columns]),
        ("unknown", [f"{row},{col}" for row, col in report.unknown]),
    )
    return [(name, _some(cells)) for name, cells in found if cells]


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return f"{len(names):,}: " + "  ".join(names[:_MOST_NAMED]) + ("  ..." if rest > 0 else "")


def _reference(result: ProgramResult) -> list[tuple[str, str]]:
    """Compare with the measured reference, where one is present."""
    measured = result.report.comparison
    if measured is None:
        return []
    said = (
        f"mean {measured.mean_uS:.3f} uS, sd {measured.sd_uS:.3f} uS over {measured.cells:,} "
        f"cells; KS {measured.ks.statistic:.3f}, p {measured.ks.p_value:.3f}"
    )
    return [("measured chips", said)]


def _print_steps(result: ProgramResult) -> None:
    """Print the forming curve, where a recipe has more than one step."""
    from rramhil.cli._output import print_table

    steps = result.report.steps
    if len(steps) < 2:
        return
    print_table(
        (">amplitude V", ">width us", ">compliance uA", ">cells", ">formed", ">measured chips"),
        [
            (
                f"{step.amplitude_v:.3f}",
                f"{step.width_ns / 1000:g}",
                f"{step.compliance_a * 1e6:g}",
                f"{step.cells:,}",
                _percent(step.formed_fraction),
                _percent(step.measured_fraction),
            )
            for step in steps
        ],
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
