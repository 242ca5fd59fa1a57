"""Effective conductances of rows that are sampled at once, by an exact direct method.

Two laws suffice. A cell between two ports adds its conductance to their admittance matrix. A
resistor in series with a port takes a matrix of rank one away (`_in_series`), and that form has
no special case for zero ohm or zero siemens. Applied along a bit line they give what the source
lines see of a column; applied along the source lines they give the whole. See docs/physics.md.
"""

from __future__ import annotations

import numpy as np

from sim_backend._jit import Integer, kernel
from sim_backend.cells import UInt32Array
from sim_backend.fixedpoint import Int64Array
from sim_backend.wires._lines import OHM_PS, Float64Array, Real, Resistances, checked

_MAX_PS = 4294967295.0


def effective_ps(conductance_ps: UInt32Array, rows: Int64Array, wires: Resistances) -> UInt32Array:
    """Current into the amplifier of each sampled row per volt on each bit line, as integers.

    The word lines of these rows are on, all others off; every bit line is driven or grounded,
    so the result holds for any gate and any input.

    Parameters
    ----------
    conductance_ps : (R, C) uint32
        Of all cells; 0 for a cell that carries no current.
    rows : (n,) int64
        Sampled rows, strictly ascending; time grows with the cube of n.

    Returns
    -------
    (n, C) uint32
        In pS, rounded to the nearest. A cell of a low conductance may come out above it:
        current also reaches its source line on detours through other cells.

    Raises
    ------
    ValueError
        The rows are none, not ascending, or not rows of the array; a resistance is negative.
    """
    exact_ps = unrounded_ps(conductance_ps, rows, wires)
    return np.minimum(np.floor(exact_ps + 0.5), _MAX_PS).astype(np.uint32)


def unrounded_ps(conductance_ps: UInt32Array, rows: Int64Array, wires: Resistances) -> Float64Array:
    """`effective_ps` before it rounds: (n, C) float64, in pS, not negative, for study."""
    wires = checked(wires)
    if not len(rows) or rows[0] < 0 or rows[-1] >= len(conductance_ps) or (np.diff(rows) < 1).any():
        raise ValueError(f"sampled rows must ascend within the array, got {rows.tolist()}")
    out = np.empty((len(rows), conductance_ps.shape[1]))
    _solve(conductance_ps, rows, wires, out)
    return out


@kernel
def _solve(
    conductance_ps: UInt32Array, rows: Int64Array, wires: Resistances, out: Float64Array
) -> None:
    """Walk the columns towards the amplifiers and back."""
    ports, columns = out.shape
    bit_ohm = np.empty(ports)
    bit_ohm[0] = (wires.bit_path + wires.bit_segment * (rows[0] + 1)) * OHM_PS
    for n in range(1, ports):
        bit_ohm[n] = wires.bit_segment * (rows[n] - rows[n - 1]) * OHM_PS
    source_ohm = np.full(columns, wires.source_segment * OHM_PS)
    source_ohm[columns - 1] = (wires.source_segment + wires.source_path) * OHM_PS

    column = np.empty((ports + 1, ports + 1))
    taken = np.empty(ports + 1)
    so_far = np.zeros((ports, ports))
    behind = np.empty((columns, ports, ports))
    driver = np.empty((columns, ports))
    for c in range(columns):
        _column(conductance_ps, rows, c, bit_ohm, column, taken)
        for i in range(ports):
            driver[c, i] = -column[i, ports]
            for j in range(ports):
                so_far[i, j] += column[i, j]
        for n in range(ports):
            _in_series(so_far, n, source_ohm[c], taken)
        behind[c] = so_far
    _back(behind, driver, source_ohm, out)


@kernel
def _column(
    conductance_ps: UInt32Array,
    rows: Int64Array,
    c: Integer,
    bit_ohm: Float64Array,
    column: Float64Array,
    taken: Float64Array,
) -> None:
    """Admittance between the source lines and the driver of a column; the driver is last.

    Built from the far end of the bit line: a cell, the wire to the next sampled row, and so on.
    """
    ports = rows.size
    column[:] = 0.0
    for n in range(ports - 1, -1, -1):
        conductance = np.float64(conductance_ps[rows[n], c])
        column[n, n] += conductance
        column[n, ports] -= conductance
        column[ports, n] -= conductance
        column[ports, ports] += conductance
        _in_series(column[n:, n:], ports - n, bit_ohm[n], taken)


@kernel
def _in_series(admittance: Float64Array, port: Integer, ohm: Real, taken: Float64Array) -> None:
    """Put a resistor between a port and what was there; `taken` is room for one row."""
    ports = len(admittance)
    for j in range(ports):
        taken[j] = admittance[port, j]
    share = ohm / (1.0 + ohm * taken[port])
    for i in range(ports):
        part = taken[i] * share
        for j in range(ports):
            admittance[i, j] -= part * taken[j]


@kernel
def _back(
    behind: Float64Array, driver: Float64Array, source_ohm: Float64Array, out: Float64Array
) -> None:
    """From the amplifiers back to the far end: one volt on each, all drivers grounded.

    The current that then reaches a driver is, by reciprocity, the one asked for.
    """
    ports, columns = out.shape
    outer, inner = np.eye(ports), np.empty((ports, ports))
    current = np.empty(ports)
    for c in range(columns - 1, -1, -1):
        current[:] = 0.0
        for i in range(ports):
            inner[i] = outer[i]
            for j in range(ports):
                drop = source_ohm[c] * behind[c, i, j]
                for r in range(ports):
                    inner[i, r] -= drop * outer[j, r]
            for r in range(ports):
                current[r] += driver[c, i] * inner[i, r]
        for r in range(ports):
            out[r, c] = max(current[r], 0.0)
        outer, inner = inner, outer
