"""What a command prints: a JSON object or human text on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Where no terminal sets a width; wider than any line.
_UNCUT = 1 << 16
# What the last column of a table keeps on a terminal that is too narrow.
_LAST_COLUMN = 20

Row = tuple[str, "RenderableType"]


def print_json(facts: Mapping[str, Any]) -> None:
    """Print the one object of a run; numbers that are not finite become null."""
    print(json.dumps(_plain(facts), ensure_ascii=False, allow_nan=False), flush=True)


def note(text: str) -> None:
    """Tell people something that is not the result."""
    print(text, file=sys.stderr, flush=True)


def console() -> Console:
    """Where results for people go; what is no terminal gets whole lines."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _UNCUT
    return Console(highlight=False, soft_wrap=True, width=width)


def print_facts(*rows: Row) -> None:
    """Print names and values, one a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    console().print(grid)


def print_table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table; a title that begins with ">" is of a column of numbers, set to the right.

    Only the last column is ever folded: what stands in the others can be copied and searched for.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(titles):
        name = title.lstrip(">")
        widest = max(len(text) for text in (name, *(row[index] for row in rows)))
        last = index == len(titles) - 1
        table.add_column(
            name,
            justify="right" if title.startswith(">") else "left",
            overflow="fold",
            no_wrap=not last,
            min_width=min(widest, _LAST_COLUMN) if last else widest,
        )
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _plain(value: Any) -> Any:
    """Turn paths, numpy scalars and arrays, and mappings into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
