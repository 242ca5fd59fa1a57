"""Gate schedules and their inputs as they cross the wire.

Owns: the layout of a schedule's steps, the check of a schedule against a board's description, and
the packing of inputs into planes of bits. What a schedule is says `rramhil.switching`. Sends
nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.layouts import STEP
from firmware_protocol.messages import Use
from rramhil.driver.description import Description
from rramhil.switching import Schedule


def packed_steps(schedule: Schedule, description: Description) -> NDArray[np.void]:
    """The steps of a schedule as they cross the wire, (steps,) of `layouts.STEP`.

    Raises
    ------
    ValueError
        The board could not run it; says which step and why.
    """
    _refuse(schedule, description)
    items = np.zeros(schedule.steps, dtype=STEP)
    items["range"] = schedule.ranges
    gates = schedule.packed_gates
    items["gate"][:, : gates.shape[1]] = gates
    at = schedule.samples.step, schedule.samples.channel
    samples = items["samples"]
    samples["row"][at] = schedule.samples.row
    samples["accumulator"][at] = schedule.samples.accumulator
    samples["use"][at] = np.where(schedule.samples.sign > 0, Use.ADD, Use.SUBTRACT)
    return items


def bit_planes(inputs: NDArray[Any], bits: int, is_signed: bool) -> NDArray[np.uint8]:
    """Pack integers into planes of bits, lowest first.

    Parameters
    ----------
    inputs : (n, columns) integer
        0 to 2^bits - 1, or -2^(bits - 1) to 2^(bits - 1) - 1 if signed.
    bits : int
        1 to 8.

    Returns
    -------
    (n, bits, ceil(columns / 8)) uint8
        Column c is bit c mod 8 of byte c div 8.

    Raises
    ------
    ValueError
        The inputs are not such integers.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"inputs have 1 to 8 bits, not {bits}")
    if inputs.ndim != 2 or inputs.size == 0 or not np.issubdtype(inputs.dtype, np.integer):
        raise ValueError(
            f"inputs must be whole numbers of shape (vectors, columns), not {inputs.dtype} "
            f"of shape {inputs.shape}"
        )
    low = -(1 << (bits - 1)) if is_signed else 0
    high = low + (1 << bits) - 1
    if inputs.min() < low or inputs.max() > high:
        outside = inputs[(inputs < low) | (inputs > high)][0]
        kind = "signed" if is_signed else "unsigned"
        raise ValueError(f"input {outside} lies outside {low} to {high}, {bits} bits {kind}")
    # of negative numbers, the lowest eight bits
    words = inputs if inputs.dtype == np.uint8 else inputs.astype(np.int16).astype(np.uint8)
    planes = np.empty((len(words), bits, -(-words.shape[1] // 8)), dtype=np.uint8)
    for plane in range(bits):
        planes[:, plane] = np.packbits(words & np.uint8(1 << plane), axis=1, bitorder="little")
    return planes


def _refuse(schedule: Schedule, description: Description) -> None:
    steps, accumulators = schedule.steps, schedule.accumulator_count
    if not 1 <= steps <= description.schedule_steps:
        raise ValueError(
            f"a schedule has 1 to {description.schedule_steps} steps on this board, not {steps}"
        )
    if not 1 <= accumulators <= description.schedule_accumulators:
        raise ValueError(
            f"a schedule has 1 to {description.schedule_accumulators} accumulators on this board, "
            f"not {accumulators}"
        )
    lines = schedule.columns, schedule.channels
    if lines != (description.columns, description.channels):
        raise ValueError(
            f"a schedule over {lines[0]} bit lines and {lines[1]} channels does not fit this "
            f"board's {description.columns} and {description.channels}"
        )
    for values, count, what in (
        (schedule.ranges[:, None], len(description.ranges), "range"),
        (schedule.rows, description.rows, "row"),
    ):
        if values.max() >= count:
            step = int((values >= count).any(axis=1).argmax())
            raise ValueError(
                f"step {step} of the schedule: there is no {what} {values[step].max()}, only 0 to "
                f"{count - 1}"
            )
