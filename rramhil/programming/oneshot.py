"""One-shot programming: one forming pulse a cell, ever, and the map that comes of it.

Owns: the order of things. What may be pulsed is decided in `standing`, pulsed in `_work`; this is
the straight line from an order to a result.
"""

from __future__ import annotations

import time

import numpy as np

from rramhil.driver import Board
from rramhil.errors import RecipeError, UnfinishedJob
from rramhil.lab import ConductanceMap, Lab, MapEntry
from rramhil.lab.ledger import MACRO_SHAPE
from rramhil.programming._bench import Bench, order_of, refuse_other_geometry
from rramhil.programming._ending import left_resumable
from rramhil.programming._work import Order, Work, form, wanted_cells
from rramhil.programming.plan import plan, step_map
from rramhil.programming.plots import describe, save_picture
from rramhil.programming.progress import Progress, Silent
from rramhil.programming.readback import Origin, check_reads, invalidate, read_chip, reading_time_s
from rramhil.programming.recipes import Recipe, dense
from rramhil.programming.reference import Reference, load_reference
from rramhil.programming.report import Report, Treatment, analyse, cells_of_lines
from rramhil.programming.result import Preview, ProgramResult
from rramhil.programming.settle import measure_doubt, settle_intents
from rramhil.programming.standing import reason_to_fire_nothing, standing_of

READS = 8
"""Reads that a read-back averages where nobody says otherwise."""


def program(
    board: Board,
    lab: Lab,
    chip_index: int,
    recipe: Recipe | None = None,
    *,
    reads: int = READS,
    resume: bool = False,
    progress: Progress | None = None,
    notes: str = "",
) -> ProgramResult:
    """Give each cell of a recipe its one pulse, and read the chip back.

    Cells that had a pulse, or may have had one, get none: so a second run fires nothing, and a
    resumed one fires what is left. The board is held for the whole run, by a lock in the lab.

    Parameters
    ----------
    board, lab : Board, Lab
        An open board, and the lab that keeps journal and maps.
    chip_index : int
        Socket of the chip.
    recipe : Recipe, optional
        Default: `dense`, or the interrupted job's own recipe when resuming.
    reads : int
        Reads of the read-back, 1 to 65,535.
    resume : bool
        Continue an interrupted job; without one, begin as usual.
    progress : Progress, optional
        Hears what is being done.
    notes : str
        Free text for the map.

    Raises
    ------
    UnfinishedJob
        The chip has an interrupted job, and `resume` is not asked for.
    LimitRefused, RecipeError
        The recipe does not fit the board, or not the job to resume; nothing was done.
    NotFound, BoardHeld
        No such chip; somebody else holds the board.
    BoardError, LinkLost
        The board failed; the job can be resumed.
    Interrupted
        Ctrl-C; the board is idle, the job can be resumed.
    """
    check_reads(reads, board.description.rows * board.description.columns)
    began_s = time.monotonic()
    reference = load_reference()
    with lab.lock(board.identity.serial):
        bench = Bench(board, board.chip(chip_index), lab, progress or Silent())
        order = _order(bench, recipe, resume)
        began_ns = bench.board_time_ns()
        with left_resumable(bench):
            settle_intents(bench)
            measure_doubt(bench)
            work = form(bench, order)
            measured, report = _read_back(bench, work, reads, notes, reference)
            entry = lab.maps.save(measured)
            if work.job is not None:
                lab.journal.close_job(work.job, work.job_ends)
        board_time_s = (bench.board_time_ns() - began_ns) / 1e9
    _draw(bench, {entry: measured} | work.virgin, began_ns + round(1e9 * board_time_s))
    return ProgramResult(
        chip=chip_index,
        chip_serial=bench.chip.serial,
        board=board.identity,
        recipe=None if work.recipe is None else work.recipe.name,
        cells=_cell_count(bench, order),
        pulses=work.pulses,
        resumed=order.job is not None,
        board_time_s=board_time_s,
        wall_time_s=time.monotonic() - began_s,
        message=_message(bench, work, report),
        map=entry,
        measured=measured,
        report=report,
    )


def preview(
    board: Board,
    lab: Lab,
    chip_index: int,
    recipe: Recipe | None = None,
    *,
    reads: int = READS,
    resume: bool = False,
) -> Preview:
    """Say what `program` would do. Asks the board for its description and its counts only.

    Raises
    ------
    UnfinishedJob, LimitRefused, RecipeError, NotFound
        As `program`.
    """
    bench = Bench(board, board.chip(chip_index), lab, Silent())
    order = _order(bench, recipe, resume)
    standing = standing_of(bench)
    wanted = wanted_cells(bench, order, standing)
    reason = reason_to_fire_nothing(standing, wanted)
    eligible = np.zeros_like(wanted) if reason else wanted & ~standing.touched
    planned = plan(order.recipe, board.description, eligible)
    virgin_reads = 0 if reason or order.job else 1
    return Preview(
        chip=chip_index,
        chip_serial=bench.chip.serial,
        board=board.identity,
        recipe=order.recipe.name,
        cells=_cell_count(bench, order),
        pulses=planned.pulse_count,
        board_time_s=planned.board_time_s
        + reading_time_s(board.description, reads)
        + virgin_reads * reading_time_s(board.description, 1),
        energy_j=planned.energy_j,
        message=(
            f"Chip {bench.chip.serial} would get no pulse: {reason}."
            if reason
            else f"Chip {bench.chip.serial} would get {planned.pulse_count:,} pulses, one a cell."
        ),
    )


def _order(bench: Bench, recipe: Recipe | None, resume: bool) -> Order:
    """Decide what is to be done, and refuse what cannot be. Writes nothing."""
    refuse_other_geometry(bench.shape, MACRO_SHAPE)
    job = bench.lab.journal.unfinished_job(bench.chip.serial)
    kept = None if job is None else order_of(job).recipe
    if job is not None and kept is not None:
        if not resume:
            raise UnfinishedJob(
                f"Chip {bench.chip.serial} has a programming job with recipe {kept.name!r}, begun "
                f"{job.opened[:16].replace('T', ' ')} UTC, that was not finished.",
                "Run again with --resume.",
            )
        if recipe is not None and recipe != kept:
            raise RecipeError(
                f"The job to resume on chip {bench.chip.serial} has recipe {kept.name!r}, "
                f"not the recipe {recipe.name!r} that was asked for.",
                "Resume it without naming a recipe.",
            )
    chosen = kept or recipe or dense()
    plan(chosen, bench.board.description, np.ones(bench.shape, dtype=np.bool_))
    return Order(chosen, job)


def _cell_count(bench: Bench, order: Order) -> int:
    return int((step_map(order.recipe, bench.board.description) >= 0).sum())


def _read_back(
    bench: Bench, work: Work, reads: int, notes: str, reference: Reference | None
) -> tuple[ConductanceMap, Report]:
    """Read the chip, judge it, and mark what the judgement does not believe."""
    recipe_json = None if work.recipe is None else work.recipe.model_dump_json()
    origin = Origin("readback", recipe_json, notes, work.parent)
    measured = read_chip(bench.board, bench.chip, reads, origin, bench.progress, "read-back")
    standing = standing_of(bench)
    treatment = Treatment(
        recipe=work.recipe,
        steps=(
            np.zeros(bench.shape, dtype=np.int16)
            if work.recipe is None
            else step_map(work.recipe, bench.board.description)
        ),
        # A chip that others programmed has no pulses in the journal.
        pulsed=work.treated if work.recipe is None else work.treated & standing.pulsed,
        shorts=work.shorts,
        unknown=standing.unknown,
    )
    report = analyse(measured, treatment, reference, bench.board.description.channels)
    dead = cells_of_lines(measured.shape, report.dead_rows, report.dead_columns)
    return invalidate(measured, dead | work.shorts), report


def _draw(bench: Bench, maps: dict[MapEntry, ConductanceMap], board_time_ns: int) -> None:
    bench.progress.phase("drawing", len(maps), "pictures")
    for entry, measured in maps.items():
        save_picture(measured, entry.heatmap, describe(measured))
        bench.progress.advance(1, board_time_ns)


def _message(bench: Bench, work: Work, report: Report) -> str:
    """Say in one or two sentences what happened."""
    chip = bench.chip.serial
    if work.reason and not work.pulses:
        said = f"Chip {chip} is already programmed: {work.reason}; no pulse was fired, it was read."
    else:
        said = (
            f"Chip {chip}: {work.pulses:,} pulses, one a cell; "
            f"{report.formed:,} of {report.cells:,} cells formed."
        )
    if report.shorts:
        said += f" {len(report.shorts):,} shorted cells were left out."
    if report.unknown:
        said += (
            f" Of {len(report.unknown):,} cells nobody knows whether they were pulsed; "
            "they get no other pulse."
        )
    if not report.wires_removed:
        said += " Conductances are as read: no cells behind the lines' resistance can read so."
    return said
