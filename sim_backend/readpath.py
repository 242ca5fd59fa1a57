"""The read path: from conductances to the 14-bit codes that leave the board.

Owns gain, offset, noise, pedestal and the amplifier's limit; what the converter makes of them is
`frontend.quantised`. Does not know pulses, files, time or the wire. All values are integers:
inside, a code is 65536; `Lines` caches for each cell what it reads on average and how far that
spreads, so that a conversion is one random number, one multiplication and one look-up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, Word, kernel
from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.distributions import is_extreme, place_in
from sim_backend.fixedpoint import CODE_BITS, GAIN_BITS, Int64Array, ReadNumbers
from sim_backend.frontend import quantised
from sim_backend.randomness import derive
from sim_backend.tables import NORMAL_BITS, Int32Array

UInt64Array = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

UNIT_BITS = 2
"""Effective conductances are summed in units of 2^2 pS."""
VARIANCE_BITS = 12
"""Variances are summed in 2^12 units squared."""
MAX_VARIANCE = (1 << 32) - 1
"""A cell beyond 800 uS is no noisier than one of 800 uS."""
_CODE_HALF = 1 << (CODE_BITS - 1)
_GAIN_HALF = 1 << (GAIN_BITS - 1)
_VARIANCE_HALF = 1 << (VARIANCE_BITS - 1)
_NOISE_HALF = 1 << (NORMAL_BITS - 1)


class Lines(NamedTuple):
    """What conversions of one chip in one range give, before noise; see `prepare`.

    Attributes
    ----------
    level : (rows, columns) int32
        Mean reading with pedestal and offset, plus the half code that rounds; 65536 a code.
    spread : (rows, columns) int32
        Standard deviation of a conversion; 65536 a code.
    dark : (rows,) int32
        As `level`, all bit lines grounded.
    dark_spread : int
    top : int
        Largest code.
    transfer : (channels, bins) int32
        Of the converters; channel b serves the rows with r mod channels = b.
    """

    level: Int32Array
    spread: Int32Array
    dark: Int32Array
    dark_spread: int
    top: int
    transfer: Int32Array


class NoiseKeys(NamedTuple):
    """Keys of the conversions' noise; a key a row, (rows,) uint64."""

    conversion: UInt64Array
    tail: UInt64Array


class Block(NamedTuple):
    """What a read measures: R rows of C columns, each row's conversions in one sequence.

    Attributes
    ----------
    rows : (R,) int64
    counts : (R,) uint64
        Conversions each row had before the read.
    level, spread : (R, C) int32
        The part of `Lines` that is read.
    top : int
    transfer : (channels, bins) int32
        As in `Lines`.
    """

    rows: Int64Array
    counts: UInt64Array
    level: Int32Array
    spread: Int32Array
    top: int
    transfer: Int32Array


def block(rows: Int64Array, columns: Int64Array, counts: UInt64Array, lines: Lines) -> Block:
    """Cut the rows and columns that a read measures out of a chip's lines.

    Parameters
    ----------
    rows, columns : (R,) and (C,) int64
        Ascending.
    counts : (rows of the chip,) uint64
        Conversion count of every row; copied.
    """
    if (len(rows), len(columns)) == lines.level.shape:
        return Block(rows, counts[rows], lines.level, lines.spread, lines.top, lines.transfer)
    cut = np.ix_(rows, columns)
    return Block(rows, counts[rows], lines.level[cut], lines.spread[cut], lines.top, lines.transfer)


@kernel
def read(
    start: Integer,
    stop: Integer,
    block: Block,
    keys: NoiseKeys,
    normal: Int32Array,
    out: UInt16Array,
) -> Integer:
    """Measure conversions `start` to `stop` of a read, in the order (read, row, column).

    Parameters
    ----------
    out : (stop - start,) uint16
        Receives the codes, 0 to `block.top`.

    Returns
    -------
    int
        How many codes lie at either end of the scale.
    """
    rows, width = block.level.shape
    bits = np.empty(width + 8, dtype=np.uint16)
    saturated = 0
    done = start
    while done < stop:
        line = done // width
        begin = done - line * width
        end = min(width, begin + stop - done)
        at = line % rows
        row = block.rows[at]
        count = block.counts[at] + np.uint64(line // rows * width + begin)
        codes = out[done - start : done - start + end - begin]
        own = bits[np.int64(count & np.uint64(3)) :]
        _draw(keys.conversion[row], count >> np.uint64(2), end - begin, bits)
        level, spread = block.level[at, begin:end], block.spread[at, begin:end]
        transfer = block.transfer[row % len(block.transfer)]
        if _convert(level, spread, own, transfer, normal, codes):
            _refine(level, spread, own, transfer, normal, keys.tail[row], count, codes)
        saturated += _saturated(codes, block.top)
        done += end - begin
    return saturated


@kernel
def _draw(key: Word, first: Word, conversions: Integer, bits: UInt16Array) -> None:
    """Noise bits of conversions 4 x `first` and following, three more than asked for."""
    for block in range((conversions + 6) // 4):
        four = derive(key, first + np.uint64(block))
        bits[4 * block] = np.uint16(four)
        bits[4 * block + 1] = np.uint16(four >> np.uint64(16))
        bits[4 * block + 2] = np.uint16(four >> np.uint64(32))
        bits[4 * block + 3] = np.uint16(four >> np.uint64(48))


@kernel
def _convert(
    level: Int32Array,
    spread: Int32Array,
    bits: UInt16Array,
    transfer: Int32Array,
    normal: Int32Array,
    out: UInt16Array,
) -> Integer:
    """Codes of one row's conversions; returns how many have an extreme draw, yet to refine."""
    extremes = 0
    for n in range(out.size):
        first = np.int64(bits[n])
        extremes += is_extreme(first)
        out[n] = quantised(level[n], spread[n], normal[first], transfer)
    return extremes


@kernel
def _refine(
    level: Int32Array,
    spread: Int32Array,
    bits: UInt16Array,
    transfer: Int32Array,
    normal: Int32Array,
    tail_key: Word,
    count: Word,
    out: UInt16Array,
) -> None:
    """Convert again where the draw is extreme, with the finer table."""
    for n in range(out.size):
        first = np.int64(bits[n])
        if is_extreme(first):
            fine = np.int64(derive(tail_key, count + np.uint64(n)) >> np.uint64(52))
            out[n] = quantised(level[n], spread[n], normal[place_in(first, fine)], transfer)


@kernel
def _saturated(codes: UInt16Array, top: Integer) -> Integer:
    """How many codes lie at either end of the scale."""
    count = 0
    for n in range(codes.size):
        count += (codes[n] == 0) | (codes[n] == top)
    return count


@kernel
def units_of(effective_ps: Integer) -> Integer:
    """Effective conductance in the units that are summed: 4 pS, rounded."""
    return (np.int64(effective_ps) + (1 << (UNIT_BITS - 1))) >> UNIT_BITS


@kernel
def own_variance(units: Integer, noise: Integer) -> Integer:
    """Variance of a cell's own noise, in 2^12 units squared, rounded; at most 2^32 - 1."""
    deviation = (units * noise) >> NORMAL_BITS
    return min((deviation * deviation + _VARIANCE_HALF) >> VARIANCE_BITS, MAX_VARIANCE)


@kernel
def variance_gain(gain: Integer) -> Integer:
    """From sums of `own_variance` to the square of 1/65536 of a code, in 1/16."""
    return (gain * gain + (1 << 31)) >> 32


@kernel
def spread_of(variance: Integer, gain: Integer, adc_noise: Integer) -> Integer:
    """Standard deviation of a conversion; `variance` sums `own_variance` of what is driven."""
    square = ((variance * variance_gain(gain) + 8) >> 4) + adc_noise * adc_noise
    return np.int64(np.sqrt(np.float64(square)))


@kernel
def prepare(
    rows: Int64Array,
    range_index: Integer,
    effective_ps: UInt32Array,
    numbers: ReadNumbers,
    lines: Lines,
) -> None:
    """Cache what the cells of these rows read.

    Parameters
    ----------
    rows : (n,) int64
    effective_ps : (n, columns) uint32
        Their effective conductances.
    lines : Lines
        These rows of `level` and `spread` are written.
    """
    for n in range(rows.size):
        row = rows[n]
        channel = row % numbers.gain.shape[0]
        gain = numbers.gain[channel, range_index]
        dark = np.int64(lines.dark[row])
        ceiling = ceiling_of(numbers)
        for column in range(effective_ps.shape[1]):
            units = units_of(effective_ps[n, column])
            level = (((units << UNIT_BITS) * gain + _GAIN_HALF) >> GAIN_BITS) + dark
            variance = own_variance(units, numbers.noise)
            if level > ceiling:
                level, variance = ceiling, 0
            lines.level[row, column] = np.int32(level)
            lines.spread[row, column] = np.int32(spread_of(variance, gain, numbers.adc_noise))


@kernel
def ceiling_of(numbers: ReadNumbers) -> Integer:
    """The highest reading that an amplifier delivers, 65536 a code; it has no noise of cells."""
    return (numbers.pedestal << CODE_BITS) + numbers.limit + _CODE_HALF


@kernel
def prepare_dark(range_index: Integer, numbers: ReadNumbers, dark: Int32Array) -> None:
    """Fill in what every row, (rows,) int32, reads with all bit lines grounded."""
    for row in range(dark.size):
        offset = numbers.offset[row % numbers.gain.shape[0], range_index]
        dark[row] = np.int32((numbers.pedestal << CODE_BITS) + offset + _CODE_HALF)


@kernel
def read_points(
    rows: Int64Array,
    columns: Int64Array,
    counts: UInt64Array,
    lines: Lines,
    keys: NoiseKeys,
    normal: Int32Array,
    out: UInt16Array,
) -> Integer:
    """Measure single cells in the order given; returns how many codes saturate.

    Parameters
    ----------
    rows, columns : (n,) int64
    counts : (rows of the chip,) uint64
        Conversion count of every row; advanced.
    out : (n,) uint16
        Receives the codes.
    """
    saturated = 0
    for n in range(rows.size):
        row, column = rows[n], columns[n]
        count = counts[row]
        counts[row] = count + np.uint64(1)
        number = normal[noise_place(keys.conversion[row], keys.tail[row], count)]
        transfer = lines.transfer[row % len(lines.transfer)]
        code = quantised(lines.level[row, column], lines.spread[row, column], number, transfer)
        out[n] = code
        saturated += (code == 0) | (code == lines.top)
    return saturated


@kernel
def read_dark(
    rows: Int64Array,
    conversions: Integer,
    counts: UInt64Array,
    lines: Lines,
    keys: NoiseKeys,
    normal: Int32Array,
    sums: UInt32Array,
) -> None:
    """Sum `conversions` codes of each row with all bit lines grounded.

    Parameters
    ----------
    rows : (n,) int64
    counts : (rows of the chip,) uint64
        Conversion count of every row; advanced.
    sums : (n,) uint32
        Receives the sums.
    """
    for n in range(rows.size):
        row = rows[n]
        transfer = lines.transfer[row % len(lines.transfer)]
        total = 0
        for _ in range(conversions):
            number = normal[noise_place(keys.conversion[row], keys.tail[row], counts[row])]
            counts[row] += np.uint64(1)
            total += quantised(lines.dark[row], lines.dark_spread, number, transfer)
        sums[n] = np.uint32(total)


@kernel
def noise_place(key: Word, tail_key: Word, count: Word) -> Integer:
    """Index into `Tables.normal` of the noise of conversion `count` of a row or channel."""
    lane = count & np.uint64(3)
    bits = derive(key, count >> np.uint64(2)) >> (np.uint64(16) * lane)
    first = np.int64(bits & np.uint64(0xFFFF))
    if is_extreme(first):
        return place_in(first, np.int64(derive(tail_key, count) >> np.uint64(52)))
    return first
