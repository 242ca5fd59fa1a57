"""Rows and columns as suspects: dead lines, and lines that differ by more than chance.

Owns: the statistics of lines. Computes only, on cells that are given as measured and as formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]

ROWS, COLUMNS = 0, 1
"""Axis of the lines that are looked at."""

DEAD_CHANCE = 1e-6
"""A line without a formed cell is dead if chance leaves it so less often than this."""

STANDS_OUT_P = 1e-4
"""Lines differ if chance makes them do so less often than this: one clean chip in thousands."""

# Below this variance of a line's count of formed cells, chi-square does not describe it.
_COUNT_VARIANCE_MIN = 3.0


@dataclass(frozen=True, eq=False)
class CellSample:
    """Cells of a chip as the statistics see them; all arrays are (R, C).

    Attributes
    ----------
    steps : int16
        Step of the recipe that pulsed a cell, -1 for cells that do not take part.
    formed : bool
        Cells that take part and have formed.
    believed : bool
        Formed cells whose conductance is valid.
    conductance_uS : float64
        In uS; used where `believed`.
    """

    steps: Int16Array
    formed: BoolArray
    believed: BoolArray
    conductance_uS: Float64Array

    def without(self, cells: BoolArray) -> CellSample:
        """Return the sample with some cells left out."""
        return CellSample(
            np.where(cells, np.int16(-1), self.steps),
            self.formed & ~cells,
            self.believed & ~cells,
            self.conductance_uS,
        )

    def levelled(self, channels: Int64Array) -> CellSample:
        """Return the sample with the same geometric mean on every channel.

        Channels differ by their gain, which is the board's and not the chip's.

        Parameters
        ----------
        channels : (R,) int64
            Channel of each row.
        """
        positive = np.maximum(self.conductance_uS, np.finfo(np.float64).tiny)
        logs = np.where(self.believed, np.log(positive), 0.0).sum(axis=1)
        cells = np.bincount(channels, weights=self.believed.sum(axis=1))
        means = np.bincount(channels, weights=logs) / np.maximum(1, cells)
        overall = logs.sum() / max(1, cells.sum())
        factors = np.where(cells > 0, np.exp(overall - means), 1.0)
        return CellSample(
            self.steps, self.formed, self.believed, self.conductance_uS * factors[channels, None]
        )


@dataclass(frozen=True)
class LineStructure:
    """How much rows, or columns, differ from each other.

    Attributes
    ----------
    conductance_explained : float or None
        Share of the variance of log conductance that the lines explain beyond chance (omega
        squared), 0 to 1; None where too few cells formed.
    conductance_p : float or None
        How often chance alone would explain as much (F test).
    forming_p : float or None
        How often chance alone would spread the lines' numbers of formed cells as much
        (chi-square test); None where hardly any, or nearly all, cells form.
    stands_out : bool
        Whether one of the two is less likely than `STANDS_OUT_P`.
    """

    conductance_explained: float | None
    conductance_p: float | None
    forming_p: float | None
    stands_out: bool


def dead_lines(sample: CellSample, axis: int) -> tuple[int, ...]:
    """Find lines that have no formed cell although their neighbours do.

    The chance that a line is just unlucky is the product, over its cells, of the chance that a
    cell of the same step on other lines did not form.

    Returns
    -------
    tuple of int
        Indices along the axis, ascending.
    """
    pulsed, formed = _counts(sample, axis)
    others = pulsed.sum(axis=0) - pulsed
    others_formed = formed.sum(axis=0) - formed
    # Half a cell of each kind added, so that no finite number of cells proves certainty.
    unformed_chance = np.where(others > 0, (others - others_formed + 0.5) / (others + 1), 1.0)
    log_chance = (pulsed * np.log(unformed_chance)).sum(axis=1)
    dead = (formed.sum(axis=1) == 0) & (log_chance < np.log(DEAD_CHANCE))
    return tuple(np.flatnonzero(dead).tolist())


def line_structure(sample: CellSample, axis: int) -> LineStructure:
    """Test whether lines differ, in conductance and in how many of their cells formed."""
    explained, conductance_p = _conductance_structure(sample, axis)
    forming_p = _forming_structure(sample, axis)
    stands_out = any(p is not None and p < STANDS_OUT_P for p in (conductance_p, forming_p))
    return LineStructure(explained, conductance_p, forming_p, stands_out)


def _conductance_structure(sample: CellSample, axis: int) -> tuple[float | None, float | None]:
    """One-way analysis of variance of log conductance, after the mean of each step is removed."""
    from scipy import special

    lines = np.nonzero(sample.believed)[axis]
    steps = sample.steps[sample.believed].astype(np.intp)
    positive = np.maximum(sample.conductance_uS[sample.believed], np.finfo(np.float64).tiny)
    values = _centred(np.log(positive), steps)
    cells = np.bincount(lines)
    used = cells > 0
    between_freedom = int(used.sum()) - _groups(lines, steps)
    within_freedom = len(values) - int(used.sum())
    if between_freedom < 1 or within_freedom < 1:
        return None, None
    sums = np.bincount(lines, weights=values)
    between = float((sums[used] ** 2 / cells[used]).sum())
    total = float((values**2).sum())
    within_mean = (total - between) / within_freedom
    if within_mean <= 0:
        return None, None
    explained = (between - between_freedom * within_mean) / (total + within_mean)
    p_value = special.fdtrc(
        between_freedom, within_freedom, between / between_freedom / within_mean
    )
    return max(0.0, explained), float(p_value)


def _forming_structure(sample: CellSample, axis: int) -> float | None:
    """Compare each line's count of formed cells with its steps' formed fractions."""
    from scipy import special

    pulsed, formed = _counts(sample, axis)
    fraction = formed.sum(axis=0) / np.maximum(1, pulsed.sum(axis=0))
    expected = (pulsed * fraction).sum(axis=1)
    variance = (pulsed * fraction * (1 - fraction)).sum(axis=1)
    used = variance >= _COUNT_VARIANCE_MIN
    lines, steps = np.nonzero(pulsed[used])
    freedom = int(used.sum()) - (_groups(lines, steps) if len(lines) else 1)
    if freedom < 1:
        return None
    chi_square = ((formed.sum(axis=1) - expected)[used] ** 2 / variance[used]).sum()
    return float(special.chdtrc(freedom, chi_square))


def _counts(sample: CellSample, axis: int) -> tuple[Int64Array, Int64Array]:
    """Count the pulsed and the formed cells of each line in each step: (lines, steps) both."""
    step_count = max(0, int(sample.steps.max(initial=-1))) + 1
    shape = (sample.steps.shape[axis], step_count)

    def count(cells: BoolArray) -> Int64Array:
        lines = np.nonzero(cells)[axis]
        flat = lines * step_count + sample.steps[cells]
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)

    return count(sample.steps >= 0), count(sample.formed)


def _centred(values: Float64Array, groups: npt.NDArray[np.intp]) -> Float64Array:
    if not len(values):
        return values
    means = np.bincount(groups, weights=values) / np.maximum(1, np.bincount(groups))
    return values - means[groups]


def _groups(lines: npt.NDArray[np.intp], steps: npt.NDArray[np.intp]) -> int:
    """Means that the steps take from the lines: one a step if no line has two, else one in all."""
    if not len(lines):
        return 1
    pairs = np.unique(lines * (int(steps.max()) + 1) + steps)
    one_step_each = len(pairs) == len(np.unique(lines))
    return len(np.unique(steps)) if one_step_each else 1
