"""Taking turns: ours, the reference, ours, the reference; then medians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
        Median of ours, in `unit`.
    reference : str
        What it is compared with, and that one's median in the same unit.
    ratio : float
        Median over the rounds of ours / reference; above 1 means ours is faster.
    """

    name: str
    value: float
    unit: str
    reference: str
    ratio: float

    def as_dict(self) -> dict[str, str | float]:
        """For JSON."""
        return asdict(self)


def readable(value: float) -> str:
    """A rate for people: whole from a hundred on, below that three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def side_by_side(
    name: str,
    unit: str,
    amount: float,
    ours_s: Callable[[], float],
    reference: str,
    reference_s: Callable[[], float],
    rounds: int = 5,
) -> Figure:
    """Measure two ways to do the same work, in turns.

    Parameters
    ----------
    amount : float
        Work a round, in the numerator of `unit`.
    ours_s, reference_s : callable
        Do the work once and return the seconds it took.
    """
    pairs = [(ours_s(), reference_s()) for _ in range(rounds)]
    ours = median(amount / mine for mine, _ in pairs)
    theirs = median(amount / other for _, other in pairs)
    ratio = median(other / mine for mine, other in pairs)
    return Figure(name, ours, unit, f"{reference}: {readable(theirs)} {unit}", ratio)
