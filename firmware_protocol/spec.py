"""The spec file as checked values: what a message may consist of, and nothing more.

Owns: reading and validating `spec.toml`. Does not know the languages generated from it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
_U8 = Annotated[int, Field(ge=0, le=0xFF)]
_U16 = Annotated[int, Field(ge=0, le=0xFFFF)]
_U32 = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]

INTEGER_BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "i32": 32, "i64": 64}
_METHODS = {"count", "index", "pack", "unpack", "wire_values", "SIZE"}
_TYPE = re.compile(r"^(?P<base>[A-Za-z][A-Za-z0-9]*)(\[(?P<count>[1-9][0-9]*)\])?$")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldSpec(_Part):
    """One field: `base` is an integer type, `char`, or the name of a struct."""

    name: Name
    type: str
    doc: str
    unit: str = ""
    min: int | None = None
    max: int | None = None

    @property
    def base(self) -> str:
        """The type without its count."""
        return self._match()["base"]

    @property
    def count(self) -> int | None:
        """Elements of an array type, or None for a single value."""
        text = self._match()["count"]
        return int(text) if text else None

    @property
    def is_integer(self) -> bool:
        """Whether the field is one integer."""
        return self.base in INTEGER_BITS and self.count is None

    @property
    def is_bytes(self) -> bool:
        """Whether the field is raw bytes or text of fixed length."""
        return self.base in ("u8", "char") and self.count is not None

    def limits(self) -> tuple[int, int]:
        """Lowest and highest legal value of an integer field."""
        low, high = type_limits(self.base)
        return (low if self.min is None else self.min, high if self.max is None else self.max)

    @model_validator(mode="after")
    def _range_fits_type(self) -> Self:
        if self.base == "char" and self.count is None:
            raise ValueError(f"{self.name}: text needs a length, such as char[32]")
        if self.base in INTEGER_BITS and self.count is not None and self.base != "u8":
            raise ValueError(f"{self.name}: of integers, only u8 comes in arrays, not {self.base}")
        if not self.is_integer:
            if self.min is not None or self.max is not None:
                raise ValueError(f"{self.name}: only an integer has a range, not {self.type}")
            return self
        low, high = type_limits(self.base)
        if not low <= self.limits()[0] <= self.limits()[1] <= high:
            raise ValueError(f"{self.name}: range {self.limits()} does not fit {self.type}")
        return self

    def _match(self) -> re.Match[str]:
        match = _TYPE.match(self.type)
        if match is None:
            raise ValueError(f"{self.name}: {self.type!r} is not a type")
        return match


class ItemsSpec(_Part):
    """What repeats after the fixed part of a message, `count` times."""

    type: Name
    count: Name
    name: Name = "items"
    doc: str = ""


class StructSpec(_Part):
    """A packed structure."""

    name: Name
    doc: str
    fields: tuple[FieldSpec, ...]
    repeated: bool = False

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [field.name for field in self.fields]
        _refuse_repeated(names, f"fields of {self.name}")
        if taken := _METHODS & set(names):
            raise ValueError(f"{self.name}: {taken} would hide a method of the generated tuple")
        return self


class ValueSpec(_Part):
    """One value of an enumeration."""

    name: Name
    value: _U16
    doc: str


class EnumSpec(_Part):
    """An enumeration, or a set of bit flags."""

    name: Name
    doc: str
    kind: Literal["enum", "flag"] = "enum"
    values: tuple[ValueSpec, ...]

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        _refuse_repeated((value.name for value in self.values), f"names of {self.name}")
        _refuse_repeated((value.value for value in self.values), f"values of {self.name}")
        return self


class ConstantSpec(_Part):
    """A capacity that the fixed layouts are built on."""

    value: _U32
    doc: str


class CommandSpec(_Part):
    """One command, its request and its reply."""

    name: Name
    code: Annotated[int, Field(ge=1, le=0xFFFF)]
    doc: str
    role: Literal["OBSERVER", "CONTROLLER"]
    ordered: bool | Literal["both"]
    array: bool
    answered: bool = True
    pulse: bool = False
    stream: bool = False
    request: tuple[FieldSpec, ...]
    request_items: ItemsSpec | None = None
    reply: tuple[FieldSpec, ...]
    reply_items: ItemsSpec | None = None

    @property
    def stem(self) -> str:
        """The command's name as a class name: PULSE_ROWS -> PulseRows."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    def bodies(self) -> list[tuple[StructSpec, ItemsSpec | None]]:
        """Request and reply as structures, leaving out those without content."""
        pairs = [
            (self.stem + "Request", self.request, self.request_items),
            (self.stem + "Reply", self.reply, self.reply_items),
        ]
        return [
            (StructSpec(name=name, doc=f"{self.name}: {kind}.", fields=fields), items)
            for (name, fields, items), kind in zip(pairs, ("request", "reply"), strict=True)
            if fields
        ]


class ProtocolSpec(_Part):
    """Numbers of the framing."""

    name: str
    magic: _U16
    version: _U8
    hello_version: _U8
    hello_max_body: _U32
    max_body: _U32
    outcome_ring: _U32


class Spec(_Part):
    """The whole contract."""

    protocol: ProtocolSpec
    constants: dict[Name, ConstantSpec]
    enum: tuple[EnumSpec, ...]
    struct: tuple[StructSpec, ...]
    command: tuple[CommandSpec, ...]

    def structs(self) -> list[StructSpec]:
        """Every structure, parts first, then bodies in the order of the commands."""
        bodies = [struct for command in self.command for struct, _ in command.bodies()]
        return [*self.struct, *bodies]

    def struct_named(self, name: str) -> StructSpec:
        """The structure of that name; KeyError if there is none."""
        return {struct.name: struct for struct in self.structs()}[name]

    def size(self, type_name: str) -> int:
        """Bytes of an integer type or a structure."""
        if type_name in INTEGER_BITS:
            return INTEGER_BITS[type_name] // 8
        if type_name == "char":
            return 1
        return sum(
            self.size(field.base) * (field.count or 1)
            for field in self.struct_named(type_name).fields
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_repeated((command.code for command in self.command), "codes of commands")
        _refuse_repeated((command.name for command in self.command), "names of commands")
        types = [struct.name for struct in self.structs()] + [enum.name for enum in self.enum]
        _refuse_repeated(types, "names of types")
        self._refuse_unknown_types()
        for command in self.command:
            _check_items(command.name, command.request, command.request_items)
            _check_items(command.name, command.reply, command.reply_items)
        self._check_hello()
        return self

    def _refuse_unknown_types(self) -> None:
        """A structure holds integers, text and structures defined before it: never itself."""
        known = {*INTEGER_BITS, "char"}
        for struct in self.structs():
            for field in struct.fields:
                if field.base not in known:
                    raise ValueError(f"{struct.name}.{field.name}: no type {field.base} before it")
            known.add(struct.name)
        for command in self.command:
            for items in (command.request_items, command.reply_items):
                if items and items.type not in known - {"char"}:
                    raise ValueError(f"{command.name}.{items.name}: there is no type {items.type}")

    def _check_hello(self) -> None:
        hello = next((command for command in self.command if command.name == "HELLO"), None)
        if hello is None:
            raise ValueError("there is no command HELLO")
        for struct, _ in hello.bodies():
            if self.size(struct.name) > self.protocol.hello_max_body:
                raise ValueError(
                    f"{struct.name} is longer than {self.protocol.hello_max_body} bytes"
                )


def type_limits(integer_type: str) -> tuple[int, int]:
    """Lowest and highest value of an integer type such as `u16`."""
    bits = INTEGER_BITS[integer_type]
    if integer_type.startswith("i"):
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def load_spec() -> Spec:
    """Read the spec that ships with the package.

    Raises
    ------
    pydantic.ValidationError
        If the file does not describe a protocol.
    """
    text = resources.files("firmware_protocol").joinpath("spec.toml").read_text("utf-8")
    return Spec.model_validate(tomllib.loads(text))


def _refuse_repeated(values: Iterable[str | int], what: str) -> None:
    seen: set[str | int] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what}: {value} is there twice")
        seen.add(value)


def _check_items(command: str, fields: tuple[FieldSpec, ...], items: ItemsSpec | None) -> None:
    if items is None:
        return
    counts = [field.name for field in fields if field.is_integer]
    if items.count not in counts:
        raise ValueError(f"{command}.{items.name}: no integer field {items.count} counts them")
    if items.name in [field.name for field in fields]:
        raise ValueError(f"{command}.{items.name}: a field has that name")
