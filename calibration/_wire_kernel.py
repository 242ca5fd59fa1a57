"""The compiled part of `calibration.wires`: effective conductances of groups of rows.

Owns the arithmetic, for several groups side by side so that the processor's vectors are filled.
Imported only when something is to be computed: it loads numba. Checks nothing.

Both halves of the problem are the same step. A symmetric matrix Z of resistances to which a
conductance d is added at node k, and one of conductances in whose terminal k a resistance is put,
become `Z - z z' d / (1 + d z_k)`, z the column k. Of a matrix only the lower half is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])

_LANES = 16
"""Groups side by side: matrices of that many groups of 8 rows stay in the first-level cache."""


def _kernel(function: F) -> F:
    # Divisions by zero give inf, which the caller finds, rather than a check in every loop.
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def _join(matrix: Float64Array, k: int, by: Float64Array, column: Float64Array) -> None:
    """Join one element to terminal k of every lane.

    matrix (n, n, L), changed; by (L,), the element; column (n + 1, L), room to work in.
    """
    size, _, lanes = matrix.shape
    share = column[size]
    for i in range(size):
        for x in range(lanes):
            column[i, x] = matrix[i, k, x] if i >= k else matrix[k, i, x]
    for x in range(lanes):
        share[x] = by[x] / (1.0 + by[x] * column[k, x])
    for i in range(size):
        for j in range(i + 1):
            for x in range(lanes):
                matrix[i, j, x] -= column[i, x] * share[x] * column[j, x]


@_kernel
def _bit_line(
    own: Float64Array, common_ohm: Float64Array, line: Float64Array, column: Float64Array
) -> None:
    """Admittance of a bit line with its cells seen from the source lines, its driver at ground.

    own (n, L) in siemens; common_ohm (n, L), from the driver to each node; line (n, n, L), out.
    """
    size, lanes = own.shape
    for i in range(size):
        for j in range(i + 1):
            for x in range(lanes):
                line[i, j, x] = common_ohm[j, x]
    for k in range(size):
        _join(line, k, own[k], column)
    for i in range(size):
        for j in range(i + 1):
            for x in range(lanes):
                line[i, j, x] *= -own[i, x] * own[j, x]
        for x in range(lanes):
            line[i, i, x] += own[i, x]


@_kernel
def _lanes(
    own: Float64Array, common_ohm: Float64Array, ahead_ohm: Float64Array, out: Float64Array
) -> None:
    """Effective conductances: own and out (C, n, L) in siemens, ahead_ohm (C,) to the right."""
    columns, size, lanes = own.shape
    passed = np.empty((columns, size, size, lanes))
    driver = np.zeros((columns, size, lanes))
    behind = np.zeros((size, size, lanes))
    line = np.empty((size, size, lanes))
    work = np.empty((size + 1, lanes))
    ahead = np.empty(lanes)
    for c in range(columns):
        _bit_line(own[c], common_ohm, line, work)
        for i in range(size):
            for j in range(i + 1):
                for x in range(lanes):
                    behind[i, j, x] += line[i, j, x]
                    driver[c, i, x] += line[i, j, x]
                if j < i:
                    for x in range(lanes):
                        driver[c, j, x] += line[i, j, x]
        ahead[:] = ahead_ohm[c]
        for k in range(size):
            _join(behind, k, ahead, work)
        for i in range(size):
            for j in range(i + 1):
                for x in range(lanes):
                    passed[c, i, j, x] = ahead_ohm[c] * behind[i, j, x]
                    passed[c, j, i, x] = passed[c, i, j, x]
    volts = np.zeros((size, size, lanes))  # of every source line, by the amplifier at one volt
    before = np.empty((size, size, lanes))
    for i in range(size):
        volts[i, i] = 1.0
    for c in range(columns - 1, -1, -1):
        before[:] = volts
        for i in range(size):
            for k in range(size):
                for j in range(size):
                    for x in range(lanes):
                        volts[i, j, x] -= passed[c, i, k, x] * before[k, j, x]
        out[c] = 0.0
        for i in range(size):
            for j in range(size):
                for x in range(lanes):
                    out[c, j, x] += driver[c, i, x] * volts[i, j, x]


@_kernel
def effective(own: Float64Array, driver_ohm: Float64Array, ahead_ohm: Float64Array) -> Float64Array:
    """Effective conductances of groups of rows.

    Parameters
    ----------
    own : (N, n, C) float64
        Of the cells of N groups of n rows, in siemens.
    driver_ohm : (N, n) float64
        From a bit line's driver to each row, ascending in a group.
    ahead_ohm : (C,) float64
        From one column to the next, of the last one to the amplifier.

    Returns
    -------
    (N, n, C) float64
        In siemens.
    """
    groups, size, columns = own.shape
    out = np.empty((groups, size, columns))
    for first in range(0, groups, _LANES):
        lanes = min(_LANES, groups - first)
        cells = np.empty((columns, size, lanes))
        read = np.empty((columns, size, lanes))
        common_ohm = np.empty((size, lanes))
        for x in range(lanes):
            for i in range(size):
                common_ohm[i, x] = driver_ohm[first + x, i]
                for c in range(columns):
                    cells[c, i, x] = own[first + x, i, c]
        _lanes(cells, common_ohm, ahead_ohm, read)
        for x in range(lanes):
            for i in range(size):
                for c in range(columns):
                    out[first + x, i, c] = read[c, i, x]
    return out
