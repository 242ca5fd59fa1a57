"""Map parts in an HDF5 file: the one place that speaks to h5py, which has no types.

Owns: names and form of what is in the file. Does not know what the parts mean. Arrays are stored
plain: shuffled lzf saves 17 % of the codes for over ten times the time, and only h5py reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import h5py as _h5py  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import numpy.typing as npt

h5py = cast(Any, _h5py)

HEADER_NAME = "metadata"
ID_NAME = "content_id"

# A header is a recipe and some notes.
_MAX_HEADER_BYTES = 1 << 24

DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, MemoryError)
"""What h5py raises on a file that is damaged or none of ours."""


Described = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]


class FileHead(NamedTuple):
    """What a map file says of itself: id, header, and the shape of its codes."""

    content_id: str
    header: str
    codes_shape: tuple[int, ...]


def write(path: Path, content_id: str, header: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a new file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with h5py.File(path, "x") as file:
        file.attrs[ID_NAME] = content_id
        # A dataset, not an attribute: attributes end at 64 KiB.
        file[HEADER_NAME] = np.frombuffer(header.encode(), dtype=np.uint8)
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def read_head(path: Path) -> FileHead:
    """Read what a list of maps shows, and no more; raises one of DAMAGE."""
    with h5py.File(path, "r", locking=False) as file:
        header = file[HEADER_NAME]
        if header.dtype != np.uint8 or header.ndim != 1 or header.size > _MAX_HEADER_BYTES:
            raise ValueError(f"{HEADER_NAME} is not a text")
        return FileHead(str(file.attrs[ID_NAME]), bytes(header[()]).decode(), _shape(file["codes"]))


def describe(path: Path) -> Described:
    """Read shape and type of each array, and no array; raises one of DAMAGE."""
    with h5py.File(path, "r", locking=False) as file:
        return {
            str(name): (_shape(item), np.dtype(item.dtype))
            for name, item in file.items()
            if name != HEADER_NAME
        }


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Read arrays whose description was found acceptable; raises one of DAMAGE."""
    with h5py.File(path, "r", locking=False) as file:
        return {name: np.asarray(file[name][()]) for name in names}


def _shape(dataset: Any) -> tuple[int, ...]:
    return tuple(int(length) for length in dataset.shape)
