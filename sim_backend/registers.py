"""Registers of the board: rail DACs, bit-line switches, word lines.

Owns their widths and how the switch bits are packed into the shift-register chains. They are
volatile: a board that starts is in its safe state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from firmware_protocol.messages import Rail
from sim_backend.cells import UInt8Array, UInt16Array
from sim_backend.profile import Profile


class LineState(IntEnum):
    """What a bit line is switched to; the two bits of its switch."""

    FLOAT = 0
    GND = 1
    RAIL_A = 2
    RAIL_B = 3


@dataclass(frozen=True)
class Registers:
    """The registers, as arrays that the board writes.

    Attributes
    ----------
    rails : (4,) uint16
        DAC code of each `Rail`.
    lines : (chips, columns) uint8
        `LineState` of each bit line.
    word_lines : (chips, rows) bool
        Whether each word line is high.
    """

    rails: UInt16Array
    lines: UInt8Array
    word_lines: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @classmethod
    def of(cls, profile: Profile, chips: int) -> Registers:
        """Registers of a board that has just been switched on."""
        return cls(
            rails=np.zeros(len(Rail), dtype=np.uint16),
            lines=np.zeros((chips, profile.array.columns.value), dtype=np.uint8),
            word_lines=np.zeros((chips, profile.array.rows.value), dtype=np.bool_),
        )

    def make_safe(self) -> None:
        """Word lines to zero, then rails to zero, then switches open."""
        self.word_lines[:] = False
        self.rails[:] = 0
        self.lines[:] = LineState.FLOAT

    def switch_bits(self, chip: int) -> bytes:
        """The shift registers of a chip: two bits a bit line, line 0 in the lowest bits."""
        four = self.lines[chip].reshape(-1, 4)
        return (four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6).tobytes()
