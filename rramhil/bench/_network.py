"""The network of wires and cells as a sparse matrix: the reference of `bench sim` and of tests.

Written down node by node, as a textbook does it, and solved by SuperLU. Resistances must be
positive here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from rramhil.simulation.wires import Resistances

Float64Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class DirectNetwork:
    """Bit lines and source lines of an array, factorised.

    Parameters
    ----------
    conductance_s : (n, C) float64
        Cells in siemens; only rows whose word line is on need a place.
    wires : Resistances
    at_rows : (n,) int64, optional
        Where on the bit lines these rows lie, ascending; by default next to each other.
    """

    def __init__(
        self, conductance_s: Float64Array, wires: Resistances, at_rows: Any = None
    ) -> None:
        rows, columns = conductance_s.shape
        at = np.arange(rows) if at_rows is None else np.asarray(at_rows)
        bit = np.arange(rows * columns).reshape(rows, columns)
        source = bit + rows * columns
        spacing_s = 1 / (wires.bit_segment * np.diff(at))
        self._driver_s = 1 / (wires.bit_path + wires.bit_segment * (at[0] + 1))
        self._ground_s = 1 / (wires.source_path + wires.source_segment)
        self._drivers, self._ends = bit[0], source[:, -1]
        parts = [
            _between(bit, source, conductance_s),
            _between(bit[:-1], bit[1:], np.repeat(spacing_s[:, None], columns, axis=1)),
            _between(source[:, :-1], source[:, 1:], 1 / wires.source_segment),
            (self._drivers, self._drivers, np.full(columns, self._driver_s)),
            (self._ends, self._ends, np.full(rows, self._ground_s)),
        ]
        row, column, value = (np.concatenate([part[n] for part in parts]) for n in range(3))
        size = 2 * rows * columns
        matrix = sparse.csc_matrix((value, (row, column)), shape=(size, size))
        self._size = size
        self._solver: Any = linalg.splu(
            matrix,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def currents_a(self, bit_v: Float64Array) -> Float64Array:
        """Current into each source line's virtual ground, (n,), all drivers at these voltages."""
        injected = np.zeros(self._size)
        injected[self._drivers] = bit_v * self._driver_s
        return self._solver.solve(injected)[self._ends] * self._ground_s

    def effective_s(self) -> Float64Array:
        """Current into each virtual ground per volt on each bit line, (n, C)."""
        injected = np.zeros((self._size, len(self._ends)))
        injected[self._ends, np.arange(len(self._ends))] = self._ground_s
        return (self._solver.solve(injected)[self._drivers] * self._driver_s).T


def _between(one: Any, other: Any, conductance_s: Any) -> tuple[Any, Any, Any]:
    """Entries of conductances between two sets of nodes."""
    a, b = one.ravel(), other.ravel()
    g = np.broadcast_to(conductance_s, one.shape).ravel()
    return (
        np.concatenate([a, b, a, b]),
        np.concatenate([a, b, b, a]),
        np.concatenate([g, g, -g, -g]),
    )
