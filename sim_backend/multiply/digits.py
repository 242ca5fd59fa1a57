"""Products of bits and an integer matrix by 8-bit digits: torch's integer matrix product.

The same sums as `tables`, bit for bit, where torch is installed. Each 32-bit value is written as
balanced digits to the base 256, as many as the largest value needs; the products of a digit are
exact in 32 bits, and torch uses the processor's 8-bit dot products where it has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim_backend._jit import ENTRY
from sim_backend.cells import UInt8Array, UInt32Array

CHUNK = 2048
"""Vectors of bits of one product."""


class Digits:
    """A matrix, ready for products.

    Parameters
    ----------
    matrix : (inputs, width) uint32

    Raises
    ------
    ImportError
        torch is not installed.
    """

    def __init__(self, matrix: UInt32Array) -> None:
        import torch

        self._torch: Any = torch
        self._width = matrix.shape[1]
        rest = matrix.T.astype(np.int64)
        digits: list[np.ndarray] = []
        while rest.any():
            low = ((rest + 128) & 255) - 128
            digits.append(low.astype(np.int8))
            rest = (rest - low) >> 8
        self._digits = len(digits)
        stacked = np.concatenate(digits) if digits else np.zeros((0, len(matrix)), dtype=np.int8)
        self._right = torch.from_numpy(stacked).t()

    def products(self, bits: UInt8Array) -> UInt32Array:
        """Sum the rows of the matrix that each vector's bits choose; see `tables.products`."""
        strips, vectors = self._width // ENTRY, len(bits)
        out = np.zeros((strips, vectors, ENTRY), dtype=np.uint32)
        if self._digits == 0:
            return out
        inputs = np.unpackbits(bits, axis=1, bitorder="little").view(np.int8)
        left = self._torch.from_numpy(inputs)
        sums = self._torch._int_mm(left, self._right).numpy().view(np.uint32)
        by_digit = sums.reshape(vectors, self._digits, strips, ENTRY)
        for n in range(self._digits):
            # modulo 2^32, as the sum is below it
            out += by_digit[:, n].transpose(1, 0, 2) << np.uint32(8 * n)
        return out
