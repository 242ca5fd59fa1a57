"""How rows and columns are written on the command line: 0:8, 0:512:4, 5,9 or any mixture.

Owns: the syntax. How many lines an array has is the board's to say.
"""

from __future__ import annotations

from rramhil.errors import UsageError

MOST_LINES = 1 << 16
"""Lines are numbered by 16 bits on the wire."""

FORM = "Write lines as 5, 0:8 (eight lines, 8 left out), 0:512:4 or 5,9,20:24."


def parse_lines(text: str, count: int, what: str) -> list[int]:
    """Line numbers that a text means, ascending.

    Parameters
    ----------
    text : str
        Numbers, `start:stop` and `start:stop:step`, separated by commas; start, stop and step may
        be left out as in a slice.
    count : int
        Lines there are; numbers run from 0 to count - 1.
    what : str
        "rows" or "columns", for errors.

    Raises
    ------
    UsageError
        The text is none of these, names a line twice, or one that is not there.
    """
    numbers: list[int] = []
    for part in text.split(","):
        numbers.extend(_part(part.strip(), text, count, what))
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise UsageError(f"{text!r} names {what} {twice} twice.", FORM)
    return sorted(numbers)


def _part(part: str, text: str, count: int, what: str) -> range:
    fields = part.split(":")
    if not 1 <= len(fields) <= 3 or part == "" or not all(_is_number(field) for field in fields):
        raise UsageError(f"{text!r} does not say which {what}: {part!r} is not understood.", FORM)
    start, stop, step = _bounds(fields, count)
    if step == 0 or stop <= start:
        raise UsageError(f"{text!r} does not say which {what}: {part!r} is empty.", FORM)
    chosen = range(start, stop, step)
    if chosen[-1] >= count:
        raise UsageError(
            f"{text!r} asks for {what} up to {chosen[-1]}, but they run from 0 to {count - 1}.",
            "`rramhil board info` shows the array's size.",
        )
    return chosen


def _is_number(field: str) -> bool:
    # seven digits are more than any array has, and fewer than would take time or memory
    return field == "" or (field.isascii() and field.isdigit() and len(field) < 8)


def _bounds(fields: list[str], count: int) -> tuple[int, int, int]:
    if len(fields) == 1:
        return int(fields[0]), int(fields[0]) + 1, 1
    start, stop, *step = fields
    return int(start or 0), int(stop or count), int(step[0] or 1) if step else 1
