"""A front end without errors, where a test is about something else."""

from __future__ import annotations

import numpy as np

from sim_backend.board import SimulatedBoard
from sim_backend.fixedpoint import ReadNumbers
from sim_backend.frontend import Converter, transfers

IDEAL = Converter(bits=14, offset=0, gain_ppb=0, bow=0, sway=0, jitter=0, key=0)


def ideal_transfer(channels: int = 8) -> np.ndarray:
    """Of converters whose code k begins at k."""
    return transfers((IDEAL,) * channels)


def without_errors(board: SimulatedBoard) -> ReadNumbers:
    """The board's read path with nominal gains and ideal converters; offsets stay."""
    numbers = board.front.read
    per_code_ps = [int(r.per_code_uS.value * 10**6) for r in board.profile.converters.ranges]
    gain = [round(2**42 / ps) for ps in per_code_ps]
    return numbers._replace(
        gain=np.array([gain] * len(numbers.gain)), transfer=ideal_transfer(len(numbers.gain))
    )
