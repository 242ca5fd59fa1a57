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
        Median over the rounds of ours / reference, both in `unit`: of rates, above 1 means that
        ours is faster; of times, below 1.
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
    """A figure for people: whole from a hundred on, below that three digits."""
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
    """Measure the rates of two ways to do the same work, in turns.

    Parameters
    ----------
    amount : float
        Work a round, in the numerator of `unit`.
    ours_s, reference_s : callable
        Do the work once and return the seconds it took.
    """
    rates = [
        (amount / mine, amount / other) for mine, other in _in_turns(ours_s, reference_s, rounds)
    ]
    return _figure(name, unit, rates, reference)


def times_side_by_side(
    name: str,
    unit: str,
    ours_s: Callable[[], float],
    reference: str,
    reference_s: Callable[[], float],
    rounds: int = 5,
) -> Figure:
    """Measure the seconds that two ways to do the same work take, in turns; as `side_by_side`."""
    return _figure(name, unit, _in_turns(ours_s, reference_s, rounds), reference)


def _in_turns(
    ours_s: Callable[[], float], reference_s: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
    return [(ours_s(), reference_s()) for _ in range(rounds)]


def _figure(name: str, unit: str, pairs: list[tuple[float, float]], reference: str) -> Figure:
    """Medians of what was measured of ours and of the reference, in `unit`."""
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    ratio = median(mine / other for mine, other in pairs)
    return Figure(name, ours, unit, f"{reference}: {readable(theirs)} {unit}", ratio)
