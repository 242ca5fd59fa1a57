"""How rows and columns are written on the command line."""

from __future__ import annotations

import pytest

from rramhil.cli._lines import parse_lines
from rramhil.errors import UsageError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("5", [5]),
        ("0:4", [0, 1, 2, 3]),
        ("0:16:5", [0, 5, 10, 15]),
        ("9,5", [5, 9]),
        ("3, 0:2 ,14:", [0, 1, 3, 14, 15]),
        (":3", [0, 1, 2]),
        ("::8", [0, 8]),
        ("15", [15]),
    ],
)
def test_lines_are_numbers_slices_and_their_mixtures(text: str, numbers: list[int]) -> None:
    assert parse_lines(text, 16, "rows") == numbers


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not understood"),
        ("a:b", "'a:b' is not understood"),
        ("1,,2", "not understood"),
        ("-1", "not understood"),
        ("1:2:3:4", "not understood"),
        ("9" * 30, "not understood"),
        ("1.5", "not understood"),
        ("4:4", "empty"),
        ("0:8:0", "empty"),
        ("16", "from 0 to 15"),
        ("8:17", "from 0 to 15"),
        ("1,0:2", "1 twice"),
    ],
)
def test_anything_else_is_refused_in_a_sentence_with_the_syntax(text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as refusal:
        parse_lines(text, 16, "rows")
    assert repr(text) in refusal.value.sentence
    assert refusal.value.next_step
