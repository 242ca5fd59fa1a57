"""Pulses for tests, with the amplitude that every sound cell follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.messages import Operation
from rramhil.driver import Description
from rramhil.programming.operations import Pulse, row_operations

PULSES = {
    Operation.FORM: Pulse(Operation.FORM, 4.0, 1_000_000, 100e-6),
    Operation.SET: Pulse(Operation.SET, 2.0, 100_000, 100e-6),
    Operation.RESET: Pulse(Operation.RESET, 2.0, 100_000, 270e-6),
}


def row_pulses(
    description: Description,
    operation: Operation,
    rows: Sequence[int],
    columns: Sequence[int],
) -> NDArray[np.void]:
    """One pulse on each cell where rows and columns cross; rows split as their rail demands."""
    cells = np.zeros((description.rows, description.columns), dtype=np.bool_)
    cells[np.ix_(rows, columns)] = True
    return row_operations(PULSES[operation], description, cells)
