"""A wrong CRC-32 names the byte that was changed."""

from __future__ import annotations

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from rramhil.transport._crc import ChangedByte, single_byte_changes

contents = st.binary(min_size=1, max_size=2000)


@given(contents, st.data())
def test_one_changed_byte_of_the_data_is_named(content: bytes, data: st.DataObject):
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[at] ^= flipped
    assert ChangedByte(at, flipped) in single_byte_changes(bytes(changed), crc32(content))


@given(contents, st.integers(0, 3), st.integers(1, 255))
def test_one_changed_byte_of_the_checksum_is_named(content: bytes, at: int, flipped: int):
    stored = crc32(content) ^ flipped << 8 * at
    assert ChangedByte(len(content) + at, flipped) in single_byte_changes(content, stored)


@given(contents, st.integers(0, 0xFFFFFFFF))
def test_whatever_is_named_explains_the_checksum(content: bytes, stored: int):
    for at, flipped in single_byte_changes(content, stored):
        whole = bytearray(content + stored.to_bytes(4, "little"))
        whole[at] ^= flipped
        assert crc32(whole[:-4]) == int.from_bytes(whole[-4:], "little")


def test_a_matching_checksum_names_nothing():
    assert single_byte_changes(b"123456789", crc32(b"123456789")) == []


def test_ambiguity_is_rare_in_a_record_of_full_length():
    # 8192 x 255 / 2^32: once in two thousand records; this one has none
    content = bytes(8192)
    changed = b"\x01" + content[1:]
    assert single_byte_changes(changed, crc32(content)) == [ChangedByte(0, 1)]
