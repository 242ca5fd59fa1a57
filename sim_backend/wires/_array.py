"""Row currents of a whole array with every word line on, for study.

Alternates exact solves of all bit lines and all source lines, each a ladder walked to its end
and back, and accelerates them by Chebyshev's polynomials. The bound of the spectrum that those
need follows from the array itself, and the iteration ends when its residual proves the error
small enough: nothing is left to tune. See docs/physics.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, kernel
from sim_backend.cells import UInt32Array
from sim_backend.wires._lines import OHM_PS, Float64Array, Real, Resistances, checked

WITHIN = 1e-6
"""Proven relative error of every row current."""
LANES = 8
"""Source lines that are walked together, so that the processor has independent work."""
_ROUNDING = 2.0**-48
"""A residual this small, relative to the largest voltage, is rounding: sweeps add nothing."""
_MOST_SWEEPS = 100_000
"""Far beyond what any array needs: the end of a loop that must have one."""


class ArrayCurrents(NamedTuple):
    """Currents of a whole array.

    Attributes
    ----------
    current_a : (R,) float64
        Into the virtual ground of each source line, within `WITHIN` of itself; or, if that is
        more, within what rounding to float64 leaves of the currents without wires.
    sweeps : int
        Solves of all lines that it took.
    """

    current_a: Float64Array
    sweeps: int


class _Ladders(NamedTuple):
    """All lines of an array, its rows filled up to a multiple of `LANES` with empty ones.

    Attributes
    ----------
    conductance_ps : (R, C) float64
    bit_ohm, source_ohm : (R,) and (C,) float64
        On the driver's side of row r; on the amplifier's side of column c. Times `OHM_PS`.
    bit_share : (R, C) float64
        Part of a current that enters at row r or beyond and leaves through `bit_ohm[r]`.
    source_share : (R / LANES, C, LANES) float64
        The same of `source_ohm[c]`.
    full_ps : (R,) float64
        Current of each source line per volt on all nodes of all bit lines.
    """

    conductance_ps: Float64Array
    bit_ohm: Float64Array
    source_ohm: Float64Array
    bit_share: Float64Array
    source_share: Float64Array
    full_ps: Float64Array


class _Iterate(NamedTuple):
    """Voltages of the source lines' nodes and their last change, each (R, C), in volt."""

    source_v: Float64Array
    step_v: Float64Array


class _Room(NamedTuple):
    """What a sweep works on.

    Attributes
    ----------
    bit_pa : (R, C) float64
        Current that enters a bit line at row r or beyond.
    near_v : (C,) float64
        Bit lines at the last row walked.
    block : (LANES, C) float64
        Of the source lines walked together: current of each cell, then voltage of each node.
    source_pa : (C, LANES) float64
        Current that enters them at column c or before.
    lanes : (LANES,) float64
    residual_v : (C,) float64
        Largest so far.
    """

    bit_pa: Float64Array
    near_v: Float64Array
    block: Float64Array
    source_pa: Float64Array
    lanes: Float64Array
    residual_v: Float64Array


def array_currents(
    conductance_ps: UInt32Array, bit_v: Float64Array, wires: Resistances
) -> ArrayCurrents:
    """Currents of all source lines, all word lines on.

    Parameters
    ----------
    conductance_ps : (R, C) uint32
        Of all cells; 0 for a cell that carries no current.
    bit_v : (C,) float64
        Voltage of each bit line's driver; not negative (solve both signs one after the other).

    Raises
    ------
    ValueError
        A voltage or a resistance is negative, or there is not one voltage a column.
    """
    wires = checked(wires)
    rows, columns = conductance_ps.shape
    if bit_v.shape != (columns,) or not ((bit_v >= 0) & (bit_v < np.inf)).all():
        raise ValueError(f"needs {columns} voltages, finite and not negative, got {bit_v}")
    ladders, iterate, room = _allocate(rows, columns)
    _prepare(conductance_ps, wires, ladders)
    current_pa = np.empty(len(ladders.full_ps))
    reach = _reach(conductance_ps, wires)
    volts = np.ascontiguousarray(bit_v, dtype=np.float64)
    sweeps = _solve(ladders, volts, reach, iterate, room, current_pa)
    return ArrayCurrents(current_pa[:rows] * OHM_PS, sweeps)


def _reach(conductance_ps: UInt32Array, wires: Resistances) -> tuple[float, float]:
    """Largest conductance times the summed resistances that cells of a bit or source line share.

    The sum bounds the inverse of the line's smallest eigenvalue: each cell shares with the
    farthest one the path and the segments on its way.
    """
    rows, columns = conductance_ps.shape
    largest = float(conductance_ps.max()) * OHM_PS
    bit_ohm = wires.bit_path * rows + wires.bit_segment * (rows * (rows + 1) // 2)
    source_ohm = wires.source_path * columns
    source_ohm += wires.source_segment * (columns * (columns + 1) // 2)
    return largest * bit_ohm, largest * source_ohm


def _allocate(rows: int, columns: int) -> tuple[_Ladders, _Iterate, _Room]:
    """Room for everything, the large arrays in one piece: the system then maps it in few steps."""
    blocks = -(-rows // LANES)
    filled = blocks * LANES
    large = np.empty((6, filled, columns))
    ladders = _Ladders(
        conductance_ps=large[0],
        bit_ohm=np.empty(filled),
        source_ohm=np.empty(columns),
        bit_share=large[1],
        source_share=large[2].reshape(blocks, columns, LANES),
        full_ps=np.empty(filled),
    )
    room = _Room(
        bit_pa=large[3],
        near_v=np.empty(columns),
        block=np.empty((LANES, columns)),
        source_pa=np.empty((columns, LANES)),
        lanes=np.empty(LANES),
        residual_v=np.empty(columns),
    )
    return ladders, _Iterate(source_v=large[4], step_v=large[5]), room


@kernel
def _prepare(conductance_ps: UInt32Array, wires: Resistances, ladders: _Ladders) -> None:
    """Walk every line once from its far end."""
    given, columns = conductance_ps.shape
    own, bit_ohm, source_ohm, bit_share, source_share, full_ps = ladders
    own[given:] = 0.0
    for r in range(given):
        for c in range(columns):
            own[r, c] = np.float64(conductance_ps[r, c])
    bit_ohm[:] = wires.bit_segment * OHM_PS
    bit_ohm[0] = (wires.bit_segment + wires.bit_path) * OHM_PS
    source_ohm[:] = wires.source_segment * OHM_PS
    source_ohm[columns - 1] = (wires.source_segment + wires.source_path) * OHM_PS

    beyond = np.zeros(columns)
    for r in range(len(own) - 1, -1, -1):
        for c in range(columns):
            beyond[c] += own[r, c]
            bit_share[r, c] = 1.0 / (1.0 + bit_ohm[r] * beyond[c])
            beyond[c] *= bit_share[r, c]
    lanes = np.empty(LANES)
    for block in range(len(source_share)):
        lanes[:] = 0.0
        for c in range(columns):
            for n in range(LANES):
                lanes[n] += own[block * LANES + n, c]
                source_share[block, c, n] = 1.0 / (1.0 + source_ohm[c] * lanes[n])
                lanes[n] *= source_share[block, c, n]
        full_ps[block * LANES : (block + 1) * LANES] = lanes


@kernel
def _solve(
    ladders: _Ladders,
    bit_v: Float64Array,
    reach: tuple[float, float],
    iterate: _Iterate,
    room: _Room,
    current_pa: Float64Array,
) -> Integer:
    """Sweep until every row's current is proven; returns the number of sweeps."""
    shrinks = _shrinks(ladders, iterate, room, current_pa)
    eigenvalue = (reach[0] / (1.0 + reach[0])) * (reach[1] / (1.0 + reach[1]))
    growth = 1.0 + reach[1]
    if shrinks < 1.0:
        growth = min(growth, 1.0 / (1.0 - shrinks))
    spectrum = min(shrinks, eigenvalue)
    middle, half_squared = 1.0 - 0.5 * spectrum, 0.25 * spectrum * spectrum
    rounding_v = _ROUNDING * _largest(bit_v)

    iterate.source_v[:] = 0.0
    iterate.step_v[:] = 0.0
    weight = 1.0 / middle
    keep, add = 0.0, weight
    for sweeps in range(2, _MOST_SWEEPS):
        residual_v = _sweep(ladders, bit_v, keep, add, iterate, room, current_pa)
        if residual_v <= rounding_v:
            return sweeps
        if _proven(residual_v * growth, ladders.full_ps, current_pa):
            return sweeps
        following = 1.0 / (2.0 * middle - half_squared * weight)
        keep, add = half_squared * following * weight, 2.0 * following
        weight = following
    raise ArithmeticError("the wires of this array could not be solved")


@kernel
def _shrinks(ladders: _Ladders, iterate: _Iterate, room: _Room, current_pa: Float64Array) -> Real:
    """Bound of the factor by which a sweep shrinks any error: what it makes of one volt.

    All factors of a sweep are positive, so no other error of at most one volt keeps more.
    """
    source_v = iterate.source_v
    source_v[:] = 1.0
    iterate.step_v[:] = 0.0
    _sweep(ladders, np.zeros(source_v.shape[1]), 0.0, 1.0, iterate, room, current_pa)
    kept = room.near_v
    kept[:] = 0.0
    for r in range(len(source_v)):
        for c in range(kept.size):
            kept[c] = max(kept[c], source_v[r, c])
    return _largest(kept)


@kernel
def _proven(error_v: Real, full_ps: Float64Array, current_pa: Float64Array) -> bool:
    """Whether an error of the source lines' voltages leaves every current within `WITHIN`."""
    unproven = 0
    for r in range(len(full_ps)):
        unproven += full_ps[r] * error_v > WITHIN * current_pa[r]
    return unproven == 0


@kernel
def _largest(values: Float64Array) -> Real:
    """Largest of these and zero."""
    largest = 0.0
    for n in range(values.size):
        largest = max(largest, values[n])
    return largest


@kernel
def _sweep(
    ladders: _Ladders,
    bit_v: Float64Array,
    keep: Real,
    add: Real,
    iterate: _Iterate,
    room: _Room,
    current_pa: Float64Array,
) -> Real:
    """Solve all bit lines, then all source lines, and step; returns the largest residual.

    The residual is what the solves would change in the source lines' voltages; the step taken
    is `keep` times the last one plus `add` times the residual. The currents are those of the
    voltages before the step.
    """
    _to_drivers(ladders, iterate.source_v, room.bit_pa)
    room.near_v[:] = bit_v
    room.residual_v[:] = 0.0
    for block in range(len(ladders.source_share)):
        first = block * LANES
        _from_drivers(ladders, first, room)
        _to_amplifiers(ladders, block, room)
        for n in range(LANES):
            current_pa[first + n] = room.lanes[n]
        _from_amplifiers(ladders, block, room)
        _step(first, keep, add, iterate, room)
    return _largest(room.residual_v)


@kernel
def _to_drivers(ladders: _Ladders, source_v: Float64Array, bit_pa: Float64Array) -> None:
    """Walk all bit lines from the far end, taking up what flows in from the source lines."""
    own, share = ladders.conductance_ps, ladders.bit_share
    rows, columns = own.shape
    for c in range(columns):
        bit_pa[rows - 1, c] = own[rows - 1, c] * source_v[rows - 1, c]
    for r in range(rows - 2, -1, -1):
        for c in range(columns):
            bit_pa[r, c] = own[r, c] * source_v[r, c] + share[r + 1, c] * bit_pa[r + 1, c]


@kernel
def _from_drivers(ladders: _Ladders, first: Integer, room: _Room) -> None:
    """Walk all bit lines on over the rows of a block: their voltages, and what cells pass on."""
    near_v, bit_pa, share = room.near_v, room.bit_pa, ladders.bit_share
    for n in range(LANES):
        r = first + n
        ohm = ladders.bit_ohm[r]
        for c in range(near_v.size):
            near_v[c] = (near_v[c] + ohm * bit_pa[r, c]) * share[r, c]
            room.block[n, c] = ladders.conductance_ps[r, c] * near_v[c]


@kernel
def _to_amplifiers(ladders: _Ladders, block: Integer, room: _Room) -> None:
    """Walk the source lines of a block from the far end; `lanes` are then their currents."""
    lanes, source_pa, share = room.lanes, room.source_pa, ladders.source_share
    lanes[:] = 0.0
    for c in range(len(source_pa)):
        for n in range(LANES):
            source_pa[c, n] = room.block[n, c] + lanes[n]
            lanes[n] = source_pa[c, n] * share[block, c, n]


@kernel
def _from_amplifiers(ladders: _Ladders, block: Integer, room: _Room) -> None:
    """Walk the source lines of a block back from virtual ground: their voltages."""
    lanes, source_pa, share = room.lanes, room.source_pa, ladders.source_share
    lanes[:] = 0.0
    for c in range(len(source_pa) - 1, -1, -1):
        ohm = ladders.source_ohm[c]
        for n in range(LANES):
            lanes[n] = (lanes[n] + ohm * source_pa[c, n]) * share[block, c, n]
            room.block[n, c] = lanes[n]


@kernel
def _step(first: Integer, keep: Real, add: Real, iterate: _Iterate, room: _Room) -> None:
    """Move the voltages of a block towards those just found."""
    source_v, step_v = iterate
    residual_v = room.residual_v
    for n in range(LANES):
        r = first + n
        for c in range(residual_v.size):
            lacking = room.block[n, c] - source_v[r, c]
            residual_v[c] = max(residual_v[c], abs(lacking))
            step_v[r, c] = keep * step_v[r, c] + add * lacking
            source_v[r, c] += step_v[r, c]
