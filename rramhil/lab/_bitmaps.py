"""Boolean arrays as small blobs: one bit a cell, deflated."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]

_SHAPE = struct.Struct("<HH")


def pack(cells: BoolArray) -> bytes:
    """Return an (R, C) bool array as bytes, its shape included."""
    rows, cols = cells.shape
    bits = np.packbits(cells, bitorder="little").tobytes()
    return _SHAPE.pack(rows, cols) + zlib.compress(bits, level=1)


def unpack(blob: bytes) -> BoolArray:
    """Return the (R, C) bool array that `pack` was given."""
    rows, cols = _SHAPE.unpack_from(blob)
    bits = np.frombuffer(zlib.decompress(blob[_SHAPE.size :]), dtype=np.uint8)
    flat = np.unpackbits(bits, count=rows * cols, bitorder="little")
    return flat.reshape(rows, cols).astype(np.bool_)
