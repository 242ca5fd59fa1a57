"""Which cells of a chip may still get their one pulse, and why the others may not.

Owns: the decision. The journal, the board's counters and the virgin read each have a veto; what
nobody can vouch for is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.errors import VerificationFailed
from rramhil.lab import ConductanceMap, PulseLedger
from rramhil.programming._bench import Bench, on_chip
from rramhil.programming.readback import FORMED_ABOVE_uS

BoolArray = npt.NDArray[np.bool_]

SHORTS_SHARE_MAX = 0.01
"""Share of untouched cells that may conduct and still be taken for shorts.

Source: assumed. Yields of published 1T1R arrays leave far fewer cells shorted; the weakest useful
forming recipe leaves more formed. Beyond, somebody programmed the chip without telling the lab.
"""


@dataclass(frozen=True, eq=False)
class Standing:
    """What is known of a chip's cells, (R, C) bool each.

    Attributes
    ----------
    pulsed, unknown : bool
        Cells that certainly got a forming pulse, and cells of which nobody knows. SET and RESET
        do not count: they can be repeated, and form no cell.
    foreign_pulses : int
        Forming pulses that the board counted beyond those that the journal can account for: they
        may lie anywhere.
    """

    pulsed: BoolArray
    unknown: BoolArray
    foreign_pulses: int

    @property
    def touched(self) -> BoolArray:
        """Cells that certainly or possibly got a pulse."""
        return self.pulsed | self.unknown


def standing_of(bench: Bench) -> Standing:
    """Ask journal and board what happened to a chip. Measures nothing, writes nothing.

    Raises
    ------
    VerificationFailed
        The board counts fewer forming pulses than the journal saw fired: it is another chip, or
        the memory of one of the two is damaged.
    """
    ledger = bench.lab.journal.pulsed(bench.chip.serial)
    counted = bench.board.counters(bench.chip.number).form_pulses
    certain = int(ledger.by_operation[Operation.FORM].sum(dtype=np.int64))
    if counted < certain:
        raise VerificationFailed(
            f"Chip {bench.chip.serial} got {certain:,} forming pulses by this lab's journal, but "
            f"its board counts {counted:,}: it is another chip, or one of the two is damaged.",
            "Nothing was fired. Check which chip is in the socket; a simulated one is replaced "
            "with `rramhil sim replace`.",
        )
    return Standing(
        pulsed=on_chip(ledger.by_operation[Operation.FORM] > 0, bench.shape),
        unknown=on_chip(ledger.doubt_by_operation[Operation.FORM], bench.shape),
        foreign_pulses=max(0, counted - _forming_accounted_for(ledger)),
    )


def reason_to_fire_nothing(standing: Standing, wanted: BoolArray) -> str:
    """Say in a sentence why a chip gets no pulse at all; empty if it may get some.

    Parameters
    ----------
    wanted : (R, C) bool
        Cells that the recipe asks for.
    """
    if standing.foreign_pulses:
        return (
            f"its board counted {standing.foreign_pulses:,} forming pulses that this lab's "
            "journal does not know"
        )
    if not (wanted & ~standing.touched).any():
        return "each of the recipe's cells had its one pulse"
    return ""


def find_shorts(before: ConductanceMap, eligible: BoolArray) -> BoolArray:
    """Return the cells that conduct although they never got a pulse, (R, C) bool."""
    return eligible & (before.conductance_uS > FORMED_ABOVE_uS)


def reason_to_distrust(shorts: BoolArray, eligible: BoolArray) -> str:
    """Say why a virgin read shows no virgin chip; empty if it does."""
    share = shorts.sum() / max(1, eligible.sum())
    if share <= SHORTS_SHARE_MAX:
        return ""
    return (
        f"{share:.1%} of its cells conduct although the journal has no pulse on them, which is "
        "more than shorts explain"
    )


def _forming_accounted_for(ledger: PulseLedger) -> int:
    certain = int(ledger.by_operation[Operation.FORM].sum(dtype=np.int64))
    return certain + int(ledger.doubt_by_operation[Operation.FORM].sum())
