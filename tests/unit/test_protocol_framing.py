"""Frames on a byte stream: found in any pieces, among any garbage, and never a wrong one."""

from __future__ import annotations

import binascii
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import framing
from firmware_protocol.framing import HEADER_BYTES, OVERHEAD_BYTES, Frame, FrameDecoder, encode
from firmware_protocol.messages import MAX_BODY

frames = st.builds(
    Frame,
    type=st.integers(0, 0xFFFF),
    flags=st.integers(0, 0xFF),
    credit=st.integers(0, 0xFFFF),
    session=st.integers(0, 0xFFFF_FFFF),
    sequence=st.integers(0, 0xFFFF_FFFF),
    body=st.binary(max_size=80),
    version=st.integers(0, 0xFF),
)
# garbage full of what a frame begins with
garbage = st.lists(st.sampled_from([b"R", b"H", b"RH", b"\0", b"RH\1\0"])).map(b"".join)


def bytes_of(frame: Frame) -> bytes:
    return encode(
        frame.type,
        frame.session,
        frame.sequence,
        frame.body,
        frame.flags,
        frame.credit,
        frame.version,
    )


def small(sequence: int, body: bytes = b"body") -> Frame:
    return Frame(9, 0, 0, 7, sequence, body)


def fed_in_pieces(decoder: FrameDecoder, data: bytes, size: int) -> list[Frame]:
    found: list[Frame] = []
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    return found


@settings(max_examples=150, deadline=None)
@given(sent=st.lists(frames, max_size=6), cuts=st.lists(st.integers(0, 700), max_size=12))
def test_frames_survive_any_split_of_the_stream(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(bytes_of, sent))
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = FrameDecoder()
    found: list[Frame] = []
    for start, stop in pairwise(bounds):
        found += decoder.feed(data[start:stop])
    assert found == sent
    assert (decoder.bad_frames, decoder.garbage_bytes) == (0, 0)


def test_frames_survive_arriving_byte_by_byte() -> None:
    sent = [small(n, bytes(n)) for n in range(20)]
    assert fed_in_pieces(FrameDecoder(), b"".join(map(bytes_of, sent)), 1) == sent


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.tuples(garbage, frames), max_size=5), size=st.integers(1, 200))
def test_garbage_around_frames_is_skipped_and_counted(
    parts: list[tuple[bytes, Frame]], size: int
) -> None:
    decoder = FrameDecoder()
    data = b"".join(noise + bytes_of(frame) for noise, frame in parts)
    assert fed_in_pieces(decoder, data, size) == [frame for _, frame in parts]
    assert decoder.garbage_bytes == sum(len(noise) for noise, _ in parts)


@settings(max_examples=300, deadline=None)
@given(
    sent=st.lists(frames, min_size=1, max_size=5),
    where=st.integers(0),
    flip=st.integers(1, 255),
    size=st.integers(1, 300),
)
def test_a_damaged_byte_costs_only_the_frame_it_hits(
    sent: list[Frame], where: int, flip: int, size: int
) -> None:
    pieces = [bytes_of(frame) for frame in sent]
    data = bytearray(b"".join(pieces))
    where %= len(data)
    data[where] ^= flip
    hit, end = 0, len(pieces[0])
    while where >= end:
        hit += 1
        end += len(pieces[hit])
    assert fed_in_pieces(FrameDecoder(), bytes(data), size) == sent[:hit] + sent[hit + 1 :]


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), rest=garbage)
def test_garbage_alone_is_never_a_frame(data: bytes, rest: bytes) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(data + rest) == []
    frame = small(1)
    # whatever was held back of the garbage, the next frame is found
    assert decoder.feed(bytes_of(frame)) == [frame]


def test_a_cut_frame_costs_only_itself() -> None:
    sent = [small(n, bytes(200)) for n in range(3)]
    first, second, third = map(bytes_of, sent)
    decoder = FrameDecoder()
    assert decoder.feed(first + second[:100] + third) == [sent[0], sent[2]]
    assert decoder.feed(second) == [sent[1]]
    assert decoder.bad_frames == 1


def test_a_body_longer_than_allowed_is_garbage() -> None:
    decoder = FrameDecoder(max_body=100)
    long, short = small(1, bytes(101)), small(2, bytes(100))
    assert decoder.feed(bytes_of(long) + bytes_of(short)) == [short]
    assert decoder.bad_frames == 1
    assert decoder.garbage_bytes == OVERHEAD_BYTES + 101


def header_announcing(length: int) -> bytes:
    """A header that is right in itself."""
    frame = bytearray(encode(9, 7, 1))
    frame[16:20] = length.to_bytes(4, "little")
    frame[22:24] = binascii.crc_hqx(bytes(frame[:22]), 0xFFFF).to_bytes(2, "little")
    return bytes(frame[:HEADER_BYTES])


def test_the_length_is_refused_before_its_bytes_are_awaited() -> None:
    decoder = FrameDecoder()
    frame = small(1)
    assert decoder.feed(header_announcing(0xFFFF_FFFF)) == []
    assert decoder.feed(bytes_of(frame)) == [frame]


def test_a_sender_that_begins_anew_is_heard_at_once() -> None:
    # a program killed in the middle of a long frame, and its successor on the same serial line
    decoder = FrameDecoder()
    assert decoder.feed(header_announcing(MAX_BODY) + bytes(1000)) == []
    frame = small(1)
    assert decoder.feed(bytes_of(frame)) == [frame]
    assert decoder.bad_frames == 1


def test_what_was_swallowed_by_a_cut_frame_is_found_again() -> None:
    decoder = FrameDecoder()
    first, second = small(1), small(2)
    assert decoder.feed(header_announcing(1000) + b"x" + bytes_of(first)) == []
    assert decoder.feed(bytes_of(second)) == [first, second]


def test_the_pieces_of_a_long_frame_may_begin_with_a_magic() -> None:
    frame = small(1, b"RH" * 50_000)
    assert fed_in_pieces(FrameDecoder(), bytes_of(frame), 64) == [frame]


def test_a_long_frame_in_small_pieces_is_joined_only_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[int] = []
    parse = FrameDecoder._parse

    def counting(self: FrameDecoder, buffer: bytes, at: int) -> tuple[list[Frame], int]:
        parsed.append(len(buffer))
        return parse(self, buffer, at)

    monkeypatch.setattr(FrameDecoder, "_parse", counting)
    frame = small(1, random.Random(1).randbytes(MAX_BODY))
    assert fed_in_pieces(FrameDecoder(), bytes_of(frame), 64) == [frame]
    # once for the header, once for the whole
    assert len(parsed) == 2
    assert sum(parsed) < MAX_BODY + 1000


def test_checksums_are_the_published_ones() -> None:
    frame = encode(9, 7, 1, b"body")
    assert binascii.crc_hqx(b"123456789", framing._CRC16_INIT) == 0x29B1
    assert binascii.crc32(b"123456789") == 0xCBF43926
    assert int.from_bytes(frame[22:24], "little") == binascii.crc_hqx(frame[:22], 0xFFFF)
    assert int.from_bytes(frame[-4:], "little") == binascii.crc32(frame[:-4])
