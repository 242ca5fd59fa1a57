"""The converter: from what stands at its input to a code, with offset, gain error, INL and DNL.

Owns the places of a channel's transitions, the table that the kernels look a code up in, and the
kernel that converts. Codes are 65,536 inside. Knows no cell and no amplifier.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, Word, kernel
from sim_backend.errors import ProfileError
from sim_backend.fixedpoint import CODE_BITS, Int64Array
from sim_backend.frontend._curves import bent, relative
from sim_backend.randomness import derive
from sim_backend.tables import NORMAL_BITS, Int32Array

MARGIN = 256
"""Codes beyond either end of the scale that the table covers: no transition lies farther off."""
_LOWEST = -MARGIN << CODE_BITS
_BIN_BITS = CODE_BITS - 1
"""Bins of the table are half a code wide: there is at most one transition in each."""
_FIRST_BIN = 2 * MARGIN
"""Bin of the table in which the scale begins."""
_NOISE_HALF = 1 << (NORMAL_BITS - 1)


class Converter(NamedTuple):
    """Errors of one channel's converter, in 2^-16 codes and 10^-9.

    Attributes
    ----------
    bits : int
        Width of a code.
    offset : int
        By which every transition lies too high.
    gain_ppb : int
        By which the codes are too wide.
    bow, sway : int
        Amplitudes of the two smooth parts of the INL.
    jitter : int
        The most by which a single transition lies off, which makes the DNL.
    key : int
        Of the transitions' jitter.
    """

    bits: int
    offset: int
    gain_ppb: int
    bow: int
    sway: int
    jitter: int
    key: int


@kernel
def quantised(level: Integer, spread: Integer, number: Integer, transfer: Int32Array) -> Integer:
    """Code of a conversion whose noise is `number` in 2^-20 sd, clipped at both ends.

    Parameters
    ----------
    level, spread : int
        Mean and standard deviation at the converter's input, 65536 a code; the mean bears the
        half code that rounds.
    number : int
        Entry of `Tables.normal`.
    transfer : (bins,) int32
        Of the channel; a row of `transfers`.
    """
    seen = seen_by(level, spread, number, transfer.size)
    return code_of(seen, transfer[bin_of(seen)])


# The three steps of `quantised`, for kernels that take many conversions through each in turn: a
# loop that also looks entries up is not turned into vector instructions.


@kernel
def seen_by(level: Integer, spread: Integer, number: Integer, bins: Integer) -> Integer:
    """What a converter finds at its input, cut to where its transfer of so many bins is known."""
    noise = (np.int64(spread) * np.int64(number) + _NOISE_HALF) >> NORMAL_BITS
    highest = (bins << _BIN_BITS) + _LOWEST - 1
    return min(max(np.int64(level) + noise, _LOWEST), highest)


@kernel
def bin_of(seen: Integer) -> Integer:
    """Bin of a transfer in which an input lies."""
    return (seen >> _BIN_BITS) + _FIRST_BIN


@kernel
def code_of(seen: Integer, entry: Integer) -> Integer:
    """Code of an input, with the transfer's entry of its bin."""
    return (seen + entry) >> CODE_BITS


def transitions(converter: Converter) -> Int64Array:
    """Input at which each code begins, in 2^-16 codes.

    Returns
    -------
    (2^bits - 1,) int64
        Of every code but 0, strictly ascending.
    """
    codes = np.arange(1, 1 << converter.bits, dtype=np.int64)
    jitter = np.empty(len(codes), dtype=np.int64)
    _draw(np.uint64(converter.key), converter.jitter, jitter)
    ideal = codes << CODE_BITS
    smooth = bent(codes << (16 - converter.bits), converter.bow, converter.sway)
    return ideal + converter.offset + relative(ideal, converter.gain_ppb) + smooth + jitter


@kernel
def _draw(key: Word, most: Integer, out: Int64Array) -> None:
    """Integers between -most and +most, one a transition."""
    for n in range(out.size):
        half = np.int64(derive(key, np.uint64(n)) >> np.uint64(32))
        out[n] = ((half * (2 * most + 1)) >> 32) - most


def transfers(converters: tuple[Converter, ...]) -> Int32Array:
    """Tables that `quantised` looks codes up in, of converters of one width.

    A bin is half a code; the code of input x is `(x + table[bin]) >> 16`: the entry is what makes
    the sum pass a whole code just where the bin's transition lies, or where the bin ends.

    Returns
    -------
    (channels, bins) int32

    Raises
    ------
    ProfileError
        Transitions lie closer than half a code, or outside the table.
    """
    highest = (((1 << converters[0].bits) + MARGIN) << CODE_BITS) - 1
    begin = np.arange(_LOWEST, highest, 1 << _BIN_BITS, dtype=np.int64)
    end = begin + (1 << _BIN_BITS)
    tables = np.empty((len(converters), len(begin)), dtype=np.int32)
    for channel, converter in enumerate(converters):
        at = transitions(converter)
        if np.diff(at).min() <= 1 << _BIN_BITS or at[0] <= _LOWEST or at[-1] > highest:
            raise ProfileError(
                f"The transitions of converter {channel} lie closer than half a code, or beyond "
                f"{MARGIN} codes of the scale: make adc_dnl_codes or the other errors smaller."
            )
        code = np.searchsorted(at, begin, side="right")
        following = np.append(at, end[-1])[code]
        tables[channel] = ((code + 1) << CODE_BITS) - np.minimum(following, end)
    return tables


def dead_transfer(code: int, bins: int) -> Int32Array:
    """Table of a converter that gives one code whatever its input, (bins,) int32."""
    begin = (np.arange(bins, dtype=np.int64) - _FIRST_BIN) << _BIN_BITS
    return ((code << CODE_BITS) - begin).astype(np.int32)
