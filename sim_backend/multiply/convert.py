"""From products to accumulators: level, noise, code, zero, weight, sum; one vector at a time.

Owns the numbering of a run's conversions, which decides their noise: conversion n of a row within
a run is (vector * samples of the row + its turn) * planes + plane. Everything that reaches a code
is an integer but for one square root; see `readpath`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import ENTRY, Integer, Word, kernel
from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.distributions import is_extreme, place_in
from sim_backend.fixedpoint import GAIN_BITS, Int64Array
from sim_backend.frontend import bin_of, code_of, seen_by
from sim_backend.randomness import derive
from sim_backend.readpath import UNIT_BITS, UInt64Array, variance_gain
from sim_backend.tables import Int32Array

_GAIN_HALF = 1 << (GAIN_BITS - 1)
_LANES = np.uint64(3)
"""A random word has four lanes, and the lowest two bits of a count choose one."""


class Samples(NamedTuple):
    """What the conversions of a block of T samples need to know, each array (T,).

    Attributes
    ----------
    gain, dark : int64
        Code per pS in 2^-26, and reading with all lines at ground in 2^-16 code.
    zero, accumulator, sign : int32
        Zero in codes.
    transfer : uint32
        Where that of its converter begins among those of all channels.
    key, tail_key : uint64
        Of the noise of its row.
    first, step : uint64
        Number of its row's conversion that is its first one in this run, and how much further
        that of the next vector is.
    in_step : bool
        Every row counts by one from plane to plane and vector to vector, all with the same
        remainder modulo 4: then one derivation serves four conversions of each of them.
    in_order : bool
        Each accumulator is one more than the one before.
    """

    gain: Int64Array
    dark: Int64Array
    zero: Int32Array
    accumulator: Int32Array
    sign: Int32Array
    transfer: UInt32Array
    key: UInt64Array
    tail_key: UInt64Array
    first: UInt64Array
    step: UInt64Array
    in_step: bool
    in_order: bool


class Parts(NamedTuple):
    """In which strip of the products each part of a `Matrix` begins; -1 for one that it lacks."""

    sum: int
    sum_high: int
    variance: int
    variance_high: int


class Converter(NamedTuple):
    """What all conversions of a run have in common.

    Attributes
    ----------
    planes : int
    is_signed : bool
        The top plane subtracts.
    adc_noise, ceiling : int
        Of the converter, and the highest reading of an amplifier; in 2^-16 code.
    top : int
        Largest code.
    transfers : (channels x bins,) int32
        Of all channels, one after the other.
    bins : int
    normal : (n,) int32
        Table of the normal distribution.
    """

    planes: int
    is_signed: bool
    adc_noise: int
    ceiling: int
    top: int
    transfers: Int32Array
    bins: int
    normal: Int32Array


@kernel
def convert(
    products: UInt32Array,
    skipped: Integer,
    parts: Parts,
    samples: Samples,
    converter: Converter,
    first_vector: Integer,
    sums: Int32Array,
) -> Integer:
    """Convert the products of some vectors and add the codes to their accumulators.

    Parameters
    ----------
    products : (strips, n, 64) uint32
        A row for each vector and plane.
    skipped : int
        Rows before those of the first vector.
    first_vector : int
        Number of that vector in the run.
    sums : (vectors, accumulators) int32
        Added to.

    Returns
    -------
    int
        How many codes lie at either end of the scale.
    """
    count, planes = samples.gain.size, converter.planes
    total, variance = np.empty(count, np.int64), np.zeros(count, np.int64)
    level, spread = np.empty(count, np.int32), np.zeros(count, np.int32)
    number, codes = np.zeros(count, np.int32), np.empty(count, np.int32)
    draws, bits = np.empty(count, np.uint64), np.empty(count, np.uint16)
    weight, entry = np.empty(count, np.int32), np.empty(count, np.int32)
    seen, at = np.empty(count, np.int32), np.empty(count, np.uint32)
    limit, own = np.empty(count, np.int64), np.empty(count, np.int64)
    _scales(samples.gain, samples.dark, converter.ceiling, limit, own)
    noisy = parts.variance >= 0 or converter.adc_noise > 0
    adc_variance = converter.adc_noise * converter.adc_noise
    saturated, factor = 0, 0
    for n in range(sums.shape[0] * planes):
        vector, plane = n // planes, n % planes
        _gather(products, skipped + n, parts.sum, parts.sum_high, total)
        _levels(total, limit, samples.gain, samples.dark, converter.ceiling, level)
        if noisy:
            if parts.variance >= 0:
                _gather(products, skipped + n, parts.variance, parts.variance_high, variance)
            _spreads(total, variance, limit, own, adc_variance, spread)
            run_vector, run_plane = np.uint64(first_vector + vector), np.uint64(plane)
            lane = _count(samples, 0, run_vector, run_plane) & _LANES
            if samples.in_step:
                if n == 0 or lane == 0:
                    _derive(samples, run_vector, run_plane, draws)
                extremes = _draw_in_step(draws, np.uint64(16) * lane, bits)
            else:
                _derive(samples, run_vector, run_plane, draws)
                extremes = _draw(samples, run_vector, run_plane, draws, bits)
            _look_up(bits, converter.normal, number)
            if extremes:
                _refine(samples, run_vector, run_plane, bits, converter.normal, number)
        _see(level, spread, number, converter.bins, samples.transfer, seen, at)
        _look_up(at, converter.transfers, entry)
        saturated += _codes(seen, entry, converter.top, codes)
        subtracts = converter.is_signed and plane == planes - 1
        if factor != (-1 if subtracts else 1) << plane:
            factor = (-1 if subtracts else 1) << plane
            for k in range(np.uint64(count)):
                weight[k] = samples.sign[k] * np.int32(factor)
        _add(codes, samples.zero, weight, samples.accumulator, samples.in_order, sums, vector)
    return saturated


@kernel
def _scales(
    gain: Int64Array, dark: Int64Array, ceiling: Integer, limit: Int64Array, own: Int64Array
) -> None:
    """From which sum on each sample's amplifier is at its limit, and the scale of its variance."""
    for k in range(gain.size):
        step = gain[k] << UNIT_BITS
        beyond = ceiling - dark[k] + 1
        limit[k] = ((beyond << GAIN_BITS) - _GAIN_HALF + step - 1) // step
        own[k] = variance_gain(gain[k])


@kernel
def _gather(
    products: UInt32Array, row: Integer, low: Integer, high: Integer, out: Int64Array
) -> None:
    """One row of a part of the products, both halves together."""
    flat, rows = products.reshape(-1), products.shape[1]
    for start in range(0, out.size, ENTRY):
        strip = start // ENTRY
        size = np.uint64(min(ENTRY, out.size - start))
        to, source = np.uint64(start), np.uint64(((low + strip) * rows + row) * ENTRY)
        for k in range(size):
            out[to + k] = np.int64(flat[source + k])
        if high >= 0:
            source = np.uint64(((high + strip) * rows + row) * ENTRY)
            for k in range(size):
                out[to + k] += np.int64(flat[source + k]) << 16


@kernel
def _levels(
    total: Int64Array,
    limit: Int64Array,
    gain: Int64Array,
    dark: Int64Array,
    ceiling: Integer,
    level: Int32Array,
) -> None:
    """From sums of conductances to what the converter sees."""
    for k in range(np.uint64(level.size)):
        units = min(total[k], limit[k])
        current = ((units << UNIT_BITS) * gain[k] + _GAIN_HALF) >> GAIN_BITS
        level[k] = np.int32(min(current + dark[k], ceiling))


@kernel
def _spreads(
    total: Int64Array,
    variance: Int64Array,
    limit: Int64Array,
    own: Int64Array,
    adc_variance: Integer,
    spread: Int32Array,
) -> None:
    """From sums of variances to standard deviations; at an amplifier's limit, of no cell."""
    for k in range(np.uint64(spread.size)):
        driven = variance[k] if total[k] < limit[k] else 0
        square = ((driven * own[k] + 8) >> 4) + adc_variance
        spread[k] = np.int32(np.sqrt(np.float64(square)))


@kernel
def _count(samples: Samples, k: Integer, vector: Word, plane: Word) -> Word:
    """Number of a conversion among those of its row."""
    return samples.first[k] + vector * samples.step[k] + plane


@kernel
def _derive(samples: Samples, vector: Word, plane: Word, draws: UInt64Array) -> None:
    """The random word of each sample's conversion, which serves four conversions of its row."""
    key, first, step = samples.key, samples.first, samples.step
    for k in range(np.uint64(draws.size)):
        count = first[k] + vector * step[k] + plane
        draws[k] = derive(key[k], count >> np.uint64(2))


@kernel
def _draw(
    samples: Samples, vector: Word, plane: Word, draws: UInt64Array, bits: UInt16Array
) -> Integer:
    """Each conversion's part of its random word; returns how many draws are extreme."""
    first, step = samples.first, samples.step
    extremes = 0
    for k in range(np.uint64(bits.size)):
        count = first[k] + vector * step[k] + plane
        bits[k] = np.uint16(draws[k] >> (np.uint64(16) * (count & _LANES)))
        extremes += is_extreme(np.int64(bits[k]))
    return extremes


@kernel
def _draw_in_step(draws: UInt64Array, shift: Word, bits: UInt16Array) -> Integer:
    """The same where all counts have the same phase."""
    extremes = 0
    for k in range(np.uint64(bits.size)):
        bits[k] = np.uint16(draws[k] >> shift)
        extremes += is_extreme(np.int64(bits[k]))
    return extremes


@kernel
def _look_up(at: UInt16Array | UInt32Array, table: Int32Array, found: Int32Array) -> None:
    for k in range(np.uint64(at.size)):
        found[k] = table[np.uint64(at[k])]


@kernel
def _refine(
    samples: Samples,
    vector: Word,
    plane: Word,
    bits: UInt16Array,
    normal: Int32Array,
    number: Int32Array,
) -> None:
    """Look the extreme draws up in the finer table."""
    for k in range(bits.size):
        first = np.int64(bits[k])
        if is_extreme(first):
            count = _count(samples, k, vector, plane)
            fine = np.int64(derive(samples.tail_key[k], count) >> np.uint64(52))
            number[k] = normal[place_in(first, fine)]


@kernel
def _see(
    level: Int32Array,
    spread: Int32Array,
    number: Int32Array,
    bins: Integer,
    transfer: UInt32Array,
    seen: Int32Array,
    at: UInt32Array,
) -> None:
    """What each converter finds at its input, and where its transfer has the entry for it."""
    for k in range(np.uint64(seen.size)):
        found = seen_by(level[k], spread[k], number[k], bins)
        seen[k] = np.int32(found)
        at[k] = transfer[k] + np.uint32(bin_of(found))


@kernel
def _codes(seen: Int32Array, entry: Int32Array, top: Integer, codes: Int32Array) -> Integer:
    """The codes; returns how many lie at either end of the scale."""
    saturated = 0
    for k in range(np.uint64(codes.size)):
        code = np.int32(code_of(seen[k], entry[k]))
        codes[k] = code
        saturated += np.int64(code == 0) + np.int64(code == top)
    return saturated


@kernel
def _add(
    codes: Int32Array,
    zero: Int32Array,
    weight: Int32Array,
    accumulator: Int32Array,
    in_order: bool,
    sums: Int32Array,
    vector: Integer,
) -> None:
    """Add the weighted codes to the accumulators of one vector."""
    flat, base = sums.reshape(-1), np.uint64(vector * sums.shape[1])
    if in_order:
        start = base + np.uint64(accumulator[0])
        for k in range(np.uint64(codes.size)):
            flat[start + k] += weight[k] * (codes[k] - zero[k])
    else:
        for k in range(np.uint64(codes.size)):
            flat[base + np.uint64(accumulator[k])] += weight[k] * (codes[k] - zero[k])
