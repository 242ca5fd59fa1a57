"""Conductance of the cells themselves, where a map holds what cells and wires read together.

Owns the one place that decides whether a judgement takes the wires out of a map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.wires import Lines, cells_uS
from rramhil.driver import Description
from rramhil.lab import ConductanceMap

READINGS_BEAR_WIRES = False
"""Whether readings lose current along the lines; those of the simulated board do not yet."""


def without_wires(
    measured: ConductanceMap, description: Description
) -> npt.NDArray[np.float64] | None:
    """Take the nominal resistances of the lines out of a map of a whole array.

    Rows are taken to have been sampled in groups of as many as the board has channels, as they are
    in a reading of all rows.

    Returns
    -------
    (R, C) float64 or None
        In uS; None where readings bear no wires, the map is of a part of the array, or no cells
        behind such lines can read so.
    """
    if not READINGS_BEAR_WIRES or measured.shape != (description.rows, description.columns):
        return None
    ohm = description.lines
    lines = Lines(
        bit_path_ohm=ohm.bit_path_ohm,
        bit_segment_ohm=ohm.bit_segment_ohm,
        source_segment_ohm=ohm.source_segment_ohm,
        source_path_ohm=ohm.source_path_ohm,
    )
    try:
        return cells_uS(measured.conductance_uS, lines, description.channels)
    except ValueError:
        return None
