"""From products to accumulators: level, noise, code, zero, weight, sum; one vector at a time.

Owns the numbering of a run's conversions, which decides their noise: conversion n of a row within
a run is (vector * samples of the row + its turn) * planes + plane. Everything that reaches a code
is an integer but for one square root; see `readpath`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, kernel
from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.distributions import is_extreme, place_in
from sim_backend.fixedpoint import GAIN_BITS, Int64Array
from sim_backend.frontend import quantised_at
from sim_backend.randomness import derive
from sim_backend.readpath import UNIT_BITS, UInt64Array, variance_gain
from sim_backend.tables import Int32Array

_GAIN_HALF = 1 << (GAIN_BITS - 1)


class Samples(NamedTuple):
    """What the conversions of a block of T samples need to know, each array (T,).

    Attributes
    ----------
    gain, dark, zero : int64
        Code per pS in 2^-26, reading with all lines at ground in 2^-16 code, zero in codes.
    channel, accumulator, sign : int64
    key, tail_key : uint64
        Of the noise of its row.
    first, step : uint64
        Number of its first conversion in this run, and how much further the next vector's is.
    """

    gain: Int64Array
    dark: Int64Array
    zero: Int64Array
    channel: Int64Array
    accumulator: Int64Array
    sign: Int64Array
    key: UInt64Array
    tail_key: UInt64Array
    first: UInt64Array
    step: UInt64Array


class Parts(NamedTuple):
    """Where in a row of products the parts of a `Matrix` begin; -1 for one that it lacks."""

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
    transfer : (channels, bins) int32
        Of the converters.
    normal : (n,) int32
        Table of the normal distribution.
    """

    planes: int
    is_signed: bool
    adc_noise: int
    ceiling: int
    top: int
    transfer: Int32Array
    normal: Int32Array


@kernel
def convert(
    products: UInt32Array,
    parts: Parts,
    samples: Samples,
    converter: Converter,
    first_vector: Integer,
    sums: Int32Array,
) -> Integer:
    """Convert the products of some vectors and add the codes to their accumulators.

    Parameters
    ----------
    products : (vectors x planes, width) uint32
    first_vector : int
        Number of the first of them in the run.
    sums : (vectors, accumulators) int32
        Added to.

    Returns
    -------
    int
        How many codes lie at either end of the scale.
    """
    count = samples.gain.size
    level, spread = np.empty(count, np.int64), np.empty(count, np.int64)
    bits, codes = np.empty(count, np.uint16), np.empty(count, np.int64)
    limit, own = _limits(samples, converter.ceiling)
    noisy = parts.variance >= 0 or converter.adc_noise > 0
    planes = converter.planes
    saturated = 0
    for n in range(products.shape[0]):
        vector, plane = n // planes, n % planes
        _analogue(products, n, parts, samples, limit, own, converter, level, spread)
        if noisy:
            run_vector = np.uint64(first_vector + vector)
            extremes = _draw(samples, run_vector, np.uint64(plane), bits)
            for k in range(count):
                number = converter.normal[np.int64(bits[k])]
                codes[k] = quantised_at(
                    level[k], spread[k], number, converter.transfer, samples.channel[k]
                )
            if extremes:
                _refine(
                    samples, run_vector, np.uint64(plane), bits, level, spread, converter, codes
                )
        else:
            for k in range(count):
                codes[k] = quantised_at(level[k], 0, 0, converter.transfer, samples.channel[k])
        weight = 1 << plane
        if converter.is_signed and plane == planes - 1:
            weight = -weight
        for k in range(count):
            code = codes[k]
            saturated += (code == 0) | (code == converter.top)
            part = samples.sign[k] * weight * (code - samples.zero[k])
            sums[vector, samples.accumulator[k]] += np.int32(part)
    return saturated


@kernel
def _limits(samples: Samples, ceiling: Integer) -> tuple[Int64Array, Int64Array]:
    """Sums of each sample from which on its amplifier is at its limit, and its variance's scale."""
    gain, dark = samples.gain, samples.dark
    limit, own = np.empty_like(gain), np.empty_like(gain)
    for k in range(gain.size):
        step = gain[k] << UNIT_BITS
        beyond = ceiling - dark[k] + 1
        limit[k] = ((beyond << GAIN_BITS) - _GAIN_HALF + step - 1) // step
        own[k] = variance_gain(gain[k])
    return limit, own


@kernel
def _analogue(
    products: UInt32Array,
    n: Integer,
    parts: Parts,
    samples: Samples,
    limit: Int64Array,
    own: Int64Array,
    converter: Converter,
    level: Int64Array,
    spread: Int64Array,
) -> None:
    """Level and spread of each sample; sums beyond the limit have no noise of their own."""
    count = level.size
    adc_noise = converter.adc_noise
    adc_variance = adc_noise * adc_noise
    for k in range(count):
        level[k] = np.int64(products[n, parts.sum + k])
    if parts.sum_high >= 0:
        for k in range(count):
            level[k] += np.int64(products[n, parts.sum_high + k]) << 16
    if parts.variance >= 0:
        for k in range(count):
            spread[k] = np.int64(products[n, parts.variance + k])
        if parts.variance_high >= 0:
            for k in range(count):
                spread[k] += np.int64(products[n, parts.variance_high + k]) << 16
        for k in range(count):
            variance = spread[k] if level[k] < limit[k] else 0
            square = ((variance * own[k] + 8) >> 4) + adc_variance
            spread[k] = np.int64(np.sqrt(np.float64(square)))
    else:
        spread[:] = adc_noise
    for k in range(count):
        units = min(level[k], limit[k])
        current = ((units << UNIT_BITS) * samples.gain[k] + _GAIN_HALF) >> GAIN_BITS
        level[k] = min(current + samples.dark[k], converter.ceiling)


@kernel
def _draw(samples: Samples, vector: np.uint64, plane: np.uint64, bits: UInt16Array) -> Integer:
    """Noise bits of one vector and plane; returns how many draws are extreme."""
    extremes = 0
    for k in range(bits.size):
        count = samples.first[k] + vector * samples.step[k] + plane
        four = derive(samples.key[k], count >> np.uint64(2))
        bits[k] = np.uint16(four >> (np.uint64(16) * (count & np.uint64(3))))
        extremes += is_extreme(np.int64(bits[k]))
    return extremes


@kernel
def _refine(
    samples: Samples,
    vector: np.uint64,
    plane: np.uint64,
    bits: UInt16Array,
    level: Int64Array,
    spread: Int64Array,
    converter: Converter,
    codes: Int64Array,
) -> None:
    """Convert again where the draw is extreme, with the finer table."""
    for k in range(bits.size):
        first = np.int64(bits[k])
        if is_extreme(first):
            count = samples.first[k] + vector * samples.step[k] + plane
            fine = np.int64(derive(samples.tail_key[k], count) >> np.uint64(52))
            number = converter.normal[place_in(first, fine)]
            codes[k] = quantised_at(
                level[k], spread[k], number, converter.transfer, samples.channel[k]
            )
