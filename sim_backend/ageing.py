"""Ageing of one chip: what time, temperature and telegraph noise have made of its conductances.

Owns the factor of each cell at a moment: a function of (cell, what its pulses did, clock slot)
only. Factors multiply effective conductances, so wires are solved once. Reads the cells' state and
the chip's thermal clock; knows no code, no range and no wire.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend import relaxation, telegraph
from sim_backend._jit import Integer, Word, kernel
from sim_backend.cells import FORMED, OFF, Cells, UInt32Array
from sim_backend.distributions import MAX_PS, place
from sim_backend.fixedpoint import Int64Array
from sim_backend.fixedpoint import scaled as fixed
from sim_backend.randomness import Stream, child, derive
from sim_backend.relaxation import (
    GRID_BITS,
    MOST_NORMAL,
    RelaxationNumbers,
    end_of_step,
    step_of,
)
from sim_backend.state import Arrays
from sim_backend.tables import NORMAL_BITS, Tables
from sim_backend.technology import Technology
from sim_backend.telegraph import CHANCE_BITS, Traps, is_high
from sim_backend.thermal import FOREVER, ThermalClock

FACTOR_BITS = 20
"""Fraction bits of a factor."""
_MOST = 1 << 30
"""No cell grows more than a thousandfold, so that no product overflows."""
_HALF = 1 << (FACTOR_BITS - 1)
_NEVER = FOREVER
_REST = (1 << GRID_BITS) - 1
_LEVEL_BITS = 16


class Keys(NamedTuple):
    """Keys of what is drawn for the cells of one chip."""

    path: np.uint64
    trap: np.uint64
    state: np.uint64


class Factors(NamedTuple):
    """Factors of some rows at a moment.

    Attributes
    ----------
    values : (rows, columns) int64
        In 2^-20.
    until_ns : (rows,) int64
        Board time until which a row's values hold, if neither pulse nor temperature changes it.
    """

    values: Int64Array
    until_ns: Int64Array


class Ageing:
    """Ageing of a chip's cells.

    Parameters
    ----------
    technology : Technology
    chip_key : int
    cells : Cells
        The chip's state.
    arrays : dict
        Its state file, with `thermal.LAYOUT`.
    tables : Tables
    """

    def __init__(
        self, technology: Technology, chip_key: int, cells: Cells, arrays: Arrays, tables: Tables
    ) -> None:
        slot_us = fixed(technology.relaxation.slot_s.value, 10**6)
        self.clock = ThermalClock(arrays, technology.temperature, slot_us)
        self._cells = cells
        self._normal = tables.normal
        self._keys = Keys(
            np.uint64(child(chip_key, Stream.RELAXATION)),
            np.uint64(child(chip_key, Stream.TRAP)),
            np.uint64(child(chip_key, Stream.TELEGRAPH)),
        )
        self._numbers = relaxation.numbers(technology.relaxation)
        self._telegraph = telegraph.numbers(technology.telegraph)
        rows, columns = cells.flags.shape
        self.traps = telegraph.traps((rows, columns), self._keys.trap, self._telegraph, tables)

    def factors(self, rows: Int64Array, times_ns: Int64Array | int) -> Factors:
        """Factors of whole rows.

        Parameters
        ----------
        rows : (n,) int64
        times_ns : int, or (n, columns) int64
            Board time at which all cells are looked at, or each of them; not before the last pulse
            or change of temperature.
        """
        shape = (len(rows), self._cells.flags.shape[1])
        # a chip without traps has one telegraph slot for ever
        slot_ns = self._telegraph.slot_ns if self.traps.step.size else FOREVER
        if isinstance(times_ns, int):
            slots = np.full(shape, self.clock.slot(times_ns), dtype=np.int64)
            states = np.full(shape, times_ns // slot_ns, dtype=np.int64)
        else:
            slots, states = self.clock.slots(times_ns), times_ns // slot_ns
        values = np.empty(shape, dtype=np.int64)
        until = np.empty(len(rows), dtype=np.int64)
        _factors(
            rows,
            slots,
            states,
            self._cells,
            self._keys,
            self._numbers,
            self._normal,
            self.traps,
            self._telegraph.high,
            self.clock.conductance_factor,
            values,
            until,
        )
        ends_ns = {slot: self.clock.begins_ns(slot) for slot in set(until.tolist())}
        until_ns = np.array([ends_ns[slot] for slot in until.tolist()], dtype=np.int64)
        next_state_ns = (states.min(axis=1) + 1) * slot_ns
        return Factors(values, np.minimum(until_ns, next_state_ns))

    def passed_s(self, clock_ns: int) -> float:
        """Seconds at the reference temperature that the chip has aged, for people."""
        return self.clock.passed_s(clock_ns)


def multiplied(effective_ps: UInt32Array, factors: Int64Array) -> UInt32Array:
    """Conductances, (rows, columns) uint32, times factors in 2^-20, rounded."""
    aged = (effective_ps.astype(np.int64) * factors + _HALF) >> FACTOR_BITS
    return np.minimum(aged, MAX_PS).astype(np.uint32)


@kernel
def _factors(
    rows: Int64Array,
    slots: Int64Array,
    states: Int64Array,
    cells: Cells,
    keys: Keys,
    numbers: RelaxationNumbers,
    normal: relaxation.Int32Array,
    traps: Traps,
    high: Integer,
    temperature: Integer,
    out: Int64Array,
    until: Int64Array,
) -> None:
    """Factors of rows; `until` gets the slot until which a row's relaxation holds.

    Parameters
    ----------
    slots, states : (n, columns) int64
        Slot of the thermal clock and slot of telegraph noise in which a cell is looked at.
    """
    columns = slots.shape[1]
    last = numbers.change_ps.shape[0] - 1
    for n in range(rows.size):
        row = rows[n]
        holds, seen_age, step, ends = _NEVER, -1, 0, 0
        for column in range(columns):
            ps = np.int64(cells.conductance_ps[row, column])
            flags = np.int64(cells.flags[row, column])
            factor = temperature
            cell = np.uint64(row * columns + column)
            if flags & FORMED and ps > 0:
                began = np.int64(cells.changed_slot[row, column])
                age = slots[n, column] - began
                if age < numbers.first_age:
                    holds = min(holds, began + numbers.first_age)
                else:
                    if age != seen_age:
                        seen_age, step, ends = age, step_of(age), end_of_step(age)
                    if step < last:
                        holds = min(holds, began + ends)
                    at = min(step, last)
                    turn = 2 * np.int64(cells.cycles[row, column]) + (flags & OFF != 0)
                    path = derive(derive(keys.path, cell), np.uint64(turn))
                    change_ps = _change_ps(ps, at, _path(path, at, numbers, normal), numbers)
                    aged_ps = (max(ps + change_ps, 0) * temperature) >> FACTOR_BITS
                    factor = min((aged_ps << FACTOR_BITS) // ps, _MOST)
            if traps.step.size and traps.step[row, column] != 0:
                jump, redrawn = np.int64(traps.step[row, column]), traps.redrawn[row, column]
                up = is_high(derive(keys.state, cell), states[n, column], np.int64(redrawn), high)
                # up by the share of the low level, down by that of the high one: the mean stays
                share = (1 << CHANCE_BITS) - high if up else -high
                factor += (factor * ((jump * share) >> CHANCE_BITS)) >> FACTOR_BITS
            out[n, column] = factor
        until[n] = holds


@kernel
def _change_ps(ps: Integer, step: Integer, spread: Integer, numbers: RelaxationNumbers) -> Integer:
    """Change since the pulse of a cell of this conductance, between the table's entries."""
    level, top = 0, numbers.levels_ps.size - 2
    while level < top and ps >= numbers.levels_ps[level + 1]:
        level += 1
    low_ps, high_ps = numbers.levels_ps[level], numbers.levels_ps[level + 1]
    part = ((min(ps, high_ps) - low_ps) << _LEVEL_BITS) // (high_ps - low_ps)
    at, rest = (spread + MOST_NORMAL) >> GRID_BITS, (spread + MOST_NORMAL) & _REST
    below = np.int64(numbers.change_ps[step, level, at])
    below += ((np.int64(numbers.change_ps[step, level, at + 1]) - below) * rest) >> GRID_BITS
    above = np.int64(numbers.change_ps[step, level + 1, at])
    above += ((np.int64(numbers.change_ps[step, level + 1, at + 1]) - above) * rest) >> GRID_BITS
    return below + (((above - below) * part) >> _LEVEL_BITS)


@kernel
def _path(
    key: Word, step: Integer, numbers: RelaxationNumbers, normal: relaxation.Int32Array
) -> Integer:
    """Where a cell stands among its like at a step of age: a normal number in 2^-20."""
    knot = step // numbers.knot_steps
    within = step - knot * numbers.knot_steps
    first = np.uint64(knot)
    constant = np.int64(normal[place(derive(key, np.uint64(0)))])
    before = np.int64(normal[place(derive(key, first + np.uint64(1)))])
    after = np.int64(normal[place(derive(key, first + np.uint64(2)))])
    total = numbers.constant * constant
    total += numbers.weights[within, 0] * before + numbers.weights[within, 1] * after
    return min(max(total >> NORMAL_BITS, -MOST_NORMAL), MOST_NORMAL - 1)
