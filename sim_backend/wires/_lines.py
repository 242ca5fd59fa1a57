"""The resistances of the lines, from a profile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim_backend.profile import Profile

Float64Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Real = Any
"""A float64 inside a kernel. (Type checkers keep Python's float and numpy's apart.)"""

OHM_PS = 1e-12
"""One ohm times one picosiemens; the kernels multiply resistances by it once."""


class Resistances(NamedTuple):
    """Resistances of every bit line and every source line, in ohm; zero is legal."""

    bit_path: float
    """From the driver to the wire."""
    bit_segment: float
    """From one row to the next."""
    source_path: float
    """From the wire to the virtual ground."""
    source_segment: float
    """From one column to the next."""


def resistances(profile: Profile) -> Resistances:
    """Resistances that a profile states."""
    return Resistances(
        bit_path=float(profile.switches.path_ohm.value),
        bit_segment=float(profile.wires.bit_segment_ohm.value),
        source_path=float(profile.wires.source_path_ohm.value),
        source_segment=float(profile.wires.source_segment_ohm.value),
    )


def checked(wires: Resistances) -> Resistances:
    """The same as floats, so that kernels are compiled for one type only.

    Raises
    ------
    ValueError
        A resistance is negative or not finite.
    """
    if not all(0.0 <= ohm < float("inf") for ohm in wires):
        raise ValueError(f"resistances are finite and not negative, got {wires}")
    return Resistances(*(float(ohm) for ohm in wires))
