"""`rramhil pulse`: SET or RESET chosen cells, and show them before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    from pathlib import Path

    from rramhil.programming import PulsedCells, PulsePreview

app = new_app("Switch formed cells on (set) or off (reset), one pulse each, in the journal.")

_MOST_CELLS = 64
"""Cells beyond which a table on the screen would help nobody."""


class _Asked(NamedTuple):
    """What the options say."""

    operation: str
    rows: str
    cols: str
    amplitude_v: float | None
    width_ns: int | None
    compliance_uA: float | None
    dry_run: bool


RowsOption = Annotated[
    str, typer.Option("--rows", metavar="LINES", help="Rows: 5, 0:8, 0:512:4 or 5,9,20:24.")
]
ColsOption = Annotated[str, typer.Option("--cols", metavar="LINES", help="Columns, likewise.")]
AmplitudeOption = Annotated[
    float | None,
    typer.Option("--amplitude", metavar="V", help="Voltage across the cells; 2 V if not given."),
]
WidthOption = Annotated[
    int | None,
    typer.Option("--width", metavar="NS", help="Pulse width in ns; 100,000 if not given."),
]
ComplianceOption = Annotated[
    float | None,
    typer.Option(
        "--compliance",
        metavar="UA",
        help="Compliance current of a cell in uA; 100 for set, full on for reset, if not given.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print pulses, time and energy; touch nothing.")
]


@app.command(
    "set",
    epilog=examples(
        "rramhil pulse set --chip 0 --rows 0:8 --cols 5,9",
        "rramhil pulse set --rows 17 --cols 0:512 --amplitude 1.8 --compliance 60 --dry-run",
    ),
)
def set_cells(
    rows: RowsOption,
    cols: ColsOption,
    chip: ChipOption = 0,
    amplitude: AmplitudeOption = None,
    width: WidthOption = None,
    compliance: ComplianceOption = None,
    dry_run: DryRunOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Switch cells on: the source line at the voltage, as in forming, but lower.

    Cells that are on, or were never formed, stay as they are. Refused outside the board's limits
    (exit code 7), and while the chip has a programming job to resume (2).
    """
    asked = _Asked("SET", rows, cols, amplitude, width, compliance, dry_run)
    _pulse(asked, chip, board, lab, record, as_json=as_json)


@app.command(
    "reset",
    epilog=examples(
        "rramhil pulse reset --chip 0 --rows 0:8 --cols 5,9",
        "rramhil pulse reset --rows 0:512 --cols 0:512:2 --width 1000000 --json",
    ),
)
def reset_cells(
    rows: RowsOption,
    cols: ColsOption,
    chip: ChipOption = 0,
    amplitude: AmplitudeOption = None,
    width: WidthOption = None,
    compliance: ComplianceOption = None,
    dry_run: DryRunOption = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Switch cells off: the bit lines at the voltage, the source line at ground, word line full on.

    Cells that are off, or were never formed, stay as they are. Refused outside the board's limits
    (exit code 7), and while the chip has a programming job to resume (2).
    """
    asked = _Asked("RESET", rows, cols, amplitude, width, compliance, dry_run)
    _pulse(asked, chip, board, lab, record, as_json=as_json)


def _pulse(
    asked: _Asked,
    chip: int,
    board: str | None,
    lab: Path | None,
    record: Path | None,
    *,
    as_json: bool,
) -> None:
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._lines import parse_lines
    from rramhil.cli._output import print_json
    from rramhil.cli._progress import Bars
    from rramhil.programming import preview_pulse, pulse_cells, pulse_of
    from rramhil.programming.operations import Operation

    settings = find_settings(board, lab)
    with opened_lab(settings) as kept, controlled_board(settings, record) as opened:
        described = opened.description
        rows = parse_lines(asked.rows, described.rows, "rows")
        cols = parse_lines(asked.cols, described.columns, "columns")
        compliance_a = None if asked.compliance_uA is None else asked.compliance_uA * 1e-6
        kind = Operation[asked.operation]
        pulse = pulse_of(kind, described, asked.amplitude_v, asked.width_ns, compliance_a)
        if asked.dry_run:
            plan = preview_pulse(opened, chip, pulse, rows, cols)
            print_json(plan.as_dict()) if as_json else _print_plan(plan)
            return
        with Bars() as bars:
            done = pulse_cells(opened, kept, chip, pulse, rows, cols, progress=bars)
    print_json(done.as_dict()) if as_json else _print_done(done)


def _print_plan(plan: PulsePreview) -> None:
    from rramhil.cli._output import print_facts

    print_facts(
        ("chip", f"{plan.chip_serial} in socket {plan.chip}"),
        ("pulse", _told(plan)),
        ("pulses", f"{plan.cells:,} in {plan.operations:,} row operations"),
        ("board time", f"{plan.board_time_s:.6f} s, without reads"),
        ("energy", f"{plan.energy_j * 1e3:.3g} mJ in the cells, at most"),
    )


def _print_done(done: PulsedCells) -> None:
    from rramhil.cli._output import print_facts, print_table

    if done.before_uS.size <= _MOST_CELLS:
        cells = [(row, col) for row in done.rows for col in done.cols]
        before_uS, after_uS = done.before_uS.ravel(), done.after_uS.ravel()
        print_table(
            (">row", ">col", ">before uS", ">after uS"),
            [
                (str(row), str(col), f"{before:.3f}", f"{after:.3f}")
                for (row, col), before, after in zip(cells, before_uS, after_uS, strict=True)
            ],
        )
    print_facts(
        ("chip", f"{done.chip_serial} in socket {done.chip} of board {done.board.serial}"),
        ("pulse", _told(done)),
        ("pulses", f"{done.pulses:,}, one a cell"),
        *(("settled", str(each)) for each in done.settled),
        ("before", _spread(done.before_uS)),
        ("after", _spread(done.after_uS)),
        ("board time", f"{done.board_time_s:.6f} s with both reads"),
        ("wall time", f"{done.wall_time_s:.2f} s"),
    )


def _told(said: PulsePreview | PulsedCells) -> str:
    pulse = said.pulse
    return (
        f"{pulse.operation.name} at {pulse.amplitude_v:g} V for {pulse.width_ns / 1000:g} us, "
        f"{pulse.compliance_a * 1e6:g} uA"
    )


def _spread(values_uS: Any) -> str:
    return f"{values_uS.min():.3f} to {values_uS.max():.3f} uS, mean {values_uS.mean():.3f} uS"
