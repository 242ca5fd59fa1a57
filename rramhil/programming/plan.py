"""From a recipe to the operations that a board executes: which rows, which columns, which codes.

Owns: the resolution of regions on an array, the split of rows by the rail's current, and the
estimates of time and energy. Computes only; nothing is sent from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_protocol.layouts import PULSE_ROW
from firmware_protocol.messages import Operation, Rail
from rramhil.driver import Description, limits
from rramhil.errors import LimitRefused, RecipeError
from rramhil.programming.recipes import Lines, Recipe, Step

BoolArray = npt.NDArray[np.bool_]
Int16Array = npt.NDArray[np.int16]
PulseRows = npt.NDArray[np.void]

_ROUNDING = 1e-9
_MASK_BYTES = PULSE_ROW["column_mask"].shape[0]


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

    A row whose cells would together draw more than the source rail delivers is split into the
    fewest operations that do not. Its cells are dealt to them in turn, so that each carries the
    same current to within a cell, spread along the whole line.

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
    _refuse_outside_limits(recipe, description)
    parts = [
        _step_operations(step, description, eligible & (steps == index))
        for index, step in enumerate(recipe.steps)
    ]
    pulses = np.concatenate(parts)
    cells_of_operation = np.bitwise_count(pulses["column_mask"]).sum(axis=1, dtype=np.int64)
    limits.check(description, Operation.FORM, pulses)
    return PulsePlan(
        pulses=pulses,
        cells=eligible & (steps >= 0),
        cells_of_operation=cells_of_operation,
        board_time_s=_board_time_s(pulses, description),
        energy_j=_energy_j(pulses, cells_of_operation, description),
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


def _refuse_outside_limits(recipe: Recipe, description: Description) -> None:
    """Refuse in the recipe's own terms; the driver checks the codes again."""
    envelope = description.envelopes.get(Operation.FORM)
    if envelope is None:
        raise LimitRefused("This board has no FORM operation, by its own description.")
    for index, step in enumerate(recipe.steps):
        for what, value, low, high, unit in (
            ("amplitude", step.amplitude_v, envelope.voltage_min_v, envelope.voltage_max_v, "V"),
            ("width", step.width_ns, envelope.width_min_ns, envelope.width_max_ns, "ns"),
            (
                "compliance",
                1e6 * step.compliance_a,
                1e6 * envelope.compliance_min_a,
                1e6 * envelope.compliance_max_a,
                "uA",
            ),
        ):
            # What decimals lose in binary is no reason to refuse.
            if not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING):
                raise LimitRefused(
                    f"Step {index + 1} of recipe {recipe.name!r}: {what} {value:.12g} {unit} lies "
                    f"outside {low:.12g} to {high:.12g} {unit}, the FORM envelope in the board's "
                    "own description.",
                    "Change the recipe; `rramhil board info` shows every limit.",
                )


def _operations(step: Step, description: Description, count: int) -> PulseRows:
    """Return operations with the step's codes, on row 0 and no column yet."""
    pulses = np.zeros(count, dtype=PULSE_ROW)
    pulses["word_code"] = description.word_code(step.compliance_a)
    pulses["source_code"] = description.dac_code(Rail.SOURCE, step.amplitude_v)
    # Inhibited bit lines follow the source line, so that their cells see no voltage.
    pulses["inhibit_code"] = description.dac_code(Rail.RAIL_B, step.amplitude_v)
    pulses["width_ns"] = step.width_ns
    return pulses


def _step_operations(step: Step, description: Description, cells: BoolArray) -> PulseRows:
    """Split the rows of one step and deal their cells to the parts."""
    in_row = cells.sum(axis=1)
    parts = -(-in_row // _cells_at_once(step, description))
    pulses = _operations(step, description, int(parts.sum()))
    pulses["row"] = np.repeat(np.arange(len(parts)), parts)
    rows, cols = np.nonzero(cells)
    first_cell = np.cumsum(in_row) - in_row
    first_operation = np.cumsum(parts) - parts
    place_in_row = np.arange(len(rows)) - first_cell[rows]
    selected = np.zeros((len(pulses), 8 * _MASK_BYTES), dtype=np.bool_)
    selected[first_operation[rows] + place_in_row % parts[rows], cols] = True
    pulses["column_mask"] = np.packbits(selected, axis=1, bitorder="little")
    return pulses


def _cells_at_once(step: Step, description: Description) -> int:
    """Cells that the source rail can feed together, by the compliance that the DAC really gives."""
    compliance_a = description.compliance_a(description.word_code(step.compliance_a))
    if compliance_a == 0:
        return description.columns
    return max(1, int(description.rails[Rail.SOURCE].limit_a / compliance_a))


def _board_time_s(pulses: PulseRows, description: Description) -> float:
    each_ns = description.switch_load_ns + description.dac_settle_ns
    return (len(pulses) * each_ns + int(pulses["width_ns"].sum(dtype=np.uint64))) / 1e9


def _energy_j(pulses: PulseRows, cells: npt.NDArray[np.int64], description: Description) -> float:
    code_v = description.voltage_v(Rail.SOURCE, 1)
    compliance_a = {
        int(code): description.compliance_a(int(code)) for code in np.unique(pulses["word_code"])
    }
    current_a: Any = np.array([compliance_a[int(code)] for code in pulses["word_code"]])
    energies_j = pulses["source_code"] * code_v * current_a * pulses["width_ns"] * 1e-9 * cells
    return float(energies_j.sum())
