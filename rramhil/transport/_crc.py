"""Where a CRC-32 says that one byte was changed.

Owns: the arithmetic alone. Knows no tape and no frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32


class ChangedByte(NamedTuple):
    """One change that explains a wrong checksum.

    Attributes
    ----------
    offset : int
        Byte of the data; len(data) to len(data) + 3 are the bytes of the stored checksum.
    flipped : int
        1 to 255: exclusive-or of what the byte was and what it became.
    """

    offset: int
    flipped: int


def single_byte_changes(data: bytes, stored: int) -> list[ChangedByte]:
    """Find every change of one byte that explains why `data` does not match its CRC-32.

    Why it works. But for a constant, a CRC is linear over exclusive-or: data and changed data
    of one length have checksums that differ by the checksum, begun at zero, of their
    difference. The difference of one changed byte is zeros, then `flipped`, then k zeros.
    Leading zeros leave a CRC begun at zero alone; `flipped` turns it into TABLE[flipped]; each
    zero after that applies one step, and a step can be undone, because the table's highest
    bytes are all different. So undo the observed difference step by step: whenever the result
    is an entry of the table, that entry's index is a `flipped`, and the steps undone are k.

    Parameters
    ----------
    data : bytes
        As it is now, one byte of it or of `stored` possibly changed.
    stored : int
        The CRC-32 kept with it, little-endian on the tape.

    Returns
    -------
    list of ChangedByte
        Empty: not one byte, but more. One: this byte. Several: any of these; chance makes a
        second one about once in 2^32 / 255 bytes of data.
    """
    difference = crc32(data) ^ stored
    if difference == 0:
        return []
    return [*_in_checksum(len(data), difference), *_in_data(len(data), difference)]


def _in_data(length: int, difference: int) -> Iterator[ChangedByte]:
    state = difference
    for offset in range(length - 1, -1, -1):
        flipped = _INDEX.get(state)
        if flipped is not None:
            yield ChangedByte(offset, flipped)
        top = _TOP[state >> 24]
        state = ((state ^ _TABLE[top]) << 8) & 0xFFFFFFFF | top


def _in_checksum(length: int, difference: int) -> Iterator[ChangedByte]:
    for index in range(4):
        flipped = (difference >> 8 * index) & 0xFF
        if difference == flipped << 8 * index:
            yield ChangedByte(length + index, flipped)


# What one byte does to a CRC that stands at zero (zlib's start and end inversions taken out)
_TABLE = tuple(crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256))
_INDEX = {entry: byte for byte, entry in enumerate(_TABLE) if byte}
_TOP = {entry >> 24: byte for byte, entry in enumerate(_TABLE)}
