"""A conductance map as a few lines of characters: in colour on a terminal, in shades elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rramhil.cli._output import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rramhil.lab import ConductanceMap

_WIDTH, _LINES = 64, 16
_SHADES = " .:-=+*#%@"
_INVALID = (200, 16, 46)
# viridis at five places: ordered for every kind of colour vision, and in grey
_COLOURS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))

Colour = tuple[int, int, int]
Blocks = list[list[float]]


def print_picture(measured: ConductanceMap) -> None:
    """Print block means of a map; rows run downwards, bit lines to the right."""
    from rramhil.programming import terminal_map

    out = console()
    # sixteen colours are too few for a scale
    coloured = out.color_system in ("256", "truecolor")
    blocks = terminal_map(measured, _WIDTH, 2 * _LINES if coloured else _LINES)
    means = [mean for row in blocks for mean in row if math.isfinite(mean)]
    if not means:
        return
    high = max(means)
    # from zero, but for a map without unformed cells, which would then be all of one shade
    low = min(means) if min(means) > high / 2 else min(0.0, min(means))
    out.print(_in_colour(blocks, low, high) if coloured else _in_shades(blocks, low, high))
    rows, cols = measured.shape
    block = f"{math.ceil(rows / len(blocks))} x {math.ceil(cols / len(blocks[0]))}"
    shades = "dark" if coloured else "blank"
    out.print(
        f"Means of {block} cells: {shades} is {low:.2f} uS, "
        f"{'bright' if coloured else '@'} is {high:.2f} uS."
    )


def _in_shades(blocks: Blocks, low: float, high: float) -> RenderableType:
    from rich.text import Text

    return Text("\n".join("".join(_shade(mean, low, high) for mean in row) for row in blocks))


def _shade(mean: float, low: float, high: float) -> str:
    if not math.isfinite(mean):
        return "?"
    return _SHADES[round(_share(mean, low, high) * (len(_SHADES) - 1))]


def _in_colour(blocks: Blocks, low: float, high: float) -> RenderableType:
    """Draw two rows of blocks a line: the upper as the character's colour, the lower behind it."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    text = Text()
    for upper, lower in zip(blocks[::2], [*blocks[1::2], None], strict=False):
        for column, mean in enumerate(upper):
            front = Color.from_rgb(*_colour(mean, low, high))
            back = None if lower is None else Color.from_rgb(*_colour(lower[column], low, high))
            text.append("▀", Style.from_color(front, back))
        text.append("\n")
    text.rstrip()
    return text


def _colour(mean: float, low: float, high: float) -> Colour:
    if not math.isfinite(mean):
        return _INVALID
    place = _share(mean, low, high) * (len(_COLOURS) - 1)
    index = min(int(place), len(_COLOURS) - 2)
    part = place - index
    red, green, blue = (
        round(a + (b - a) * part) for a, b in zip(_COLOURS[index], _COLOURS[index + 1], strict=True)
    )
    return red, green, blue


def _share(mean: float, low: float, high: float) -> float:
    return (mean - low) / (high - low) if high > low else 0.0
