"""One run: a schedule, a batch of inputs, the state of its rows; out come the accumulators.

Owns how the work is cut into blocks of samples, chunks of vectors and threads. None of that shows
in the result: every number is an integer that belongs to one vector and one sample.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from sim_backend._jit import ENTRY
from sim_backend.cells import UInt8Array, UInt32Array
from sim_backend.fixedpoint import Int64Array, ReadNumbers
from sim_backend.multiply import digits, tables
from sim_backend.multiply.convert import Converter, Parts, Samples, convert
from sim_backend.multiply.digits import Digits
from sim_backend.multiply.matrix import BLOCK, COLUMN_STEP, Matrix, fold
from sim_backend.multiply.schedule import Schedule
from sim_backend.multiply.settings import DIGITS, engine, threads
from sim_backend.readpath import NoiseKeys, UInt64Array, ceiling_of
from sim_backend.tables import Int32Array

_WORTH_A_THREAD = 1 << 16
"""Conversions below which a second thread costs more than it saves."""


class Rows(NamedTuple):
    """What a run needs to know of its chip's rows.

    Attributes
    ----------
    dark : (ranges, rows) int64
        Reading with all bit lines at ground, 2^-16 code.
    zero : (ranges, rows) int32
        In whole codes.
    counts : (rows,) uint64
        Conversions before the run.
    """

    dark: Int64Array
    zero: Int32Array
    counts: UInt64Array


class Inputs(NamedTuple):
    """A batch of input vectors.

    Attributes
    ----------
    planes : (vectors, bits, bytes) uint8
        Bit planes, lowest first; column c of the inputs is bit c mod 8 of byte c div 8. Bits
        beyond the last column are not looked at.
    is_signed : bool
        The top plane subtracts.
    """

    planes: UInt8Array
    is_signed: bool

    def with_one_more(self, columns: int) -> Inputs:
        """The same after `columns` inputs with one more, whose bits are all 1."""
        vectors, bits, width = self.planes.shape
        planes = np.zeros((vectors, bits, max(width, columns // 8 + 1)), dtype=np.uint8)
        planes[:, :, :width] = self.planes
        planes[:, :, columns // 8] |= np.uint8(1 << columns % 8)
        return self._replace(planes=planes)


class Products(NamedTuple):
    """What a run measured.

    Attributes
    ----------
    sums : (vectors, accumulators) int32
    saturated : int
        Codes at either end of the scale.
    """

    sums: Int32Array
    saturated: int


def multiply(
    schedule: Schedule,
    matrix_of: Callable[[int, int], Matrix],
    inputs: Inputs,
    rows: Rows,
    keys: NoiseKeys,
    numbers: ReadNumbers,
    normal: Int32Array,
) -> Products:
    """Run a schedule.

    Parameters
    ----------
    matrix_of : callable
        Gives the folded matrix of the samples from one number up to another, for the columns of
        the inputs; asked for blocks of at most `BLOCK` samples.
    """
    vectors, planes, width = inputs.planes.shape
    padded = np.zeros((vectors * planes, -(-8 * width // COLUMN_STEP) * COLUMN_STEP // 8), np.uint8)
    padded[:, :width] = inputs.planes.reshape(vectors * planes, width)
    sums = np.zeros((vectors, schedule.accumulators), dtype=np.int32)
    converter = Converter(
        planes=planes,
        is_signed=inputs.is_signed,
        adc_noise=numbers.adc_noise,
        ceiling=ceiling_of(numbers),
        top=numbers.top,
        transfers=numbers.transfer.reshape(-1),
        bins=numbers.transfer.shape[1],
        normal=normal,
    )
    saturated = 0
    for start in range(0, len(schedule.row), BLOCK):
        stop = min(start + BLOCK, len(schedule.row))
        matrix = matrix_of(start, stop)
        samples = _samples(schedule, slice(start, stop), planes, rows, keys, numbers)
        work = _Block(padded, matrix, samples, converter, sums)
        saturated += work.run(threads())
    return Products(sums, saturated)


def warm_up(keys: NoiseKeys, numbers: ReadNumbers, normal: Int32Array) -> None:
    """Multiply nothing, so that the kernels are compiled before a host waits for its first run.

    Raises
    ------
    BadSetting
        The environment asks for what there is not.
    """
    row = np.zeros(1, dtype=np.int64)
    one = np.ones(1, dtype=np.int32)
    gates = np.ones((1, 8), dtype=np.uint8)
    none = row.astype(np.int32)
    schedule = Schedule(1, row, gates, ((0,),), row, row, row, none, one, row, row + 1)
    lines = np.zeros(numbers.gain.shape[::-1], dtype=np.int64)
    rows = Rows(lines, lines.astype(np.int32), keys.conversion)
    matrix = fold(np.zeros((1, 8), dtype=np.uint32), gates, numbers.noise)
    inputs = Inputs(np.zeros((1, 1, 1), dtype=np.uint8), False)
    multiply(schedule, lambda start, stop: matrix, inputs, rows, keys, numbers, normal)


class _Block:
    """A block of samples of a run; its chunks of vectors may be computed in any order."""

    def __init__(
        self,
        bits: UInt8Array,
        matrix: Matrix,
        samples: Samples,
        converter: Converter,
        sums: Int32Array,
    ) -> None:
        self._bits, self._matrix, self._samples = bits, matrix, samples
        self._converter, self._sums = converter, sums
        self._parts = _parts(matrix)

    def run(self, workers: int) -> int:
        """Compute it; returns how many codes lie at either end of the scale."""
        if engine() == DIGITS:
            return self._by_digits(workers)
        return self._shared(self._by_tables, (0, len(self._sums)), workers)

    def _by_tables(self, chunk: tuple[int, int]) -> int:
        products = tables.products(self._bits_of(chunk), self._matrix.values)
        return self._convert(products, chunk, chunk[0])

    def _by_digits(self, workers: int) -> int:
        """torch has threads of its own: only the conversions are spread over ours."""
        matrix, saturated = Digits(self._matrix.values), 0
        for chunk in self._chunks((0, len(self._sums)), digits.CHUNK):
            convert_part = partial(
                self._convert, matrix.products(self._bits_of(chunk)), first=chunk[0]
            )
            saturated += self._shared(convert_part, chunk, workers)
        return saturated

    def _bits_of(self, chunk: tuple[int, int]) -> UInt8Array:
        start, stop = (vector * self._converter.planes for vector in chunk)
        return self._bits[start:stop]

    def _convert(self, products: UInt32Array, chunk: tuple[int, int], first: int) -> int:
        """Convert a chunk; the products begin with vector `first`."""
        start, stop = chunk
        skipped = (start - first) * self._converter.planes
        sums = self._sums[start:stop]
        return convert(products, skipped, self._parts, self._samples, self._converter, start, sums)

    def _chunks(self, vectors: tuple[int, int], planes: int) -> list[tuple[int, int]]:
        """Ranges of vectors with about that many planes each."""
        start, stop = vectors
        size = max(1, planes // self._converter.planes)
        return [(at, min(at + size, stop)) for at in range(start, stop, size)]

    def _shared(
        self, work: Callable[[tuple[int, int]], int], vectors: tuple[int, int], workers: int
    ) -> int:
        """Do the work of all these vectors in this thread and others; the sum of what it gives."""
        planes = (vectors[1] - vectors[0]) * self._converter.planes
        if planes * self._matrix.samples < _WORTH_A_THREAD:
            workers = 1
        left = iter(self._chunks(vectors, min(tables.CHUNK, -(-planes // workers))))

        def share() -> int:
            return sum(map(work, left))  # one iterator for all: who is done takes the next

        others = [_pool(workers).submit(share) for _ in range(workers - 1)]
        return share() + sum(other.result() for other in others)


def _samples(
    schedule: Schedule,
    part: slice,
    planes: int,
    rows: Rows,
    keys: NoiseKeys,
    numbers: ReadNumbers,
) -> Samples:
    row, range_index = schedule.row[part], schedule.range_index[schedule.step[part]]
    channel = row % len(numbers.gain)
    turns, accumulator = schedule.turns[part], schedule.accumulator[part]
    first = rows.counts[row] + (schedule.turn[part] * planes).astype(np.uint64)
    return Samples(
        gain=numbers.gain[channel, range_index],
        dark=rows.dark[range_index, row],
        zero=rows.zero[range_index, row],
        accumulator=accumulator,
        sign=schedule.sign[part],
        transfer=(channel * numbers.transfer.shape[1]).astype(np.uint32),
        key=keys.conversion[row],
        tail_key=keys.tail[row],
        first=first,
        step=(turns * planes).astype(np.uint64),
        in_step=bool((turns == 1).all() and (first % 4 == first[0] % 4).all()),
        in_order=bool((np.diff(accumulator) == 1).all()),
    )


def _parts(matrix: Matrix) -> Parts:
    strips = matrix.stride // ENTRY
    place = iter(range(0, matrix.values.shape[1] // ENTRY, strips))
    kept = (True, matrix.wide_sum, matrix.noisy, matrix.wide_variance)
    return Parts(*(next(place) if here else -1 for here in kept))


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads beside the one that asks."""
    return ThreadPoolExecutor(workers - 1, thread_name_prefix="multiply")
