"""The generated codec: every message, its golden vectors, and that it is up to date."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import framing, layouts, messages
from firmware_protocol.__main__ import stale
from firmware_protocol.fields import FieldError
from firmware_protocol.spec import FieldSpec, StructSpec, load_spec

SPEC = load_spec()
STRUCTS = {struct.name: struct for struct in SPEC.structs()}
VECTORS = json.loads(
    resources.files("firmware_protocol").joinpath("golden/vectors.json").read_text()
)
INTEGERS = [
    (struct.name, field.name)
    for struct in STRUCTS.values()
    for field in struct.fields
    if field.is_integer
]


def message_type(name: str) -> Any:
    return getattr(messages, name)


def texts(size: int) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.text(letters, max_size=size).filter(lambda text: len(text.encode()) <= size)


def field_values(field: FieldSpec) -> st.SearchStrategy[Any]:
    if field.base == "char":
        return texts(field.count or 1)
    if field.is_bytes:
        return st.binary(min_size=field.count or 1, max_size=field.count)
    if field.is_integer:
        return st.integers(*field.limits())
    parts = message_values(STRUCTS[field.base])
    return parts if field.count is None else st.tuples(*[parts] * field.count)


def message_values(struct: StructSpec) -> st.SearchStrategy[Any]:
    fields = st.tuples(*[field_values(field) for field in struct.fields])
    return fields.map(lambda values: message_type(struct.name)(*values))


def from_vector(struct: StructSpec, values: dict[str, Any]) -> Any:
    """The message that a golden vector describes."""

    def value_of(field: FieldSpec) -> Any:
        value = values[field.name]
        if field.is_bytes and field.base == "u8":
            return bytes(value)
        if field.is_integer or field.base == "char":
            return value
        part = STRUCTS[field.base]
        if field.count is None:
            return from_vector(part, value)
        return tuple(from_vector(part, item) for item in value)

    return message_type(struct.name)(*map(value_of, struct.fields))


@pytest.mark.parametrize("name", STRUCTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_message_comes_back_as_it_was_sent(name: str, data: st.DataObject) -> None:
    message = data.draw(message_values(STRUCTS[name]))
    packed = message.pack()
    assert len(packed) == message.SIZE == SPEC.size(name)
    assert type(message).unpack(packed) == message
    assert type(message).unpack(b"??" + packed + b"?", 2) == message


@pytest.mark.parametrize(("name", "field_name"), INTEGERS)
def test_a_value_outside_its_range_is_refused(name: str, field_name: str) -> None:
    vector = next(v for v in VECTORS["structs"] if v["struct"] == name)
    message = from_vector(STRUCTS[name], vector["values"])
    field = next(field for field in STRUCTS[name].fields if field.name == field_name)
    low, high = field.limits()
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=name):
            message._replace(**{field_name: value}).pack()


@pytest.mark.parametrize(
    ("name", "field_name"),
    [
        (name, field.name)
        for name, struct in STRUCTS.items()
        for field in struct.fields
        if field.min is not None or field.max is not None
    ],
)
def test_a_value_outside_its_range_is_refused_on_arrival(name: str, field_name: str) -> None:
    vector = next(v for v in VECTORS["structs"] if v["struct"] == name and v["case"] == "high")
    data = bytearray.fromhex(vector["hex"])
    offset, wrong = 0, -1
    for field in STRUCTS[name].fields:
        size = SPEC.size(field.base) * (field.count or 1)
        if field.name == field_name:
            low, high = field.limits()
            wrong = high + 1 if high + 1 < 1 << 8 * size else low - 1
            data[offset : offset + size] = wrong.to_bytes(size, "little")
        offset += size
    with pytest.raises(FieldError) as caught:
        message_type(name).unpack(data)
    assert caught.value.field == f"{name}.{field_name}"
    assert caught.value.value == wrong


@pytest.mark.parametrize("text", ["x" * 65, "Ω" * 33, "a\0b", "\ud800"])
def test_text_that_does_not_fit_its_field_is_refused(text: str) -> None:
    error = messages.Error(0, 0, 0, 0, 0, 0, text)
    with pytest.raises(ValueError):  # noqa: PT011 - which of the reasons differs from text to text
        error.pack()


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    data = messages.Error(0, 0, 0, 0, 0, 0, "").pack()[:-64] + b"\xffno text".ljust(64, b"\0")
    assert messages.Error.unpack(data).text == "\ufffdno text"


@pytest.mark.parametrize(
    "vector", VECTORS["structs"], ids=lambda vector: f"{vector['struct']}-{vector['case']}"
)
def test_the_codec_reproduces_the_golden_vector(vector: dict[str, Any]) -> None:
    message = from_vector(STRUCTS[vector["struct"]], vector["values"])
    data = bytes.fromhex(vector["hex"])
    assert message.pack() == data
    assert type(message).unpack(data) == message


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["case"])
def test_the_framing_reproduces_the_golden_frame(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    frame = framing.Frame(
        vector["type"],
        vector["flags"],
        vector["credit"],
        vector["session"],
        vector["sequence"],
        bytes.fromhex(vector["body"]),
        vector["version"],
    )
    assert framing.FrameDecoder().feed(data) == [frame]
    encoded = framing.encode(
        frame.type, frame.session, frame.sequence, frame.body, frame.flags, frame.credit
    )
    assert encoded == data


def test_every_structure_has_golden_vectors() -> None:
    assert {vector["struct"] for vector in VECTORS["structs"]} == set(STRUCTS)


def test_generated_files_are_up_to_date() -> None:
    assert stale() == []


@pytest.mark.parametrize("struct", [s for s in SPEC.struct if s.repeated], ids=lambda s: s.name)
def test_a_numpy_layout_is_the_message(struct: StructSpec) -> None:
    upper = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(struct.name)).upper()
    dtype = getattr(layouts, upper)
    assert dtype.itemsize == SPEC.size(struct.name) == message_type(struct.name).SIZE
    vector = next(
        v for v in VECTORS["structs"] if v["struct"] == struct.name and v["case"] == "pattern"
    )
    item = np.frombuffer(bytes.fromhex(vector["hex"]), dtype)[0]
    for name, value in vector["values"].items():
        if isinstance(value, list) and isinstance(value[0], dict):
            value = [tuple(part.values()) for part in value]
        assert item[name].tolist() == value


def test_the_session_machines_know_the_sizes_of_every_command() -> None:
    for command in SPEC.command:
        facts = messages.COMMANDS[messages.Command(command.code)]
        sizes = {struct.name: SPEC.size(struct.name) for struct, _ in command.bodies()}
        assert facts.request_size == sizes.get(command.stem + "Request", 0)
        assert facts.reply_size == sizes.get(command.stem + "Reply", 0)
        assert facts.ordered or facts.immediate
