"""Frames on a byte pipe: encode one, find them again in whatever arrives.

Owns: the 24-byte header, both checksums, resynchronisation. Does not know sessions or bodies.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, cast
from zlib import crc32

from firmware_protocol.messages import MAGIC, MAX_BODY, VERSION

HEADER_BYTES = 24
OVERHEAD_BYTES = HEADER_BYTES + 4
"""Header and trailing CRC-32: what a frame costs beyond its body."""

_CRC16_INIT = 0xFFFF  # CRC-16/CCITT-FALSE, which is crc_hqx with this start value
_CHECKED_BYTES = HEADER_BYTES - 2
_HEADER = Struct("<HBBHHIIIH")
_CHECKED_HEADER = Struct("<HBBHHIIIHH")
_TRAILER = Struct("<I")
MAGIC_BYTES = MAGIC.to_bytes(2, "little")
"""What every frame begins with."""


class Frame(NamedTuple):
    """One frame, its checksums already verified."""

    type: int
    flags: int
    credit: int
    session: int
    sequence: int
    body: bytes
    version: int = VERSION


def encode(
    frame_type: int,
    session: int,
    sequence: int,
    body: bytes = b"",
    flags: int = 0,
    credit: int = 0,
    version: int = VERSION,
) -> bytes:
    """The bytes of a frame."""
    head = _HEADER.pack(MAGIC, version, flags, frame_type, credit, session, sequence, len(body), 0)
    head += crc_hqx(head, _CRC16_INIT).to_bytes(2, "little")
    # one join: a body may be a quarter of a megabyte
    return b"".join((head, body, crc32(body, crc32(head)).to_bytes(4, "little")))


_new_frame = cast("Callable[[type[Frame], tuple[object, ...]], Frame]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]
"""What Frame(*fields) comes down to, in half its time: every frame that arrives passes here."""


class FrameDecoder:
    """Find frames in a stream of bytes, skipping what is none.

    Parameters
    ----------
    max_body : int
        Longest body accepted, in bytes; a longer one is garbage.

    Attributes
    ----------
    bad_frames : int
        Places where a frame began but a checksum, the length or the header did not hold.
    garbage_bytes : int
        Bytes that belonged to no frame.
    """

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self.max_body = max_body
        self.bad_frames = 0
        self.garbage_bytes = 0
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = OVERHEAD_BYTES

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, return the frames that they complete, in order.

        A piece of data that begins with a header ends the wait for the rest of a longer frame:
        its sender was cut short and began anew, and the rest would be taken from what follows.
        """
        cut_short = self._needed > OVERHEAD_BYTES and frame_bytes(data) > 0
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._needed and not cut_short:
            # joining only when a frame can be complete keeps small pieces of large frames linear
            return []
        buffer = data if len(self._pieces) == 1 else b"".join(self._pieces)
        at = self._skip(buffer, 0, began=True) if cut_short and self._held < self._needed else 0
        frames, used = self._parse(buffer, at)
        rest = buffer[used:]
        self._pieces = [rest] if rest else []
        self._held = len(rest)
        return frames

    def _parse(self, buffer: bytes, at: int) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        end = len(buffer)
        view = memoryview(buffer)
        self._needed = OVERHEAD_BYTES
        while end - at >= OVERHEAD_BYTES:
            magic, version, flags, kind, credit, session, sequence, length, _, crc16 = (
                _CHECKED_HEADER.unpack_from(buffer, at)
            )
            body_at = at + HEADER_BYTES
            stop = body_at + length
            if (
                magic != MAGIC
                or length > self.max_body
                or crc_hqx(buffer[at : at + _CHECKED_BYTES], _CRC16_INIT) != crc16
            ):
                at = self._skip(buffer, at, magic == MAGIC)
                continue
            if stop + 4 > end:
                self._needed = stop + 4 - at
                break
            if crc32(view[at:stop]) != _TRAILER.unpack_from(buffer, stop)[0]:
                at = self._skip(buffer, at, began=True)
                continue
            fields = (kind, flags, credit, session, sequence, buffer[body_at:stop], version)
            frames.append(_new_frame(Frame, fields))
            at = stop + 4
        return frames, at

    def _skip(self, buffer: bytes, at: int, began: bool) -> int:
        """Where the next frame may begin; counts what is passed over."""
        self.bad_frames += began
        found = buffer.find(MAGIC_BYTES, at + 1)
        if found < 0:
            # the last byte may be the first half of a magic
            found = len(buffer) - (buffer[-1:] == MAGIC_BYTES[:1])
        self.garbage_bytes += found - at
        return found


def frame_bytes(data: bytes) -> int:
    """Length of the whole frame that data begins with, by its header; 0 if there is no header."""
    if len(data) < HEADER_BYTES or data[:2] != MAGIC_BYTES:
        return 0
    crc16 = crc_hqx(data[:_CHECKED_BYTES], _CRC16_INIT)
    if crc16 != int.from_bytes(data[_CHECKED_BYTES:HEADER_BYTES], "little"):
        return 0
    return OVERHEAD_BYTES + _HEADER.unpack_from(data)[7]
