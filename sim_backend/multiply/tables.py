"""Products of bits and an integer matrix by look-up tables, in integers.

Four inputs have 16 combinations: their sums are tabulated once for a batch, and each vector adds
entries instead of multiplying (the method of four Russians, Arlazarov et al. 1970). On the
processors tried this is faster than a float32 product of the same shape, and needs no library.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from sim_backend._jit import ENTRY, add_entries, kernel
from sim_backend.cells import UInt8Array, UInt32Array

CHUNK = 1024
"""Vectors of bits for which tables are made: a strip of their products fits the second cache."""

_ENTRY = np.uint64(ENTRY)
_TABLE = np.uint64(16 * ENTRY)
_LINE_BYTES = 64
_KEPT = threading.local()
_TABLES = 8
"""Tables in use at a time; together they fit the first cache."""
_ZERO, _ONE, _FOUR = np.uint64(0), np.uint64(1), np.uint64(4)
_LOW = np.uint64(15)


def products(bits: UInt8Array, matrix: UInt32Array) -> UInt32Array:
    """Sum the rows of the matrix that each vector's bits choose.

    Parameters
    ----------
    bits : (n, inputs / 8) uint8
        Input c is bit c mod 8 of byte c div 8.
    matrix : (inputs, width) uint32
        Inputs a multiple of 32, width of 64; no column sums to more than 32 bits.

    Returns
    -------
    (width / 64, n, 64) uint32
        In strips of 64 columns: what is written together lies together. Good until this thread's
        next call.
    """
    shape = matrix.shape[1] // ENTRY, len(bits), ENTRY
    out = _memory("out", math.prod(shape)).reshape(shape)
    out.fill(0)
    _sum(bits, matrix, _memory("tables", _TABLES * 16 * ENTRY), out)
    return out


def _memory(what: str, size: int) -> UInt32Array:
    """This thread's own, kept, since new memory costs a fault a page; not cleared.

    It begins with a line of the cache: without, the tables take half as long again.
    """
    room: UInt32Array | None = getattr(_KEPT, what, None)
    if room is None or len(room) < size:
        whole = np.empty(size + _LINE_BYTES // 4, dtype=np.uint32)
        room = whole[-whole.ctypes.data % _LINE_BYTES // 4 :]
        setattr(_KEPT, what, room)
    return room[:size]


@kernel
def _sum(bits: UInt8Array, matrix: UInt32Array, tables: UInt32Array, out: UInt32Array) -> None:
    # unsigned indices: signed ones are looked at for being negative, each time
    vectors, row_bytes = np.uint64(bits.shape[0]), np.uint64(bits.shape[1])
    width = np.uint64(matrix.shape[1])
    flat_bits, flat_matrix, flat_out = bits.reshape(-1), matrix.reshape(-1), out.reshape(-1)
    for at in range(_ZERO, width, _ENTRY):
        for byte in range(_ZERO, row_bytes, _FOUR):
            _tabulate(flat_matrix, byte * np.uint64(8) * width + at, width, tables)
            for vector in range(vectors):
                place = vector * row_bytes + byte
                one = np.uint64(flat_bits[place])
                two = np.uint64(flat_bits[place + _ONE])
                three = np.uint64(flat_bits[place + np.uint64(2)])
                four = np.uint64(flat_bits[place + np.uint64(3)])
                entries = (
                    (one & _LOW) * _ENTRY,
                    (one >> _FOUR) * _ENTRY + _TABLE,
                    (two & _LOW) * _ENTRY + np.uint64(2) * _TABLE,
                    (two >> _FOUR) * _ENTRY + np.uint64(3) * _TABLE,
                    (three & _LOW) * _ENTRY + np.uint64(4) * _TABLE,
                    (three >> _FOUR) * _ENTRY + np.uint64(5) * _TABLE,
                    (four & _LOW) * _ENTRY + np.uint64(6) * _TABLE,
                    (four >> _FOUR) * _ENTRY + np.uint64(7) * _TABLE,
                )
                add_entries(flat_out, at * vectors + vector * _ENTRY, tables, entries)


@kernel
def _tabulate(matrix: UInt32Array, first: np.uint64, width: np.uint64, tables: UInt32Array) -> None:
    """Sums of the 16 combinations of each of 8 x 4 matrix rows, 64 columns from `first` on."""
    for table in range(np.uint64(_TABLES)):
        base = table * _TABLE
        for n in range(_ENTRY):
            tables[base + n] = np.uint32(0)
        for bit in range(_FOUR):
            row = first + (table * _FOUR + bit) * width
            for entry in range(_ONE << bit):
                known = base + entry * _ENTRY
                new = known + (_ONE << bit) * _ENTRY
                for n in range(_ENTRY):
                    tables[new + n] = tables[known + n] + matrix[row + n]
