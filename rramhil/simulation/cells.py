"""Cells of a simulated chip in memory, without board or file, for study and for measuring speed.

What `sim_backend.pulsing` computes, under a name that code outside the simulated board may use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firmware_protocol.messages import Operation
from sim_backend import cells, pulsing
from sim_backend.devices import devices
from sim_backend.fixedpoint import forming_numbers, switching_numbers
from sim_backend.profile import load
from sim_backend.randomness import Stream, child
from sim_backend.tables import load as load_tables

_WIDTH_NS = {Operation.FORM: 1_000_000, Operation.SET: 100_000, Operation.RESET: 100_000}
_SELECTED_UV = {Operation.FORM: 4_000_000, Operation.SET: 2_000_000, Operation.RESET: -2_000_000}
_COMPLIANCE_NA = {Operation.FORM: 100_000, Operation.SET: 100_000, Operation.RESET: 270_000}


class CellsInMemory:
    """A whole array of the default profile, and pulses that reach every cell of it.

    Parameters
    ----------
    seed : int
        Of the chip's randomness.

    Attributes
    ----------
    cells : int
        How many.
    """

    def __init__(self, seed: int) -> None:
        profile = load("rram40_256k")
        shape = profile.array.rows.value, profile.array.columns.value
        self.cells = shape[0] * shape[1]
        keys = cells.cell_keys(seed)
        forming, switching = forming_numbers(profile), switching_numbers(profile)
        found = load_tables()
        drawn = devices(shape, keys, forming, switching, found)
        self._rules = pulsing.Rules(keys, forming, switching, found, drawn)
        types = {"flags": np.uint8, "changed_slot": np.uint64}
        fields = cells.Cells._fields
        state: Any = {name: np.zeros(shape, types.get(name, np.uint32)) for name in fields}
        self._state = cells.Cells(**state)
        unformed = np.uint64(child(seed, Stream.UNFORMED))
        cells.fill_unformed(self._state.conductance_ps, unformed, forming, found)
        self._pulses = {operation: _everywhere(operation, shape) for operation in Operation}

    def fire(self, operation: Operation) -> int:
        """Fire one pulse at every cell, at an amplitude that nearly all follow; returns how many.

        FORM at 4.0 V for 1 ms, SET and RESET at 2.0 V for 100 us.
        """
        state = self._state
        notes = np.zeros(1, dtype=np.uint16)
        progress = cells.Progress(notes, notes.copy(), 0)
        pulses = self._pulses[operation]
        moments = np.zeros(len(pulses.row), dtype=np.int64)
        return pulsing.fire(
            state, cells.counts_of(state, operation), pulses, moments, self._rules, progress
        )

    def snapshot(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Copy of the state."""
        return tuple(array.copy() for array in self._state)

    def restore(self, snapshot: tuple[np.ndarray[Any, Any], ...]) -> None:
        """Go back to a snapshot."""
        for array, kept in zip(self._state, snapshot, strict=True):
            np.copyto(array, kept)


def _everywhere(operation: Operation, shape: tuple[int, int]) -> cells.Pulses:
    rows, columns = shape
    inhibited_uv = np.zeros(rows, dtype=np.int64)
    return cells.Pulses(
        row=np.arange(rows, dtype=np.int64),
        selected_uv=np.full(rows, _SELECTED_UV[operation], dtype=np.int64),
        inhibited_uv=inhibited_uv,
        width_ns=np.full(rows, _WIDTH_NS[operation], dtype=np.int64),
        compliance_na=np.full(rows, _COMPLIANCE_NA[operation], dtype=np.int64),
        masks=np.full((rows, columns // 8), 255, dtype=np.uint8),
    )
