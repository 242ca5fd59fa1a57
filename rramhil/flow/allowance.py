"""Pulses that a training in the loop has fired, and which it may still fire within its budgets.

Owns: counting by the journal, from when the training began. What masks would take is known to who
learns them; a chip also gets pulses again that have failed, and those of masks that it had before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.lab import Lab
from rramhil.switching import CellChanges

Counts = npt.NDArray[Any]
_COUNTED = (Operation.RESET, Operation.SET)


def pulsed(lab: Lab, serials: Mapping[int, str]) -> dict[int, Counts]:
    """RESET and SET pulses of each cell, (2, R, C) int32, by socket; those in doubt count.

    Parameters
    ----------
    serials : mapping of int to str
        Of chips, by socket.
    """
    counts: dict[int, Counts] = {}
    for number, serial in serials.items():
        ledger = lab.journal.pulsed(serial)
        counts[number] = np.stack(
            [
                ledger.by_operation[each].astype(np.int32) + ledger.doubt_by_operation[each]
                for each in _COUNTED
            ]
        )
    return counts


class Fired(NamedTuple):
    """What was fired on all chips together.

    Attributes
    ----------
    resets, sets : int
    most : int
        Of one cell.
    """

    resets: int
    sets: int
    most: int

    @classmethod
    def since(cls, before: Mapping[int, Counts], now: Mapping[int, Counts]) -> Fired:
        """Between two looks at the journal."""
        new = [now[number] - counts for number, counts in before.items()]
        resets, sets = (sum(int(each[kind].sum()) for each in new) for kind in (0, 1))
        return cls(resets, sets, max((int(each.sum(axis=0).max()) for each in new), default=0))

    @property
    def pulses(self) -> int:
        """All."""
        return self.resets + self.sets


class Allowance(NamedTuple):
    """Budgets of a training, and what the journal had when it began.

    Attributes
    ----------
    run_pulses, cell_pulses : int or None
        The most of all cells together, and of one; None for any number.
    before : mapping of int to (2, R, C) int32
        As of `pulsed`.
    """

    run_pulses: int | None
    cell_pulses: int | None
    before: Mapping[int, Counts]

    def within(self, changes: CellChanges, number: int, now: Mapping[int, Counts]) -> CellChanges:
        """Leave of the changes of one chip what the budgets have room for.

        Parameters
        ----------
        now : mapping of int to (2, R, C) int32
            As of `pulsed`, of all chips.
        """
        room = np.ones(changes.reset.shape, dtype=np.bool_)
        if self.cell_pulses is not None:
            room = (now[number] - self.before[number]).sum(axis=0) < self.cell_pulses
        reset, sets = changes.reset & room, changes.set & room
        if self.run_pulses is not None:
            left = max(0, self.run_pulses - Fired.since(self.before, now).pulses)
            reset, sets = _first((reset, sets), left)
        return CellChanges(reset, sets)


def _first(parts: Iterable[npt.NDArray[np.bool_]], most: int) -> list[npt.NDArray[np.bool_]]:
    """At most so many of the cells of all parts, in their order."""
    kept: list[npt.NDArray[np.bool_]] = []
    for part in parts:
        one = part & (np.cumsum(part).reshape(part.shape) <= most)
        most -= int(one.sum())
        kept.append(one)
    return kept
