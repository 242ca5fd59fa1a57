"""Reading npz archives that nobody vouches for.

Owns: the checks that come before a byte is inflated or an array is made. Never unpickles.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from rramhil.lab._foreign import MIB, refused

# 256 reads of the macro and its matrices; also what an archive may hold when inflated.
MAX_BYTES = 256 * MIB
_MAX_MEMBERS = 64

_ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression nobody uses for arrays
    RuntimeError,  # encrypted
    ValueError,
    # numpy reads an array's header as Python source
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    MemoryError,
)


def read_archive(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an npz file.

    Raises
    ------
    MapFileError
        If it is no archive of plain arrays, is truncated, or would inflate beyond the limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            arrays: dict[str, npt.NDArray[Any]] = {}
            for member in members:
                with archive.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = _read_array(path, name, cast(BinaryIO, stream), member.file_size)
            return arrays
    except _ZIP_DAMAGE as error:
        raise refused(path, "it is truncated, damaged or no npz archive") from error


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MAX_MEMBERS or len({member.filename for member in members}) != len(members):
        raise refused(path, f"it has {len(members)} members, or two of one name")
    inflated = sum(member.file_size for member in members)
    if inflated > MAX_BYTES:
        raise refused(
            path, f"it would inflate to {inflated // MIB} MiB, the limit is {MAX_BYTES // MIB}"
        )


def _read_array(path: Path, name: str, stream: BinaryIO, size: int) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise refused(path, f"{name} is of npy version {version[0]}.{version[1]}, not 1.0 or 2.0")
    if dtype.kind not in "?biufcU" or dtype.hasobject:
        raise refused(path, f"{name} holds {dtype}, not numbers")
    # The header's shape is only a claim; what follows it must be exactly that much.
    count = 1
    for length in shape:
        count *= int(length)
    if any(length < 0 for length in shape) or count * dtype.itemsize != size - stream.tell():
        raise refused(path, f"{name} says shape {shape}, which does not fit its size")
    content = stream.read()
    array = np.frombuffer(content, dtype=dtype, count=count)
    return array.reshape(shape, order="F" if fortran else "C")
