"""The forming part of a run: what may get its pulse gets it, and what was done is written down.

Owns: the way from an order to fired pulses, for a new job, a resumed one, and a chip that is to
get none. Reads before it fires; the read-back afterwards is another's.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rramhil.errors import MapFileError, NotFound, RecipeError
from rramhil.lab import ConductanceMap, Job, JobState, MapEntry
from rramhil.lab.ledger import MACRO_SHAPE
from rramhil.programming._bench import Bench, JobOrder, in_journal, on_chip, order_of
from rramhil.programming.firing import fire
from rramhil.programming.plan import plan, step_map
from rramhil.programming.readback import Origin, read_chip
from rramhil.programming.recipes import Recipe, read_recipe
from rramhil.programming.standing import (
    Standing,
    find_shorts,
    reason_to_distrust,
    reason_to_fire_nothing,
    standing_of,
)

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Order:
    """What is to be done: a recipe, and the job that is to be continued with it, if any."""

    recipe: Recipe
    job: Job | None


@dataclass(frozen=True, eq=False)
class Work:
    """What was done to a chip, now or earlier.

    Attributes
    ----------
    recipe : Recipe or None
        The recipe that made the chip what it is; None where it is not known.
    pulses : int
        Pulses fired now.
    reason : str
        Why there were none to fire; empty if there were.
    treated, shorts : (R, C) bool
        Cells that the report is about, and cells that were left out because they conducted.
    parent : str or None
        Id of the map that was read before the first pulse.
    virgin : mapping of MapEntry to ConductanceMap
        That map, if it was read now.
    job, job_ends : Job or None, JobState
        The job, and how it stands once the chip has been read back.
    """

    recipe: Recipe | None
    pulses: int
    reason: str
    treated: BoolArray
    shorts: BoolArray
    parent: str | None
    job: Job | None = None
    job_ends: JobState = JobState.DONE
    virgin: dict[MapEntry, ConductanceMap] = field(default_factory=dict[MapEntry, ConductanceMap])


def wanted_cells(bench: Bench, order: Order, standing: Standing) -> BoolArray:
    """Return the (R, C) bool cells that are to have had one pulse in the end.

    Shorts that an earlier run found are not among them.
    """
    if order.job is not None:
        return on_chip(order.job.cells, bench.shape)
    steps = step_map(order.recipe, bench.board.description)
    last = _last_readback(bench)
    virgin = None if last is None else last.info.parent
    return (steps >= 0) & ~_shorts_of(bench, virgin, ~standing.touched)


def form(bench: Bench, order: Order) -> Work:
    """Fire what may be fired; nothing, if there is a reason to."""
    standing = standing_of(bench)
    reason = reason_to_fire_nothing(standing, wanted_cells(bench, order, standing))
    bench.lab.chips.see(bench.chip.serial, bench.board.identity.serial, bench.chip.number)
    if order.job is not None:
        return _continue(bench, order.recipe, order.job, standing, reason)
    if reason:
        return _leave_alone(bench, standing, reason)
    return _begin(bench, order.recipe, standing)


def _begin(bench: Bench, recipe: Recipe, standing: Standing) -> Work:
    """Read the chip as it is, exclude its shorts, and fire."""
    steps = step_map(recipe, bench.board.description)
    eligible = (steps >= 0) & ~standing.touched
    origin = Origin("read" if standing.touched.any() else "virgin")
    before = read_chip(bench.board, bench.chip, 1, origin, bench.progress, "virgin read")
    shorts = find_shorts(before, eligible)
    reason = reason_to_distrust(shorts, eligible)
    if reason:
        return _leave_alone(bench, standing, reason)
    entry = bench.lab.maps.save(before)
    cells = eligible & ~shorts
    kept = JobOrder(recipe=recipe, board_serial=bench.board.identity.serial, virgin=entry.id)
    job = bench.lab.journal.open_job(
        bench.chip.serial, kept.model_dump_json(), in_journal(cells, MACRO_SHAPE)
    )
    planned = plan(recipe, bench.board.description, cells)
    fire(bench, job, planned)
    return Work(
        recipe, planned.pulse_count, "", cells, shorts, entry.id, job, virgin={entry: before}
    )


def _continue(bench: Bench, recipe: Recipe, job: Job, standing: Standing, reason: str) -> Work:
    """Fire what an interrupted job left."""
    cells = on_chip(job.cells, bench.shape)
    left_out = (step_map(recipe, bench.board.description) >= 0) & ~cells
    parent = order_of(job).virgin
    shorts = _shorts_of(bench, parent, left_out)
    if standing.foreign_pulses:
        return Work(None, 0, reason, np.ones_like(cells), shorts, parent, job, JobState.ABANDONED)
    planned = plan(recipe, bench.board.description, cells & ~standing.touched)
    fire(bench, job, planned)
    return Work(recipe, planned.pulse_count, reason, cells, shorts, parent, job)


def _leave_alone(bench: Bench, standing: Standing, reason: str) -> Work:
    """Find out what is known of a chip that gets no pulse."""
    last = _last_readback(bench)
    parent = None if last is None else last.info.parent
    unaccounted = standing.foreign_pulses or not standing.touched.any()
    if unaccounted or last is None or last.info.recipe is None:
        treated = np.ones(bench.shape, dtype=np.bool_) if unaccounted else standing.pulsed
        return Work(None, 0, reason, treated, np.zeros_like(treated), parent)
    recipe: Recipe | None = None
    shorts = np.zeros_like(standing.pulsed)
    with contextlib.suppress(RecipeError):
        recipe = read_recipe(last.info.recipe)
        steps = step_map(recipe, bench.board.description)
        shorts = _shorts_of(bench, parent, (steps >= 0) & ~standing.touched)
        if (standing.pulsed & (steps < 0)).any():
            recipe = None  # an earlier recipe made the rest: the steps of this one are half a story
    return Work(recipe, 0, reason, standing.pulsed, shorts, parent)


def _last_readback(bench: Bench) -> MapEntry | None:
    maps = bench.lab.maps.list(bench.chip.serial)
    return next((entry for entry in maps if entry.info.kind == "readback"), None)


def _shorts_of(bench: Bench, virgin: str | None, among: BoolArray) -> BoolArray:
    """Return the cells that conducted in the map read before the first pulse, if it is there."""
    if virgin is not None:
        with contextlib.suppress(NotFound, MapFileError):
            return find_shorts(bench.lab.maps.load(virgin), among)
    return np.zeros_like(among)
