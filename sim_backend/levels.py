"""Conductances that pulses give: lognormal around each cell's own level, which wears.

Owns the passes over a row from mean exponent and draw to picosiemens, and their scratch. Exponents
are of conductances in pS, in 2^-20. Knows neither thresholds nor the cells' state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, part
from sim_backend.cells import UInt32Array, UInt64Array
from sim_backend.devices import LIFE_BITS, Int32Array
from sim_backend.distributions import MAX_PS, exp2_place, power_of_two, scaled
from sim_backend.tables import NORMAL_BITS, Tables

RATIO_BITS = 24
"""Fraction bits of a compliance relative to that of the profile's conductances."""


class Levels(NamedTuple):
    """Scratch of one row, and its result.

    Attributes
    ----------
    exponent : (columns,) int32
        Mean exponent of each level; `find` adds the spread.
    at : (columns,) uint32
        Where in `Tables.normal` each draw lies; `find` writes over it.
    level_ps : (columns,) uint32
        What `find` finds.
    number : (columns,) int32
    pair : (columns,) uint64
        Of `Tables.exp2_pairs`.
    pairs : (2 x columns,) int32
        The same memory, number by number: the vectors of the pass that reads them are twice as
        long as those of 64 bits would be.
    """

    exponent: Int32Array
    at: UInt32Array
    level_ps: UInt32Array
    number: Int32Array
    pair: UInt64Array
    pairs: Int32Array


@part
def wear(
    mean_log2: Int32Array,
    worn_log2: Integer,
    wear: Int32Array,
    cycles: UInt32Array,
    exponent: Int32Array,
) -> None:
    """Mean exponent of each cell's level after the part of its life that it has used."""
    whole = np.uint64(1 << NORMAL_BITS)
    for column in range(exponent.size):
        # vectors multiply unsigned numbers of 32 bits in a third of the time of longer ones
        parts = np.uint64(cycles[column]) * np.uint64(np.uint32(wear[column]))
        used = np.int64(min(parts >> np.uint64(LIFE_BITS - NORMAL_BITS), whole))
        exponent[column] = mean_log2[column] + ((worn_log2 * used) >> NORMAL_BITS)


@part
def find(sd_log2: Integer, tables: Tables, levels: Levels) -> None:
    """Conductance that each cell of a row would get, from its mean exponent and its draw."""
    at, number, exponent, pair = levels.at, levels.number, levels.exponent, levels.pair
    for column in range(at.size):
        number[column] = tables.normal[at[column]]
    _spread(np.int32(sd_log2), number, exponent)
    _fractions(exponent, at)
    for column in range(at.size):
        pair[column] = tables.exp2_pairs[at[column]]
    _exponentiate(exponent, levels.pairs, levels.level_ps)


@part
def _spread(sd_log2: Integer, number: Int32Array, exponent: Int32Array) -> None:
    """Add a normal number, times its standard deviation, to each exponent."""
    for column in range(exponent.size):
        exponent[column] = scaled(np.int64(exponent[column]), np.int64(sd_log2), number[column])


@part
def _fractions(exponent: Int32Array, at: UInt32Array) -> None:
    """Where in the table of powers of two the exponents of a row lie."""
    for column in range(at.size):
        at[column] = np.uint32(exp2_place(np.int64(exponent[column])))


@part
def _exponentiate(exponent: Int32Array, pairs: Int32Array, level_ps: UInt32Array) -> None:
    """Powers of two between the entries of the table around them."""
    for column in range(level_ps.size):
        low, high = pairs[2 * column], pairs[2 * column + 1]
        level_ps[column] = np.uint32(power_of_two(np.int64(exponent[column]), low, high))


@part
def comply(ratio: Integer, level_ps: UInt32Array) -> None:
    """Multiply levels by the ratio of the compliance to that of the profile, in 2^-24."""
    for column in range(level_ps.size):
        level = (np.int64(level_ps[column]) * ratio) >> RATIO_BITS
        level_ps[column] = np.uint32(min(level, MAX_PS))
