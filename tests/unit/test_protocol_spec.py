"""The spec: what is no protocol is refused before anything is generated from it."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from pydantic import ValidationError

from firmware_protocol.generator import python
from firmware_protocol.spec import FieldSpec, Spec, load_spec

DOCUMENT: dict[str, Any] = tomllib.loads(
    resources.files("firmware_protocol").joinpath("spec.toml").read_text("utf-8")
)


def command(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in document["command"] if item["name"] == name)


def field(**changes: Any) -> dict[str, Any]:
    return {"name": "extra", "type": "u8", "doc": "Extra.", **changes}


def add(part: str, item: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document[part].append(item)


def request(*fields: dict[str, Any], of: str = "STATUS") -> Callable[[dict[str, Any]], None]:
    return lambda document: command(document, of)["request"].extend(fields)


def struct(*fields: dict[str, Any], name: str = "Extra") -> Callable[[dict[str, Any]], None]:
    return add("struct", {"name": name, "doc": "Extra.", "fields": list(fields)})


def change(part: str, /, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document[part].update(values)


def change_command(name: str, /, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: command(document, name).update(values)


BAD: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "two fields of a name": (struct(field(), field()), "fields of Extra: extra is there twice"),
    "two structs of a name": (struct(field(), name="Point"), "names of types: Point"),
    "a struct named as a body": (struct(field(), name="StatusReply"), "names of types"),
    "a struct named as an enumeration": (struct(field(), name="Role"), "names of types: Role"),
    "two commands of a name": (change_command("ABORT", name="ESTOP"), "names of commands: ESTOP"),
    "two commands of a code": (change_command("ABORT", code=1), "codes of commands: 1"),
    "two values of an enumeration": (
        add(
            "enum",
            {
                "name": "Extra",
                "doc": "",
                "values": [{"name": n, "value": 1, "doc": ""} for n in "AB"],
            },
        ),
        "values of Extra: 1",
    ),
    "two names of an enumeration": (
        add(
            "enum",
            {
                "name": "Extra",
                "doc": "",
                "values": [{"name": "A", "value": v, "doc": ""} for v in (1, 2)],
            },
        ),
        "names of Extra: A",
    ),
    "a maximum beyond the type": (request(field(max=256)), "does not fit u8"),
    "a minimum below the type": (request(field(min=-1)), "does not fit u8"),
    "a range upside down": (request(field(min=5, max=4)), "does not fit u8"),
    "a range of text": (request(field(type="char[4]", max=1)), "only an integer has a range"),
    "an unknown type": (request(field(type="u24")), "no type u24"),
    "an unknown struct": (request(field(type="Nowhere[3]")), "no type Nowhere"),
    "no type at all": (request(field(type="u8[0]")), "is not a type"),
    "text without a length": (request(field(type="char")), "text needs a length"),
    "an array of wide integers": (request(field(type="u16[4]")), "only u8 comes in arrays"),
    "a struct that holds itself": (struct(field(type="Extra")), "no type Extra before it"),
    "unknown items": (
        change_command("DARK", reply_items={"type": "Nowhere", "count": "rows"}),
        "there is no type Nowhere",
    ),
    "items that nothing counts": (
        change_command("DARK", reply_items={"type": "u32", "count": "nothing"}),
        "no integer field nothing",
    ),
    "items named as a field": (
        change_command("DARK", reply_items={"type": "u32", "count": "rows", "name": "rows"}),
        "a field has that name",
    ),
    "a field named as a method": (struct(field(name="pack")), "would hide a method"),
    "a name that is none": (struct(field(name="two words")), "should match pattern"),
    "HELLO too long": (request(field(type="u8[161]"), of="HELLO"), "longer than 256 bytes"),
    "no HELLO": (change_command("HELLO", name="HALLO"), "no command HELLO"),
    "a magic too wide": (change("protocol", magic=0x10000), "less than or equal to 65535"),
    "an unknown key": (change("protocol", colour=1), "Extra inputs are not permitted"),
    "a role that is none": (change_command("ABORT", role="GUEST"), "OBSERVER"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_spec_is_refused(what: str) -> None:
    spoil, reason = BAD[what]
    document = copy.deepcopy(DOCUMENT)
    spoil(document)
    with pytest.raises(ValidationError, match=reason):
        Spec.model_validate(document)


def test_the_spec_that_ships_is_good() -> None:
    assert load_spec() == Spec.model_validate(DOCUMENT)


def test_the_longest_hello_that_is_allowed_is_allowed() -> None:
    document = copy.deepcopy(DOCUMENT)
    request(field(type="u8[160]"), of="HELLO")(document)
    assert Spec.model_validate(document).size("HelloRequest") == 256


def test_limits_default_to_those_of_the_type() -> None:
    assert FieldSpec(name="a", type="i32", doc="").limits() == (-(2**31), 2**31 - 1)
    assert FieldSpec(name="a", type="u64", doc="", min=1).limits() == (1, 2**64 - 1)


def test_structures_may_be_nested_in_arrays_with_text_in_them() -> None:
    document = copy.deepcopy(DOCUMENT)
    struct(field(name="label", type="char[4]"), field(name="place", type="Point"))(document)
    struct(field(name="parts", type="Extra[2]"), field(name="one", type="Extra[1]"), name="Outer")(
        document
    )
    source = python.messages(Spec.model_validate(document))
    generated: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated", "exec", dont_inherit=True), generated)
    point, extra, outer = (generated[name] for name in ("Point", "Extra", "Outer"))
    parts = (extra("ab", point(1, 2)), extra("Ω", point(3, 4)))
    message = outer(parts, (extra("", point(5, 6)),))
    assert len(message.pack()) == outer.SIZE == 24
    assert outer.unpack(message.pack()) == message
