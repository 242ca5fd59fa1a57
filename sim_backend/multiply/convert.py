"""From products to accumulators: level, noise, code, zero, weight, sum; one vector at a time.

Owns the numbering of a run's conversions, which decides their noise: conversion n of a row within
a run is (vector * samples of the row + its turn) * planes + plane. Everything that reaches a code
is an integer but for one square root; see `readpath`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import ENTRY, Integer, Word, kernel, part
from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.distributions import is_extreme, place_in
from sim_backend.fixedpoint import GAIN_BITS, Int64Array
from sim_backend.frontend import bin_of, code_of, seen_by
from sim_backend.randomness import derive
from sim_backend.readpath import UNIT_BITS, UInt64Array, variance_gain
from sim_backend.tables import Int32Array

_SHIFT = GAIN_BITS - UNIT_BITS
_HALF = 1 << (_SHIFT - 1)
_MOST = (1 << 32) - 1
_FOUR, _EIGHT = np.uint64(4), np.uint64(8)
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
    scales, scratch = _scales(samples, converter.ceiling), _scratch(samples.gain.size)
    return _convert(
        products, skipped, parts, samples, converter, first_vector, sums, scales, scratch
    )


@part
def _convert(
    products: UInt32Array,
    skipped: Integer,
    parts: Parts,
    samples: Samples,
    converter: Converter,
    first_vector: Integer,
    sums: Int32Array,
    scales: _Scales,
    scratch: _Scratch,
) -> Integer:
    count, planes = samples.gain.size, converter.planes
    seen, spread, number, entry = scratch.seen, scratch.spread, scratch.number, scratch.entry
    weight, bits, draws, variance = scratch.weight, scratch.bits, scratch.draws, scratch.variance
    noisy = parts.variance >= 0 or converter.adc_noise > 0
    adc_variance = np.uint64(converter.adc_noise * converter.adc_noise)
    saturated, factor = 0, 0
    for n in range(sums.shape[0] * planes):
        vector, plane = n // planes, n % planes
        _levels(products, skipped + n, parts, scales, converter.ceiling, seen)
        if noisy:
            if parts.variance >= 0:
                _variances(products, skipped + n, parts, variance)
            for k in range(np.uint64(count)):
                driven = variance[k] if np.int64(seen[k]) <= converter.ceiling else np.uint64(0)
                square = ((driven * np.uint64(scales.own[k]) + _EIGHT) >> _FOUR) + adc_variance
                spread[k] = np.int32(np.sqrt(np.float64(square)))
            run_vector, run_plane = np.uint64(first_vector + vector), np.uint64(plane)
            lane = _count(samples, 0, run_vector, run_plane) & _LANES
            if samples.in_step:
                if n == 0 or lane == 0:
                    _derive(samples, run_vector, run_plane, draws)
                extremes = _draw_in_step(draws, np.uint64(16) * lane, bits)
            else:
                _derive(samples, run_vector, run_plane, draws)
                extremes = _draw(samples, run_vector, run_plane, draws, bits)
            for k in range(np.uint64(count)):
                number[k] = converter.normal[np.uint64(bits[k])]
            if extremes:
                _refine(samples, run_vector, run_plane, bits, converter.normal, number)
            for k in range(np.uint64(count)):
                level = min(np.int64(seen[k]), converter.ceiling)
                seen[k] = np.int32(seen_by(level, spread[k], number[k], converter.bins))
        else:
            for k in range(np.uint64(count)):
                level = min(np.int64(seen[k]), converter.ceiling)
                seen[k] = np.int32(seen_by(level, 0, 0, converter.bins))
        for k in range(np.uint64(count)):
            place = samples.transfer[k] + np.uint32(bin_of(seen[k]))
            entry[k] = converter.transfers[np.uint64(place)]
        subtracts = converter.is_signed and plane == planes - 1
        if factor != (-1 if subtracts else 1) << plane:
            factor = (-1 if subtracts else 1) << plane
            for k in range(np.uint64(count)):
                weight[k] = samples.sign[k] * np.int32(factor)
        saturated += _add(seen, entry, converter.top, samples, weight, sums, vector)
    return saturated


class _Scales(NamedTuple):
    """What the currents of each sample are multiplied and cut by, each array (T,).

    Attributes
    ----------
    limit : int64
        Sum of conductances from which on its amplifier is at its limit.
    short_limit, gain, own : uint32
        The same for sums of 32 bits; scales of sums and of variances.
    dark : int64
    """

    limit: Int64Array
    short_limit: UInt32Array
    gain: UInt32Array
    own: UInt32Array
    dark: Int64Array


@kernel
def _scales(samples: Samples, ceiling: Integer) -> _Scales:
    count = samples.gain.size
    limit, short = np.empty(count, np.int64), np.empty(count, np.uint32)
    gain, own = np.empty(count, np.uint32), np.empty(count, np.uint32)
    for k in range(count):
        beyond = ceiling - samples.dark[k] + 1
        limit[k] = max(0, ((beyond << _SHIFT) - _HALF + samples.gain[k] - 1) // samples.gain[k])
        short[k] = min(limit[k], _MOST)
        gain[k] = samples.gain[k]
        own[k] = variance_gain(samples.gain[k])
    return _Scales(limit, short, gain, own, samples.dark)


class _Scratch(NamedTuple):
    """Numbers of one vector's conversions on their way to codes, each array (T,)."""

    seen: Int32Array
    spread: Int32Array
    number: Int32Array
    entry: Int32Array
    weight: Int32Array
    bits: UInt16Array
    draws: UInt64Array
    variance: UInt64Array


@kernel
def _scratch(count: Integer) -> _Scratch:
    seen, spread = np.empty(count, np.int32), np.empty(count, np.int32)
    number, entry = np.empty(count, np.int32), np.empty(count, np.int32)
    weight, bits = np.empty(count, np.int32), np.empty(count, np.uint16)
    draws, variance = np.empty(count, np.uint64), np.zeros(count, np.uint64)
    return _Scratch(seen, spread, number, entry, weight, bits, draws, variance)


@part
def _levels(
    products: UInt32Array,
    row: Integer,
    parts: Parts,
    scales: _Scales,
    ceiling: Integer,
    level: Int32Array,
) -> None:
    """From sums of conductances to what the amplifiers give; beyond their limit, one above it."""
    flat, gain, dark = products.reshape(-1), scales.gain, scales.dark
    limit, short_limit = scales.limit, scales.short_limit
    for start in range(0, level.size, ENTRY):
        first, size = np.uint64(start), np.uint64(min(ENTRY, level.size - start))
        low = _place(products, parts.sum, start, row)
        if parts.sum_high < 0:
            # products of two numbers of 32 bits take a third of the time
            for n in range(size):
                units = np.uint64(min(flat[low + n], short_limit[first + n]))
                scaled = units * np.uint64(gain[first + n])
                current = np.int64((scaled + np.uint64(_HALF)) >> np.uint64(_SHIFT))
                level[first + n] = np.int32(min(current + dark[first + n], ceiling + 1))
        else:
            high = _place(products, parts.sum_high, start, row)
            for n in range(size):
                whole = np.int64(flat[low + n]) + (np.int64(flat[high + n]) << 16)
                scaled = min(whole, limit[first + n]) * np.int64(gain[first + n])
                current = (scaled + _HALF) >> _SHIFT
                level[first + n] = np.int32(min(current + dark[first + n], ceiling + 1))


@part
def _variances(products: UInt32Array, row: Integer, parts: Parts, variance: UInt64Array) -> None:
    """Sums of variances, both halves together."""
    flat = products.reshape(-1)
    for start in range(0, variance.size, ENTRY):
        first, size = np.uint64(start), np.uint64(min(ENTRY, variance.size - start))
        low = _place(products, parts.variance, start, row)
        for n in range(size):
            variance[first + n] = np.uint64(flat[low + n])
        if parts.variance_high >= 0:
            high = _place(products, parts.variance_high, start, row)
            for n in range(size):
                variance[first + n] += np.uint64(flat[high + n]) << np.uint64(16)


@part
def _place(products: UInt32Array, strip: Integer, start: Integer, row: Integer) -> Word:
    """Where samples' numbers from `start` on lie, of a row of the part that begins with a strip."""
    return np.uint64(((strip + start // ENTRY) * products.shape[1] + row) * ENTRY)


@part
def _count(samples: Samples, k: Integer, vector: Word, plane: Word) -> Word:
    """Number of a conversion among those of its row."""
    return samples.first[k] + vector * samples.step[k] + plane


@part
def _derive(samples: Samples, vector: Word, plane: Word, draws: UInt64Array) -> None:
    """The random word of each sample's conversion, which serves four conversions of its row."""
    key, first, step = samples.key, samples.first, samples.step
    for k in range(np.uint64(draws.size)):
        count = first[k] + vector * step[k] + plane
        draws[k] = derive(key[k], count >> np.uint64(2))


@part
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


@part
def _draw_in_step(draws: UInt64Array, shift: Word, bits: UInt16Array) -> Integer:
    """The same where all counts have the same phase."""
    extremes = 0
    for k in range(np.uint64(bits.size)):
        bits[k] = np.uint16(draws[k] >> shift)
        extremes += is_extreme(np.int64(bits[k]))
    return extremes


@part
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


@part
def _add(
    seen: Int32Array,
    entry: Int32Array,
    top: Integer,
    samples: Samples,
    weight: Int32Array,
    sums: Int32Array,
    vector: Integer,
) -> Integer:
    """Add the weighted codes to one vector's accumulators; returns how many lie at an end."""
    flat, zero, accumulator = sums.reshape(-1), samples.zero, samples.accumulator
    base, highest, saturated = np.uint64(vector * sums.shape[1]), np.int32(top), np.int32(0)
    if samples.in_order:
        start = base + np.uint64(accumulator[0])
        for k in range(np.uint64(seen.size)):
            code = _code(seen[k], entry[k])
            saturated = np.int32(saturated + _is_at_end(code, highest))
            flat[start + k] += np.int32(weight[k] * np.int32(code - zero[k]))
    else:
        for k in range(np.uint64(seen.size)):
            code = _code(seen[k], entry[k])
            saturated = np.int32(saturated + _is_at_end(code, highest))
            place = base + np.uint64(accumulator[k])
            flat[place] += np.int32(weight[k] * np.int32(code - zero[k]))
    return saturated


@part
def _code(seen: Integer, entry: Integer) -> Integer:
    # cut to 32 bits at once, so that twice as many are computed at a time
    return np.int32(code_of(np.int32(seen + entry), 0))


@part
def _is_at_end(code: Integer, top: Integer) -> Integer:
    return np.int32(np.int32(code == np.int32(0)) + np.int32(code == top))
