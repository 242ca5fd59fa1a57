"""The simulated board's multiplication alone, for study and for measuring its speed.

What `sim_backend.multiply` computes for a whole array of the default profile, without a board, a
file or a wire around it, under a name that code outside the simulated board may use.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.layouts import STEP
from firmware_protocol.messages import Use
from sim_backend import tables
from sim_backend.frontend import REFERENCE_MK, front_end
from sim_backend.multiply import Inputs, Rows, Schedule, multiply
from sim_backend.multiply.matrix import fold
from sim_backend.profile import load
from sim_backend.randomness import child, children
from sim_backend.readpath import NoiseKeys

_COARSEST = 2


def array_product(
    effective_ps: NDArray[np.uint32], *, noisy: bool
) -> Callable[[NDArray[np.uint8]], NDArray[np.int32]]:
    """Make a function that multiplies bit vectors with a whole array, each row sampled once.

    Parameters
    ----------
    effective_ps : (rows, columns) uint32
        Effective conductances; 8 to 512 rows, a multiple of 8.
    noisy : bool
        With the noise of every cell and of the converter; else with neither.

    Returns
    -------
    callable
        Takes (n, columns / 8) uint8, column c in bit c mod 8 of byte c div 8, and gives codes
        less zeros, (n, rows) int32.
    """
    rows, columns = effective_ps.shape
    profile = load("rram40_256k")
    numbers = front_end(profile, 0, REFERENCE_MK).read
    if not noisy:
        numbers = numbers._replace(noise=0, adc_noise=0)
    steps = np.zeros(rows // 8, dtype=STEP)
    steps["range"], steps["gate"] = _COARSEST, 255
    samples = steps["samples"]
    samples["row"] = samples["accumulator"] = np.arange(rows).reshape(-1, 8)
    samples["use"] = Use.ADD
    schedule = Schedule.of(steps, rows, columns)
    matrix = fold(effective_ps, schedule.gates[schedule.step], numbers.noise)
    ranges = len(profile.converters.ranges)
    zero = np.full((ranges, rows), numbers.pedestal, dtype=np.int32)
    state = Rows(zero.astype(np.int64) << 16, zero, np.zeros(rows, dtype=np.uint64))
    keys = NoiseKeys(children(child(0, 1), rows), children(child(0, 2), rows))
    normal = tables.load().normal

    def product(bits: NDArray[np.uint8]) -> NDArray[np.int32]:
        inputs = Inputs(bits[:, None], is_signed=False)
        return multiply(schedule, lambda *_: matrix, inputs, state, keys, numbers, normal).sums

    return product
