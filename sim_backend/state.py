"""Files that keep a simulated board and its chips, as a board's non-volatile memory does.

Owns the file format: a checked header, then arrays at fixed offsets, mapped into memory and
shared. What is stored into such an array is kept when the process is killed, at any point and
without a further call. A file is written whole under another name and renamed, so it is there
entirely or not at all. While nobody has it open for writing, a seal vouches for its content.
Knows nothing of what the arrays mean.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim_backend.errors import NoSuchBoard, StateDamaged

VERSION = 3
_MAGIC = b"RRAMHILS"
_HEADER_BYTES = 4096
_SEAL_AT = 2048
_SEALED = 0x5345414C
"""Low half of a seal; the high half is the CRC-32 of all arrays. 0 is no seal. Both halves are one
number, so that a kill finds the whole of it or nothing."""
_ALIGNMENT = 64
_HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("kind", "S12"),
        ("bytes", "<u8"),
        ("seed", "<u8"),
        ("chip", "<u4"),
        ("generation", "<u4"),
        ("profile", "S32"),
        ("profile_digest", "S64"),
        ("serial", "S32"),
        ("technology", "S32"),
        ("technology_digest", "S64"),
        ("checksum", "<u4"),
    ]
)

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class ArraySpec(NamedTuple):
    """Type and shape of one array of a state file."""

    dtype: str
    shape: tuple[int, ...]


Layout = Mapping[str, ArraySpec]


@dataclass(frozen=True)
class Identity:
    """What a state file belongs to; a file is opened only for the identity it was made with.

    `generation` counts the chips that were in a socket, from 0; it is read, not demanded, as is the
    technology, which is empty for a board.
    """

    kind: str
    seed: int
    chip: int
    generation: int
    profile: str
    profile_digest: str
    serial: str
    technology: str = ""
    technology_digest: str = ""


@dataclass(frozen=True)
class StateFile:
    """An open state file: whose it is, and its arrays."""

    identity: Identity
    arrays: Arrays
    memory: mmap.mmap

    def seal(self) -> None:
        """Bring everything to the disk and vouch for it; nothing may be stored afterwards.

        It survives a loss of power then, and damage is seen when the file is opened.
        """
        self.memory.flush()
        _put_seal(self.memory, _seal_of(self.memory))


def create(path: Path, identity: Identity, layout: Layout, fill: Callable[[Arrays], None]) -> None:
    """Write a state file, replacing one that is there.

    Parameters
    ----------
    fill : callable
        Gets the arrays, all zero, and sets what they begin with.
    """
    size = _size(layout)
    memory = bytearray(size)
    fill(_views(memory, layout))
    memory[: _HEADER.itemsize] = _header(identity, size).tobytes()
    _seal(memory)[0] = _seal_of(memory)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(memory)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def open_state(path: Path, wanted: Identity, layout: Layout, *, writable: bool = True) -> StateFile:
    """Map a state file into memory, and check its content if it is sealed.

    One that is not is in use, or was left by a process or a computer that was killed; then nothing
    can tell whether it is whole. Opened for writing it has no seal until `StateFile.seal`.

    Parameters
    ----------
    wanted : Identity
        What the file must belong to; its generation, serial number and technology are taken from
        the file.
    writable : bool
        False gives read-only arrays, which follow what another process writes.

    Raises
    ------
    NoSuchBoard
        There is no such file.
    StateDamaged
        The file is not whole, or belongs to something else.
    """
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    try:
        with path.open("r+b" if writable else "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != _size(layout):
                raise StateDamaged(f"{path} has {size} bytes instead of {_size(layout)}.")
            memory = mmap.mmap(file.fileno(), 0, access=access)
    except FileNotFoundError as error:
        raise NoSuchBoard(f"There is no state file {path}.") from error
    identity = _identity(path, memory, wanted)
    _check_seal(path, memory)
    if writable:
        # on the disk before any change, or a loss of power could leave a seal on other content
        _put_seal(memory, 0)
    return StateFile(identity, _views(memory, layout), memory)


def _check_seal(path: Path, memory: mmap.mmap) -> None:
    seal = int(_seal(memory)[0])
    # where another process has opened it meanwhile, the seal is gone and what was read may be mixed
    if seal and seal != _seal_of(memory) and seal == int(_seal(memory)[0]):
        raise StateDamaged(
            f"{path} is damaged: its content is not what was kept when it was last closed."
        )


def _put_seal(memory: mmap.mmap, seal: int) -> None:
    if int(_seal(memory)[0]) != seal:
        _seal(memory)[0] = seal
        memory.flush(0, _HEADER_BYTES)


def _seal(memory: bytearray | mmap.mmap) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.frombuffer(memory, dtype="<u8", count=1, offset=_SEAL_AT)


def _seal_of(memory: bytearray | mmap.mmap) -> int:
    return zlib.crc32(memoryview(memory)[_HEADER_BYTES:]) << 32 | _SEALED


def _identity(path: Path, memory: mmap.mmap, wanted: Identity) -> Identity:
    header = np.frombuffer(memory, dtype=_HEADER, count=1)[0].copy()
    if bytes(header["magic"]) != _MAGIC or header["checksum"] != _checksum(header):
        raise StateDamaged(f"{path} is damaged: its header does not check.")
    if header["version"] != VERSION:
        raise StateDamaged(f"{path} has version {header['version']}; this is version {VERSION}.")
    found = Identity(
        kind=header["kind"].decode(),
        seed=int(header["seed"]),
        chip=int(header["chip"]),
        generation=int(header["generation"]),
        profile=header["profile"].decode(),
        profile_digest=header["profile_digest"].decode(),
        serial=header["serial"].decode(),
        technology=header["technology"].decode(),
        technology_digest=header["technology_digest"].decode(),
    )
    for fact in ("kind", "seed", "chip", "profile", "profile_digest"):
        value, expected = getattr(found, fact), getattr(wanted, fact)
        if value != expected:
            raise StateDamaged(f"{path} belongs to another board: {fact} {value}, not {expected}.")
    return found


def _header(identity: Identity, size: int) -> np.ndarray[Any, np.dtype[Any]]:
    header = np.zeros(1, dtype=_HEADER)
    row = header[0]
    row["magic"], row["version"], row["bytes"] = _MAGIC, VERSION, size
    row["kind"], row["seed"], row["chip"] = identity.kind.encode(), identity.seed, identity.chip
    row["generation"], row["serial"] = identity.generation, identity.serial.encode()
    row["profile"], row["profile_digest"] = identity.profile, identity.profile_digest
    row["technology"], row["technology_digest"] = identity.technology, identity.technology_digest
    row["checksum"] = _checksum(row)
    return header


def _checksum(header: Any) -> int:
    return zlib.crc32(header.tobytes()[: -_HEADER["checksum"].itemsize])


def _offsets(layout: Layout) -> dict[str, int]:
    offsets, at = {}, _HEADER_BYTES
    for name, spec in layout.items():
        offsets[name] = at
        size = np.dtype(spec.dtype).itemsize * int(np.prod(spec.shape))
        at += -(-size // _ALIGNMENT) * _ALIGNMENT
    offsets[""] = at
    return offsets


def _size(layout: Layout) -> int:
    return _offsets(layout)[""]


def _views(memory: bytearray | mmap.mmap, layout: Layout) -> Arrays:
    offsets = _offsets(layout)
    return {
        name: np.frombuffer(
            memory, dtype=spec.dtype, count=int(np.prod(spec.shape)), offset=offsets[name]
        ).reshape(spec.shape)
        for name, spec in layout.items()
    }
