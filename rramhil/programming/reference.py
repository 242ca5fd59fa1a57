"""Published measurements of sister chips, to compare a chip with, where they are present.

Owns: finding and reading them, and the distance of a distribution from them. The files come with
the data set `rram_measured`; without it there is simply no comparison.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rramhil.errors import UsageError

Float64Array = npt.NDArray[np.float64]

_ENVIRONMENT = "RRAMHIL_DATA"
_FOLDER = Path("rram_measured", "esgnn")
_BREAKDOWN = "ext_data_fig1_400_values.csv"
_CONDUCTANCE = "fig1_hidden_conductance_50x50.csv"


@dataclass(frozen=True, eq=False)
class Reference:
    """Measured cells of sister chips in the same 40 nm process (doi 10.1038/s42256-023-00609-5).

    Attributes
    ----------
    breakdown_v : (400,) float64
        Breakdown voltages, ascending, in V, on a grid of 0.02 V.
    conductance_uS : (1232,) float64
        Conductance of the formed cells of a 50 x 50 array, ascending, in uS.
    """

    breakdown_v: Float64Array
    conductance_uS: Float64Array

    def formed_fraction(self, amplitude_v: float) -> float:
        """Share of the measured cells that break down at an amplitude or below it."""
        below = np.searchsorted(self.breakdown_v, amplitude_v + 1e-9, side="right")
        return float(below / len(self.breakdown_v))


@dataclass(frozen=True)
class KsTest:
    """Two-sample Kolmogorov-Smirnov test: largest distance of the distributions, and its p."""

    statistic: float
    p_value: float


def load_reference(root: Path | None = None) -> Reference | None:
    """Return the measured reference under a data folder, None where it is not present.

    Parameters
    ----------
    root : Path, optional
        Data folder; RRAMHIL_DATA where it is not given.

    Raises
    ------
    UsageError
        If a file is there but is not what it should be.
    """
    named = os.environ.get(_ENVIRONMENT, "")
    if root is None and not named:
        return None
    folder = (Path(named) if root is None else root) / _FOLDER
    if not (folder / _BREAKDOWN).is_file() or not (folder / _CONDUCTANCE).is_file():
        return None
    conductance_uS = _numbers(folder / _CONDUCTANCE)
    return Reference(
        breakdown_v=np.sort(_numbers(folder / _BREAKDOWN)),
        conductance_uS=np.sort(conductance_uS[conductance_uS > 0]),
    )


def ks_test(sample: Float64Array, reference: Float64Array) -> KsTest:
    """Test whether two samples come from one distribution, by the asymptotic p-value.

    Computed here from scipy.special: importing scipy.stats for it would take as long as
    programming a chip.

    Parameters
    ----------
    sample, reference : (n,), (m,) float64
        Neither empty; a hundred values or more for the p-value to mean much.
    """
    from scipy import special

    ours, theirs = np.sort(sample), np.sort(reference)
    values = np.concatenate([ours, theirs])  # the distance peaks at a jump of either one
    share_ours = np.searchsorted(ours, values, side="right") / len(ours)
    share_theirs = np.searchsorted(theirs, values, side="right") / len(theirs)
    statistic = float(np.abs(share_ours - share_theirs).max())
    effective = len(ours) * len(theirs) / (len(ours) + len(theirs))
    return KsTest(statistic, float(special.kolmogorov(np.sqrt(effective) * statistic)))


def _numbers(path: Path) -> Float64Array:
    try:
        values = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2).ravel()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The reference {path} cannot be read: {error}.",
            f"Fetch the data set again, or unset {_ENVIRONMENT}.",
        ) from error
    return values
