"""What the amplifiers see of rows that are sampled at once: effective conductances, remembered.

Owns the cache of solved row groups and when an entry is out of date. Knows neither ranges nor
noise. Each solution has a number, never used again: who derives something from a solution keeps
its number, and need not be told when a pulse has made it out of date.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sim_backend.cells import OPEN, Cells, UInt32Array
from sim_backend.fixedpoint import Int64Array
from sim_backend.wires import Resistances, effective_ps

Group = tuple[int, ...]
"""Rows that are sampled at once, ascending."""

_MOST_ROWS = 8192
"""Rows kept, 16 MB of them at 512 columns: every group of a full read and far more schedules."""


class Solution(NamedTuple):
    """Effective conductances of one group.

    Attributes
    ----------
    number : int
        Names this solution.
    effective_ps : (rows of the group, columns) uint32
        Not to be written.
    """

    number: int
    effective_ps: UInt32Array


class EffectiveRows:
    """Solutions of one chip.

    Parameters
    ----------
    cells : Cells
        Its state, which others change.
    wires : Resistances
    """

    def __init__(self, cells: Cells, wires: Resistances) -> None:
        self._cells = cells
        self._wires = wires
        self._conducting_ps = np.zeros_like(cells.conductance_ps)
        self._kept: OrderedDict[Group, Solution] = OrderedDict()
        self._rows_kept = 0
        self._solved = 0

    def of(self, group: Group) -> Solution:
        """Effective conductances of rows that are sampled at once."""
        found = self._kept.get(group)
        if found is not None:
            self._kept.move_to_end(group)
            return found
        solution = Solution(self._solved, self._solve(np.array(group, dtype=np.int64)))
        self._solved += 1
        self._kept[group] = solution
        self._rows_kept += len(group)
        while self._rows_kept > _MOST_ROWS:
            oldest, _ = self._kept.popitem(last=False)
            self._rows_kept -= len(oldest)
        return solution

    def forget(self, rows: Iterable[int]) -> None:
        """These rows were pulsed: solutions that they are part of are out of date."""
        pulsed = set(rows)
        for group in [group for group in self._kept if not pulsed.isdisjoint(group)]:
            del self._kept[group]
            self._rows_kept -= len(group)

    def _solve(self, rows: Int64Array) -> UInt32Array:
        cells = self._cells
        is_open = cells.flags[rows] & OPEN != 0
        self._conducting_ps[rows] = np.where(is_open, 0, cells.conductance_ps[rows])
        return effective_ps(self._conducting_ps, rows, self._wires)
