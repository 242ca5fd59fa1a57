"""Integer arithmetic of errors: relative ones, smooth curves, drawn numbers, drifts.

Relative errors are in 10^-9 (`_ppb`), temperatures in mK.
"""

from __future__ import annotations

import numpy as np

REFERENCE_MK = 298_150
"""25 C: where the errors of the profile hold; drifts count from here."""
_BILLION = 10**9


def relative(values: np.ndarray, ppb: int) -> np.ndarray:
    """A part of integers, int64, rounded to the nearest."""
    whole, rest = np.divmod(values, _BILLION)
    return whole * ppb + (rest * ppb + _BILLION // 2) // _BILLION


def changed(value: int, ppb: int) -> int:
    """An integer and its part, rounded to the nearest."""
    return value + (value * ppb + _BILLION // 2) // _BILLION


def bent(places: np.ndarray, bow: int, sway: int) -> np.ndarray:
    """A smooth error over a scale of 2^16: a bow, and a sway from one half to the other.

    Both vanish at the ends. The bow reaches its amplitude in the middle, the sway 0.96 of its
    own with one sign in the lower half and the other in the upper half.

    Parameters
    ----------
    places : (n,) int64
        0 to 2^16.
    bow, sway : int
        Amplitudes, below 2^20, in the unit of the result.
    """
    arch = places * ((1 << 16) - places)
    swing = (arch >> 12) * ((1 << 16) - 2 * places)
    return ((arch * bow) >> 30) + ((10 * swing * sway) >> 36)


def uniform(bits: int, most: int) -> int:
    """Integer between -most and +most, from the upper half of 64 random bits."""
    return ((bits >> 32) * (2 * most + 1) >> 32) - most


def drifted(value: int, per_k: int, temperature_mk: int) -> int:
    """A value that changes by so much a kelvin from 25 C on, rounded to the nearest."""
    return value + (per_k * (temperature_mk - REFERENCE_MK) + 500) // 1000
