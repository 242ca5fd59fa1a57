"""Gate schedules as values: what the compiler makes and the board executes.

Owns: which steps there are, which bit lines each lets through, which rows it samples and where
their codes are added; and what a schedule may be at all. Knows no mask, no placement, no board.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import MAX_SAMPLES

BoolArray = npt.NDArray[np.bool_]
Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]

UNUSED = -1
"""Row and accumulator of a channel that samples nothing."""


class Sample(NamedTuple):
    """A row that a step samples; `sign` is +1 or -1."""

    row: int
    accumulator: int
    sign: int = 1


class Step(NamedTuple):
    """Rows sampled at once in one range; the bit lines in `gate` (C,) bool follow the input."""

    range_index: int
    gate: BoolArray
    samples: tuple[Sample, ...]


class Samples(NamedTuple):
    """All samples of a schedule, M of them, in the order step, channel.

    Attributes
    ----------
    step, channel, row, accumulator, sign : (M,) int64
    """

    step: Int64Array
    channel: Int64Array
    row: Int64Array
    accumulator: Int64Array
    sign: Int64Array


@dataclass(frozen=True, eq=False)
class Schedule:
    """S steps over C bit lines and B ADC channels. Arrays are kept read-only.

    Attributes
    ----------
    ranges : (S,) uint8
        TIA range of each step.
    gates : (S, C) bool
        Bit lines that follow the input; the others are at ground.
    rows : (S, B) int16
        Row that each channel samples, `UNUSED` where none; row r is on channel r mod B.
    accumulators : (S, B) int32
        Where the codes of each sample are added, `UNUSED` where there is none.
    signs : (S, B) int8
        +1 or -1, 0 where there is no sample.
    accumulator_count : int
        Accumulators of the schedule; those that no sample names stay 0.

    Raises
    ------
    ValueError
        If the arrays do not fit each other, a row is on another channel, a step samples nothing,
        or an accumulator gets more samples than 32 bits hold.
    """

    ranges: UInt8Array
    gates: BoolArray
    rows: Int16Array
    accumulators: Int32Array
    signs: Int8Array
    accumulator_count: int

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        _check(self)

    @classmethod
    def from_steps(cls, steps: Sequence[Step], channels: int, accumulator_count: int) -> Schedule:
        """Make a schedule of steps that are written out; at least one, all over the same lines.

        Raises
        ------
        ValueError
            As the class, or two samples of a step share a channel.
        """
        if not steps:
            raise ValueError("a schedule that is written out has at least one step")
        rows, accumulators = (np.full((len(steps), channels), UNUSED) for _ in range(2))
        signs = np.zeros((len(steps), channels), dtype=np.int8)
        for number, step in enumerate(steps):
            for sample in step.samples:
                place = number, sample.row % channels
                if rows[place] != UNUSED:
                    raise ValueError(
                        f"step {number} samples rows {rows[place]} and {sample.row}, which share "
                        f"channel {place[1]}"
                    )
                rows[place], accumulators[place], signs[place] = sample
        return cls(
            ranges=np.array([step.range_index for step in steps], dtype=np.uint8),
            gates=np.stack([step.gate for step in steps]),
            rows=rows.astype(np.int16),
            accumulators=accumulators.astype(np.int32),
            signs=signs,
            accumulator_count=accumulator_count,
        )

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.ranges)

    @property
    def columns(self) -> int:
        """Number of bit lines."""
        return self.gates.shape[1]

    @property
    def channels(self) -> int:
        """Number of ADC channels."""
        return self.rows.shape[1]

    @cached_property
    def samples(self) -> Samples:
        """All samples, in the order step, channel."""
        step, channel = np.nonzero(self.rows != UNUSED)
        return Samples(
            step,
            channel,
            self.rows[step, channel].astype(np.int64),
            self.accumulators[step, channel].astype(np.int64),
            self.signs[step, channel].astype(np.int64),
        )

    @cached_property
    def packed_gates(self) -> UInt8Array:
        """Gates in bits, (S, ceil(C / 8)) uint8: column c is bit c mod 8 of byte c div 8."""
        return np.packbits(self.gates, axis=1, bitorder="little")

    @cached_property
    def id(self) -> str:
        """First 12 hexadecimal digits of a SHA-256 over everything in it."""
        digest = hashlib.sha256(f"{self.gates.shape} {self.accumulator_count}".encode())
        for array in (self.ranges, self.packed_gates, self.rows, self.accumulators, self.signs):
            digest.update(f"\n{array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:12]

    def step(self, number: int) -> Step:
        """One step, written out."""
        rows = self.rows[number]
        return Step(
            int(self.ranges[number]),
            self.gates[number],
            tuple(
                Sample(
                    int(rows[channel]),
                    int(self.accumulators[number, channel]),
                    int(self.signs[number, channel]),
                )
                for channel in np.flatnonzero(rows != UNUSED)
            ),
        )


def row_schedule(
    rows: Sequence[int] | npt.NDArray[np.integer[Any]],
    gate: BoolArray,
    range_index: int,
    channels: int,
) -> Schedule:
    """Sample each row once with one gate, row n of them into accumulator n.

    Parameters
    ----------
    rows : (n,) int
        Different rows; those of different channels that follow each other are sampled at once.
    gate : (C,) bool
    range_index : int
    channels : int
        ADC channels of the board.
    """
    groups: list[list[Sample]] = []
    taken: set[int] = set()
    for accumulator, row in enumerate(np.asarray(rows).tolist()):
        if not groups or row % channels in taken:
            groups.append([])
            taken.clear()
        taken.add(row % channels)
        groups[-1].append(Sample(row, accumulator))
    steps = [Step(range_index, gate, tuple(group)) for group in groups]
    return Schedule.from_steps(steps, channels, len(rows))


_DTYPES: dict[str, npt.DTypeLike] = {
    "ranges": np.uint8,
    "gates": np.bool_,
    "rows": np.int16,
    "accumulators": np.int32,
    "signs": np.int8,
}


def _check(schedule: Schedule) -> None:
    steps = len(schedule.ranges)
    shape = schedule.rows.shape
    if schedule.ranges.ndim != 1 or schedule.gates.ndim != 2 or len(shape) != 2:
        raise ValueError("a schedule has one range and one gate a step, and samples by channel")
    if len(schedule.gates) != steps or shape[0] != steps:
        raise ValueError(f"{steps} ranges, {len(schedule.gates)} gates and {shape[0]} rows differ")
    if schedule.accumulators.shape != shape or schedule.signs.shape != shape:
        raise ValueError("rows, accumulators and signs must have one shape")
    used = schedule.rows != UNUSED
    if steps and not used.any(axis=1).all():
        raise ValueError(f"step {np.flatnonzero(~used.any(axis=1))[0]} samples nothing")
    channels = np.tile(np.arange(shape[1], dtype=np.int16), (steps, 1))
    wrong: BoolArray = (schedule.rows % max(1, shape[1]) != channels) & used
    wrong |= schedule.rows < UNUSED
    if wrong.any():
        step, channel = (int(axis[0]) for axis in np.nonzero(wrong))
        row = schedule.rows[step, channel]
        raise ValueError(f"step {step}: row {row} cannot be sampled on channel {channel}")
    if (np.abs(schedule.signs) != used).any():
        raise ValueError("the sign of a sample is +1 or -1, and 0 where there is none")
    targets = schedule.accumulators[used]
    count = schedule.accumulator_count
    if (schedule.accumulators[~used] != UNUSED).any():
        raise ValueError("an unused channel has no accumulator")
    if targets.size and not 0 <= targets.min() <= targets.max() < count:
        raise ValueError(f"accumulators must lie in 0 to {count - 1}")
    most = int(np.bincount(targets).max()) if targets.size else 0
    if most > MAX_SAMPLES:
        raise ValueError(
            f"an accumulator gets {most} samples, more than the {MAX_SAMPLES} that 32 bits hold"
        )
