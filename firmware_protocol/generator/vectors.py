"""vectors.json: for every structure, values and the bytes they must become.

The bytes are computed here from the spec with plain integer arithmetic, not with the
generated codec, so that the vectors can find an error in it.
"""

from __future__ import annotations

import binascii
import json
import zlib
from collections.abc import Callable
from typing import Any

from firmware_protocol.spec import FieldSpec, Spec, StructSpec

_Pick = Callable[[FieldSpec, int], int]


def vectors(spec: Spec) -> str:
    """Text of vectors.json."""
    structs = [
        {
            "struct": struct.name,
            "case": case,
            "values": values,
            "hex": _bytes(spec, struct, values).hex(),
        }
        for struct in spec.structs()
        for case, pick in _CASES.items()
        for values in [_values(spec, struct, pick)]
    ]
    document = {"structs": structs, "frames": _frames(spec)}
    return json.dumps(document, indent=1) + "\n"


def _low(field: FieldSpec, salt: int) -> int:
    return field.limits()[0]


def _high(field: FieldSpec, salt: int) -> int:
    return field.limits()[1]


def _pattern(field: FieldSpec, salt: int) -> int:
    low, high = field.limits()
    return low + (0x9E3779B97F4A7C15 * (salt + 1)) % (high - low + 1)


_CASES: dict[str, _Pick] = {"low": _low, "high": _high, "pattern": _pattern}


def _values(spec: Spec, struct: StructSpec, pick: _Pick, salt: int = 0) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index, field in enumerate(struct.fields):
        here = salt + 17 * index
        if field.base == "char":
            values[field.name] = _text(pick, field.count or 1)
        elif field.is_bytes:
            byte = FieldSpec(name="byte", type="u8", doc="")
            values[field.name] = [pick(byte, here + k) for k in range(field.count or 1)]
        elif field.is_integer:
            values[field.name] = pick(field, here)
        else:
            part = spec.struct_named(field.base)
            parts = [_values(spec, part, pick, here + 5 * k) for k in range(field.count or 1)]
            values[field.name] = parts if field.count else parts[0]
    return values


def _text(pick: _Pick, size: int) -> str:
    if pick is _low:
        return ""
    return "z" * size if pick is _high else "board 7 Ω"


def _bytes(spec: Spec, struct: StructSpec, values: dict[str, Any]) -> bytes:
    out = bytearray()
    for field in struct.fields:
        value = values[field.name]
        if field.base == "char":
            out += value.encode("utf-8").ljust(field.count or 1, b"\0")
        elif field.is_bytes:
            out += bytes(value)
        elif field.is_integer:
            out += value.to_bytes(spec.size(field.base), "little", signed=field.base[0] == "i")
        else:
            for part in value if field.count else [value]:
                out += _bytes(spec, spec.struct_named(field.base), part)
    return bytes(out)


def _frames(spec: Spec) -> list[dict[str, Any]]:
    bodies = {
        "empty": b"",
        "short": bytes(range(7)),
        "long": bytes(k * 37 % 251 for k in range(300)),
    }
    fields = {
        "version": 1,
        "flags": 5,
        "type": 34,
        "credit": 0xBEEF,
        "session": 7,
        "sequence": 0x01020304,
    }
    return [
        {"case": case, **fields, "body": body.hex(), "hex": _frame(spec, fields, body).hex()}
        for case, body in bodies.items()
    ]


def _frame(spec: Spec, fields: dict[str, int], body: bytes) -> bytes:
    def le(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little")

    head = le(spec.protocol.magic, 2) + le(fields["version"], 1) + le(fields["flags"], 1)
    head += le(fields["type"], 2) + le(fields["credit"], 2)
    head += le(fields["session"], 4) + le(fields["sequence"], 4) + le(len(body), 4) + le(0, 2)
    head += le(binascii.crc_hqx(head, 0xFFFF), 2)
    return head + body + le(zlib.crc32(head + body), 4)
