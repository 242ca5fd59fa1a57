"""A comparison as a picture: every row's metric, and its difference to the comparator.

Owns: how it looks. Takes what `comparison.json` has, so that a kept comparison is drawn again.
Loads matplotlib only when it draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rramhil._atomic import replacing
from rramhil._units import scale_of

_MEAN, _ONE, _ZERO = "#35456c", "#9aa5c4", "#8a8a8a"
_AGAIN = "#c47a2c"


def draw_comparison(facts: Mapping[str, Any], path: Path) -> None:
    """Draw a comparison as a PNG.

    Parameters
    ----------
    facts : mapping
        As `Comparison.as_dict` gives them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(reversed(facts["rows"]))
    scale = scale_of(*(value for row in rows for value in row["test"]))
    unit, points = (" (%)", " (points)") if scale == 100 else ("", "")
    figure = Figure(
        figsize=(9, 1.4 + 0.42 * len(rows)), dpi=110, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(rows):
        for name, colour, shift in (("test", _MEAN, 0.12), ("reestimated", _AGAIN, -0.12)):
            values = [scale * value for value in row[name]]
            at = [place + shift] * len(values)
            left.plot(values, at, "|", color=colour, markersize=9, alpha=0.6)
            left.plot([sum(values) / len(values)], [place + shift], "o", color=colour)
        for name, colour, shift in (
            ("difference", _MEAN, 0.12),
            ("reestimated_difference", _AGAIN, -0.12),
        ):
            ends = [scale * row[name][end] for end in ("low", "high")]
            right.plot(ends, [place + shift] * 2, "-", color=colour, linewidth=2)
            right.plot([scale * row[name]["value"]], [place + shift], "o", color=colour)
    right.axvline(0, color=_ZERO, linewidth=0.8)
    left.set_yticks(range(len(rows)), [row["name"] for row in rows])
    left.set_xlabel(
        f"test {facts['metric']}{unit}, mean and each of {facts['replicates']} replicates"
    )
    right.set_xlabel(f"less {facts['comparator']}{points}, 95 % interval")
    left.plot([], [], "o", color=_MEAN, label="as trained")
    left.plot([], [], "o", color=_AGAIN, label="batch norm estimated again")
    left.legend(frameon=False, fontsize=8, loc="lower left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle(
        f"{facts['task']}, {facts['epochs']} epochs, {facts['units']:,} test samples",
        x=0.01,
        ha="left",
        fontsize=11,
        fontweight="bold",
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
