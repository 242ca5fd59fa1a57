"""What pulses do to cells: one rule for FORM, SET and RESET, from the voltage that a cell sees.

Owns the kernels that change the cells' state. Each works through a row in passes over all its
columns, which compilers turn into vector instructions: voltages, random bits, levels, state.
Everything is an integer. Physics knows neither mask nor operation: an operation only says which
of a cell's counters goes up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, kernel, store_ordered
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
from sim_backend.devices import LIFE_BITS, BoolArray, Devices, Int32Array
from sim_backend.distributions import MAX_PS, exp2_place, place, power_of_two, scaled
from sim_backend.fixedpoint import (
    CHANCE_BITS,
    SLOPE_BITS,
    FormingNumbers,
    Int64Array,
    SwitchingNumbers,
)
from sim_backend.randomness import derive
from sim_backend.readpath import UInt64Array
from sim_backend.tables import NORMAL_BITS, Tables

RATIO_BITS = 24
"""Fraction bits of a compliance relative to that of the profile's conductances."""
_COUNT_BITS = 32
"""A draw is numbered by the cell and, above these bits, its count of pulses."""

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
    """Scratch of one row, each array (columns,)."""

    seen_uv: Int32Array
    change: BoolArray
    bits: UInt64Array
    exponent: Int64Array
    at: UInt32Array
    low: Int32Array
    high: Int32Array
    level_ps: UInt32Array


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
    scratch = _Row(
        np.empty(columns, dtype=np.int32),
        np.empty(columns, dtype=np.bool_),
        np.empty(columns, dtype=np.uint64),
        np.empty(columns, dtype=np.int64),
        np.empty(columns, dtype=np.uint32),
        np.empty(columns, dtype=np.int32),
        np.empty(columns, dtype=np.int32),
        np.empty(columns, dtype=np.uint32),
    )
    pulsed = 0
    # logarithms cost as much as a pass over a row, and the pulses of a frame are alike
    forming_octaves = log2(rules.forming.reference_width_ns)
    switching_octaves = log2(rules.switching.reference_width_ns)
    width_ns, octaves = 1, 0
    for n in range(len(pulses.row)):
        store_ordered(progress.started, progress.slot, n + 1)
        row, slot = pulses.row[n], slots[n]
        if pulses.width_ns[n] != width_ns:
            width_ns = pulses.width_ns[n]
            octaves = log2(width_ns)
        selected_uv, inhibited_uv = pulses.selected_uv[n], pulses.inhibited_uv[n]
        pulsed += _see(pulses.masks[n], selected_uv, inhibited_uv, counts[row], scratch.seen_uv)
        highest_uv, lowest_uv = max(selected_uv, inhibited_uv), min(selected_uv, inhibited_uv)
        for change in (_FORMS, _SETS, _RESETS):
            extreme_uv = -lowest_uv if change == _RESETS else highest_uv
            if extreme_uv > 0:
                longer = octaves - (forming_octaves if change == _FORMS else switching_octaves)
                compliance_na = pulses.compliance_na[n]
                _change(change, cells, row, slot, extreme_uv, longer, compliance_na, rules, scratch)
        store_ordered(progress.finished, progress.slot, n + 1)
    return pulsed


@kernel
def _see(
    mask: UInt8Array,
    selected_uv: Integer,
    inhibited_uv: Integer,
    counts: UInt32Array,
    seen_uv: Int32Array,
) -> Integer:
    """Note what each cell of a row sees and count a pulse at those selected; returns how many."""
    pulsed = 0
    for byte in range(mask.size):
        bits, first = np.int32(mask[byte]), 8 * byte
        for bit in range(8):
            selected = (bits >> bit) & 1
            seen_uv[first + bit] = np.int32(selected_uv if selected else inhibited_uv)
        for bit in range(8):
            counts[first + bit] += np.uint32((bits >> bit) & 1)
            pulsed += (bits >> bit) & 1
    return pulsed


@kernel
def _change(
    change: int,
    cells: Cells,
    row: Integer,
    slot: Integer,
    extreme_uv: Integer,
    longer: Integer,
    compliance_na: Integer,
    rules: Rules,
    scratch: _Row,
) -> None:
    """Let the cells of a row form, switch on or switch off that see enough to.

    `extreme_uv` is the most that a cell of the row sees, `longer` by how many octaves, in 2^-16,
    the pulse is longer than the reference.
    One function for the three, compiled once: compiling the passes takes longer than they do.
    """
    forming, numbers, devices = rules.forming, rules.switching, rules.devices
    flags, cycles = cells.flags[row], cells.cycles[row]
    if change == _FORMS:
        threshold_uv, relevant, before = devices.breakdown_uv[row], ~STUCK, 0
        slope = forming.slope_uv_per_octave
    else:
        threshold_uv = devices.set_uv[row] if change == _SETS else devices.reset_uv[row]
        relevant, before = ~0, FORMED | OFF if change == _SETS else FORMED
        slope = numbers.slope_uv_per_octave
    earlier_uv = (slope * longer) >> (2 * SLOPE_BITS)
    if extreme_uv < np.int64(devices.lowest_uv[change, row]) - earlier_uv:
        return
    sign = -1 if change == _RESETS else 1
    _ready(flags, relevant, before, threshold_uv, earlier_uv, sign, scratch)
    if not _any(scratch.change):
        return
    _draw(change, cells, row, rules.keys, scratch.bits)
    chance = 0
    if change == _FORMS:
        scratch.exponent[:] = forming.formed_log2_mean
        spread = forming.formed_log2_sd
    else:
        on = change == _SETS
        mean_log2 = devices.on_log2[row] if on else devices.off_log2[row]
        worn_log2 = numbers.on_log2_worn if on else numbers.off_log2_worn
        spread = numbers.on_log2_cycles if on else numbers.off_log2_cycles
        chance = numbers.set_failure if on else numbers.reset_failure
        _wear(mean_log2, worn_log2, devices.wear[row], cycles, scratch.exponent)
    ratio = (compliance_na << RATIO_BITS) // forming.reference_compliance_na
    _levels(spread, 1 << RATIO_BITS if change == _RESETS else ratio, rules.tables, scratch)
    _fail(scratch.bits, chance, scratch.change)
    _date(slot, scratch.change, cells.changed_slot[row])
    _take(scratch.level_ps, scratch.change, cells.conductance_ps[row])
    if change == _SETS:
        for column in range(flags.size):
            cycles[column] += np.uint32(scratch.change[column])
    _mark(change, flags, cycles, devices.life[row], devices.sticks_on[row], scratch.change)


@kernel
def _draw(change: int, cells: Cells, row: Integer, keys: CellKeys, bits: UInt64Array) -> None:
    """Random bits of a pulse for each cell of a row."""
    forms, sets, resets = cells.form_pulses[row], cells.set_pulses[row], cells.reset_pulses[row]
    first = np.uint64(row * bits.size)
    key = keys.formed if change == _FORMS else keys.set if change == _SETS else keys.reset
    counts = forms if change == _FORMS else sets if change == _SETS else resets
    # a cell that FORM switches on again must not repeat the draw of an earlier SET
    positive = np.uint64(change == _SETS)
    for column in range(bits.size):
        count = np.uint64(counts[column]) + positive * np.uint64(forms[column])
        bits[column] = derive(key, (count << np.uint64(_COUNT_BITS)) + first + np.uint64(column))


@kernel
def _mark(
    change: int,
    flags: UInt8Array,
    cycles: UInt32Array,
    life: Int32Array,
    sticks_on: BoolArray,
    changed: BoolArray,
) -> None:
    """Note the new state of the cells of a row that changed, and who has come to the end."""
    if change == _FORMS:
        for column in range(flags.size):
            flags[column] |= np.uint8(FORMED if changed[column] else 0)
        return
    now = FORMED if change == _SETS else FORMED | OFF
    off = change == _RESETS
    for column in range(flags.size):
        worn = (np.int64(cycles[column]) >= life[column]) & (sticks_on[column] | off)
        after = now | STUCK if worn else now
        flags[column] = np.uint8(after if changed[column] else flags[column])


@kernel
def _ready(
    flags: UInt8Array,
    relevant: int,
    state: int,
    threshold_uv: Int32Array,
    earlier_uv: Integer,
    sign: int,
    scratch: _Row,
) -> None:
    """Mark the cells of a row whose relevant flags are these and that see their threshold."""
    seen_uv, change = scratch.seen_uv, scratch.change
    for column in range(flags.size):
        seen = sign * np.int64(seen_uv[column])
        reached = seen >= threshold_uv[column] - earlier_uv
        change[column] = (seen > 0) & reached & (flags[column] & relevant == state)


@kernel
def _any(change: BoolArray) -> bool:
    """Whether any cell of a row changes."""
    number = 0
    for column in range(change.size):
        number += change[column]
    return number > 0


@kernel
def _fail(bits: UInt64Array, chance: Integer, change: BoolArray) -> None:
    """Let the upper bits of the draws decide which cells of a row do not change after all."""
    for column in range(change.size):
        drawn = np.int64(bits[column] >> np.uint64(64 - CHANCE_BITS))
        change[column] &= drawn >= chance


@kernel
def _take(level_ps: UInt32Array, change: BoolArray, conductance_ps: UInt32Array) -> None:
    """Give the cells of a row that change their new conductance."""
    for column in range(change.size):
        before_ps, now_ps = conductance_ps[column], level_ps[column]
        conductance_ps[column] = now_ps if change[column] else before_ps


@kernel
def _date(slot: Integer, change: BoolArray, changed_slot: UInt64Array) -> None:
    """Note for the cells of a row that change when they did."""
    now = np.uint64(slot)
    for column in range(change.size):
        before = changed_slot[column]
        changed_slot[column] = now if change[column] else before


@kernel
def _wear(
    mean_log2: Int32Array,
    worn_log2: Integer,
    wear: Int32Array,
    cycles: UInt32Array,
    exponent: Int64Array,
) -> None:
    """Mean exponent of each cell's level after the part of its life that it has used."""
    whole = 1 << NORMAL_BITS
    for column in range(exponent.size):
        used = (np.int64(cycles[column]) * wear[column]) >> (LIFE_BITS - NORMAL_BITS)
        exponent[column] = mean_log2[column] + ((worn_log2 * min(used, whole)) >> NORMAL_BITS)


@kernel
def _levels(sd_log2: Integer, ratio: Integer, tables: Tables, scratch: _Row) -> None:
    """Conductance that each cell of a row would get, from its mean exponent and its draw."""
    at, low, high = scratch.at, scratch.low, scratch.high
    _places(scratch.bits, at)
    _look_up(tables.normal, at, low)
    _spread(sd_log2, low, scratch.exponent)
    _fractions(scratch.exponent, at)
    _look_up(tables.exp2, at, low)
    _look_up(tables.exp2[1:], at, high)
    _exponentiate(scratch.exponent, low, high, ratio, scratch.level_ps)


@kernel
def _places(bits: UInt64Array, at: UInt32Array) -> None:
    """Where in the table of normal numbers the draws of a row lie."""
    for column in range(at.size):
        at[column] = np.uint32(place(bits[column]))


@kernel
def _look_up(table: Int32Array, at: UInt32Array, found: Int32Array) -> None:
    for column in range(at.size):
        found[column] = table[at[column]]


@kernel
def _spread(sd_log2: Integer, number: Int32Array, exponent: Int64Array) -> None:
    """Add a normal number, times its standard deviation, to each exponent."""
    for column in range(exponent.size):
        exponent[column] = scaled(exponent[column], sd_log2, number[column])


@kernel
def _fractions(exponent: Int64Array, at: UInt32Array) -> None:
    """Where in the table of powers of two the exponents of a row lie."""
    for column in range(at.size):
        at[column] = np.uint32(exp2_place(exponent[column]))


@kernel
def _exponentiate(
    exponent: Int64Array,
    low: Int32Array,
    high: Int32Array,
    ratio: Integer,
    level_ps: UInt32Array,
) -> None:
    """Powers of two between the entries of the table around them, times the compliance's ratio."""
    for column in range(level_ps.size):
        reference_ps = power_of_two(exponent[column], low[column], high[column])
        level_ps[column] = np.uint32(min((reference_ps * ratio) >> RATIO_BITS, MAX_PS))


@kernel
def log2(value: Integer) -> Integer:
    """Logarithm of a positive integer below 2^32 to base 2, in 2^-16, by repeated squaring."""
    whole = 0
    while value >> (whole + 1) != 0:
        whole += 1
    mantissa = np.uint64(value) << np.uint64(31 - whole)
    result = whole
    for _ in range(SLOPE_BITS):
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        bit = np.int64(mantissa >> np.uint64(32))
        mantissa >>= np.uint64(bit)
        result = 2 * result + bit
    return result
