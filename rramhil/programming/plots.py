"""Pictures of a conductance map: a PNG for people, a few block means for a terminal.

Owns: how a map looks. Loads matplotlib only when a picture is drawn, and never pyplot: its global
state has no place in a library, and it may ask for a display.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rramhil.errors import RecipeError
from rramhil.lab import ConductanceMap
from rramhil.programming.readback import FORMED_ABOVE_uS
from rramhil.programming.recipes import read_recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float64Array = npt.NDArray[np.float64]

_COLOURS = "viridis"  # ordered for every kind of colour vision, and in grey
_INVALID = "#c8102e"
_BAR = "#35456c"
_FAINT = "#8a8a8a"
_FORMED_SHARE_MIN = 0.005  # of formed cells below which the scale follows all cells
_SCALE_PERCENTILES = (0.5, 99.5)
_BINS = 120

# Pixels. The heat map has 512 of them each way: one a cell of the macro, so that nothing is
# resampled and a single bad line is seen.
_DPI = 110
_WIDTH, _HEIGHT = 1280, 690
_HEAT_MAP = (78, 72, 512, 512)
_COLOUR_BAR = (606, 72, 18, 512)
_HISTOGRAM = (776, 72, 470, 486)


def save_picture(measured: ConductanceMap, path: Path, title: str) -> None:
    """Draw a map's heat map and histogram, side by side, into one PNG.

    Parameters
    ----------
    measured : ConductanceMap
        Invalid cells are drawn in red, and left out of the histogram.
    path : Path
        File to write.
    title : str
        First line; `describe` makes one. What follows a line break is printed smaller.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _DPI, _HEIGHT / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    headline, _, details = title.partition("\n")
    left = _HEAT_MAP[0] / _WIDTH
    figure.text(left, 0.95, headline, fontsize=14, fontweight="bold", va="center")
    figure.text(left, 0.9, details, fontsize=9.5, color="#555555", va="center")
    heat_axes, bar_axes, histogram_axes = (
        figure.add_axes(_placed(*box)) for box in (_HEAT_MAP, _COLOUR_BAR, _HISTOGRAM)
    )
    _draw_heat_map(figure, heat_axes, bar_axes, measured)
    _draw_histogram(histogram_axes, measured)
    # A noisy picture hardly compresses, so that trying hard only takes time.
    figure.savefig(
        path,
        format="png",
        metadata={"Software": measured.info.software},
        pil_kwargs={"compress_level": 3},
    )


def describe(measured: ConductanceMap) -> str:
    """Say in two lines whose map it is, how it was made, and when."""
    info = measured.info
    recipe = _recipe_name(info.recipe)
    rows, cols = measured.shape
    board = f"{'simulated board' if info.simulated else 'board'} {info.board_serial}".strip()
    how = {
        "virgin": "before the first pulse",
        "imported": "imported",
        "read": "read",
        "readback": f"recipe {recipe}" if recipe else "read back",
    }[info.kind]
    facts = [
        f"{rows} × {cols} cells",
        f"{measured.reads} read{'' if measured.reads == 1 else 's'}" if measured.reads else "",
        board if info.board_serial else "",
        info.created[:16].replace("T", " ") + " UTC",
    ]
    chip = info.chip_serial or "unknown chip"
    return f"{chip} — {how}\n" + "  ·  ".join(fact for fact in facts if fact)


def terminal_map(measured: ConductanceMap, width: int, height: int) -> list[list[float]]:
    """Return means of blocks of cells, for a small picture in a terminal.

    Parameters
    ----------
    measured : ConductanceMap
        Invalid cells do not count.
    width, height : int
        Blocks along columns and rows, at most; fewer where the map has fewer lines.

    Returns
    -------
    list of rows of float
        In uS; NaN where a block has no valid cell.
    """
    rows, cols = measured.shape
    row_starts = _block_starts(rows, height)
    col_starts = _block_starts(cols, width)

    def over_blocks(values: npt.NDArray[Any]) -> Float64Array:
        along_rows = np.add.reduceat(values.astype(np.float64), row_starts, axis=0)
        return np.add.reduceat(along_rows, col_starts, axis=1)

    counts = over_blocks(measured.valid)
    sums = over_blocks(np.where(measured.valid, measured.conductance_uS, 0.0))
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return [list(map(float, row)) for row in means]


def _recipe_name(recipe_json: str | None) -> str:
    """Return the name of a kept recipe; empty where there is none that can be read."""
    if recipe_json is not None:
        with contextlib.suppress(RecipeError):
            return read_recipe(recipe_json).name
    return ""


def _block_starts(lines: int, blocks: int) -> npt.NDArray[np.intp]:
    count = max(1, min(lines, blocks))
    return (np.arange(count) * lines // count).astype(np.intp)


def _placed(x: int, y: int, width: int, height: int) -> tuple[float, float, float, float]:
    """Return pixels from the lower left corner as shares of the figure."""
    return x / _WIDTH, y / _HEIGHT, width / _WIDTH, height / _HEIGHT


def _draw_heat_map(figure: Figure, axes: Axes, bar_axes: Axes, measured: ConductanceMap) -> None:
    from matplotlib import colormaps

    low, high = _scale(measured)
    rows, cols = measured.rows, measured.cols
    picture = axes.imshow(
        np.ma.masked_array(measured.conductance_uS, mask=~measured.valid),
        cmap=colormaps[_COLOURS].with_extremes(bad=_INVALID),
        vmin=low,
        vmax=high,
        interpolation="nearest",
        aspect="equal" if max(measured.shape) <= 4 * min(measured.shape) else "auto",
        extent=(int(cols[0]) - 0.5, int(cols[-1]) + 0.5, int(rows[-1]) + 0.5, int(rows[0]) - 0.5),
    )
    axes.set_xlabel("column (bit line)")
    axes.set_ylabel("row (source line)")
    bar = figure.colorbar(picture, cax=bar_axes)
    bar.set_label("conductance (µS)")
    for drawn in (axes, bar_axes):
        drawn.tick_params(length=3, labelsize=9)
        for side in drawn.spines.values():
            side.set_visible(False)


def _draw_histogram(axes: Axes, measured: ConductanceMap) -> None:
    from matplotlib.ticker import NullLocator

    values = measured.conductance_uS[measured.valid]
    edges = _bin_edges(measured, values)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    axes.stairs(counts, edges, fill=True, color=_BAR)
    if counts.any():
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=0.7)
    margin = 0.02 * (edges[-1] - edges[0])
    axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.set_xlabel("conductance (µS)")
    axes.set_ylabel("cells")
    axes.tick_params(length=3, labelsize=9)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if edges[0] < FORMED_ABOVE_uS < edges[-1]:
        axes.axvline(FORMED_ABOVE_uS, color=_FAINT, linewidth=1, linestyle="--")
    beyond = int((values > edges[-1]).sum())
    axes.set_title(_caption(values, beyond), fontsize=9.5, loc="left", color="#333333")


def _bin_edges(measured: ConductanceMap, values: Float64Array) -> Float64Array:
    """Return edges from below zero to where the cells end, or to twice the colour scale."""
    if not len(values):
        return np.array([0.0, 1.0])
    _, high = _scale(measured)
    bottom = min(0.0, float(np.percentile(values, _SCALE_PERCENTILES[0])))
    top = max(min(float(values.max()), 2 * high), bottom + 1e-3)
    width = (top - bottom) / _BINS
    if measured.reads:
        # Means of N codes lie on a grid; bins that do not fit it would show a comb.
        grid = measured.per_code_uS / measured.reads
        width = max(1, round(width / grid)) * grid
    count = int(np.ceil((top - bottom) / width))
    return np.linspace(bottom, bottom + count * width, count + 1)


def _caption(values: Float64Array, beyond: int) -> str:
    formed = values[values > FORMED_ABOVE_uS]
    caption = f"above {FORMED_ABOVE_uS:g} µS: {len(formed):,} of {len(values):,} cells"
    if len(formed):
        caption += f"\nmean {formed.mean():.2f} µS, sd {formed.std():.2f} µS"
    return caption + (f"; {beyond:,} beyond the scale, in the last bar" if beyond else "")


def _scale(measured: ConductanceMap) -> tuple[float, float]:
    """Return the ends of the colour scale: where nearly all of the formed cells lie, from 0."""
    values = measured.conductance_uS[measured.valid]
    formed = values[values > FORMED_ABOVE_uS]
    seen = formed if len(formed) > _FORMED_SHARE_MIN * len(values) else values
    if not len(seen):
        return 0.0, 1.0
    low, high = np.percentile(seen, _SCALE_PERCENTILES)
    # A chip with unformed cells needs the scale from zero; in a dense one that would hide it all.
    start = 0.0 if len(formed) < 0.9 * len(values) else float(low)
    return start, max(float(high), start + 1e-3)
