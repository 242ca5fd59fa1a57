"""Intervals of metrics and of their differences, by the bootstrap.

Owns: what is drawn, and the intervals that follow. Pure numpy; knows neither tasks nor networks.

A *unit* is what the data draw independently: a sample, or an image where pixels are classified.
A *replicate* is a chip and a training of its own; all replicates answer the same units, so a
difference is taken unit by unit first, then averaged over replicates. The intervals are those of
the units drawn anew: they do not say how much another chip would differ, which the replicates'
own values do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
_CHUNK = 1 << 22
"""Counts that are drawn at once, at most."""


class Interval(NamedTuple):
    """A mean and where it may lie.

    Attributes
    ----------
    value : float
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float


def mean_interval(
    scores: npt.ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Mean of scores with its percentile bootstrap interval.

    With fewer than about twenty units the interval is too narrow: percentiles of a handful of
    values do not reach far enough.

    Parameters
    ----------
    scores : (units,) or (replicates, units) float
        Of every unit; replicates are averaged first.
    level : float
        Probability that the interval holds the mean, between 0 and 1.
    resamples : int
    seed : int
        Of what is drawn.

    Raises
    ------
    ValueError
        If there are no units, a score is not finite, or the level is no probability.
    """
    units = _per_unit(scores)
    if not 0 < level < 1:
        raise ValueError(f"a level is above 0 and below 1, not {level}")
    means = _resampled_means(units, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(units.mean()), float(low), float(high))


def paired_difference(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of ours less theirs on the same units, with its bootstrap interval.

    Parameters
    ----------
    ours, theirs : (units,) or (replicates, units) float
        Of the same replicates and units.

    Raises
    ------
    ValueError
        If their shapes differ, or as `mean_interval`.
    """
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"scores of {first.shape} and {second.shape} are of different units")
    return mean_interval(first - second, level=level, resamples=resamples, seed=seed)


def _per_unit(scores: npt.ArrayLike) -> Float64Array:
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError("scores are finite numbers of at least one unit")
    return np.asarray(values.mean(axis=0), dtype=np.float64)


def _resampled_means(
    units: Float64Array, resamples: int, random: np.random.Generator
) -> Float64Array:
    """Means of as many units drawn with replacement, (resamples,).

    How often each distinct score is drawn has a multinomial distribution: right or wrong answers
    have a few distinct scores, however many units there are.
    """
    distinct, counts = np.unique(units, return_counts=True)
    # sums from the middle, so that equal scores give their mean exactly
    middle = float(distinct[len(distinct) // 2])
    shares = counts / len(units)
    means = np.empty(resamples)
    at_once = max(1, _CHUNK // len(distinct))
    for begin in range(0, resamples, at_once):
        part = means[begin : begin + at_once]
        drawn = random.multinomial(len(units), shares, size=len(part))
        part[:] = middle + drawn @ (distinct - middle) / len(units)
    return means
