"""The file of a tape: records of bytes that crossed the wire, each with its checksums.

Owns: the layout, writing and scanning. Knows no frames and no sessions.

A file is a 16-byte signature and then records. A record is a header (direction, length, time;
then the CRC-32 of those 16 bytes), the data, and the CRC-32 of the data; little-endian. The
header has a checksum of its own so that a changed length does not make the rest unreadable.
The first record is a note: JSON with the recorded address and the software's version. Records
are short (8 KiB at most), so that a wrong checksum nearly always names the one changed byte.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from struct import Struct
from zlib import crc32

from rramhil.errors import NotFound, TapeError
from rramhil.transport._crc import single_byte_changes

SIGNATURE = b"rramhil tape 01\n"
RECORD_BYTES = 8192
"""Most data bytes of a record."""

HEADER = Struct("<IIQ")
"""Direction, length of the data in bytes, time in ns since 1970 (UTC)."""

CHECKSUM = Struct("<I")
DATA_OFFSET = HEADER.size + CHECKSUM.size
"""Bytes of a record before its data."""


class Direction(IntEnum):
    """Which way the bytes of a record went."""

    NOTE = int.from_bytes(b"note", "little")
    TO_BOARD = int.from_bytes(b"host", "little")
    TO_HOST = int.from_bytes(b"bord", "little")

    def __str__(self) -> str:
        words = {Direction.TO_BOARD: "host to board", Direction.TO_HOST: "board to host"}
        return words.get(self, "note")


_DIRECTIONS = tuple(direction.value for direction in Direction)


@dataclass(frozen=True)
class Record:
    """Bytes that went one way at one time.

    Attributes
    ----------
    offset : int
        Byte of the file at which the record begins; its data begin `DATA_OFFSET` later.
    direction : Direction
    time_ns : int
        Time since 1970 (UTC) at which they were read or written.
    data : bytes
    """

    offset: int
    direction: Direction
    time_ns: int
    data: bytes


@dataclass(frozen=True)
class Change:
    """One byte of the file, what it was and what it became."""

    offset: int
    was: int
    became: int


@dataclass(frozen=True)
class Damage:
    """A checksum that does not match.

    Attributes
    ----------
    offset : int
        Byte of the file at which the record begins.
    changes : tuple of Change
        What single changes explain it. Empty: more than one byte was changed.
    """

    offset: int
    changes: tuple[Change, ...]


class TapeWriter:
    """Write a tape: each record goes to the file at once, whole, in one write.

    Parameters
    ----------
    path : Path
        New file; an existing one is refused, for a tape is evidence.
    facts : dict
        What the note says.
    """

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            # unbuffered: after a crash of this process all but the record in progress is there
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise TapeError(f"The tape {path} exists already.", "Choose another name.") from None
        except OSError as error:
            raise TapeError(
                f"The tape {path} cannot be created ({error.strerror}).",
                "Choose a file in a folder that exists and that you may write.",
            ) from None
        self._append(SIGNATURE)
        self.record(Direction.NOTE, json.dumps(facts).encode())

    def record(self, direction: Direction, data: bytes | bytearray | memoryview) -> None:
        """Append `data`, split into records."""
        view = memoryview(data).cast("B")
        time_ns = time.time_ns()
        with self._lock:
            for start in range(0, len(view), RECORD_BYTES):
                self._append(packed(direction, time_ns, bytes(view[start : start + RECORD_BYTES])))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _append(self, data: bytes) -> None:
        try:
            written = self._file.write(data)
        except OSError as error:
            raise TapeError(f"The tape {self.path} cannot be written ({error.strerror}).") from None
        if written != len(data):
            raise TapeError(f"The tape {self.path} cannot be written (the disk is full).")


def packed(direction: Direction, time_ns: int, data: bytes) -> bytes:
    """Return the bytes of one record."""
    header = HEADER.pack(direction, len(data), time_ns)
    return b"".join((header, CHECKSUM.pack(crc32(header)), data, CHECKSUM.pack(crc32(data))))


def load(path: Path) -> tuple[list[Record], list[Damage]]:
    """Read a whole tape and check every checksum in it.

    Returns
    -------
    records : list of Record
        In the order of the file. Data with one changed byte are given as they were before.
    damages : list of Damage
        What did not match; empty for a whole tape. A damaged header that cannot be repaired
        ends the scan, since nothing after it can be found.

    Raises
    ------
    NotFound
        There is no such file.
    TapeError
        It is empty, not a tape, or cut short.
    """
    try:
        # a pipe or a device has no end to wait for
        if path.exists() and not path.is_file():
            raise TapeError(f"{path} is no tape: it is not a file.", "Name the tape's file.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"There is no tape {path}.", "`--record FILE.tape` makes one of a run."
        ) from None
    except OSError as error:
        raise TapeError(f"The tape {path} cannot be read ({error.strerror}).") from None
    _check_signature(path, content)
    records: list[Record] = []
    damages: list[Damage] = []
    for item in _scan(path, content):
        if isinstance(item, Record):
            records.append(item)
        else:
            damages.append(item)
    return records, damages


def _scan(path: Path, content: bytes) -> Iterator[Record | Damage]:
    offset = len(SIGNATURE)
    while offset < len(content):
        header, changes = _checked(path, content, offset, HEADER.size)
        if changes is not None:
            yield Damage(offset, changes)
            if len(changes) != 1:
                return
        number, length, time_ns = HEADER.unpack(header)
        if number not in _DIRECTIONS:  # several changes that looked like one
            yield Damage(offset, ())
            return
        data, changes = _checked(path, content, offset + DATA_OFFSET, length)
        if changes is not None:
            yield Damage(offset, changes)
        yield Record(offset, Direction(number), time_ns, data)
        offset += DATA_OFFSET + length + CHECKSUM.size


def _checked(
    path: Path, content: bytes, offset: int, length: int
) -> tuple[bytes, tuple[Change, ...] | None]:
    """Return the bytes at `offset`, repaired if one byte was changed, and what is wrong."""
    stop = offset + length
    if stop + CHECKSUM.size > len(content):
        raise TapeError(
            f"The tape {path} was cut short: it ends at byte {len(content):,}, within a record.",
            "Copy it again, or record the run again.",
        )
    data = content[offset:stop]
    (stored,) = CHECKSUM.unpack_from(content, stop)
    if crc32(data) == stored:
        return data, None
    found = single_byte_changes(data, stored)
    changes = tuple(
        Change(offset + at, content[offset + at] ^ flipped, content[offset + at])
        for at, flipped in found
    )
    if len(found) == 1 and found[0].offset < length:
        repaired = bytearray(data)
        repaired[found[0].offset] ^= found[0].flipped
        data = bytes(repaired)
    return data, changes


def _check_signature(path: Path, content: bytes) -> None:
    found = content[: len(SIGNATURE)]
    if not content:
        raise TapeError(f"The tape {path} is empty.", "Record the run again.")
    if found == SIGNATURE:
        return
    if SIGNATURE.startswith(found):
        raise TapeError(f"The tape {path} was cut short: it ends at byte {len(content)}.")
    wrong = [at for at in range(len(found)) if found[at] != SIGNATURE[at]]
    if len(wrong) == 1:
        at = wrong[0]
        raise TapeError(
            f"Byte {at} of the tape {path} (the signature at its start) was changed: "
            f"0x{SIGNATURE[at]:02x} became 0x{found[at]:02x}.",
            "Copy it again, or record the run again.",
        )
    raise TapeError(
        f"{path} is no tape, or one of another version: it does not begin with "
        f"{SIGNATURE[:-1].decode()!r}.",
        "Give a file that a recording made.",
    )
