"""Values of single fields: range checks and text, used by the generated messages."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Any

Buffer = bytes | bytearray | memoryview


class FieldError(ValueError):
    """A field's value lies outside its range.

    Attributes
    ----------
    field : str
        Message and field, such as `PulseRowsRequest.operation`.
    value, low, high : int
        The value, and the range it should lie in.
    """

    def __init__(self, field: str, value: int, low: int, high: int) -> None:
        super().__init__(f"{field} is {value}, which is not within {low} to {high}")
        self.field = field
        self.value = value
        self.low = low
        self.high = high


def check(field: str, value: int, low: int, high: int) -> None:
    """Raise FieldError unless low <= value <= high."""
    if not low <= value <= high:
        raise FieldError(field, value, low, high)


def packed(layout: Struct, message: str, values: tuple[Any, ...]) -> bytes:
    """Pack `values`, turning an overflow into a ValueError that names the message."""
    try:
        return layout.pack(*values)
    except struct_error as error:
        raise ValueError(f"{message}: {error} in {values}") from None


def encode_text(field: str, text: str, size: int) -> bytes:
    """UTF-8 of `text`; refused if longer than `size` bytes or with a NUL in it."""
    data = text.encode("utf-8")
    if len(data) > size or b"\0" in data:
        raise FieldError(field, len(data), 0, size)
    return data


def decode_text(data: bytes) -> str:
    """Text of a zero-padded field; bytes that are no UTF-8 become U+FFFD."""
    return data.rstrip(b"\0").decode("utf-8", "replace")


def encode_bytes(field: str, data: bytes, size: int) -> bytes:
    """`data`, which must have exactly `size` bytes."""
    if len(data) != size:
        raise FieldError(field, len(data), size, size)
    return data


def fitting_text(text: str, size: int = 64) -> str:
    """As much of `text` as a text field of `size` bytes can carry."""
    return text.replace("\0", "").encode()[:size].decode("utf-8", "ignore")
