"""The picture of a placement: one square a macro, a colour a matrix.

Owns: how a placement looks. Loads matplotlib only when a picture is drawn, and never pyplot.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rramhil._atomic import replacing

if TYPE_CHECKING:
    from rramhil.switching.placement import Placement, Tile

_PANELS_MAX = 64
_WITH_AXES_MAX = 4  # more macros are a table of small pictures
_LABELS_MAX = 24
_SIDES_INCH = (5.8, 2.9, 1.7)  # of one macro, of a few, of many
_EMPTY = "#eeeeee"


def draw(placement: Placement, path: Path, title: str = "") -> None:
    """Draw a placement into a PNG; with overlay, each matrix has panels of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(placement)
    shown = panels[:_PANELS_MAX]
    across = min(len(shown), max(1, math.ceil(math.sqrt(1.5 * len(shown)))))
    down = math.ceil(len(shown) / across)
    side = _SIDES_INCH[(len(shown) > 1) + (len(shown) > _WITH_AXES_MAX)]
    figure: Any = Figure(
        figsize=(side * across, side * down + 0.5), dpi=110, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False)
    names = [matrix.name for matrix in placement.matrices]
    for axes, (label, tiles) in zip(grid.flat, shown, strict=False):
        _draw_macro(axes, placement, label, tiles, names)
        if len(shown) <= _WITH_AXES_MAX:
            axes.set_xlabel("column (bit line)", fontsize=7)
            axes.set_ylabel("row (source line)", fontsize=7)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_axis_off()
    hidden = len(panels) - len(shown)
    figure.suptitle(
        (title or f"Placement {placement.id}") + (f" ({hidden} more macros)" if hidden else ""),
        fontsize=11,
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _panels(placement: Placement) -> list[tuple[str, list[Tile]]]:
    if not placement.overlay:
        return [
            (f"chip {chip}", [tile for tile in placement.tiles if tile.chip == chip])
            for chip in placement.chips
        ]
    return [
        (f"chip {chip}: {matrix.name}", tiles)
        for matrix in placement.matrices
        for chip in placement.chips
        if (tiles := [tile for tile in placement.tiles_of(matrix.name) if tile.chip == chip])
    ]


def _draw_macro(
    axes: Any, placement: Placement, label: str, tiles: list[Tile], names: list[str]
) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    geometry = placement.geometry
    picture = np.tile(np.array(to_rgb(_EMPTY)), (geometry.rows, geometry.columns, 1))
    palette = colormaps["tab10" if len(names) <= 10 else "tab20"]
    used = np.zeros((geometry.rows, geometry.columns), dtype=np.bool_)
    for tile in tiles:
        cells = np.ix_(tile.rows.ravel(), tile.columns)
        picture[cells] = palette(names.index(tile.matrix) % palette.N)[:3]
        used[cells] = True
    axes.imshow(picture, interpolation="nearest")
    if len(tiles) <= _LABELS_MAX:
        for tile in tiles:
            axes.text(
                float(tile.columns.mean()),
                float(tile.rows.mean()),
                tile.matrix,
                ha="center",
                va="center",
                fontsize=7,
            )
    axes.set_title(f"{label}, {used.mean():.0%}", fontsize=9, loc="left")
    axes.tick_params(length=2, labelsize=7)
    for edge in axes.spines.values():
        edge.set_visible(False)
