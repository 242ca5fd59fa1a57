"""The reference for pulses: the same rule written plainly in numpy, whole arrays at a time.

It draws as many random numbers as the simulated board does (for each cell a level, and for SET and
RESET whether the pulse fails), with numpy's own generator and floats. Its results are not the
board's: there is nothing in it that would make them the same twice on two machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firmware_protocol.messages import Operation

_FAILURE = 0.001
_ON, _OFF = 1, 2
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class PlainCells:
    """An array of cells in numpy; thresholds and levels of their own, drawn at first."""

    def __init__(self, cells: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        drawn = self._rng.standard_normal((5, cells))
        self._thresholds = {
            Operation.FORM: 3.433 + 0.114 * drawn[0],
            Operation.SET: 1.0 + 0.1 * drawn[1],
            Operation.RESET: 1.0 + 0.1 * drawn[2],
        }
        self._levels = {
            Operation.FORM: np.full(cells, 2.5),
            Operation.SET: 2.5 + 0.1 * drawn[3],
            Operation.RESET: -1.0 + 0.3 * drawn[4],
        }
        self._conductance_uS = np.full(cells, 0.1)
        self._states = np.zeros(cells, dtype=np.uint8)
        self._counts = np.zeros(cells, dtype=np.uint32)

    def fire(self, operation: Operation, amplitude_v: float) -> None:
        """One pulse at every cell."""
        before = {Operation.FORM: 0, Operation.SET: _OFF, Operation.RESET: _ON}[operation]
        changes = (amplitude_v >= self._thresholds[operation]) & (self._states == before)
        self._counts += 1
        normal = self._rng.standard_normal(len(changes))
        if operation != Operation.FORM:
            changes &= self._rng.random(len(changes)) >= _FAILURE
        level_uS: FloatArray = np.exp(self._levels[operation] + 0.15 * normal)
        self._conductance_uS = np.where(changes, level_uS, self._conductance_uS)
        after = _OFF if operation == Operation.RESET else _ON
        self._states = np.where(changes, np.uint8(after), self._states)

    def prepare(self, operation: Operation) -> None:
        """Put every cell into the state that this operation changes."""
        before = {Operation.FORM: 0, Operation.SET: _OFF, Operation.RESET: _ON}[operation]
        self._states[:] = before
