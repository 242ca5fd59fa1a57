"""messages.py and layouts.py: the Python codec, written out from the spec."""

from __future__ import annotations

from firmware_protocol.spec import CommandSpec, FieldSpec, ItemsSpec, Spec, StructSpec

_FORMAT = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i", "i64": "q"}

_HEAD = '''"""Messages of the wire protocol. Generated from spec.toml; do not edit.

Every message is a NamedTuple with `SIZE` (bytes of its fixed part), `pack()` and `unpack(buffer)`.
Integers outside a field's range are refused with FieldError by both.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from firmware_protocol.fields import Buffer, check, decode_text, encode_bytes, encode_text, packed

'''


def messages(spec: Spec) -> str:
    """Source of messages.py."""
    parts = [_HEAD, _constants(spec)]
    parts += [_enum(spec, index) for index in range(len(spec.enum))]
    parts.append(_command_enum(spec))
    parts += [_message(spec, struct) for struct in spec.structs()]
    parts.append(_command_table(spec))
    return "\n".join(parts)


def layouts(spec: Spec) -> str:
    """Source of layouts.py: numpy dtypes of what repeats."""
    lines = [
        '"""numpy dtypes of what repeats in messages. Generated from spec.toml; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "import numpy as np",
        "",
    ]
    for struct in spec.struct:
        if struct.repeated:
            lines.append(f"{_upper(struct.name)} = np.dtype(")
            lines.append("    [")
            lines += [f"        {_dtype_entry(field)}," for field in struct.fields]
            lines.append("    ]")
            lines.append(")")
            lines.append(f'"""{struct.doc} ({spec.size(struct.name)} bytes)"""')
            lines.append("")
    return "\n".join(lines)


def _constants(spec: Spec) -> str:
    p = spec.protocol
    lines = [
        f"MAGIC = 0x{p.magic:04X}",
        f"VERSION = {p.version}",
        f"HELLO_VERSION = {p.hello_version}",
        f"HELLO_MAX_BODY = {p.hello_max_body}",
        f"MAX_BODY = {p.max_body}",
        f"OUTCOME_RING = {p.outcome_ring}",
    ]
    lines += [f"{name} = {c.value}  # {c.doc}" for name, c in spec.constants.items()]
    return "\n".join(lines) + "\n"


def _enum(spec: Spec, index: int) -> str:
    enum = spec.enum[index]
    # bit flags too: IntFlag's `&` builds a new member each time, far too slow for every frame
    lines = ["", f"class {enum.name}(IntEnum):", f'    """{enum.doc}"""', ""]
    for value in enum.values:
        lines.append(f"    {value.name} = {value.value}")
        lines.append(f'    """{value.doc}"""')
    return "\n".join(lines) + "\n"


def _command_enum(spec: Spec) -> str:
    lines = ["", "class Command(IntEnum):", '    """Type of a frame."""', ""]
    for command in spec.command:
        lines.append(f"    {command.name} = {command.code}")
        lines.append(f'    """{command.doc}"""')
    return "\n".join(lines) + "\n"


def _message(spec: Spec, struct: StructSpec) -> str:
    constant = f"_{_upper(struct.name)}"
    flat = "".join(_flat_format(spec, field) for field in struct.fields)
    lines = ["", f'{constant} = Struct("<{flat}")', "", ""]
    lines += [f"class {struct.name}(NamedTuple):", f'    """{struct.doc}"""', ""]
    for field in struct.fields:
        unit = f" ({field.unit})" if field.unit else ""
        lines.append(f"    {field.name}: {_python_type(field)}")
        lines.append(f'    """{field.doc}{unit}"""')
    lines += ["", f"    SIZE = {spec.size(struct.name)}"]
    values = "self"
    if not _all_integers(struct):
        values = "self.wire_values()"
        lines += [
            "",
            "    def wire_values(self) -> tuple[int | bytes, ...]:",
            '        """The fields as they are packed, parts flattened."""',
            f"        return ({_wire_values(spec, struct)},)",
        ]
    lines += ["", "    def pack(self) -> bytes:", '        """The bytes of this message."""']
    lines += _check_lines(struct, "self")
    lines.append(f'        return packed({constant}, "{struct.name}", {values})')
    lines += [
        "",
        "    @classmethod",
        f"    def unpack(cls, buffer: Buffer, offset: int = 0) -> {struct.name}:",
        '        """Read the message that begins at `offset`."""',
    ]
    lines += _unpack_lines(spec, struct, constant)
    return "\n".join(lines) + "\n"


def _unpack_lines(spec: Spec, struct: StructSpec, constant: str) -> list[str]:
    checks = _check_lines(struct, "message")
    if _all_integers(struct):
        call = f"cls(*{constant}.unpack_from(buffer, offset))"
        if not checks:
            return [f"        return {call}"]
        lines = [f"        message = {call}"]
    else:
        lines = [f"        v = {constant}.unpack_from(buffer, offset)", "        message = cls("]
        at = 0
        for field in struct.fields:
            text, at = _from_values(spec, field, at)
            lines.append(f"            {text},")
        lines.append("        )")
    return [*lines, *checks, "        return message"]


def _from_values(spec: Spec, field: FieldSpec, at: int) -> tuple[str, int]:
    if field.base == "char":
        return f"decode_text(v[{at}])", at + 1
    if field.is_integer or field.is_bytes:
        return f"v[{at}]", at + 1
    if field.count is None:
        return _nested(spec, field.base, at)
    items: list[str] = []
    for _ in range(field.count):
        text, at = _nested(spec, field.base, at)
        items.append(text)
    comma = "," if field.count == 1 else ""
    return f"({', '.join(items)}{comma})", at


def _nested(spec: Spec, name: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    for field in spec.struct_named(name).fields:
        text, at = _from_values(spec, field, at)
        parts.append(text)
    return f"{name}({', '.join(parts)})", at


def _wire_values(spec: Spec, struct: StructSpec) -> str:
    parts: list[str] = []
    for field in struct.fields:
        value = f"self.{field.name}"
        if field.base == "char":
            parts.append(f'encode_text("{field.name}", {value}, {field.count})')
        elif field.is_bytes:
            parts.append(f'encode_bytes("{field.name}", {value}, {field.count})')
        elif field.is_integer:
            parts.append(value)
        else:
            flat = "" if _all_integers(spec.struct_named(field.base)) else ".wire_values()"
            if field.count is None:
                parts.append(f"*{value}{flat}")
            else:
                parts.append(f"*(number for part in {value} for number in part{flat})")
    return ", ".join(parts)


def _all_integers(struct: StructSpec) -> bool:
    return all(field.is_integer for field in struct.fields)


def _check_lines(struct: StructSpec, owner: str) -> list[str]:
    return [
        f'        check("{struct.name}.{field.name}", {owner}.{field.name}, {low}, {high})'
        for field in struct.fields
        for low, high in [field.limits() if field.is_integer else (0, 0)]
        if field.is_integer and (field.min is not None or field.max is not None)
    ]


def _command_table(spec: Spec) -> str:
    lines = [
        "",
        "class CommandFacts(NamedTuple):",
        '    """What the session machines need to know of a command."""',
        "",
        "    controller_only: bool",
        "    ordered: bool",
        "    immediate: bool",
        "    array: bool",
        "    answered: bool",
        "    pulse: bool",
        "    stream: bool",
        "    request_size: int",
        "    request_item_size: int",
        "    reply_size: int",
        "    reply_item_size: int",
        "",
        "",
        "COMMANDS: dict[Command, CommandFacts] = {",
    ]
    lines += [f"    Command.{c.name}: CommandFacts({_facts(spec, c)})," for c in spec.command]
    return "\n".join([*lines, "}"]) + "\n"


def _facts(spec: Spec, command: CommandSpec) -> str:
    def item_size(items: ItemsSpec | None) -> int:
        return spec.size(items.type) if items else 0

    def fixed(fields: tuple[FieldSpec, ...]) -> int:
        return sum(spec.size(field.base) * (field.count or 1) for field in fields)

    values = [
        command.role == "CONTROLLER",
        command.ordered in (True, "both"),
        command.ordered in (False, "both"),
        command.array,
        command.answered,
        command.pulse,
        command.stream,
        fixed(command.request),
        item_size(command.request_items),
        fixed(command.reply),
        item_size(command.reply_items),
    ]
    return ", ".join(map(repr, values))


def _flat_format(spec: Spec, field: FieldSpec) -> str:
    if field.is_bytes:
        return f"{field.count}s"
    if field.is_integer:
        return _FORMAT[field.base]
    inner = "".join(_flat_format(spec, f) for f in spec.struct_named(field.base).fields)
    return inner * (field.count or 1)


def _python_type(field: FieldSpec) -> str:
    if field.base == "char":
        return "str"
    if field.is_bytes:
        return "bytes"
    if field.is_integer:
        return "int"
    return field.base if field.count is None else f"tuple[{field.base}, ...]"


def _dtype_entry(field: FieldSpec) -> str:
    if field.is_bytes:
        return f'("{field.name}", "u1", ({field.count},))'
    if not field.is_integer:
        shape = f", ({field.count},)" if field.count else ""
        return f'("{field.name}", {_upper(field.base)}{shape})'
    size = {"u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "i32": "<i4", "i64": "<i8"}
    return f'("{field.name}", "{size[field.base]}")'


def _upper(name: str) -> str:
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()
