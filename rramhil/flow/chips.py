"""What networks need to know of chips: their maps and defects, and facts of their board.

Owns: which of a lab's maps is a chip's present one, and what a board's description says in the
words of `switching` and `inference`. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.wires import Lines, effective_uS
from rramhil.driver import Board, Description
from rramhil.errors import NotFound
from rramhil.inference import Converter
from rramhil.lab import ConductanceMap, Lab
from rramhil.switching import BoardFacts, Defects, Geometry, Noise

Float64Array = npt.NDArray[np.float64]

CONVERTER_NOISE_CODES = 0.75
"""Noise of a conversion, in codes; no board describes it. Source: datasheet of the ADS8324."""
_READ_NOISE = 0.02
"""Relative read noise of a map that was read once. Source: published code of the group."""


@dataclass(frozen=True, eq=False)
class KnownChip:
    """A chip with its map.

    Attributes
    ----------
    number, serial : int, str
        Socket and serial number.
    map_id : str
    measured : ConductanceMap
        Of the whole array.
    """

    number: int
    serial: str
    map_id: str
    measured: ConductanceMap

    @property
    def defects(self) -> Defects:
        """Lines of which no cell is to be believed, and other such cells."""
        valid = self.measured.valid
        return Defects(
            dead_rows=tuple(int(row) for row in np.flatnonzero(~valid.any(axis=1))),
            dead_columns=tuple(int(column) for column in np.flatnonzero(~valid.any(axis=0))),
            stuck=~valid,
        )

    @property
    def read_noise(self) -> float:
        """Relative standard deviation of one read of a cell, from the reads of the map."""
        if self.measured.reads < 2:
            return _READ_NOISE
        of_cells = self.measured.valid
        read = self.measured.read_uS[of_cells]
        rounding = self.measured.per_code_uS**2 * (CONVERTER_NOISE_CODES**2 + 1 / 12)
        variance = np.square(self.measured.sd_uS[of_cells]).mean() - rounding
        return float(np.sqrt(max(0.0, variance) / max(1e-12, np.square(read).mean())))

    def gated_uS(self, description: Description) -> Float64Array:
        """Conductance (R, C) of each cell where its row is sampled alone, as under most gates."""
        if self.measured.own_uS is None:
            return self.measured.conductance_uS
        return effective_uS(self.measured.own_uS, lines_of(description), 1)


def known_chips(board: Board, lab: Lab, numbers: Iterable[int]) -> dict[int, KnownChip]:
    """Find the present map of each chip: the newest read-back of its whole array.

    Raises
    ------
    NotFound
        There is no such chip, or no such map of it.
    """
    return {number: _known(board, lab, number) for number in numbers}


def has_map(board: Board, lab: Lab, number: int) -> bool:
    """Whether the lab has a map of the chip that networks can be trained on."""
    return _map_id(board, lab, board.chip(number).serial) is not None


def geometry_of(description: Description) -> Geometry:
    """Lines and channels."""
    return Geometry(description.rows, description.columns, description.channels)


def board_facts(description: Description) -> BoardFacts:
    """What decides prices."""
    return BoardFacts(
        conversion_ns=description.conversion_ns,
        switch_load_ns=description.switch_load_ns,
        settle_ns=tuple(each.settle_ns for each in description.ranges),
        read_voltage_v=description.read_voltage_v,
    )


def converter_of(description: Description, read_noise: float) -> Converter:
    """Ranges, pedestal and noise of the board's converters."""
    return Converter(
        per_code_uS=tuple(each.per_code_uS for each in description.ranges),
        pedestal=description.pedestal,
        code_max=(1 << description.adc_bits) - 1,
        noise=Noise(read_noise, CONVERTER_NOISE_CODES, description.zero_conversions),
    )


def lines_of(description: Description) -> Lines:
    """Nominal resistances of the lines."""
    ohm = description.lines
    return Lines(
        bit_path_ohm=ohm.bit_path_ohm,
        bit_segment_ohm=ohm.bit_segment_ohm,
        source_segment_ohm=ohm.source_segment_ohm,
        source_path_ohm=ohm.source_path_ohm,
    )


def _known(board: Board, lab: Lab, number: int) -> KnownChip:
    serial = board.chip(number).serial
    found = _map_id(board, lab, serial)
    if found is None:
        raise NotFound(
            f"The lab has no map of chip {serial} in socket {number}.",
            f"`rramhil program --chip {number}` makes one.",
        )
    return KnownChip(number, serial, found, lab.maps.load(found))


def _map_id(board: Board, lab: Lab, serial: str) -> str | None:
    whole = board.description.rows, board.description.columns
    fitting: Iterable[Any] = (
        entry.id
        for entry in lab.maps.list(serial)
        if entry.info.kind == "readback" and entry.shape == whole
    )
    return next(iter(fitting), None)
