"""What conversions of a chip give before noise: each cell through wires, age and amplifier.

Owns the order of these steps, what is remembered of them and for how long: a pulse gives a group
of rows a new solution, ageing gives a prepared row an end. Knows nothing of noise and of codes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sim_backend import readpath
from sim_backend.ageing import Ageing, multiplied
from sim_backend.cells import Cells, UInt32Array
from sim_backend.effective import EffectiveRows, Group, Solution
from sim_backend.faults.switches import StuckLines
from sim_backend.fixedpoint import Int64Array, ReadNumbers
from sim_backend.readpath import Lines
from sim_backend.wires import Resistances

_MOST_AGED = 1024
"""Aged groups kept, of at most 16 kB each."""


class Aged(NamedTuple):
    """A group's effective conductances at a moment, and until when they hold."""

    solution: Solution
    made_from: int
    until_ns: int


class ChipLines:
    """Prepared lines of one chip.

    Parameters
    ----------
    cells : Cells
        The chip's state, which others change.
    wires : Resistances
    ageing : Ageing
    numbers : ReadNumbers
    ranges : int
    stuck : StuckLines, optional
    """

    def __init__(
        self,
        cells: Cells,
        wires: Resistances,
        ageing: Ageing,
        numbers: ReadNumbers,
        ranges: int,
        stuck: StuckLines | None,
    ) -> None:
        self._shape = cells.flags.shape
        self._rows = EffectiveRows(cells, wires)
        self._ageing = ageing
        self._numbers = numbers
        self._stuck = stuck
        self._lines: dict[int, Lines] = {}
        # which solution each row was prepared from, and until when that holds
        self._prepared_from = np.full((ranges, self._shape[0]), -1, dtype=np.int64)
        self._until_ns = np.zeros((ranges, self._shape[0]), dtype=np.int64)
        # the solution that each row has when it is sampled alone; -2 where it must be looked up
        self._alone = np.full(self._shape[0], -2, dtype=np.int64)
        self._aged: OrderedDict[Group, Aged] = OrderedDict()
        self._aged_so_far = 0

    # --- what makes them out of date ----------------------------------------------------------

    def forget(self, rows: Int64Array) -> None:
        """These rows were pulsed."""
        self._rows.forget(rows.tolist())
        self._alone[rows] = -2

    def grow_old(self) -> None:
        """Time goes at another pace from now on."""
        self._until_ns[:] = 0
        self._aged.clear()

    def read_through(self, numbers: ReadNumbers) -> None:
        """Another front end is there from now on."""
        self._numbers = numbers
        self._lines.clear()
        self._until_ns[:] = 0

    # --- what conversions need ----------------------------------------------------------------

    def of(self, range_index: int) -> Lines:
        """Lines of a range; of their cells, only those of prepared rows mean something."""
        lines = self._lines.get(range_index)
        if lines is None:
            lines = self._lines[range_index] = Lines(
                level=np.zeros(self._shape, dtype=np.int32),
                spread=np.zeros(self._shape, dtype=np.int32),
                dark=np.zeros(self._shape[0], dtype=np.int32),
                dark_spread=self._numbers.adc_noise,
                top=self._numbers.top,
                transfer=self._numbers.transfer,
            )
            readpath.prepare_dark(range_index, self._numbers, lines.dark)
        return lines

    def effective_ps(self, groups: Iterable[Group]) -> UInt32Array:
        """Effective conductances of groups, one below the other, before they aged."""
        return np.concatenate([self._rows.of(group).effective_ps for group in groups])

    def prepared(self, groups: Iterable[Group], range_index: int, clock_ns: int) -> Lines:
        """Lines of a range, up to date for the rows of these groups at a moment of board time."""
        lines, stale = self.of(range_index), list[Group]()
        for group in groups:
            number, rows = self._rows.of(group).number, list(group)
            changed = self._prepared_from[range_index, rows] != number
            if (changed | (self._until_ns[range_index, rows] <= clock_ns)).any():
                self._prepared_from[range_index, rows] = number
                stale.append(group)
        if stale:
            rows = np.array([row for group in stale for row in group], dtype=np.int64)
            self.prepare(rows, self.effective_ps(stale), range_index, clock_ns)
        return lines

    def prepared_alone(self, rows: Int64Array, range_index: int, clock_ns: int) -> Lines:
        """The same for rows that are each sampled alone, in any order, some more than once."""
        fresh = self._prepared_from[range_index, rows] == self._alone[rows]
        fresh &= self._until_ns[range_index, rows] > clock_ns
        if fresh.all():
            return self.of(range_index)
        stale = np.unique(rows[~fresh])
        alone = [(row,) for row in stale.tolist()]
        self._alone[stale] = [self._rows.of(group).number for group in alone]
        return self.prepared(alone, range_index, clock_ns)

    def prepare(
        self,
        rows: Int64Array,
        effective_ps: UInt32Array,
        range_index: int,
        times_ns: Int64Array | int,
    ) -> None:
        """Prepare rows as their cells are at these moments; see `Ageing.factors`."""
        aged = self._ageing.factors(rows, times_ns)
        rows_ps = multiplied(effective_ps, aged.values)
        if self._stuck is not None:
            rows_ps = self._stuck.measured_ps(rows_ps)
        readpath.prepare(rows, range_index, rows_ps, self._numbers, self.of(range_index))
        self._until_ns[range_index, rows] = aged.until_ns

    def until_ns(self, range_index: int) -> Int64Array:
        """Board time until which each prepared row of a range holds, (rows,)."""
        return self._until_ns[range_index]

    def dark(self, groups: Iterable[Group], range_index: int, clock_ns: int) -> Lines:
        """Lines of a range with what these rows read while all bit lines are commanded to ground.

        A line that is stuck at the read voltage reads the same beside any other, or beside none.
        """
        if self._stuck is None or not self._stuck.driven:
            return self.of(range_index)
        lines = self.prepared(groups, range_index, clock_ns)
        return lines._replace(dark=lines.level[:, self._stuck.driven[0]].copy())

    def aged(self, group: Group, clock_ns: int) -> Aged:
        """Effective conductances of rows sampled at once, at a moment of board time."""
        fresh, found = self._rows.of(group), self._aged.get(group)
        if found and found.made_from == fresh.number and clock_ns < found.until_ns:
            return found
        factors = self._ageing.factors(np.array(group, dtype=np.int64), clock_ns)
        solution = Solution(self._aged_so_far, multiplied(fresh.effective_ps, factors.values))
        self._aged_so_far += 1
        aged = self._aged[group] = Aged(solution, fresh.number, int(factors.until_ns.min()))
        if len(self._aged) > _MOST_AGED:
            self._aged.popitem(last=False)
        return aged


class AgedSteps:
    """Solutions of the steps of one run, as its time goes on: only what has aged is made anew.

    No pulse is fired and no temperature changes while it is in use.

    Parameters
    ----------
    lines : ChipLines
    groups : sequence of S Group
        Rows of each step.

    Attributes
    ----------
    numbers : (S,) int64
        Which solution each step has.
    """

    def __init__(self, lines: ChipLines, groups: Sequence[Group]) -> None:
        self._lines = lines
        self._groups = groups
        self._solutions: dict[int, Solution] = {}
        self._until_ns = np.zeros(len(groups), dtype=np.int64)
        self.numbers = np.full(len(groups), -1, dtype=np.int64)

    def look(self, clock_ns: int) -> int:
        """See all steps as they are at a moment of board time; returns until when that holds."""
        for step in np.flatnonzero(self._until_ns <= clock_ns).tolist():
            aged = self._lines.aged(self._groups[step], clock_ns)
            self._solutions[step] = aged.solution
            self.numbers[step] = aged.solution.number
            self._until_ns[step] = aged.until_ns
        return int(self._until_ns.min())

    def effective_ps(self, step: int) -> UInt32Array:
        """Effective conductances of a step's group, (rows of the group, columns)."""
        return self._solutions[step].effective_ps
