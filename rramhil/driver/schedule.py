"""Gate schedules as values: what the switching layer makes, the driver sends and a board runs.

Owns: `Schedule` with its steps and samples, the check of one against a board's description, and
its layout on the wire; the packing of inputs into planes of bits. Sends nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.layouts import STEP
from firmware_protocol.messages import MAX_SAMPLES, Use
from rramhil.driver.description import Description


@dataclass(frozen=True)
class Sample:
    """One row sampled in a step; its ADC channel follows from the row.

    Attributes
    ----------
    row : int
    accumulator : int
        What its code, less the zero, is added to.
    subtract : bool
        Subtract it instead.
    """

    row: int
    accumulator: int
    subtract: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """Rows that are sampled at once, with the bit lines that follow the input meanwhile.

    Attributes
    ----------
    gate : (columns,) bool
        True for the bit lines that follow the input; the others are at ground.
    samples : tuple of Sample
        At most one for each ADC channel, at least one.
    range_index : int
        TIA range.
    """

    gate: NDArray[np.bool_]
    samples: tuple[Sample, ...]
    range_index: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """Steps in order, and how many accumulators they add to.

    Attributes
    ----------
    steps : tuple of Step
    accumulators : int
    """

    steps: tuple[Step, ...]
    accumulators: int

    @property
    def samples(self) -> int:
        """Conversions of one vector of one bit."""
        return sum(len(step.samples) for step in self.steps)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows that are sampled, ascending."""
        return np.unique([sample.row for step in self.steps for sample in step.samples])


def row_schedule(
    rows: NDArray[np.integer[Any]], gate: NDArray[np.bool_], range_index: int, channels: int
) -> Schedule:
    """Sample each row once with one gate, row n of them into accumulator n.

    Parameters
    ----------
    rows : (n,) int
        Different rows; those of different channels that follow each other are sampled at once.
    gate : (columns,) bool
    channels : int
        ADC channels of the board.
    """
    groups: list[list[Sample]] = []
    taken: set[int] = set()
    for accumulator, row in enumerate(rows.tolist()):
        if not groups or row % channels in taken:
            groups.append([])
            taken.clear()
        taken.add(row % channels)
        groups[-1].append(Sample(row, accumulator))
    steps = tuple(Step(gate, tuple(group), range_index) for group in groups)
    return Schedule(steps, len(rows))


def packed_steps(schedule: Schedule, description: Description) -> NDArray[np.void]:
    """The steps of a schedule as they cross the wire, (steps,) of `layouts.STEP`.

    Raises
    ------
    ValueError
        The board could not run it; says which step and why.
    """
    _refuse_too_long(schedule, description)
    items = np.zeros(len(schedule.steps), dtype=STEP)
    for number, step in enumerate(schedule.steps):
        problem = _problem(step, schedule.accumulators, description)
        if problem:
            raise ValueError(f"step {number} of the schedule: {problem}")
        gate = np.packbits(step.gate, bitorder="little")
        items[number]["range"] = step.range_index
        items[number]["gate"][: len(gate)] = gate
        for sample in step.samples:
            use = Use.SUBTRACT if sample.subtract else Use.ADD
            place = sample.row % description.channels
            items[number]["samples"][place] = (sample.row, sample.accumulator, use, 0)
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
    words = inputs.astype(np.int16).astype(np.uint8)[:, None, :]
    planes = words >> np.arange(bits, dtype=np.uint8)[:, None] & np.uint8(1)
    return np.packbits(planes, axis=2, bitorder="little")


def _refuse_too_long(schedule: Schedule, description: Description) -> None:
    steps, accumulators = len(schedule.steps), schedule.accumulators
    if not 1 <= steps <= description.schedule_steps:
        raise ValueError(
            f"a schedule has 1 to {description.schedule_steps} steps on this board, not {steps}"
        )
    if not 1 <= accumulators <= description.schedule_accumulators:
        raise ValueError(
            f"a schedule has 1 to {description.schedule_accumulators} accumulators on this board, "
            f"not {accumulators}"
        )
    counts = Counter(sample.accumulator for step in schedule.steps for sample in step.samples)
    for accumulator, count in counts.items():
        if count > MAX_SAMPLES:
            raise ValueError(
                f"accumulator {accumulator} takes {count} samples; {MAX_SAMPLES} are the most "
                "that 32 bits hold"
            )


def _problem(step: Step, accumulators: int, description: Description) -> str:
    """Why the board could not run a step; empty if it can."""
    if step.gate.shape != (description.columns,) or step.gate.dtype != np.bool_:
        return (
            f"its gate is {step.gate.dtype} of shape {step.gate.shape}, "
            f"not bool of shape ({description.columns},)"
        )
    if not 0 <= step.range_index < len(description.ranges):
        return f"there is no range {step.range_index}, only 0 to {len(description.ranges) - 1}"
    if not step.samples:
        return "it samples no row"
    channels: dict[int, int] = {}
    for sample in step.samples:
        if not 0 <= sample.row < description.rows:
            return f"there is no row {sample.row}, only 0 to {description.rows - 1}"
        if not 0 <= sample.accumulator < accumulators:
            return f"there is no accumulator {sample.accumulator}, only 0 to {accumulators - 1}"
        channel = sample.row % description.channels
        if channel in channels:
            return f"rows {channels[channel]} and {sample.row} are both on ADC channel {channel}"
        channels[channel] = sample.row
    return ""
