"""Pruning by RESET, as the alternative to gating: which cells to pulse, and what that costs.

Owns: the difference between the cells that are off and those that masks want off. Fires nothing;
voltages, limits, journal and resume are `programming`'s business. The cells that a RESET leaves
still conduct a little: that is measured afterwards, never assumed to be zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil.errors import MaskError
from rramhil.switching.masks import Mask
from rramhil.switching.placement import Placement

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowOperations:
    """Pulses on whole rows, not yet split by the rail's current.

    Attributes
    ----------
    rows : (n,) int64
    columns : (n, C) bool
        Cells of each row that get the pulse.
    """

    rows: Int64Array
    columns: BoolArray

    @classmethod
    def of(cls, cells: BoolArray) -> RowOperations:
        """One operation for each row that has a cell."""
        rows = np.flatnonzero(cells.any(axis=1))
        return cls(rows, cells[rows])


@dataclass(frozen=True, eq=False)
class CellChanges:
    """What to pulse on one chip: cells to RESET and cells to SET, (R, C) bool each."""

    reset: BoolArray
    set: BoolArray

    @property
    def reset_operations(self) -> RowOperations:
        """RESET by rows."""
        return RowOperations.of(self.reset)

    @property
    def set_operations(self) -> RowOperations:
        """SET by rows."""
        return RowOperations.of(self.set)


@dataclass(frozen=True)
class PulseFacts:
    """What of a pulse decides its price.

    Attributes
    ----------
    width_ns : int
        Of one pulse.
    overhead_ns : int
        Switch load and settling of the rail before each operation.
    cells_at_once : int
        Cells of a row that the rail feeds together.
    cell_energy_j : float
        Upper bound: amplitude x current x width.
    endurance_cycles : float
        Cycles of RESET and SET after which half of the cells are worn.
    """

    width_ns: int
    overhead_ns: int
    cells_at_once: int
    cell_energy_j: float
    endurance_cycles: float


@dataclass(frozen=True)
class ResetPrice:
    """What pruning by RESET costs, once.

    Attributes
    ----------
    reset_pulses, set_pulses : int
        Counted once a cell.
    operations : int
        Row operations, after the split by the rail's current.
    board_time_s, energy_j : float
    endurance_used : float
        Share of a cell's life that a full swap, one RESET and one SET, takes.
    """

    reset_pulses: int
    set_pulses: int
    operations: int
    board_time_s: float
    energy_j: float
    endurance_used: float

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return dict(vars(self))


def off_cells(masks: Mapping[str, Mask], placement: Placement) -> dict[int, BoolArray]:
    """Return the cells that masks prune, (R, C) bool by chip; cells outside of tiles are not.

    Raises
    ------
    MaskError
        If tiles share cells: a cell can be on or off, not both.
    """
    if placement.overlay:
        raise MaskError(
            f"Layers of placement {placement.id} share cells, which only gating can do.",
            "Place them without overlay to prune by RESET.",
        )
    shape = placement.geometry.rows, placement.geometry.columns
    off = {chip: np.zeros(shape, dtype=np.bool_) for chip in placement.chips}
    for tile in placement.tiles:
        mask = masks[tile.matrix]
        for side, used in enumerate((mask.plus, mask.minus)):
            off[tile.chip][np.ix_(tile.rows[:, side], tile.columns)] = ~used[
                tile.outputs, tile.inputs
            ]
    return off


def reset_plan(
    off_now: Mapping[int, BoolArray], masks: Mapping[str, Mask], placement: Placement
) -> dict[int, CellChanges]:
    """Plan what to pulse so that exactly the cells that masks prune are off; only what changes.

    Parameters
    ----------
    off_now : mapping of int to (R, C) bool
        Cells of each chip that an earlier RESET left off; a chip that is missing has none. Cells
        outside of the placement stay as they are.

    Raises
    ------
    MaskError
        As `off_cells`.
    """
    changes: dict[int, CellChanges] = {}
    for chip, off in off_cells(masks, placement).items():
        now = off_now.get(chip, np.zeros_like(off))
        changes[chip] = CellChanges(off & ~now, now & ~off & placement.used(chip))
    return changes


def reset_price(changes: Mapping[int, CellChanges], facts: PulseFacts) -> ResetPrice:
    """Price a plan; RESET and SET alike."""
    counts = [
        cells.sum(axis=1) for change in changes.values() for cells in (change.reset, change.set)
    ]
    operations = sum(int((-(-count // facts.cells_at_once)).sum()) for count in counts)
    pulses = int(sum(count.sum() for count in counts))
    return ResetPrice(
        reset_pulses=int(sum(change.reset.sum() for change in changes.values())),
        set_pulses=int(sum(change.set.sum() for change in changes.values())),
        operations=operations,
        board_time_s=operations * (facts.width_ns + facts.overhead_ns) / 1e9,
        energy_j=pulses * facts.cell_energy_j,
        endurance_used=1 / facts.endurance_cycles,
    )
