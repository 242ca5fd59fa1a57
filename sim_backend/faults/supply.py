"""A supply that fails at an operation that was asked for.

Owns the count of array operations and the exception that ends the board's work. Does not know
what operations do.
"""

from __future__ import annotations

from typing import NamedTuple

from sim_backend.faults.model import BrownOut


class PowerLost(Exception):
    """The board has no power for `off_s` seconds; what is volatile is gone."""

    def __init__(self, off_s: float) -> None:
        super().__init__(f"the board has no power for {off_s:g} s")
        self.off_s = off_s


class Dip(NamedTuple):
    """A brown-out among operations: how many of them end, and how many begin, before it."""

    ended: int
    begun: int
    off_s: float


class Supply:
    """The board's supply; each brown-out comes once."""

    def __init__(self, faults: tuple[BrownOut, ...]) -> None:
        self._faults = sorted(faults, key=lambda fault: fault.operation)
        self._operations = 0

    def draw(self, operations: int) -> Dip | None:
        """Count operations that are about to begin; the first brown-out among them, or None."""
        before = self._operations
        self._operations += operations
        if not self._faults or self._faults[0].operation > self._operations:
            return None
        fault = self._faults.pop(0)
        ended = max(0, fault.operation - 1 - before)
        self._operations = before + ended + 1
        return Dip(ended, ended + (fault.moment == "during"), fault.off_s)
