"""The frames on a tape, each with its place in the file.

Owns: joining a tape's records into the two streams they came from and finding frames and their
places in them. Judges nothing: neither damage nor the order of frames.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from firmware_protocol.explain import explain
from firmware_protocol.framing import Frame, FrameDecoder, encode
from firmware_protocol.messages import Flag
from rramhil.transport._tape_file import DATA_OFFSET, Direction, Record


@dataclass(frozen=True)
class TapeFrame:
    """A frame of the recording.

    Attributes
    ----------
    number : int
        From 1, in the order in which frames of both directions begin in the file.
    stream : Stream
        The direction it went.
    start : int
        Byte of that stream at which it begins.
    frame : Frame
    raw : bytes
        As it crossed the wire.
    """

    number: int
    stream: Stream = field(repr=False)
    start: int
    frame: Frame
    raw: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Number and direction in words."""
        return f"frame {self.number}, {self.stream.direction}"

    @property
    def is_chunk(self) -> bool:
        """Whether it is a piece of a stream, to which a reply belongs."""
        return bool(self.frame.flags & Flag.STREAM)

    def meaning(self, offset: int) -> str:
        """Say in words what the byte at `offset` of the frame is."""
        return explain(self.raw, offset)

    def place(self, offset: int) -> int:
        """Return the byte of the file that holds byte `offset` of the frame."""
        return self.stream.place(self.start + offset)


class Stream:
    """All bytes of one direction, and where in the file each of them lies."""

    def __init__(self, direction: Direction, records: list[Record]) -> None:
        self.direction = direction
        self._starts: list[int] = []
        self._places: list[int] = []
        pieces: list[bytes] = []
        length = 0
        for record in records:
            if record.direction == direction:
                self._starts.append(length)
                self._places.append(record.offset + DATA_OFFSET)
                pieces.append(record.data)
                length += len(record.data)
        self.data = b"".join(pieces)

    def place(self, position: int) -> int:
        """Return the byte of the file that holds byte `position` of the stream."""
        index = bisect_right(self._starts, position) - 1
        return self._places[index] + position - self._starts[index]

    def position(self, place: int) -> int:
        """Return the byte of the stream that byte `place` of the file holds."""
        index = bisect_right(self._places, place) - 1
        return self._starts[index] + place - self._places[index]

    def frames(self) -> list[tuple[int, Frame, bytes]]:
        """Find the frames: where each begins in the stream, its parts and its bytes."""
        found: list[tuple[int, Frame, bytes]] = []
        position = 0
        for frame in FrameDecoder().feed(self.data):
            raw = encode(
                frame.type,
                frame.session,
                frame.sequence,
                frame.body,
                frame.flags,
                frame.credit,
                frame.version,
            )
            # garbage between frames is passed over, as the decoder did
            start = max(position, self.data.find(raw, position))
            found.append((start, frame, raw))
            position = start + len(raw)
        return found


def frames_of(records: list[Record]) -> list[TapeFrame]:
    """Find every frame of a tape, in the order in which they begin in the file."""
    found = [
        (stream.place(start), stream, start, frame, raw)
        for stream in (Stream(way, records) for way in (Direction.TO_BOARD, Direction.TO_HOST))
        for start, frame, raw in stream.frames()
    ]
    found.sort(key=lambda item: item[0])
    return [TapeFrame(number, *item[1:]) for number, item in enumerate(found, start=1)]
