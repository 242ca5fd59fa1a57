"""rramhil_protocol.h: packed structures with their sizes checked by the compiler."""

from __future__ import annotations

from firmware_protocol.spec import FieldSpec, Spec, StructSpec

_C_TYPE = {
    "u8": "uint8_t",
    "u16": "uint16_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "i32": "int32_t",
    "i64": "int64_t",
    "char": "char",
}

_HEADER_STRUCT = """
/* The 24 bytes before every body; a CRC-32 (zlib) of header and body follows the body. */
typedef struct __attribute__((packed)) {
    uint16_t magic;
    uint8_t version;
    uint8_t flags;
    uint16_t type;
    uint16_t credit;
    uint32_t session;
    uint32_t sequence;
    uint32_t length;
    uint16_t reserved;
    uint16_t crc16; /* CRC-16/CCITT-FALSE of the 22 bytes before it */
} rram_header_t;
_Static_assert(sizeof(rram_header_t) == 24, "rram_header_t");
"""


def header(spec: Spec) -> str:
    """Source of rramhil_protocol.h."""
    p = spec.protocol
    lines = [
        "/* Wire protocol of the board. Generated from spec.toml; do not edit. Little endian. */",
        "#ifndef RRAMHIL_PROTOCOL_H",
        "#define RRAMHIL_PROTOCOL_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define RRAM_MAGIC 0x{p.magic:04X}u",
        f"#define RRAM_VERSION {p.version}u",
        f"#define RRAM_HELLO_VERSION {p.hello_version}u",
        f"#define RRAM_HELLO_MAX_BODY {p.hello_max_body}u",
        f"#define RRAM_MAX_BODY {p.max_body}u",
        f"#define RRAM_OUTCOME_RING {p.outcome_ring}u",
    ]
    lines += [f"#define RRAM_{name} {c.value}u /* {c.doc} */" for name, c in spec.constants.items()]
    lines.append(_HEADER_STRUCT)
    lines.append("enum rram_command {")
    lines += [f"    RRAM_CMD_{c.name} = {c.code}," for c in spec.command]
    lines += ["};", ""]
    for enum in spec.enum:
        prefix = _snake(enum.name).upper()
        lines += [f"/* {enum.doc} */", f"enum rram_{_snake(enum.name)} {{"]
        lines += [f"    RRAM_{prefix}_{v.name} = {v.value}, /* {v.doc} */" for v in enum.values]
        lines += ["};", ""]
    for struct in spec.structs():
        lines += _struct(spec, struct)
    lines += ["#endif", ""]
    return "\n".join(lines)


def type_name(struct_name: str) -> str:
    """C name of a structure: PulseRow -> rram_pulse_row_t."""
    return f"rram_{_snake(struct_name)}_t"


def _struct(spec: Spec, struct: StructSpec) -> list[str]:
    name = type_name(struct.name)
    lines = [f"/* {struct.doc} */", "typedef struct __attribute__((packed)) {"]
    lines += [f"    {_member(field)}; /* {field.doc} */" for field in struct.fields]
    lines += [f"}} {name};"]
    lines.append(f'_Static_assert(sizeof({name}) == {spec.size(struct.name)}, "{name}");')
    offset = 0
    for field in struct.fields:
        lines.append(
            f'_Static_assert(offsetof({name}, {field.name}) == {offset}, "{name}.{field.name}");'
        )
        offset += spec.size(field.base) * (field.count or 1)
    return [*lines, ""]


def _member(field: FieldSpec) -> str:
    base = _C_TYPE.get(field.base) or type_name(field.base)
    array = f"[{field.count}]" if field.count else ""
    return f"{base} {field.name}{array}"


def _snake(name: str) -> str:
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).lower()
