"""What a read-back says of a chip: statistics, steps, lines, cells to name, and a comparison.

Owns: the judgement of a conductance map. Computes only; measures nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil.lab import ConductanceMap
from rramhil.programming._structure import (
    COLUMNS,
    ROWS,
    CellSample,
    LineStructure,
    dead_lines,
    line_structure,
)
from rramhil.programming.readback import FORMED_ABOVE_uS
from rramhil.programming.recipes import Recipe
from rramhil.programming.reference import KsTest, Reference, ks_test

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and skewness of conductances, the first two in uS.

    None where there are too few cells: one for the mean, two for the deviation, three for the skew.
    """

    mean: float | None
    sd: float | None
    skew: float | None


@dataclass(frozen=True)
class StepReport:
    """What one step of the recipe did.

    Attributes
    ----------
    amplitude_v, width_ns, compliance_a : float, int, float
        The step's pulse.
    cells, formed : int
        Cells that it pulsed, and how many of them conduct.
    formed_fraction : float or None
        None where it pulsed none.
    measured_fraction : float or None
        Share of the measured reference cells that break down by this amplitude, at the width they
        were measured with; None without a reference.
    """

    amplitude_v: float
    width_ns: int
    compliance_a: float
    cells: int
    formed: int
    formed_fraction: float | None
    measured_fraction: float | None


@dataclass(frozen=True)
class Comparison:
    """Conductance of formed cells against the measured reference.

    The reference has 50 x 50 cells, whose lines cost next to nothing (assumed); those of a whole
    array cost a tenth of a reading, so they are to be taken out before. Gains are nominal: all of
    a board's may be off by half a per cent, rarely one, and by a per cent or two between channels.

    Attributes
    ----------
    cells : int
        Formed cells of the reference.
    mean_uS, sd_uS : float
        Theirs.
    ks : KsTest
        Kolmogorov-Smirnov test of both distributions.
    """

    cells: int
    mean_uS: float
    sd_uS: float
    ks: KsTest


@dataclass(frozen=True)
class Report:
    """What a conductance map says of a chip.

    Attributes
    ----------
    cells : int
        Cells that were pulsed, without shorts and cells whose state is unknown.
    formed : int
        Those of them that conduct more than `FORMED_ABOVE_uS`.
    formed_fraction : float or None
        None where no cell was pulsed.
    wires_removed : bool
        Whether the lines' resistance was taken out of the conductances, which otherwise are as
        read.
    conductance_uS : Spread
        Of the formed cells whose reading is valid.
    unformed_uS : Spread
        Of the cells that did not form, dead lines left out.
    steps : tuple of StepReport
        One for each step of the recipe; empty where the recipe is not known.
    rows, columns : LineStructure
        Whether lines differ from each other.
    dead_rows, dead_columns : tuple of int
        Lines without a formed cell where chance cannot be the reason.
    shorts : tuple of (int, int)
        Cells that conducted before any pulse; they got none.
    unknown : tuple of (int, int)
        Cells of which nobody knows whether they were pulsed; they get no other.
    comparison : Comparison or None
        None without a reference, or without formed cells.
    """

    cells: int
    formed: int
    formed_fraction: float | None
    wires_removed: bool
    conductance_uS: Spread
    unformed_uS: Spread
    steps: tuple[StepReport, ...]
    rows: LineStructure
    columns: LineStructure
    dead_rows: tuple[int, ...]
    dead_columns: tuple[int, ...]
    shorts: tuple[tuple[int, int], ...]
    unknown: tuple[tuple[int, int], ...]
    comparison: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Treatment:
    """What was done to the cells of a map; all arrays are (R, C) like the map.

    Attributes
    ----------
    recipe : Recipe or None
        None where it is not known.
    steps : int16
        Step of the recipe that each cell belongs to, -1 where none; all 0 without a recipe.
    pulsed, shorts, unknown : bool
        Cells that certainly were pulsed, that were left out, and that nobody knows about.
    """

    recipe: Recipe | None
    steps: Int16Array
    pulsed: BoolArray
    shorts: BoolArray
    unknown: BoolArray


def analyse(
    measured: ConductanceMap,
    treatment: Treatment,
    reference: Reference | None = None,
    channels: int = 1,
) -> Report:
    """Judge a read-back by what was done to the chip.

    Row r is read by channel r mod `channels`, each with a gain of its own: rows are compared with
    those of the same channel.
    """
    sample = cell_sample(measured, treatment)
    dead_rows, dead_columns = dead_lines(sample, ROWS), dead_lines(sample, COLUMNS)
    alive = sample.without(cells_of_lines(measured.shape, dead_rows, dead_columns))
    took_part = sample.steps >= 0
    unformed = (alive.steps >= 0) & ~alive.formed & measured.valid
    formed_uS = measured.conductance_uS[sample.believed]
    even = alive.levelled(measured.rows % channels)
    cells, formed = int(took_part.sum()), int(sample.formed.sum())
    return Report(
        cells=cells,
        formed=formed,
        formed_fraction=formed / cells if cells else None,
        wires_removed=measured.own_uS is not None,
        conductance_uS=spread_of(formed_uS),
        unformed_uS=spread_of(measured.conductance_uS[unformed]),
        steps=_step_reports(sample, treatment.recipe, reference),
        rows=line_structure(even, ROWS),
        columns=line_structure(even, COLUMNS),
        dead_rows=_numbers(measured.rows, dead_rows),
        dead_columns=_numbers(measured.cols, dead_columns),
        shorts=_places(measured, treatment.shorts),
        unknown=_places(measured, treatment.unknown),
        comparison=_compare(formed_uS, reference),
    )


def cell_sample(measured: ConductanceMap, treatment: Treatment) -> CellSample:
    """Return the cells that a report is about: pulsed, neither short nor unknown."""
    part = treatment.pulsed & ~treatment.shorts & ~treatment.unknown
    formed = part & (measured.conductance_uS > FORMED_ABOVE_uS)
    return CellSample(
        steps=np.where(part, treatment.steps, np.int16(-1)),
        formed=formed,
        believed=formed & measured.valid,
        conductance_uS=measured.conductance_uS,
    )


def cells_of_lines(
    shape: tuple[int, int], rows: Sequence[int], columns: Sequence[int]
) -> BoolArray:
    """Return the (R, C) bool cells on some rows or columns, by index."""
    cells = np.zeros(shape, dtype=np.bool_)
    cells[list(rows), :] = True
    cells[:, list(columns)] = True
    return cells


def spread_of(values: Float64Array) -> Spread:
    """Describe conductances, (n,) in uS."""
    if not len(values):
        return Spread(None, None, None)
    mean = float(values.mean())
    if len(values) == 1:
        return Spread(mean, None, None)
    offsets = values - mean
    variance = float((offsets**2).mean())
    sd = float(np.sqrt(variance * len(values) / (len(values) - 1)))
    if len(values) == 2 or variance == 0:
        return Spread(mean, sd, None)
    return Spread(mean, sd, float((offsets**3).mean() / variance**1.5))


def _step_reports(
    sample: CellSample, recipe: Recipe | None, reference: Reference | None
) -> tuple[StepReport, ...]:
    if recipe is None:
        return ()
    count = len(recipe.steps)
    cells = np.bincount(sample.steps[sample.steps >= 0], minlength=count)
    formed = np.bincount(sample.steps[sample.formed], minlength=count)
    return tuple(
        StepReport(
            amplitude_v=step.amplitude_v,
            width_ns=step.width_ns,
            compliance_a=step.compliance_a,
            cells=int(cells[index]),
            formed=int(formed[index]),
            formed_fraction=float(formed[index] / cells[index]) if cells[index] else None,
            measured_fraction=(
                None if reference is None else reference.formed_fraction(step.amplitude_v)
            ),
        )
        for index, step in enumerate(recipe.steps)
    )


def _compare(formed_uS: Float64Array, reference: Reference | None) -> Comparison | None:
    if reference is None or not len(formed_uS):
        return None
    theirs = reference.conductance_uS
    return Comparison(
        cells=len(theirs),
        mean_uS=float(theirs.mean()),
        sd_uS=float(theirs.std(ddof=1)),
        ks=ks_test(formed_uS, theirs),
    )


def _numbers(lines: npt.NDArray[np.int64], indices: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(lines[index]) for index in indices)


def _places(measured: ConductanceMap, cells: BoolArray) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(measured.rows[row]), int(measured.cols[col])) for row, col in np.argwhere(cells)
    )
