"""What becomes of frames on a link that has faults: bytes in, pieces out, each when it is due.

Owns the cutting of a byte stream into frames, the count of frames in each direction and the
schedule of trouble. Knows neither sockets nor what frames mean; time is handed in.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

from firmware_protocol.framing import HEADER_BYTES, MAGIC_BYTES, frame_bytes
from sim_backend.faults.model import (
    Cut,
    Delayed,
    Direction,
    Faults,
    Flipped,
    LinkFault,
    Lost,
    Merged,
    Repeated,
    Split,
)
from sim_backend.randomness import Stream, child

_DIRECTIONS: dict[Direction, int] = {"to_board": 0, "to_host": 1}


class _Struck(NamedTuple):
    """A fault that strikes a frame, and the key of what it draws there."""

    fault: LinkFault
    key: int


class Schedule:
    """Which frames of one direction are struck; shared by all links of a server."""

    def __init__(self, faults: Faults, direction: Direction) -> None:
        key = child(faults.seed, Stream.LINK_FAULT, _DIRECTIONS[direction])
        self._faults = [
            _Struck(fault, child(key, index))
            for index, fault in enumerate(faults.link)
            if fault.direction == direction
        ]
        self._passed = 0

    def __bool__(self) -> bool:
        return bool(self._faults)

    def strike(self) -> tuple[int, list[_Struck]]:
        """Number of the next frame, and what strikes it."""
        self._passed += 1
        number = self._passed
        struck = [
            _Struck(fault, child(key, number))
            for fault, key in self._faults
            if _strikes(fault, number, child(key, number, 0))
        ]
        return number, struck


def _strikes(fault: LinkFault, number: int, draw: int) -> bool:
    if fault.every is not None:
        return number % fault.every == 0
    if fault.frames is not None:
        return number in fault.frames
    return draw < (fault.probability or 0.0) * 2.0**64


class Lane:
    """One direction of one link."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._buffer = b""
        self._queue: deque[tuple[float, bytes]] = deque()
        self._late: list[tuple[float, int, bytes]] = []
        self._overtaken: list[tuple[int, bytes]] = []
        self._merging: list[bytes] = []
        self._merge_count = 0
        self._merge_due_s = 0.0

    def feed(self, data: bytes, now_s: float) -> None:
        """Take bytes that are on their way."""
        buffer = self._buffer + data
        at = 0
        while at < len(buffer):
            length = _part_length(buffer, at)
            if length == 0:
                break
            part = buffer[at : at + length]
            at += length
            if part.startswith(MAGIC_BYTES) and frame_bytes(part) == length:
                self._pass(part, now_s)
            else:
                self._put(part, now_s)  # no frame: nothing strikes it
        self._buffer = buffer[at:]

    def take(self, now_s: float) -> list[bytes]:
        """Remove and return what has arrived by now, piece by piece."""
        while self._late and self._late[0][0] <= now_s:
            self._put(heapq.heappop(self._late)[2], now_s)
        if self._merging and now_s >= self._merge_due_s:
            self._end_merging(now_s)
        pieces: list[bytes] = []
        while self._queue and self._queue[0][0] <= now_s:
            pieces.append(self._queue.popleft()[1])
        return pieces

    def due_s(self) -> float | None:
        """When `take` has something next, or None."""
        due = [self._queue[0][0]] if self._queue else []
        due += [self._late[0][0]] if self._late else []
        due += [self._merge_due_s] if self._merging else []
        return min(due, default=None)

    def _pass(self, frame: bytes, now_s: float) -> None:
        number, struck = self._schedule.strike()
        copies, late, split = 1, None, None
        for fault, key in struck:
            match fault:
                case Lost():
                    copies = 0
                case Repeated():
                    copies *= 1 + fault.times
                case Flipped():
                    frame = _flipped(frame, fault.bits, key)
                case Cut():
                    frame = frame[: max(1, len(frame) - fault.missing)]
                case Delayed():
                    late = fault
                case Split():
                    split = fault
                case Merged():
                    self._merge_count = fault.count
                    self._merge_due_s = now_s + fault.within_s
        for _ in range(copies):
            if late is None:
                self._put(frame, now_s, split)
            elif late.by_s is not None:
                heapq.heappush(self._late, (now_s + late.by_s, number, frame))
            else:
                self._overtaken.append((number + (late.by_frames or 0), frame))
        self._release(number, now_s)

    def _release(self, number: int, now_s: float) -> None:
        """Let frames go on that enough others have overtaken."""
        waiting, self._overtaken = self._overtaken, []
        for until, frame in waiting:
            if until <= number:
                self._put(frame, now_s)
            else:
                self._overtaken.append((until, frame))

    def _put(self, data: bytes, now_s: float, split: Split | None = None) -> None:
        """Queue bytes behind all that is queued."""
        if self._merge_count:
            self._merging.append(data)
            if len(self._merging) >= self._merge_count:
                self._end_merging(now_s)
            return
        due_s = max(now_s, self._queue[-1][0] if self._queue else now_s)
        if split is None:
            self._queue.append((due_s, data))
            return
        step = -(-len(data) // split.pieces)
        for at in range(0, len(data), step):
            self._queue.append((due_s, data[at : at + step]))
            due_s += split.pause_s

    def _end_merging(self, now_s: float) -> None:
        merged, self._merging, self._merge_count = b"".join(self._merging), [], 0
        self._put(merged, now_s)


def _part_length(buffer: bytes, at: int) -> int:
    """Length of the frame, or of the bytes that are none, at a place; 0 if too little is there."""
    left = len(buffer) - at
    begins = buffer.startswith(MAGIC_BYTES, at) or (left == 1 and buffer[at:] == MAGIC_BYTES[:1])
    if begins and left < HEADER_BYTES:
        return 0
    length = frame_bytes(buffer[at : at + HEADER_BYTES]) if begins else 0
    if length:
        return length if left >= length else 0
    found = buffer.find(MAGIC_BYTES, at + 1)
    if found < 0:
        found = len(buffer) - (left > 1 and buffer[-1:] == MAGIC_BYTES[:1])
    return found - at


def _flipped(frame: bytes, bits: int, key: int) -> bytes:
    damaged = bytearray(frame)
    for n in range(bits):
        at = child(key, 1 + n) % (8 * len(frame))
        damaged[at // 8] ^= 1 << at % 8
    return bytes(damaged)
