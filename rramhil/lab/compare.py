"""How two conductance maps differ where both have been measured.

Owns: the matching of rows and columns and the measure of change. Computes only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rramhil.errors import UsageError
from rramhil.lab.conductance_map import ConductanceMap

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

# A change counts beyond this many standard errors of both means together.
_SIGNIFICANT = 3.0
# Near zero the ratio of own conductance and reading is noise; no line loses half of a current.
_MOST_LOST = 2.0


@dataclass(frozen=True, eq=False)
class MapDifference:
    """Change from one map to another, over the rows and columns that both have.

    Attributes
    ----------
    rows, cols : (R,), (C,) int64
        Line numbers that both maps have.
    change_uS : (R, C) float64
        Second map minus first.
    as_read : bool
        Whether readings are compared, wires and all, because one of the maps does not know the
        cells' own conductance. Otherwise those are compared.
    compared : (R, C) bool
        Cells that are valid in both; the numbers below are over these.
    mean_uS, sd_uS, max_abs_uS : float
        Mean, standard deviation and largest size of the change, in uS.
    correlation : float or None
        Of the two maps' conductances; None where one of them does not vary.
    changed : (R, C) bool
        Cells whose change is beyond three standard errors of the two means, both maps' read
        noise and rounding together, enlarged as the lines' losses were.
    changed_fraction : float
        Share of `changed` among the cells compared, 0 to 1.
    """

    rows: Int64Array
    cols: Int64Array
    change_uS: Float64Array
    as_read: bool
    compared: BoolArray
    mean_uS: float
    sd_uS: float
    max_abs_uS: float
    correlation: float | None
    changed: BoolArray
    changed_fraction: float


def diff(first: ConductanceMap, second: ConductanceMap) -> MapDifference:
    """Compare two maps, cell by cell.

    Raises
    ------
    UsageError
        If no cell is valid in both.
    """
    rows, rows_a, rows_b = np.intersect1d(first.rows, second.rows, return_indices=True)
    cols, cols_a, cols_b = np.intersect1d(first.cols, second.cols, return_indices=True)
    cells_a, cells_b = np.ix_(rows_a, cols_a), np.ix_(rows_b, cols_b)
    compared = first.valid[cells_a] & second.valid[cells_b]
    if not compared.any():
        raise UsageError(
            "The two maps have no valid cell in common.",
            "Compare maps that were read over the same rows and columns.",
        )
    as_read = any(each.reads > 0 and each.own_uS is None for each in (first, second))
    before, after = _values(first, as_read)[cells_a], _values(second, as_read)[cells_b]
    change = after - before
    sd_a, sd_b = first.sd_uS[cells_a], second.sd_uS[cells_b]
    # A map of a single read does not know its noise; the other's is the best guess there is.
    error_a = _squared_error(first, np.where(np.isnan(sd_a), sd_b, sd_a))
    error_b = _squared_error(second, np.where(np.isnan(sd_b), sd_a, sd_b))
    if not as_read:
        error_a = error_a * _enlarged(first)[cells_a] ** 2
        error_b = error_b * _enlarged(second)[cells_b] ** 2
    error_squared = error_a + error_b
    changed = compared & (np.abs(change) > _SIGNIFICANT * np.sqrt(error_squared))
    over = change[compared]
    return MapDifference(
        rows=rows,
        cols=cols,
        change_uS=change,
        as_read=as_read,
        compared=compared,
        mean_uS=float(over.mean()),
        sd_uS=float(over.std()),
        max_abs_uS=float(np.abs(over).max()),
        correlation=_correlation(before[compared], after[compared]),
        changed=changed,
        changed_fraction=float(changed.sum() / compared.sum()),
    )


def _values(measured: ConductanceMap, as_read: bool) -> Float64Array:
    return measured.read_uS if as_read else measured.conductance_uS


def _enlarged(measured: ConductanceMap) -> Float64Array:
    """By how much an error of a reading is enlarged where the lines' losses were taken out of it.

    As on the way there: what is lost to the cell is lost from it again.
    """
    read, own = measured.read_uS, measured.conductance_uS
    ratio = np.divide(own, read, out=np.ones_like(own), where=read > 0)
    return np.clip(ratio, 1.0, _MOST_LOST) ** 2


def _squared_error(measured: ConductanceMap, sd_uS: Float64Array) -> Float64Array:
    """Squared standard error of a map's mean; an imported map's numbers are taken as exact."""
    if not measured.reads:
        return np.zeros(sd_uS.shape)
    rounding = measured.per_code_uS**2 / 12
    return (np.nan_to_num(sd_uS) ** 2 + rounding) / measured.reads


def _correlation(a: Float64Array, b: Float64Array) -> float | None:
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
