"""Cells of one macro: their state, and what pulses do to it.

Owns conductance, flags and pulse counts as arrays, and the kernels that change them. Speaks
microvolt, nanosecond, nanoampere and picosiemens, all integers. Knows no DAC code, no read
path, no file. FORM is here; SET and RESET, and ageing, belong beside it when they come.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np

from sim_backend._jit import Integer, Word, kernel, store_ordered
from sim_backend.distributions import MAX_PS, exp2_place, place, power_of_two, scaled
from sim_backend.fixedpoint import SLOPE_BITS, FormingNumbers, Int64Array
from sim_backend.randomness import derive
from sim_backend.tables import Tables

UInt8Array = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
UInt16Array = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]
UInt32Array = np.ndarray[tuple[int, ...], np.dtype[np.uint32]]


class CellFlag(IntFlag):
    """What is true of a cell; the bits of its flags byte."""

    FORMED = 1
    """Its dielectric has broken down."""
    SHORTED = 2
    """It conducted before any pulse."""
    DEAD = 4
    """It never forms."""
    OPEN = 8
    """It lies on a broken row or column: no voltage reaches it and no current leaves it."""


FORMED = int(CellFlag.FORMED)
OPEN = int(CellFlag.OPEN)
RATIO_BITS = 24
"""Fraction bits of a compliance relative to that of the profile's conductances."""


class Cells(NamedTuple):
    """State of the cells, each array (rows, columns), views of the chip's state file."""

    conductance_ps: UInt32Array
    flags: UInt8Array
    form_pulses: UInt32Array
    set_pulses: UInt32Array
    reset_pulses: UInt32Array


class CellKeys(NamedTuple):
    """Keys of what is drawn for the cells of one chip."""

    breakdown: np.uint64
    formed: np.uint64


class Pulses(NamedTuple):
    """Pulses on rows, in order; n of them.

    Attributes
    ----------
    row : (n,) int64
    selected_uv, inhibited_uv : (n,) int64
        Voltage across the cells in the mask, and across the others of the row; below or at
        zero a cell sees nothing.
    width_ns, compliance_na : (n,) int64
    masks : (n, columns / 8) uint8
        Column c is bit c mod 8 of byte c div 8.
    """

    row: Int64Array
    selected_uv: Int64Array
    inhibited_uv: Int64Array
    width_ns: Int64Array
    compliance_na: Int64Array
    masks: UInt8Array


def leading(pulses: Pulses, count: int) -> Pulses:
    """The first `count` pulses."""
    arrays: list[Any] = [array[:count] for array in pulses]
    return Pulses(*arrays)


class Progress(NamedTuple):
    """Where a kernel writes how far it got, in memory that outlives the process.

    Operation `finished[slot]` is in doubt if `started[slot]` is one larger; operations before
    it are done and those after it not begun.
    """

    started: UInt16Array
    finished: UInt16Array
    slot: int


@kernel
def form(
    cells: Cells,
    pulses: Pulses,
    keys: CellKeys,
    numbers: FormingNumbers,
    tables: Tables,
    progress: Progress,
) -> int:
    """Fire electroforming pulses, in order; returns how many selected cells were pulsed.

    A cell breaks down if the voltage across it reaches its breakdown voltage, selected or not:
    physics knows no mask. A cell that is formed, or has a defect, stays as it is (assumed).
    """
    columns = cells.flags.shape[1]
    seen_uv = np.empty(columns, dtype=np.int64)
    broken = np.empty(columns, dtype=np.int64)
    reference = log2(numbers.reference_width_ns)
    pulsed = 0
    for n in range(len(pulses.row)):
        store_ordered(progress.started, progress.slot, n + 1)
        row = pulses.row[n]
        first = np.uint64(row * columns)
        flags, counts = cells.flags[row], cells.form_pulses[row]
        octaves = log2(pulses.width_ns[n]) - reference
        earlier_uv = (numbers.slope_uv_per_octave * octaves) >> (2 * SLOPE_BITS)
        selected_uv, inhibited_uv = pulses.selected_uv[n], pulses.inhibited_uv[n]
        pulsed += _apply(pulses.masks[n], selected_uv, inhibited_uv, counts, seen_uv)
        number = _break_down(first, earlier_uv, seen_uv, flags, keys, numbers, tables, broken)
        ratio = (pulses.compliance_na[n] << RATIO_BITS) // numbers.reference_compliance_na
        conductance_ps = cells.conductance_ps[row]
        _conduct(
            first, ratio, broken[:number], flags, counts, conductance_ps, keys, numbers, tables
        )
        store_ordered(progress.finished, progress.slot, n + 1)
    return pulsed


@kernel
def _apply(
    mask: UInt8Array,
    selected_uv: Integer,
    inhibited_uv: Integer,
    counts: UInt32Array,
    seen_uv: Int64Array,
) -> Integer:
    """Note what each cell of a row sees and count a pulse at those selected; returns how many."""
    pulsed = 0
    for column in range(counts.size):
        selected = (mask[column >> 3] >> (column & 7)) & 1
        counts[column] += np.uint32(selected)
        pulsed += selected
        seen_uv[column] = selected_uv if selected else inhibited_uv
    return pulsed


@kernel
def _break_down(
    first: Word,
    earlier_uv: Integer,
    seen_uv: Int64Array,
    flags: UInt8Array,
    keys: CellKeys,
    numbers: FormingNumbers,
    tables: Tables,
    broken: Int64Array,
) -> Integer:
    """List the columns whose cells break down now; returns how many.

    `first` is the number of the row's first cell, `earlier_uv` what the pulse's width takes off
    every breakdown voltage.
    """
    normal = tables.normal
    mean_uv = numbers.breakdown_mean_uv - earlier_uv
    number = 0
    for column in range(seen_uv.size):
        if seen_uv[column] > 0 and flags[column] == 0:
            spread = normal[place(derive(keys.breakdown, first + np.uint64(column)))]
            broken[number] = column
            number += seen_uv[column] >= scaled(mean_uv, numbers.breakdown_sd_uv, spread)
    return number


@kernel
def _conduct(
    first: Word,
    ratio: Integer,
    broken: Int64Array,
    flags: UInt8Array,
    counts: UInt32Array,
    conductance_ps: UInt32Array,
    keys: CellKeys,
    numbers: FormingNumbers,
    tables: Tables,
) -> None:
    """Give cells of a row that have just broken down the conductance of their latest pulse.

    `ratio` is the compliance relative to the profile's, in 2^-24.
    """
    normal, exp2 = tables.normal, tables.exp2
    for column in broken:
        cell_key = derive(keys.formed, first + np.uint64(column))
        spread = normal[place(derive(cell_key, np.uint64(counts[column])))]
        exponent = scaled(numbers.formed_log2_mean, numbers.formed_log2_sd, spread)
        at = exp2_place(exponent)
        reference_ps = power_of_two(exponent, exp2[at], exp2[at + 1])
        conductance_ps[column] = np.uint32(min((reference_ps * ratio) >> RATIO_BITS, MAX_PS))
        flags[column] = np.uint8(FORMED)


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


@kernel
def fill_unformed(
    conductance_ps: UInt32Array, key: Word, numbers: FormingNumbers, tables: Tables
) -> None:
    """Give every cell, (rows, columns), the conductance it has before its first pulse."""
    normal, exp2 = tables.normal, tables.exp2
    flat = conductance_ps.reshape(-1)
    for cell in range(flat.size):
        spread = normal[place(derive(key, np.uint64(cell)))]
        exponent = scaled(numbers.unformed_log2_mean, numbers.unformed_log2_sd, spread)
        at = exp2_place(exponent)
        flat[cell] = np.uint32(power_of_two(exponent, exp2[at], exp2[at + 1]))
