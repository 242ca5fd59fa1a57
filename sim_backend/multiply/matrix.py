"""Effective conductances and gates of a block of samples, folded into one integer matrix.

Owns the layout of that matrix. A product of input bits with it holds, for each sample, the sum of
the conductances that are driven and the sum of their variances; both fit 32 bits, since what
could exceed them is kept as two sums, of the lower and of the upper 16 bits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim_backend._jit import ENTRY, Integer, kernel
from sim_backend.cells import UInt8Array, UInt32Array
from sim_backend.effective import Group, Solution
from sim_backend.faults.switches import StuckLines
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


def fold(effective_ps: UInt32Array, gates: UInt8Array, noise: int) -> Matrix:
    """Fold the samples of a block.

    Parameters
    ----------
    effective_ps : (T, C) uint32
        Of each sample's row, in the columns of the inputs.
    gates : (T, C) uint8
        1 where the bit line follows the input.
    noise : int
        Of a cell, relative, in 2^-20; 0 leaves the variances out.
    """
    samples, columns = effective_ps.shape
    units, variance = np.empty_like(effective_ps), np.empty_like(effective_ps)
    _gated(effective_ps, gates, noise, units, variance)
    sums, wide_sum = _parts(units)
    variances, wide_variance = _parts(variance) if noise else ([], False)
    stride = -(-samples // ENTRY) * ENTRY
    parts = [*sums, *variances]
    height = -(-columns // COLUMN_STEP) * COLUMN_STEP
    values = np.zeros((height, stride * len(parts)), dtype=np.uint32)
    for n, part in enumerate(parts):
        values[:columns, n * stride : n * stride + samples] = part.T
    return Matrix(values, samples, stride, noise > 0, wide_sum, wide_variance)


def _parts(values: UInt32Array) -> tuple[list[UInt32Array], bool]:
    """The values, or their halves if a row of them sums to more than 32 bits."""
    if int(values.sum(axis=1, dtype=np.uint64).max()) < 1 << 32:
        return [values], False
    return [values & np.uint32((1 << _HALF_BITS) - 1), values >> np.uint32(_HALF_BITS)], True


class Matrices:
    """Folded matrices of one chip, kept until a pulse or a newer schedule makes them useless."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[Schedule, Matrix]] = OrderedDict()

    def of(
        self,
        schedule: Schedule,
        samples: slice,
        columns: slice,
        effective: Callable[[Group], Solution],
        noise: int,
        stuck: StuckLines | None = None,
    ) -> Matrix:
        """Folded matrix of some samples of a schedule, for some columns.

        Parameters
        ----------
        effective : callable
            Gives the solution of a group of rows.
        stuck : StuckLines, optional
            Adds a last input, for what flows through lines that are always driven.
        """
        steps = schedule.step[samples]
        solutions = {at: effective(schedule.groups[at]) for at in np.unique(steps).tolist()}
        numbers = tuple(solution.number for solution in solutions.values())
        key = (id(schedule), samples.start, columns.start, columns.stop, numbers)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]
        places = zip(steps.tolist(), schedule.place[samples].tolist(), strict=True)
        rows_ps = np.stack([solutions[at].effective_ps[place] for at, place in places])
        gates = schedule.gates[steps, columns]
        if stuck is None:
            matrix = fold(rows_ps[:, columns], gates, noise)
        else:
            gated_ps, always_ps = stuck.split_ps(rows_ps)
            inputs_ps = np.column_stack([gated_ps[:, columns], always_ps]).astype(np.uint32)
            always = np.ones((len(gates), 1), dtype=np.uint8)
            matrix = fold(inputs_ps, np.column_stack([gates, always]), noise)
        # the schedule is kept with it: an identity is only good as long as its object lives
        self._kept[key] = schedule, matrix
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return matrix


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
