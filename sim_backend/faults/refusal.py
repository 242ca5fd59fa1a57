"""What is wrong with a file of faults, in the words of the file.

Owns the sentence: table and key as they are written there, the value, and what is wanted. What may
be asked for stands in `model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

_WANTED = {
    "int_type": "an integer is wanted",
    "float_type": "a number is wanted",
    "decimal_type": "a number is wanted",
    "decimal_parsing": "a number is wanted",
    "finite_number": "a finite number is wanted",
    "literal_error": "{expected} is wanted",
    "greater_than": "more than {gt} is wanted",
    "greater_than_equal": "at least {ge} is wanted",
    "less_than_equal": "at most {le} is wanted",
    "tuple_type": "a list of integers is wanted, such as [3, 7]",
    "too_short": "a list of at least one integer is wanted, such as [3, 7]",
}
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_PAIRS = "_cells"

Loc = tuple[int | str, ...]


def first_mistake(error: ValidationError, known: Mapping[str, Sequence[str]]) -> str:
    """Say the first thing that is wrong: where, the value, and what is wanted; without a full stop.

    Parameters
    ----------
    known : mapping
        Keys of the file by "", those of `[chip]` by "chip", names of faults by "link" and "board",
        and the keys of each fault by its name.
    """
    detail: dict[str, Any] = dict(error.errors()[0])
    loc: Loc = detail["loc"]
    kind, value = detail["type"], detail["input"]
    if kind in _UNKNOWN_KEY:
        *above, key = loc
        keys = ", ".join(known[str(above[-1]) if above else ""])
        return f"{_table(loc)} has no key {key!r}; its keys are {keys}"
    if kind == "union_tag_not_found":
        return f"{_table(loc)} does not say which fault: {_one_of(known, loc)}"
    if kind == "union_tag_invalid":
        return f"{_table(loc)} has fault {value['fault']!r}: {_one_of(known, loc)}"
    if len(loc) == 1 and loc[0] in ("link", "board", "chip"):
        return _other_brackets(str(loc[0]), value, detail["msg"])
    if _is_in_pairs(loc):
        loc = loc[:3]
        if kind != "tuple_type" or len(loc) > 2:
            return f"{_place(loc)} is {value!r}: [row, column] is wanted, both integers"
        return f"{_place(loc)} is {value!r}: a list is wanted, such as [[3, 5], [3, 6]]"
    if kind == "missing":
        return f"{_table(loc[:-1])} has no {loc[-1]!r}, which it needs"
    wanted = _WANTED.get(kind, _plain(detail["msg"])).format(**detail.get("ctx", {}))
    if isinstance(value, dict):
        return f"{_table(loc)}: {wanted}"
    return f"{_place(loc)} is {value!r}: {wanted}"


def _other_brackets(table: str, value: object, message: str) -> str:
    single, double = f"[{table}]", f"[[{table}]]"
    if table == "chip":
        if isinstance(value, dict):
            return f"{single}: {_plain(message)}"
        return f"{table} is no table with the heading {single}, in single brackets"
    if isinstance(value, dict):
        return f"{single} has single brackets: write {double}, once for each fault"
    return f"{table} is {value!r}: tables are wanted, each with the heading {double}"


def _one_of(known: Mapping[str, Sequence[str]], loc: Loc) -> str:
    return f"write fault = one of {', '.join(repr(name) for name in known[str(loc[0])])}"


def _is_in_pairs(loc: Loc) -> bool:
    return len(loc) > 1 and loc[0] == "chip" and str(loc[1]).endswith(_PAIRS)


def _table(loc: Loc) -> str:
    """Return the heading of a table, and which it is where there may be several."""
    match loc:
        case ("link" | "board" as table, int(number)):
            return f"[[{table}]] number {number + 1}"
        case ("link" | "board" as table, int(number), str(fault), *_):
            return f"[[{table}]] number {number + 1} ({fault})"
        case ("chip", *_):
            return "[chip]"
        case _:
            return "the file"


def _place(loc: Loc) -> str:
    """Return the heading and the key in it."""
    own = {"link": 3, "board": 3, "chip": 1}.get(str(loc[0]), 0)
    key, *indices = loc[own:] or loc[-1:]
    name = str(key) + "".join(f"[{index}]" for index in indices)
    return f"{_table(loc)} {name}" if own else name


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[0].lower() + message[1:]
