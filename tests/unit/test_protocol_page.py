"""The protocol page says what the code does, and `explain` names every byte."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from importlib import resources

import pytest

from firmware_protocol.explain import explain, frame_name
from firmware_protocol.framing import HEADER_BYTES, OVERHEAD_BYTES, FrameDecoder, encode
from firmware_protocol.messages import ChipRequest, Command, Flag
from firmware_protocol.requests import LinkStatistics
from firmware_protocol.spec import load_spec

PREFACE = resources.files("firmware_protocol").joinpath("preface.md").read_text("utf-8")
SPEC = load_spec()
VECTORS = json.loads(
    resources.files("firmware_protocol").joinpath("golden/vectors.json").read_text("utf-8")
)


def test_the_worked_example_is_what_the_codec_makes() -> None:
    (block,) = re.findall(r"```hex\n(.*?)```", PREFACE, re.DOTALL)
    data = bytes.fromhex(block)
    assert data == encode(Command.CHIP, 7, 3, ChipRequest(0).pack(), credit=3 + 16)
    assert [len(bytes.fromhex(line)) for line in block.splitlines()] == [HEADER_BYTES, 1, 4]
    assert f"CRC-16 0x{int.from_bytes(data[22:24], 'little'):04X}" in PREFACE
    assert f"CRC-32 0x{int.from_bytes(data[-4:], 'little'):08X}" in PREFACE
    (frame,) = FrameDecoder().feed(data)
    assert (frame.type, frame.session, frame.sequence, frame.credit) == (9, 7, 3, 19)


def test_every_counter_of_the_link_is_on_the_page() -> None:
    assert all(f"`{item.name}`" in PREFACE for item in fields(LinkStatistics))


def test_the_pages_header_is_the_headers_layout() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([a-z ]+) \|", PREFACE, re.MULTILINE)
    frame = encode(Command.CHIP, 7, 3, b"\0")
    assert sum(int(size) for _, size, _ in rows) == HEADER_BYTES
    for offset, size, name in rows:
        for byte in range(int(size)):
            said = explain(frame, int(offset) + byte)
            assert said.startswith(f"CHIP request, sequence 3: header field {name}")


def test_every_link_of_the_page_leads_somewhere() -> None:
    titles = ["commands", *(struct.name for struct in SPEC.struct), *(e.name for e in SPEC.enum)]
    anchors = {title.lower() for title in titles}
    assert set(re.findall(r"\]\(#([a-z_-]+)\)", PREFACE)) <= anchors


@pytest.mark.parametrize("command", SPEC.command, ids=lambda command: command.name)
def test_every_byte_of_every_message_is_explained(command: Command) -> None:
    for struct, items in command.bodies():  # type: ignore[attr-defined]
        flags = Flag.REPLY if struct.name.endswith("Reply") else 0
        size = SPEC.size(struct.name)
        body = bytes(size + 2 * SPEC.size(items.type) if items else size)
        frame = encode(command.code, 1, 2, body, flags)  # type: ignore[attr-defined]
        said = [explain(frame, offset) for offset in range(len(frame))]
        assert len(set(said)) == len(said), "two bytes have the same name"
        assert said[HEADER_BYTES].startswith(f"{command.name} ")
        assert struct.fields[0].name in said[HEADER_BYTES]
        assert "after the end" not in "".join(said)
        if items:
            assert f"{items.name}[1]" in said[-5]


def test_a_frame_has_a_name() -> None:
    assert frame_name(encode(32, 1, 12)) == "PULSE_ROWS request, sequence 12"
    assert frame_name(encode(34, 1, 2, b"", Flag.REPLY | Flag.STREAM)).endswith("chunk, sequence 2")
    assert frame_name(encode(9, 1, 2, b"", Flag.REPLY | Flag.ERROR)) == (
        "CHIP error reply, sequence 2"
    )
    assert frame_name(encode(0x7777, 1, 2)) == "type 30583 request, sequence 2"


def test_parts_errors_and_chunks_are_explained_too() -> None:
    pulses = encode(32, 1, 12, bytes(4 + 2 * 80))
    at = HEADER_BYTES + 4 + 80 + 12
    assert explain(pulses, at + 1).endswith(": pulses[1].width_ns, byte 1")
    assert explain(pulses, at + 4 + 9).endswith(": pulses[1].column_mask[9]")
    describe = encode(8, 1, 2, bytes(240), Flag.REPLY)
    assert explain(describe, HEADER_BYTES + 88 + 8).endswith("rails[1].full_scale_uv, byte 0")
    refusal = encode(32, 1, 12, bytes(96), Flag.REPLY | Flag.ERROR)
    assert explain(refusal, HEADER_BYTES).endswith("code, byte 0")
    chunk = encode(34, 1, 2, bytes(24 + 6), Flag.REPLY | Flag.STREAM)
    assert explain(chunk, HEADER_BYTES + 24 + 5).endswith("words[2], byte 1")
    assert explain(encode(9, 1, 2, b"ab"), HEADER_BYTES + 1).endswith(
        "byte 0 after the end of the message"
    )
    with pytest.raises(ValueError, match="outside a frame of 28 bytes"):
        explain(encode(2, 1, 2), OVERHEAD_BYTES)
