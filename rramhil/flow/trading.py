"""Accuracy against steps: what a shorter schedule costs a task.

Owns: what a run of a budget comes to, and the picture of several. Touches no board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rramhil._atomic import replacing
from rramhil.network import Matrix, MatrixRecord, Run
from rramhil.switching import Mask, Placement, compile_masks


class StepCount(NamedTuple):
    """Steps of a sample.

    Attributes
    ----------
    steps, dense : int
        Of a run's masks, compiled; and without masks.
    """

    steps: int
    dense: int

    @property
    def ratio(self) -> float:
        """Steps, relative to what a sample takes without masks."""
        return self.steps / max(1, self.dense)


class Trade(NamedTuple):
    """What came of one budget.

    Attributes
    ----------
    budget : float or None
        Relative to the dense schedule's steps; None for cells that are gated freely.
    taken : StepCount
    validation : float or None
        The task's metric, on the map, without noise; None where it chose nothing.
    test : float
        The same.
    epoch_s : float
    """

    budget: float | None
    taken: StepCount
    validation: float | None
    test: float
    epoch_s: float

    @classmethod
    def of(cls, budget: float | None, run: Run) -> Trade:
        """What a run says, and its masks' steps."""
        said = run.metrics
        return cls(budget, count_steps(run), said.get("validation"), said["test"], said["epoch_s"])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "budget": self.budget,
            "steps": self.taken.steps,
            "dense": self.taken.dense,
            "ratio": self.taken.ratio,
            "validation": self.validation,
            "test": self.test,
            "epoch_s": self.epoch_s,
        }


def count_steps(run: Run) -> StepCount:
    """Compile a run's masks and count the steps of a sample."""
    return count_steps_of(run.placement, run.masks.masks, run.matrices)


def count_steps_of(
    placement: Placement, masks: Mapping[str, Mask], matrices: Sequence[Matrix | MatrixRecord]
) -> StepCount:
    """Compile masks where they are placed, and count the steps of a sample."""
    vectors = {each.name: max(1, each.vectors) for each in matrices}
    compiled = compile_masks(placement, masks, 0)  # steps do not depend on the TIA range
    return StepCount(
        sum(vectors[part.tile.matrix] * part.bounds.steps for part in compiled),
        sum(vectors[part.tile.matrix] * part.bounds.dense for part in compiled),
    )


def draw_trades(trades: Iterable[Trade], path: Path, title: str, metric: str) -> None:
    """Draw test and validation metric over steps as a PNG; matplotlib is loaded only here."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = sorted(trades, key=lambda trade: trade.taken.ratio)
    ratios = [trade.taken.ratio for trade in points]
    figure: Any = Figure(figsize=(6, 4), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(ratios, [trade.test for trade in points], "o-", label="test")
    axes.plot(ratios, [trade.validation for trade in points], "s--", label="validation")
    for trade in points:
        if trade.budget is None:
            axes.annotate(
                "free", (trade.taken.ratio, trade.test), (0, -14), textcoords="offset points"
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(ratios, [f"{ratio:.3g}" for ratio in ratios])
    axes.set_xlabel("steps of a sample, relative to the dense schedule")
    axes.set_ylabel(metric)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
