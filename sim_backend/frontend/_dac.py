"""One rail's DAC: from a code to the voltage that its rail really has.

Owns offset, gain error and INL of a channel. A DAC does not drive its rail below ground.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_backend.fixedpoint import Int64Array
from sim_backend.frontend._curves import bent, relative


class RailDac(NamedTuple):
    """A DAC channel and its errors; voltages in nV, the gain's error in 10^-9.

    Attributes
    ----------
    full_scale_nv, bits : int
        As the board says of it.
    offset_nv, gain_ppb : int
    bow_nv, sway_nv : int
        Amplitudes of the two smooth parts of the INL; see `_curves.bent`.
    """

    full_scale_nv: int
    bits: int
    offset_nv: int
    gain_ppb: int
    bow_nv: int
    sway_nv: int


def rail_nv(codes: np.ndarray, dac: RailDac) -> Int64Array:
    """Voltage of a rail for its DAC codes; (n,) int64 in nV, not negative."""
    wide = codes.astype(np.int64)
    ideal = (wide * dac.full_scale_nv + (1 << (dac.bits - 1))) >> dac.bits
    bend = bent(wide << (16 - dac.bits), dac.bow_nv, dac.sway_nv)
    return np.maximum(ideal + relative(ideal, dac.gain_ppb) + bend + dac.offset_nv, 0)
