"""Products of a chip from the words of the contract alone: conductances, converters, sums.

Written from docs/protocol.md and docs/physics.md, in plain Python; shares no code with the board's
multiplication. What is true of a chip (state of its cells, gains, offsets, transitions) it takes
from the board that is inspected.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from sim_backend.ageing import multiplied
from sim_backend.board import SimulatedBoard
from sim_backend.frontend import Converter, transitions
from sim_backend.wires import effective_ps, resistances

Int64Array = npt.NDArray[np.int64]

_HALF = 1 << 15
_QUANTILES = norm.ppf((np.arange(2000) + 0.5) / 2000)


class Sampled(NamedTuple):
    """A row that is converted with some bit lines behind its gate, beside other rows.

    Attributes
    ----------
    row, range_index, accumulator, sign : int
    beside : tuple of int
        All rows that are sampled at once, it too.
    gate : (columns,) bool
    """

    row: int
    range_index: int
    accumulator: int
    sign: int
    beside: tuple[int, ...]
    gate: npt.NDArray[np.bool_]


class Spread(NamedTuple):
    """Mean and variance of accumulators, each (vectors, accumulators) float64."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]


class ChipTruth:
    """What is true of chip 0 of an open board, as it is when a group of rows is first asked for.

    Parameters
    ----------
    board : SimulatedBoard
    converters : sequence of Converter
        By channel.
    """

    def __init__(self, board: SimulatedBoard, converters: Sequence[Converter]) -> None:
        self.board = board
        self.numbers = board.front.read
        self.noise = board.chips[0]._noise
        self._transitions = [transitions(each) for each in converters]
        self._groups: dict[tuple[int, ...], Int64Array] = {}

    def units(self, row: int, beside: tuple[int, ...]) -> Int64Array:
        """Effective conductances of a row's cells beside others, in units of 4 pS, (columns,)."""
        rows = tuple(sorted(beside))
        if rows not in self._groups:
            chip, lines = self.board.chips[0], np.array(rows, dtype=np.int64)
            through = effective_ps(
                chip.cells.conductance_ps.copy(), lines, resistances(self.board.profile)
            )
            factors = chip.ageing.factors(lines, self.board.clock_ns).values
            self._groups[rows] = (multiplied(through, factors).astype(np.int64) + 2) >> 2
        return self._groups[rows][rows.index(row)]

    def level(self, row: int, range_index: int, units: int) -> int:
        """What stands at the row's converter, 65536 a code, with the half code that rounds."""
        channel, numbers = row % 8, self.numbers
        current = (units * 4 * int(numbers.gain[channel, range_index]) + 2**25) >> 26
        output = min(current + int(numbers.offset[channel, range_index]), numbers.limit)
        return output + (numbers.pedestal << 16) + _HALF

    def code(self, row: int, level: int) -> int:
        """Number of the channel's transitions at or below a level."""
        return bisect_right(self._transitions[row % 8], level)

    def zero(self, row: int, range_index: int) -> int:
        """Zero of a row, where conversions have no noise: all dark codes are the same."""
        return self.code(row, self.level(row, range_index, 0))

    def code_with_noise(self, row: int, range_index: int, driven: Int64Array) -> tuple[float, ...]:
        """Mean and variance of the code of driven cells, each with noise of its own."""
        numbers = self.numbers
        per_unit = 4 * int(numbers.gain[row % 8, range_index]) / 2**26
        cells = (driven * (self.noise / 2**20) * per_unit) ** 2
        sd = np.sqrt(cells.sum() + numbers.adc_noise**2)
        level = self.level(row, range_index, int(driven.sum()))
        codes = np.searchsorted(self._transitions[row % 8], level + sd * _QUANTILES, "right")
        return float(codes.mean()), float(codes.var())


def planes_of(inputs: Int64Array, bits: int) -> npt.NDArray[np.bool_]:
    """Bits of inputs (vectors, columns), lowest plane first, (vectors, bits, columns)."""
    return (inputs[:, None, :] >> np.arange(bits)[:, None]) & 1 == 1


def weight_of(plane: int, bits: int, *, is_signed: bool) -> int:
    """What a plane counts: twice as much as the one below; a sign is worth its negative."""
    return -(1 << plane) if is_signed and plane == bits - 1 else 1 << plane


def accumulators(
    truth: ChipTruth,
    samples: Iterable[Sampled],
    count: int,
    inputs: Int64Array,
    bits: int,
    *,
    is_signed: bool,
) -> Int64Array:
    """Sum sign * (ADC(G . (plane AND gate)) - zero) * 2^plane, (vectors, count), without noise.

    Parameters
    ----------
    inputs : (vectors, columns) int64
        For every bit line of the array.
    """
    sums = np.zeros((len(inputs), count), dtype=np.int64)
    planes = planes_of(inputs, bits)
    for each in samples:
        units = truth.units(each.row, each.beside)
        zero = truth.zero(each.row, each.range_index)
        for plane in range(bits):
            weight = each.sign * weight_of(plane, bits, is_signed=is_signed)
            for vector in range(len(inputs)):
                driven = int(units[planes[vector, plane] & each.gate].sum())
                code = truth.code(each.row, truth.level(each.row, each.range_index, driven))
                sums[vector, each.accumulator] += weight * (code - zero)
    return sums


def accumulators_with_noise(
    truth: ChipTruth,
    samples: Iterable[Sampled],
    count: int,
    inputs: Int64Array,
    bits: int,
    zeros: dict[tuple[int, int], int],
    *,
    is_signed: bool,
) -> Spread:
    """Mean and variance of the same where cells and converters have noise.

    Parameters
    ----------
    zeros : dict of (row, range) to int
        Whole codes that the board subtracts, as it measured them.
    """
    mean, variance = (np.zeros((len(inputs), count)) for _ in range(2))
    planes = planes_of(inputs, bits)
    for each in samples:
        units = truth.units(each.row, each.beside)
        for plane in range(bits):
            weight = each.sign * weight_of(plane, bits, is_signed=is_signed)
            for vector in range(len(inputs)):
                driven = units[planes[vector, plane] & each.gate]
                code, spread = truth.code_with_noise(each.row, each.range_index, driven)
                code -= zeros[each.row, each.range_index]
                mean[vector, each.accumulator] += weight * code
                variance[vector, each.accumulator] += weight**2 * spread
    return Spread(mean, variance)
