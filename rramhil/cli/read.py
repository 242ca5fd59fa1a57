"""`rramhil read`: conductances of chosen cells, once or as a time series."""

from __future__ import annotations

import time
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
    from rramhil.cli._cells import Selection
    from rramhil.driver import Board, Chip, CodeBlock
    from rramhil.lab import ConductanceMap

app = new_app()

_MOST_ROWS, _MOST_COLUMNS = 64, 10
"""Cells beyond which a table on the screen would help nobody."""


@app.command(
    epilog=examples(
        "rramhil read --chip 0 --rows 0:8 --cols 5,9",
        "rramhil read --rows 17 --cols 0:512:64 --reads 100 --json",
        "rramhil read --rows 0 --cols 0:4 --reads 60 --every 10 --save",
    )
)
def read(
    rows: Annotated[
        str, typer.Option("--rows", metavar="LINES", help="Rows: 5, 0:8, 0:512:4 or 5,9,20:24.")
    ],
    cols: Annotated[str, typer.Option("--cols", metavar="LINES", help="Columns, likewise.")],
    chip: ChipOption = 0,
    reads: Annotated[
        int, typer.Option("--reads", metavar="N", min=1, max=65535, help="Times each cell is read.")
    ] = 1,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="S",
            min=0.0,
            max=1e6,
            help="Read once every S seconds, N times, and print each read: a time series.",
        ),
    ] = None,
    range_index: Annotated[
        int, typer.Option("--range", metavar="K", min=0, help="TIA range; 0 is the finest.")
    ] = 0,
    save: Annotated[
        bool, typer.Option("--save", help="Keep what was read as a conductance map of the lab.")
    ] = False,
    board: BoardOption = None,
    lab: LabOption = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure conductances of the cells where rows and columns cross, in uS.

    Zeros are measured first and subtracted. What the resistance of the lines costs is not: that
    takes a reading of the whole array. Without --every, the table shows the mean over the reads;
    with it, one line a read, with the board's clock. On a simulated board the time between the
    reads is board time, which nobody waits for.
    """
    from rramhil.cli import _cells
    from rramhil.cli._boards import controlled_board, find_settings, opened_lab
    from rramhil.cli._output import print_facts, print_json
    from rramhil.programming.readback import Origin, check_reads, map_of

    began_s = time.perf_counter()
    settings = find_settings(board, lab)
    if save:
        with opened_lab(settings):
            pass  # a series may take hours: who cannot keep it is told before
    with controlled_board(settings, record) as opened:
        socket = opened.chip(chip)
        what = _selection(opened, rows, cols, range_index)
        check_reads(reads, len(what.rows) * len(what.cols))
        if every is None:
            blocks = [_cells.read_once(socket, what, reads)]
            series = None
        else:
            blocks, series = _series(opened, socket, what, reads, every, quiet=as_json)
        measured = map_of(opened, socket, blocks, Origin("read"))
        facts = _facts(opened, socket, measured, blocks)
    if series is not None:
        facts["series"] = series
    if save:
        with opened_lab(settings) as kept:
            entry = kept.maps.save(measured)
        facts |= {"map": str(entry.path), "map_id": entry.id}
    facts["wall_time_s"] = time.perf_counter() - began_s
    if as_json:
        print_json(facts)
        return
    if every is None:
        _print_cells(measured)
    print_facts(*_summary(facts))


def _selection(board: Board, rows: str, cols: str, range_index: int) -> Selection:
    from rramhil.cli._cells import Selection, check_range
    from rramhil.cli._lines import parse_lines

    check_range(board, range_index)
    return Selection(
        parse_lines(rows, board.description.rows, "rows"),
        parse_lines(cols, board.description.columns, "columns"),
        range_index,
    )


def _series(
    board: Board, chip: Chip, what: Selection, reads: int, every_s: float, *, quiet: bool
) -> tuple[list[CodeBlock], list[dict[str, Any]]]:
    """Read again and again, and print each read as it comes."""
    from rramhil.cli._cells import read_series, to_uS
    from rramhil.cli._output import note

    blocks: list[CodeBlock] = []
    series: list[dict[str, Any]] = []
    if not quiet:
        cells = [f"{row},{col}" for row in what.rows for col in what.cols]
        print(f"{'board time s':>14} {'wall s':>9}  uS of cells {_some(cells)}", flush=True)
    was_late = False
    for wall_s, late_s, block in read_series(board, chip, what, reads, every_s):
        if late_s and every_s and not was_late:
            was_late = True
            note(
                f"Read {len(blocks) + 1} of {reads} came {late_s:.3g} s later than asked for: a "
                f"read takes longer than --every {every_s:g} s. Others may be late as well."
            )
        conductance_uS = to_uS(board, block)
        board_s = block.start_ns / 1e9
        blocks.append(block)
        series.append(
            {
                "board_time_s": board_s,
                "wall_time_s": wall_s,
                "late_s": late_s,
                "conductance_uS": conductance_uS,
            }
        )
        if not quiet:
            values = [f"{value:.3f}" for value in conductance_uS.ravel()]
            print(f"{board_s:14.6f} {wall_s:9.2f}  {_some(values)}", flush=True)
    return blocks, series


def _some(words: list[str]) -> str:
    rest = len(words) - _MOST_COLUMNS
    return "  ".join(words[:_MOST_COLUMNS]) + (f"  and {rest} more" if rest > 0 else "")


def _facts(
    board: Board, chip: Chip, measured: ConductanceMap, blocks: list[CodeBlock]
) -> dict[str, Any]:
    identity = board.identity
    return {
        "chip": chip.number,
        "chip_serial": chip.serial,
        "board": {
            "serial": identity.serial,
            "simulated": identity.simulated,
            "firmware": identity.firmware,
        },
        "rows": measured.rows,
        "cols": measured.cols,
        "reads": measured.reads,
        "range": measured.range_index,
        "conductance_uS": measured.conductance_uS,
        "sd_uS": measured.sd_uS,
        "saturated": sum(block.saturated for block in blocks),
        "board_time_s": (blocks[-1].stop_ns - blocks[0].start_ns) / 1e9,
    }


def _print_cells(measured: ConductanceMap) -> None:
    from rramhil.cli._output import print_table
    from rramhil.cli._picture import print_picture

    rows, cols = measured.shape
    if rows > _MOST_ROWS or cols > _MOST_COLUMNS:
        print_picture(measured)
        return
    titles = (">row", *(f">col {col}" for col in measured.cols))
    print_table(
        titles,
        [
            (str(row), *(_cell(value, valid) for value, valid in zip(line, good, strict=True)))
            for row, line, good in zip(
                measured.rows, measured.conductance_uS, measured.valid, strict=True
            )
        ],
    )


def _cell(value: float, valid: bool) -> str:
    return f"{value:.3f}" if valid else f"{value:.3f} clipped"


def _summary(facts: dict[str, Any]) -> list[tuple[str, str]]:
    values = facts["conductance_uS"]
    said = [
        ("chip", facts["chip_serial"]),
        ("cells", f"{values.size:,} in range {facts['range']}"),
        ("reads", f"{facts['reads']:,} of each"),
        (
            "conductance",
            f"{values.min():.3f} to {values.max():.3f} uS, mean {values.mean():.3f} uS",
        ),
        ("board time", f"{facts['board_time_s']:.6f} s"),
        ("wall time", f"{facts['wall_time_s']:.2f} s"),
    ]
    if facts["saturated"]:
        said.append(("clipped", f"{facts['saturated']:,} codes; a coarser --range shows them"))
    if "map" in facts:
        said.append(("map", f"{facts['map_id']} in {facts['map']}"))
    return said
