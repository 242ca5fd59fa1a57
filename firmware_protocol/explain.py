"""What a byte of a frame means, in words: for tapes, error messages and people with a hex dump."""

from __future__ import annotations

from functools import cache

from firmware_protocol.framing import HEADER_BYTES
from firmware_protocol.messages import Command, Flag
from firmware_protocol.spec import INTEGER_BITS, FieldSpec, ItemsSpec, Spec, load_spec

_HEADER_FIELDS = (
    ("magic", 2),
    ("version", 1),
    ("flags", 1),
    ("type", 2),
    ("credit", 2),
    ("session", 4),
    ("sequence", 4),
    ("length", 4),
    ("reserved", 2),
    ("header checksum", 2),
)

_COMMAND_NAMES = {command.value: command.name for command in Command}


def frame_name(frame: bytes) -> str:
    """Name of a frame: `PULSE_ROWS request, sequence 12`."""
    kind = int.from_bytes(frame[4:6], "little")
    name = _COMMAND_NAMES.get(kind, f"type {kind}")
    flags = frame[3]
    if flags & Flag.ERROR:
        part = "error reply"
    elif flags & Flag.STREAM:
        part = "chunk"
    else:
        part = "reply" if flags & Flag.REPLY else "request"
    return f"{name} {part}, sequence {int.from_bytes(frame[12:16], 'little')}"


def explain(frame: bytes, offset: int) -> str:
    """Say what the byte at `offset` of a whole frame means.

    Parameters
    ----------
    frame : bytes
        Header, body and checksum.
    offset : int
        0 to len(frame) - 1.

    Returns
    -------
    str
        Such as `PULSE_ROWS request, sequence 12: items[3].width_ns, byte 1`.
    """
    if not 0 <= offset < len(frame):
        raise ValueError(f"offset {offset} lies outside a frame of {len(frame)} bytes")
    return f"{frame_name(frame)}: {_place(frame, offset)}"


def _place(frame: bytes, offset: int) -> str:
    if offset < HEADER_BYTES:
        at = 0
        for name, size in _HEADER_FIELDS:
            if offset < at + size:
                return _byte_of(f"header field {name}", offset - at, size)
            at += size
    if offset >= len(frame) - 4:
        return _byte_of("frame checksum", offset - (len(frame) - 4), 4)
    return _body_place(frame, offset - HEADER_BYTES)


def _body_place(frame: bytes, offset: int) -> str:
    spec = _spec()
    fields, items = _layout(spec, frame)
    for field in fields:
        size = spec.size(field.base) * (field.count or 1)
        if offset < size:
            return _field_place(spec, field, offset)
        offset -= size
    if items is None:
        return f"byte {offset} after the end of the message"
    size = spec.size(items.type)
    name = f"{items.name}[{offset // size}]"
    if items.type in INTEGER_BITS:
        return _byte_of(name, offset % size, size)
    return f"{name}.{_struct_place(spec, items.type, offset % size)}"


def _layout(spec: Spec, frame: bytes) -> tuple[tuple[FieldSpec, ...], ItemsSpec | None]:
    kind, flags = int.from_bytes(frame[4:6], "little"), frame[3]
    if flags & Flag.ERROR:
        return spec.struct_named("Error").fields, None
    if flags & Flag.STREAM:
        words = ItemsSpec(type="u16", count="count", name="words")
        return spec.struct_named("StreamChunk").fields, words
    for command in spec.command:
        if command.code == kind:
            if flags & Flag.REPLY:
                return command.reply, command.reply_items
            return command.request, command.request_items
    return (), None


def _struct_place(spec: Spec, name: str, offset: int) -> str:
    for field in spec.struct_named(name).fields:
        size = spec.size(field.base) * (field.count or 1)
        if offset < size:
            return _field_place(spec, field, offset)
        offset -= size
    raise ValueError(f"offset {offset} lies beyond {name}")


def _field_place(spec: Spec, field: FieldSpec, offset: int) -> str:
    size = spec.size(field.base)
    if field.is_integer:
        return _byte_of(field.name, offset, size)
    if field.is_bytes:
        return f"{field.name}[{offset}]"
    index = f"[{offset // size}]" if field.count else ""
    return f"{field.name}{index}.{_struct_place(spec, field.base, offset % size)}"


def _byte_of(name: str, byte: int, size: int) -> str:
    return name if size == 1 else f"{name}, byte {byte}"


@cache
def _spec() -> Spec:
    return load_spec()
