"""What pulses do to cells: one rule for FORM, SET and RESET, from the voltage that a cell sees.

Owns the kernels that change the cells' state. Each works through a row in passes over all its
columns, which compilers turn into vector instructions: voltages, random bits, levels, state.
Everything is an integer. Physics knows neither mask nor operation: an operation only says which
of a cell's counters goes up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend import levels
from sim_backend._jit import Integer, kernel, part, store_ordered
from sim_backend.cells import (
    FORMED,
    OFF,
    STUCK,
    CellKeys,
    Cells,
    Progress,
    Pulses,
    UInt8Array,
    UInt32Array,
)
from sim_backend.devices import BoolArray, Devices, Int32Array
from sim_backend.distributions import log2, place
from sim_backend.fixedpoint import (
    CHANCE_BITS,
    SLOPE_BITS,
    FormingNumbers,
    Int64Array,
    SwitchingNumbers,
)
from sim_backend.levels import Levels
from sim_backend.randomness import GOLDEN, finished
from sim_backend.readpath import UInt64Array
from sim_backend.tables import Tables

_COUNT_BITS = 32
"""A draw is numbered by the cell and, above these bits, its count of pulses."""

_NOTHING_UV, _EVERYTHING_UV = -(1 << 31), (1 << 31) - 1
"""Below and at the end of all threshold voltages."""

_FORMS, _SETS, _RESETS = 0, 1, 2
"""What can happen to a cell; not what the operation is called."""


class Rules(NamedTuple):
    """What the kernels need besides the state: keys, numbers, tables and the cells' constants."""

    keys: CellKeys
    forming: FormingNumbers
    switching: SwitchingNumbers
    tables: Tables
    devices: Devices


class _Row(NamedTuple):
    """Scratch of one row, each array (columns,); `number` is of the draws."""

    selected: BoolArray
    change: BoolArray
    number: UInt32Array
    levels: Levels


@kernel
def fire(
    cells: Cells,
    counts: UInt32Array,
    pulses: Pulses,
    slots: Int64Array,
    rules: Rules,
    progress: Progress,
) -> int:
    """Fire pulses, in order; returns how many selected cells were pulsed.

    A cell that has not formed breaks down if the voltage across it reaches its breakdown voltage;
    a formed cell that is off switches on at its SET voltage, and one that is on switches off at
    its RESET voltage of the opposite sign. Any other cell stays as it is (assumed).

    Parameters
    ----------
    counts : (rows, columns) uint32
        The counters of this operation: `form_pulses`, `set_pulses` or `reset_pulses` of `cells`.
    slots : (n,) int64
        Slot of the chip's thermal clock in which each pulse ends.
    """
    columns = cells.flags.shape[1]
    pair = np.empty(columns, dtype=np.uint64)
    scratch = _Row(
        np.empty(columns, dtype=np.bool_),
        np.empty(columns, dtype=np.bool_),
        np.empty(columns, dtype=np.uint32),
        Levels(
            np.empty(columns, dtype=np.int32),
            np.empty(columns, dtype=np.uint32),
            np.empty(columns, dtype=np.uint32),
            np.empty(columns, dtype=np.int32),
            pair,
            pair.view(np.int32),
        ),
    )
    return _fire(cells, counts, pulses, slots, rules, progress, scratch)


@part
def _fire(
    cells: Cells,
    counts: UInt32Array,
    pulses: Pulses,
    slots: Int64Array,
    rules: Rules,
    progress: Progress,
    scratch: _Row,
) -> int:
    pulsed, width_ns, forming_uv, switching_uv = 0, 0, 0, 0
    for n in range(len(pulses.row)):
        store_ordered(progress.started, progress.slot, n + 1)
        row = pulses.row[n]
        if pulses.width_ns[n] != width_ns:
            # logarithms cost as much as a pass over a row, and the pulses of a frame are alike
            width_ns = pulses.width_ns[n]
            forming, switching = rules.forming, rules.switching
            forming_uv = _earlier_uv(
                forming.slope_uv_per_octave, width_ns, forming.reference_width_ns
            )
            switching_uv = _earlier_uv(
                switching.slope_uv_per_octave, width_ns, switching.reference_width_ns
            )
        pulsed += _select(pulses.masks[n], counts[row], scratch.selected)
        for change in (_FORMS, _SETS, _RESETS):
            sign = -1 if change == _RESETS else 1
            earlier_uv = forming_uv if change == _FORMS else switching_uv
            selected_uv = _reached_uv(sign * pulses.selected_uv[n], earlier_uv)
            inhibited_uv = _reached_uv(sign * pulses.inhibited_uv[n], earlier_uv)
            # asked here, as the call with so many arrays takes as long as a pass over a row
            if max(selected_uv, inhibited_uv) >= rules.devices.lowest_uv[change, row]:
                reached_uv, compliance_na = (selected_uv, inhibited_uv), pulses.compliance_na[n]
                _change(change, cells, row, slots[n], reached_uv, compliance_na, rules, scratch)
        store_ordered(progress.finished, progress.slot, n + 1)
    return pulsed


@part
def _earlier_uv(slope_uv_per_octave: Integer, width_ns: Integer, reference_ns: Integer) -> Integer:
    """By how much a pulse longer than the reference lowers the threshold voltages."""
    longer = log2(width_ns) - log2(reference_ns)
    return (slope_uv_per_octave * longer) >> (2 * SLOPE_BITS)


@part
def _reached_uv(seen_uv: Integer, earlier_uv: Integer) -> Integer:
    """The highest threshold, for pulses of the reference width, that is reached by what is seen.

    As int32, which all thresholds are, so that vectors compare twice as many; the least int32
    where nothing is reached.
    """
    if seen_uv <= 0:
        return np.int32(_NOTHING_UV)
    return np.int32(min(max(seen_uv + earlier_uv, _NOTHING_UV), _EVERYTHING_UV))


@part
def _select(mask: UInt8Array, counts: UInt32Array, selected: BoolArray) -> Integer:
    """Note which cells of a row are selected and count a pulse at those; returns how many."""
    for byte in range(mask.size):
        bits, first = np.int32(mask[byte]), 8 * byte
        for bit in range(8):
            selected[first + bit] = (bits >> bit) & 1
    pulsed = 0
    for column in range(counts.size):
        counts[column] += np.uint32(selected[column])
        pulsed += selected[column]
    return pulsed


@part
def _change(
    change: int,
    cells: Cells,
    row: Integer,
    slot: Integer,
    reached_uv: tuple[Integer, Integer],
    compliance_na: Integer,
    rules: Rules,
    scratch: _Row,
) -> None:
    """Let the cells of a row form, switch on or switch off that see enough to.

    `reached_uv` are the highest thresholds that selected and other cells reach.
    One function for the three, compiled once: compiling the passes takes longer than they do.
    """
    devices, changes, on, off = rules.devices, scratch.change, change == _SETS, change == _RESETS
    flags, cycles = cells.flags[row], cells.cycles[row]
    _obey(change, row, reached_uv, devices, scratch.selected, changes)
    relevant = ~STUCK if change == _FORMS else ~0
    before = 0 if change == _FORMS else FORMED | OFF if on else FORMED
    _ready(np.uint8(relevant), np.uint8(before), flags, changes)
    if not _any(changes):
        return
    _draw(change, cells, row, rules, scratch)
    _find_levels(change, row, cycles, compliance_na, rules, scratch.levels)
    _date(slot, changes, cells.changed_slot[row])
    _take(scratch.levels.level_ps, changes, cells.conductance_ps[row])
    _mark(np.uint8(FORMED if change == _FORMS else OFF), changes, flags)
    if on:
        _count(changes, cycles)
    # the end is far for nearly every row: its cells' lives need not be looked at
    if change != _FORMS and _most(cycles) >= devices.shortest_life[row]:
        _stick(off, cycles, devices.life[row], devices.sticks_on[row], changes, flags)


@part
def _obey(
    change: int,
    row: Integer,
    reached_uv: tuple[Integer, Integer],
    devices: Devices,
    selected: BoolArray,
    changes: BoolArray,
) -> None:
    """Mark the cells of a row that reach their threshold."""
    lowest_uv, highest_uv = devices.lowest_uv[change, row], devices.highest_uv[change, row]
    selected_uv, inhibited_uv = reached_uv
    all_selected, all_others = selected_uv >= highest_uv, inhibited_uv >= highest_uv
    if (all_selected or selected_uv < lowest_uv) and (all_others or inhibited_uv < lowest_uv):
        # as with most pulses; thresholds that are not looked at need not be brought near
        _obey_alike(all_selected, all_others, selected, changes)
    elif change == _FORMS:
        _obey_each(reached_uv, devices.breakdown_uv[row], selected, changes)
    else:
        threshold_uv = devices.set_uv[row] if change == _SETS else devices.reset_uv[row]
        _obey_each(reached_uv, threshold_uv, selected, changes)


@part
def _obey_alike(
    selected_obey: bool, others_obey: bool, selected: BoolArray, change: BoolArray
) -> None:
    """The same where all selected cells reach it or none, and likewise the others."""
    for column in range(change.size):
        change[column] = selected_obey if selected[column] else others_obey


@part
def _obey_each(
    reached_uv: tuple[Integer, Integer],
    threshold_uv: Int32Array,
    selected: BoolArray,
    change: BoolArray,
) -> None:
    """The same, each cell by its own threshold."""
    selected_uv, inhibited_uv = reached_uv
    for column in range(change.size):
        highest_uv = selected_uv if selected[column] else inhibited_uv
        change[column] = highest_uv >= threshold_uv[column]


@part
def _ready(relevant: Integer, state: Integer, flags: UInt8Array, change: BoolArray) -> None:
    """Leave out the cells of a row whose relevant flags are others than these."""
    for column in range(change.size):
        change[column] &= flags[column] & relevant == state


@part
def _any(change: BoolArray) -> bool:
    """Whether any cell of a row changes."""
    found = False
    for column in range(change.size):
        found |= change[column]
    return found


@part
def _find_levels(
    change: int,
    row: Integer,
    cycles: UInt32Array,
    compliance_na: Integer,
    rules: Rules,
    found: Levels,
) -> None:
    """Conductance that each cell of a row would get."""
    forming, numbers, devices = rules.forming, rules.switching, rules.devices
    on = change == _SETS
    if change == _FORMS:
        found.exponent[:] = forming.formed_log2_mean
        spread = forming.formed_log2_sd
    else:
        mean_log2 = devices.on_log2[row] if on else devices.off_log2[row]
        worn_log2 = numbers.on_log2_worn if on else numbers.off_log2_worn
        spread = numbers.on_log2_cycles if on else numbers.off_log2_cycles
        levels.wear(mean_log2, worn_log2, devices.wear[row], cycles, found.exponent)
    levels.find(spread, rules.tables, found)
    if change != _RESETS and compliance_na != forming.reference_compliance_na:
        ratio = (compliance_na << levels.RATIO_BITS) // forming.reference_compliance_na
        levels.comply(ratio, found.level_ps)


@part
def _draw(change: int, cells: Cells, row: Integer, rules: Rules, scratch: _Row) -> None:
    """Draw a pulse for each cell of a row: its place in the table of normal numbers, and failures.

    The upper bits of a draw decide whether the cell does not change after all.
    """
    keys, switching = rules.keys, rules.switching
    failure = switching.set_failure if change == _SETS else switching.reset_failure
    chance = 0 if change == _FORMS else failure
    forms, sets, resets = cells.form_pulses[row], cells.set_pulses[row], cells.reset_pulses[row]
    if change == _SETS:
        # a cell that FORM switches on again must not repeat the draw of an earlier SET
        _multiply_sum(forms, sets, scratch.number)
    else:
        _multiply(forms if change == _FORMS else resets, scratch.number)
    key = keys.formed if change == _FORMS else keys.set if change == _SETS else keys.reset
    at, changes, number = scratch.levels.at, scratch.change, scratch.number
    # `derive(key, number)`, whose multiple of `GOLDEN` grows from cell to cell by `GOLDEN`
    multiple = key + np.uint64(row * at.size + 1) * GOLDEN
    for column in range(at.size):
        bits = finished(multiple + (np.uint64(number[column]) << np.uint64(_COUNT_BITS)))
        multiple += GOLDEN
        at[column] = np.uint32(place(bits))
        changes[column] &= np.int64(bits >> np.uint64(64 - CHANCE_BITS)) >= chance


@part
def _multiply(counts: UInt32Array, out: UInt32Array) -> None:
    """Multiply counts by what of `GOLDEN` matters above `_COUNT_BITS`: faster here than later."""
    for column in range(out.size):
        out[column] = np.uint32(np.uint64(counts[column]) * GOLDEN)


@part
def _multiply_sum(counts: UInt32Array, others: UInt32Array, out: UInt32Array) -> None:
    for column in range(out.size):
        out[column] = np.uint32((np.uint64(counts[column]) + np.uint64(others[column])) * GOLDEN)


@part
def _mark(toggled: Integer, change: BoolArray, flags: UInt8Array) -> None:
    """Note the new state of the cells of a row that change."""
    for column in range(flags.size):
        flags[column] ^= toggled if change[column] else np.uint8(0)


@part
def _count(change: BoolArray, cycles: UInt32Array) -> None:
    """Count a cycle of the cells of a row that change."""
    for column in range(cycles.size):
        cycles[column] += np.uint32(change[column])


@part
def _most(cycles: UInt32Array) -> Integer:
    """The most cycles of a cell of a row."""
    most = np.uint32(0)
    for column in range(cycles.size):
        most = max(most, cycles[column])
    return np.int64(most)


@part
def _stick(
    off: bool,
    cycles: UInt32Array,
    life: Int32Array,
    sticks_on: BoolArray,
    change: BoolArray,
    flags: UInt8Array,
) -> None:
    """Let the cells of a row stick that changed and have come to the end."""
    for column in range(flags.size):
        worn = (np.int64(cycles[column]) >= life[column]) & (sticks_on[column] | off)
        flags[column] |= np.uint8(STUCK) if change[column] & worn else np.uint8(0)


@part
def _take(level_ps: UInt32Array, change: BoolArray, conductance_ps: UInt32Array) -> None:
    """Give the cells of a row that change their new conductance."""
    for column in range(change.size):
        before_ps, now_ps = conductance_ps[column], level_ps[column]
        conductance_ps[column] = now_ps if change[column] else before_ps


@part
def _date(slot: Integer, change: BoolArray, changed_slot: UInt64Array) -> None:
    """Note for the cells of a row that change when they did."""
    now = np.uint64(slot)
    for column in range(change.size):
        before = changed_slot[column]
        changed_slot[column] = now if change[column] else before
