"""Bit-line switches that are stuck: which cells are driven instead of those that were asked for.

Owns the meaning of a stuck state in each mode. The registers know nothing of it, and neither do
the firmware's counters, which count what was commanded. A line at ground and one that floats are
the same to a measurement (assumed); in FORM and SET a line at ground is a selected one, and one
that floats carries no current (assumed).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from firmware_protocol.messages import Operation
from sim_backend.cells import UInt8Array, UInt32Array
from sim_backend.faults.model import StuckSwitch
from sim_backend.fixedpoint import Int64Array
from sim_backend.registers import LineState

_MOST_PS = (1 << 32) - 1


class StuckLines(NamedTuple):
    """The stuck switches of one chip.

    Attributes
    ----------
    lines : tuple of (int, LineState)
    """

    lines: tuple[tuple[int, LineState], ...]

    @property
    def driven(self) -> list[int]:
        """Lines that are at the read voltage in every measurement, dark ones included."""
        return [line for line, state in self.lines if state == LineState.RAIL_A]

    @property
    def silent(self) -> list[int]:
        """Lines that are at the read voltage in none."""
        return [line for line, state in self.lines if state != LineState.RAIL_A]

    def measured_ps(self, effective_ps: UInt32Array) -> UInt32Array:
        """What measurements of single cells find, (n, columns), from effective conductances.

        Currents add: a line that is always driven adds its own to every measurement of a row.
        """
        gated_ps, always_ps = self.split_ps(effective_ps)
        return np.minimum(gated_ps + always_ps[:, None], _MOST_PS).astype(np.uint32)

    def split_ps(self, effective_ps: UInt32Array) -> tuple[Int64Array, Int64Array]:
        """Effective conductances that follow their switches, (n, columns), and the sum of those
        that are always driven, (n,)."""
        gated_ps = effective_ps.astype(np.int64)
        always_ps = gated_ps[:, self.driven].sum(axis=1)
        gated_ps[:, self.driven + self.silent] = 0
        return gated_ps, always_ps

    def pulsed(self, operation: Operation, masks: UInt8Array) -> UInt8Array:
        """Masks of the cells that see a pulse, (n, columns / 8), from those of the selected."""
        masks = masks.copy()
        selecting = {LineState.RAIL_A}
        if operation != Operation.RESET:
            selecting.add(LineState.GND)
        for line, state in self.lines:
            bit = np.uint8(1 << line % 8)
            masks[:, line // 8] &= ~bit
            if state in selecting:
                masks[:, line // 8] |= bit
        return masks

    def corrections(self, before: UInt8Array, after: UInt8Array) -> list[tuple[int, UInt32Array]]:
        """What to add to each stuck line's counts, a pulse, to count what was commanded."""
        found: list[tuple[int, UInt32Array]] = []
        for line, _ in self.lines:
            wanted, seen = (masks[:, line // 8] >> line % 8 & 1 for masks in (before, after))
            # modulo 2^32, as the counters are
            found.append((line, (wanted.astype(np.int64) - seen).astype(np.uint32)))
        return found


def stuck_lines(faults: tuple[StuckSwitch, ...], chip: int) -> StuckLines | None:
    """The stuck switches of a chip, None if it has none."""
    lines = tuple((f.line, LineState[f.state]) for f in faults if f.chip == chip)
    return StuckLines(lines) if lines else None
