"""What was changed in a damaged tape, in words.

Owns: turning wrong checksums into the place and the meaning of the byte behind them.
"""

from __future__ import annotations

from pathlib import Path

from rramhil.errors import TapeError
from rramhil.transport._tape_file import (
    DATA_OFFSET,
    HEADER,
    Change,
    Damage,
    Direction,
    Record,
)
from rramhil.transport._tape_frames import TapeFrame, frames_of

_NEXT_STEP = "Copy it again, or record the run again."


def report(path: Path, records: list[Record], damages: list[Damage]) -> TapeError:
    """Describe the first damage of a tape, and count the others.

    Parameters
    ----------
    path : Path
        The tape.
    records : list of Record
        Its records, with single changed bytes already set right.
    damages : list of Damage
        At least one.
    """
    first = damages[0]
    frames = frames_of(records)
    record = next((record for record in records if record.offset == first.offset), None)
    sentence = _sentence(path, first, record, frames)
    others = len(damages) - 1
    if others:
        sentence += f" {others} more record{'s are' if others > 1 else ' is'} damaged after it."
    return TapeError(sentence, _NEXT_STEP)


def _sentence(path: Path, damage: Damage, record: Record | None, frames: list[TapeFrame]) -> str:
    if not damage.changes:
        way = f"{record.direction}" if record else "direction unknown"
        last = sum(frame.place(0) < damage.offset for frame in frames)
        return (
            f"More than one byte was changed in the record at byte {damage.offset:,} of the tape "
            f"{path} ({way}, after frame {last})."
        )
    if len(damage.changes) == 1:
        change = damage.changes[0]
        return (
            f"Byte {change.offset:,} of the tape {path} ({_meaning(change, record, frames)}) was "
            f"changed: {_values(change)}."
        )
    places = ", or ".join(
        f"byte {change.offset:,} ({_values(change)})" for change in damage.changes
    )
    return (
        f"The record at byte {damage.offset:,} of the tape {path} was changed; one of these "
        f"explains it: {places}."
    )


def _values(change: Change) -> str:
    return f"0x{change.was:02x} became 0x{change.became:02x}"


def _meaning(change: Change, record: Record | None, frames: list[TapeFrame]) -> str:
    """Say what one byte of the file is: of the file's own making, or of a frame."""
    if record is None:
        return "a record's header"
    at = change.offset - record.offset
    owner = f"of the record at byte {record.offset:,}, {record.direction}"
    if at < DATA_OFFSET:
        parts = ((4, "the direction"), (8, "the length"), (HEADER.size, "the time"))
        part = next((name for stop, name in parts if at < stop), "the checksum of the header")
        return f"{part} {owner}"
    if at >= DATA_OFFSET + len(record.data):
        return f"the checksum {owner}"
    if record.direction == Direction.NOTE:
        return "the note at its start"
    for frame in frames:
        offset = _offset_in(frame, change.offset, record)
        if offset is not None:
            return f"{frame.name}, {frame.meaning(offset)}"
    return f"in no frame, {record.direction}"


def _offset_in(frame: TapeFrame, place: int, record: Record) -> int | None:
    """Return which byte of `frame` the byte `place` of the file is; None if it is none of it."""
    if frame.stream.direction != record.direction:
        return None
    offset = frame.stream.position(place) - frame.start
    return offset if 0 <= offset < len(frame.raw) else None
