"""Normal and lognormal numbers from random bits, in integers.

Owns the fixed-point scales: numbers of the normal distribution are in 2^-20 of a standard
deviation, exponents in 2^-20, conductances in pS. The kernels index the committed tables
themselves, `tables.normal[place(bits)]`: compiled functions that take arrays count references
to them at each call, which would cost more than the look-up.
"""

from __future__ import annotations

import numpy as np

from sim_backend._jit import Integer, Word, kernel
from sim_backend.fixedpoint import SLOPE_BITS
from sim_backend.tables import (
    EXP2_BITS,
    EXP2_SCALE_BITS,
    FIRST_BITS,
    NORMAL_BITS,
    TAIL_BINS,
    TAIL_BITS,
)

MAX_PS = (1 << 32) - 1
"""Largest conductance a cell can have, pS."""

_ROUND = 1 << (NORMAL_BITS - 1)
_BINS = 1 << FIRST_BITS
_FINE = (1 << TAIL_BITS) - 1
_REST_BITS = NORMAL_BITS - EXP2_BITS


@kernel
def place(bits: Word) -> Integer:
    """Index into `Tables.normal` of the number that the lower 28 of 64 random bits stand for."""
    first = np.int64(bits & np.uint64(_BINS - 1))
    return place_in(first, np.int64((bits >> np.uint64(FIRST_BITS)) & np.uint64(_FINE)))


@kernel
def is_extreme(first: Integer) -> Integer:
    """Whether 16 bits choose a bin at either end, which 12 more refine."""
    return (first + TAIL_BINS) & (_BINS - 1) < 2 * TAIL_BINS


@kernel
def place_in(first: Integer, fine: Integer) -> Integer:
    """The same from 16 bits that choose a bin and 12 that refine it if it is an extreme one.

    Rotated by 16, the bins begin with the uppermost 16, and the lowest 16 follow.
    """
    rotated = (first + TAIL_BINS) & (_BINS - 1)
    return _BINS + (rotated << TAIL_BITS) + fine if is_extreme(first) else first


@kernel
def scaled(mean: Integer, sd: Integer, number: Integer) -> Integer:
    """`mean + sd * number` for a number in 2^-20, rounded to the nearest integer."""
    return mean + ((sd * np.int64(number) + _ROUND) >> NORMAL_BITS)


@kernel
def exp2_place(exponent: Integer) -> Integer:
    """Index into `Tables.exp2` of the entry at or below a non-negative exponent's fraction."""
    return (exponent >> _REST_BITS) & ((1 << EXP2_BITS) - 1)


@kernel
def power_of_two(exponent: Integer, low: Integer, high: Integer) -> Integer:
    """2^exponent, rounded, within 1e-7; for exponents from 0 to below 32, others are clipped.

    Parameters
    ----------
    exponent : int
        In 2^-20.
    low, high : int
        Entries of `Tables.exp2` at `exp2_place(exponent)` and after it.
    """
    # casts to 32 bits, which suffice, let vectors hold twice as many and multiply them faster
    whole = np.int32(min(max(np.int32(exponent >> NORMAL_BITS), np.int32(0)), np.int32(31)))
    rest = np.int32(exponent & ((1 << _REST_BITS) - 1))
    between = np.int64(np.int32(high - low)) * rest
    mantissa = (np.int64(low) << _REST_BITS) + between
    bits = np.int64(np.int32(_REST_BITS + EXP2_SCALE_BITS - whole))
    # from 8 to 39 of them; the mantissa of the last step stays below 2^40, so this below `MAX_PS`
    return (mantissa + (1 << (bits - 1))) >> bits


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
