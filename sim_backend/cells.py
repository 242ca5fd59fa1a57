"""Cells of one macro as values: their state, and the pulses that reach them.

Owns conductance, flags and counts as arrays, and what a fresh cell conducts. Speaks microvolt,
nanosecond, nanoampere and picosiemens, all integers. Knows no DAC code, no read path, no file;
what a pulse does is in `pulsing`, what never changes of a cell in `devices`.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np

from firmware_protocol.messages import Operation
from sim_backend._jit import Word, kernel
from sim_backend.distributions import exp2_place, place, power_of_two, scaled
from sim_backend.fixedpoint import FormingNumbers, Int64Array
from sim_backend.randomness import Stream, child, derive
from sim_backend.tables import Tables

UInt8Array = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
UInt16Array = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]
UInt64Array = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]
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
    OFF = 16
    """Formed, and in its off state; a formed cell without this flag is on."""
    STUCK = 32
    """No SET or RESET changes it any more."""


FORMED = int(CellFlag.FORMED)
OPEN = int(CellFlag.OPEN)
OFF = int(CellFlag.OFF)
STUCK = int(CellFlag.STUCK)


class Cells(NamedTuple):
    """State of the cells, each array (rows, columns), views of the chip's state file.

    `form_pulses`, `set_pulses` and `reset_pulses` count the pulses for which a cell was selected;
    `cycles` how often it was switched off and on again. `changed_slot`, uint64, is the slot of the
    chip's thermal clock in which a pulse last changed its conductance.
    """

    conductance_ps: UInt32Array
    flags: UInt8Array
    form_pulses: UInt32Array
    set_pulses: UInt32Array
    reset_pulses: UInt32Array
    cycles: UInt32Array
    changed_slot: UInt64Array


class CellKeys(NamedTuple):
    """Keys of what is drawn for the cells of one chip."""

    breakdown: np.uint64
    formed: np.uint64
    threshold: np.uint64
    level: np.uint64
    lifetime: np.uint64
    set: np.uint64
    reset: np.uint64


def cell_keys(chip_key: int) -> CellKeys:
    """Keys of a chip's cells: each that of the stream of its name."""
    names = CellKeys._fields
    return CellKeys(*(np.uint64(child(chip_key, Stream[name.upper()])) for name in names))


def counts_of(cells: Cells, operation: Operation) -> UInt32Array:
    """Counters of one operation, (rows, columns)."""
    return {
        Operation.FORM: cells.form_pulses,
        Operation.SET: cells.set_pulses,
        Operation.RESET: cells.reset_pulses,
    }[operation]


class Pulses(NamedTuple):
    """Pulses on rows, in order; n of them.

    Attributes
    ----------
    row : (n,) int64
    selected_uv, inhibited_uv : (n,) int64
        Voltage across the cells in the mask, and across the others of the row: source line less
        bit line. Positive forms and sets, negative resets.
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
