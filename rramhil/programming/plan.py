"""From a recipe to the operations that a board executes: which rows, which columns, which codes.

Owns: the resolution of regions on an array; what a step becomes is in `operations`. Computes
only; nothing is sent from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.driver import Description, limits
from rramhil.errors import RecipeError
from rramhil.programming.operations import (
    Pulse,
    PulseRows,
    board_time_s,
    cells_of,
    energy_j,
    refuse_outside_limits,
    row_operations,
)
from rramhil.programming.recipes import Lines, Recipe, Step

BoolArray = npt.NDArray[np.bool_]
Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class PulsePlan:
    """Operations that give each of `cells` exactly one pulse.

    Attributes
    ----------
    pulses : (n,) PULSE_ROW
        One operation a row or part of a row, in the order of firing.
    cells : (R, C) bool
        The cells that they pulse.
    cells_of_operation : (n,) int64
        How many cells each operation pulses.
    board_time_s : float
        Estimate of the board's time: switches, rails and pulse widths.
    energy_j : float
        Upper bound of the energy in the cells: amplitude x compliance x width, as if every cell
        carried its compliance current for the whole pulse.
    """

    pulses: PulseRows
    cells: BoolArray
    cells_of_operation: npt.NDArray[np.int64]
    board_time_s: float
    energy_j: float

    @property
    def pulse_count(self) -> int:
        """Pulses, counted once a cell."""
        return int(self.cells_of_operation.sum())


def plan(recipe: Recipe, description: Description, eligible: BoolArray) -> PulsePlan:
    """Plan a recipe's pulses on the cells that may get one.

    Parameters
    ----------
    recipe : Recipe
        Amplitudes and regions.
    description : Description
        What the board says of itself.
    eligible : (R, C) bool
        Cells that may be pulsed; the others of the recipe's regions are left out.

    Raises
    ------
    RecipeError
        If a region does not lie on this array.
    LimitRefused
        If a step lies outside the board's limits, also when none of its cells is eligible.
    """
    steps = step_map(recipe, description)
    for index, step in enumerate(recipe.steps):
        name = f"Step {index + 1} of recipe {recipe.name!r}"
        refuse_outside_limits(_pulse(step), description, name)
    parts = [
        row_operations(_pulse(step), description, eligible & (steps == index))
        for index, step in enumerate(recipe.steps)
    ]
    pulses = np.concatenate(parts)
    limits.check(description, Operation.FORM, pulses)
    return PulsePlan(
        pulses=pulses,
        cells=eligible & (steps >= 0),
        cells_of_operation=cells_of(pulses),
        board_time_s=board_time_s(pulses, description),
        energy_j=energy_j(pulses, description),
    )


def step_map(recipe: Recipe, description: Description) -> Int16Array:
    """Return the step that each cell of an array belongs to.

    Returns
    -------
    (R, C) int16
        Index of the step, from 0; -1 where the recipe has none.

    Raises
    ------
    RecipeError
        If a region does not lie on this array.
    """
    steps = np.full((description.rows, description.columns), -1, dtype=np.int16)
    for index, step in enumerate(recipe.steps):
        rows = _on_array(step.rows, description.rows, "rows", index, recipe)
        cols = _on_array(step.cols, description.columns, "columns", index, recipe)
        steps[rows.start : rows.stop : rows.step, cols.start : cols.stop : cols.step] = index
    return steps


def _on_array(lines: Lines, count: int, what: str, index: int, recipe: Recipe) -> range:
    if lines.start >= count or (lines.stop or 0) > count:
        raise RecipeError(
            f"Step {index + 1} of recipe {recipe.name!r} asks for {what} {lines}, "
            f"but the board's array has {what} 0 to {count - 1}.",
            "Change the recipe's region.",
        )
    return lines.within(count)


def _pulse(step: Step) -> Pulse:
    return Pulse(Operation.FORM, step.amplitude_v, step.width_ns, step.compliance_a)
