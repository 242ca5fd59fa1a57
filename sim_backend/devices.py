"""What makes each cell of a chip its own, drawn once and never changed.

Owns threshold voltages, levels and lifetimes as arrays: computed from the chip's keys when they
are first needed, kept in memory, never stored. Speaks microvolt, octaves in 2^-20, cycles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import kernel
from sim_backend.cells import CellKeys
from sim_backend.distributions import exp2_place, place, power_of_two, scaled
from sim_backend.fixedpoint import CHANCE_BITS, FormingNumbers, SwitchingNumbers
from sim_backend.randomness import derive
from sim_backend.tables import Tables

Int32Array = np.ndarray[tuple[int, ...], np.dtype[np.int32]]
BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

LIFE_BITS = 40
"""Fraction bits of the part of a life that one cycle takes."""
SHORTEST_LIFE = 1 << 10
LONGEST_LIFE = (1 << 31) - 1


class Devices(NamedTuple):
    """The cells' own constants, each array (rows, columns).

    Attributes
    ----------
    breakdown_uv, set_uv, reset_uv : int32
        Voltage at which a cell forms, switches on and switches off, for pulses of the reference
        widths.
    on_log2, off_log2 : int32
        Mean exponent of its conductance in pS in either state, in 2^-20.
    life : int32
        Cycles after which it sticks, 1,024 to 2^31 - 1.
    wear : int32
        Part of its life that a cycle takes, in 2^-40.
    sticks_on : bool
        Whether it then stays on; otherwise off.
    lowest_uv, highest_uv : (3, rows) int32
        The lowest and the highest breakdown, SET and RESET voltage of each row.
    shortest_life : (rows,) int32
        The shortest life of a cell of each row.
    """

    breakdown_uv: Int32Array
    set_uv: Int32Array
    reset_uv: Int32Array
    on_log2: Int32Array
    off_log2: Int32Array
    life: Int32Array
    wear: Int32Array
    sticks_on: BoolArray
    lowest_uv: Int32Array
    highest_uv: Int32Array
    shortest_life: Int32Array


def devices(
    shape: tuple[int, int],
    keys: CellKeys,
    forming: FormingNumbers,
    switching: SwitchingNumbers,
    tables: Tables,
) -> Devices:
    """Draw the constants of all cells of a chip."""
    integers = [np.empty(shape, dtype=np.int32) for _ in range(7)]
    sticks_on = np.empty(shape, dtype=np.bool_)
    lowest_uv = np.empty((3, shape[0]), dtype=np.int32)
    highest_uv = np.empty_like(lowest_uv)
    shortest_life = np.empty(shape[0], dtype=np.int32)
    per_row = {"lowest_uv": lowest_uv, "highest_uv": highest_uv, "shortest_life": shortest_life}
    arrays = (array.reshape(-1) for array in integers)
    flat = Devices(*arrays, sticks_on=sticks_on.reshape(-1), **per_row)
    _draw(keys, forming, switching, tables, flat)
    for change, threshold_uv in enumerate(integers[:3]):
        lowest_uv[change] = threshold_uv.min(axis=1)
        highest_uv[change] = threshold_uv.max(axis=1)
    drawn = Devices(*integers, sticks_on=sticks_on, **per_row)
    shortest_life[:] = drawn.life.min(axis=1)
    return drawn


@kernel
def _draw(
    keys: CellKeys,
    forming: FormingNumbers,
    switching: SwitchingNumbers,
    tables: Tables,
    out: Devices,
) -> None:
    normal, exp2 = tables.normal, tables.exp2
    upper, chance = np.uint64(32), np.uint64(64 - CHANCE_BITS)
    for cell in range(out.life.size):
        number = np.uint64(cell)
        spread = normal[place(derive(keys.breakdown, number))]
        out.breakdown_uv[cell] = scaled(forming.breakdown_mean_uv, forming.breakdown_sd_uv, spread)
        bits = derive(keys.threshold, number)
        low, high = normal[place(bits)], normal[place(bits >> upper)]
        out.set_uv[cell] = scaled(switching.set_mean_uv, switching.set_sd_uv, low)
        out.reset_uv[cell] = scaled(switching.reset_mean_uv, switching.reset_sd_uv, high)
        bits = derive(keys.level, number)
        low, high = normal[place(bits)], normal[place(bits >> upper)]
        out.on_log2[cell] = scaled(switching.on_log2_mean, switching.on_log2_devices, low)
        out.off_log2[cell] = scaled(switching.off_log2_mean, switching.off_log2_devices, high)
        bits = derive(keys.lifetime, number)
        life_log2 = scaled(switching.life_log2_mean, switching.life_log2_sd, normal[place(bits)])
        at = exp2_place(life_log2)
        cycles = power_of_two(life_log2, exp2[at], exp2[at + 1])
        life = min(max(cycles, SHORTEST_LIFE), LONGEST_LIFE)
        out.life[cell] = life
        out.wear[cell] = (1 << LIFE_BITS) // life
        out.sticks_on[cell] = np.int64(bits >> chance) < switching.sticks_on
