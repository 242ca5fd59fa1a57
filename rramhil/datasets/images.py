"""Images of FashionMNIST, from the idx files in which they are published."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.datasets.verify import verified
from rramhil.errors import DataError

UInt8Array = npt.NDArray[np.uint8]

_UINT8 = 8
"""Code of unsigned bytes in an idx file."""

_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


class LabelledImages(NamedTuple):
    """Images of the two official parts.

    Attributes
    ----------
    train_images : (60000, 28, 28) uint8
    train_classes : (60000,) uint8
        0 to 9.
    test_images : (10000, 28, 28) uint8
    test_classes : (10000,) uint8
    """

    train_images: UInt8Array
    train_classes: UInt8Array
    test_images: UInt8Array
    test_classes: UInt8Array


def read_fashion_mnist(root: Path) -> LabelledImages:
    """Read FashionMNIST.

    Parameters
    ----------
    root : Path
        The folder of data sets.

    Raises
    ------
    NotFound, DataError
        See `verified`.
    """
    with verified(root, "fashion-mnist") as tree:
        return LabelledImages(
            *(read_idx(gzip.decompress(tree.read(f"{name}-ubyte.gz"))) for name in _PARTS)
        )


def read_idx(content: bytes) -> UInt8Array:
    """Read an idx file of unsigned bytes: an array of the shape that its head says.

    The head is two zero bytes, the code of the type, the number of axes, and each axis's length
    as a big-endian 32-bit integer (http://yann.lecun.com/exdb/mnist).

    Raises
    ------
    DataError
        If it is none.
    """
    begin = 4 + 4 * content[3] if len(content) > 3 else 4
    if content[:3] != bytes((0, 0, _UINT8)) or len(content) < begin:
        raise DataError("This is no idx file of unsigned bytes.")
    shape = tuple(int(each) for each in np.frombuffer(content[4:begin], dtype=">u4"))
    if len(content) - begin != math.prod(shape):
        raise DataError(f"An idx file of shape {shape} does not have {len(content):,} bytes.")
    return np.frombuffer(content, dtype=np.uint8, offset=begin).reshape(shape)
