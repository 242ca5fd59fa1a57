"""Conductance of the cells themselves, where a map holds what cells and wires read together.

Owns the translation between a board's description and the model of its lines.
"""

from __future__ import annotations

from dataclasses import replace

from calibration.wires import Lines, cells_uS
from rramhil.driver import Description
from rramhil.lab import ConductanceMap


def with_own_conductance(measured: ConductanceMap, description: Description) -> ConductanceMap:
    """Take the nominal resistances of the lines out of a map of a whole array.

    Rows are taken to have been sampled in groups of as many as the board has channels, as they are
    in a reading of all rows.

    Returns
    -------
    ConductanceMap
        With `own_uS`; as it was where the map is of a part of the array, since the other cells
        load the lines too, or where no cells behind such lines can read so.
    """
    if measured.shape != (description.rows, description.columns):
        return measured
    ohm = description.lines
    lines = Lines(
        bit_path_ohm=ohm.bit_path_ohm,
        bit_segment_ohm=ohm.bit_segment_ohm,
        source_segment_ohm=ohm.source_segment_ohm,
        source_path_ohm=ohm.source_path_ohm,
    )
    try:
        return replace(measured, own_uS=cells_uS(measured.read_uS, lines, description.channels))
    except ValueError:
        return measured
