"""Effective conductances and gates of a block of samples, folded into one integer matrix.

Owns the layout of that matrix. A product of input bits with it holds, for each sample, the sum of
the conductances that are driven and the sum of their variances; both fit 32 bits, since what
could exceed them is kept as two sums, of the lower and of the upper 16 bits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Protocol

import numpy as np

from sim_backend._jit import ENTRY, Integer, kernel
from sim_backend.cells import UInt8Array, UInt32Array
from sim_backend.faults.switches import StuckLines
from sim_backend.fixedpoint import Int64Array
from sim_backend.multiply.schedule import Schedule
from sim_backend.readpath import own_variance, units_of

BLOCK = 512
"""Samples of one block, at most: its matrix fits a processor's second cache."""
COLUMN_STEP = 32
"""The number of inputs is padded to a multiple of this."""

_HALF_BITS = 16
_MOST_KEPT = 32
"""Matrices kept, of at most 4 MB each."""


class Matrix(NamedTuple):
    """The folded matrix of T samples.

    Attributes
    ----------
    values : (inputs, width) uint32
        Inputs padded with zeros to a multiple of `COLUMN_STEP`. Side by side, each T columns and
        zeros up to a multiple of `ENTRY`: sums, their upper halves if `wide_sum`, variances if
        `noisy`, their upper halves if `wide_variance`.
    samples : int
        T.
    stride : int
        Columns of each part.
    noisy, wide_sum, wide_variance : bool
    """

    values: UInt32Array
    samples: int
    stride: int
    noisy: bool
    wide_sum: bool
    wide_variance: bool


def fold(
    effective_ps: UInt32Array, gates: UInt8Array, noise: int, like: Matrix | None = None
) -> Matrix:
    """Fold the samples of a block.

    Parameters
    ----------
    effective_ps : (T, C) uint32
        Of each sample's row, in the columns of the inputs.
    gates : (T, C) uint8
        1 where the bit line follows the input.
    noise : int
        Of a cell, relative, in 2^-20; 0 leaves the variances out.
    like : Matrix, optional
        Keep two halves where this one does, even if one would do.
    """
    samples, columns = effective_ps.shape
    units, variance = np.empty_like(effective_ps), np.empty_like(effective_ps)
    _gated(effective_ps, gates, noise, units, variance)
    sums, wide_sum = _parts(units, like is not None and like.wide_sum)
    variances, wide_variance = (
        _parts(variance, like is not None and like.wide_variance) if noise else ([], False)
    )
    stride = -(-samples // ENTRY) * ENTRY
    parts = [*sums, *variances]
    height = -(-columns // COLUMN_STEP) * COLUMN_STEP
    values = np.zeros((height, stride * len(parts)), dtype=np.uint32)
    for n, part in enumerate(parts):
        values[:columns, n * stride : n * stride + samples] = part.T
    return Matrix(values, samples, stride, noise > 0, wide_sum, wide_variance)


def _parts(values: UInt32Array, wide: bool) -> tuple[list[UInt32Array], bool]:
    """The values, or their halves if wanted, or if a row of them sums to more than 32 bits."""
    if not wide and int(values.sum(axis=1, dtype=np.uint64).max()) < 1 << 32:
        return [values], False
    return [values & np.uint32((1 << _HALF_BITS) - 1), values >> np.uint32(_HALF_BITS)], True


class Solutions(Protocol):
    """What the steps of a schedule see of their rows; `lines.AgedSteps`.

    Attributes
    ----------
    numbers : (S,) int64
        Which solution each step has; one number, one solution.
    """

    @property
    def numbers(self) -> Int64Array: ...  # noqa: D102

    def effective_ps(self, step: int) -> UInt32Array:
        """Effective conductances of a step's group, (rows of the group, columns)."""
        ...


class _Kept(NamedTuple):
    """A matrix, what it was folded from, and which solution each of its samples had then."""

    schedule: Schedule
    numbers: Int64Array
    matrix: Matrix


class Matrices:
    """Folded matrices of one chip; only what a pulse or age has changed is folded again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], _Kept] = OrderedDict()

    def of(
        self,
        schedule: Schedule,
        samples: slice,
        columns: slice,
        solutions: Solutions,
        noise: int,
        stuck: StuckLines | None = None,
    ) -> Matrix:
        """Folded matrix of some samples of a schedule, for some columns; good until the next call.

        Parameters
        ----------
        solutions : Solutions
            Of the schedule's steps.
        stuck : StuckLines, optional
            Adds a last input, for what flows through lines that are always driven.
        """
        steps = schedule.step[samples]
        numbers = solutions.numbers[steps]
        key = (id(schedule), samples.start, columns.start, columns.stop)
        kept = self._kept.get(key)
        chosen = np.flatnonzero(numbers != kept.numbers) if kept else np.arange(len(steps))
        if kept and not chosen.size:
            self._kept.move_to_end(key)
            return kept.matrix
        steps, places = steps[chosen], schedule.place[samples][chosen]
        pairs = zip(steps.tolist(), places.tolist(), strict=True)
        rows_ps = np.stack([solutions.effective_ps(at)[place] for at, place in pairs])
        rows_ps, gates = _inputs(rows_ps, schedule.gates[steps], columns, stuck)
        piece = fold(rows_ps, gates, noise, kept.matrix if kept else None)
        if kept and _same_kind(piece, kept.matrix):
            _put(piece, chosen, kept.matrix)
            matrix = kept.matrix
        elif kept:
            # what has grown no longer fits: everything anew
            del self._kept[key]
            return self.of(schedule, samples, columns, solutions, noise, stuck)
        else:
            matrix = piece
        # the schedule is kept with it: an identity is only good as long as its object lives
        self._kept[key] = _Kept(schedule, numbers, matrix)
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return matrix


def _inputs(
    rows_ps: UInt32Array, gates: UInt8Array, columns: slice, stuck: StuckLines | None
) -> tuple[UInt32Array, UInt8Array]:
    """Conductances and gates of the inputs, from those of all columns."""
    if stuck is None:
        return rows_ps[:, columns], gates[:, columns]
    gated_ps, always_ps = stuck.split_ps(rows_ps)
    always = np.ones((len(gates), 1), dtype=np.uint8)
    inputs_ps = np.column_stack([gated_ps[:, columns], always_ps]).astype(np.uint32)
    return inputs_ps, np.column_stack([gates[:, columns], always])


def _same_kind(one: Matrix, other: Matrix) -> bool:
    return (one.wide_sum, one.wide_variance) == (other.wide_sum, other.wide_variance)


def _put(piece: Matrix, at: Int64Array, matrix: Matrix) -> None:
    """Overwrite some samples of a matrix by those of a piece of the same kind."""
    for part in range(matrix.values.shape[1] // matrix.stride):
        begin = part * piece.stride
        matrix.values[:, part * matrix.stride + at] = piece.values[:, begin : begin + len(at)]


@kernel
def _gated(
    effective_ps: UInt32Array,
    gates: UInt8Array,
    noise: Integer,
    units: UInt32Array,
    variance: UInt32Array,
) -> None:
    for n in range(units.shape[0]):
        for c in range(units.shape[1]):
            driven = units_of(effective_ps[n, c]) * np.int64(gates[n, c])
            units[n, c] = np.uint32(driven)
            variance[n, c] = np.uint32(own_variance(driven, noise))
