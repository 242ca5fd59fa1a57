"""A gate schedule as arrays: what each step drives and samples, in the order of conversions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware_protocol.messages import Use
from sim_backend.cells import UInt8Array
from sim_backend.effective import Group
from sim_backend.fixedpoint import Int64Array
from sim_backend.tables import Int32Array

UInt64Array = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]


@dataclass(frozen=True)
class Schedule:
    """A complete schedule of S steps and T samples.

    Attributes
    ----------
    accumulators : int
    range_index : (S,) int64
        TIA range of each step.
    gates : (S, columns) uint8
        1 for the bit lines that follow the input.
    groups : tuple of S tuples
        Rows of each step, ascending.
    step, row, place : (T,) int64
        Of each sample, step after step: its step, its row, where that row stands in the step's
        group.
    accumulator, sign : (T,) int32
        Its accumulator, and +1 or -1.
    turn, turns : (T,) int64
        How many samples of the same row come before it, and how many there are.
    """

    accumulators: int
    range_index: Int64Array
    gates: UInt8Array
    groups: tuple[Group, ...]
    step: Int64Array
    row: Int64Array
    place: Int64Array
    accumulator: Int32Array
    sign: Int32Array
    turn: Int64Array
    turns: Int64Array

    @classmethod
    def of(cls, steps: np.ndarray[Any, Any], accumulators: int, columns: int) -> Schedule:
        """Arrange the steps, (S,) of `layouts.STEP`, as they came over the wire."""
        samples = steps["samples"]
        step, channel = np.nonzero(samples["use"] != Use.UNUSED)
        used = samples[step, channel]
        row = used["row"].astype(np.int64)
        groups = tuple(
            tuple(sorted(part.tolist()))
            for part in np.split(row, np.searchsorted(step, np.arange(1, len(steps))))
        )
        place = [
            groups[at].index(line) for at, line in zip(step.tolist(), row.tolist(), strict=True)
        ]
        gates = np.unpackbits(steps["gate"], axis=1, count=columns, bitorder="little")
        turn, turns = _turns(row)
        return cls(
            accumulators=accumulators,
            range_index=steps["range"].astype(np.int64),
            gates=gates,
            groups=groups,
            step=step.astype(np.int64),
            row=row,
            place=np.array(place, dtype=np.int64),
            accumulator=used["accumulator"].astype(np.int32),
            sign=np.where(used["use"] == Use.ADD, 1, -1).astype(np.int32),
            turn=turn,
            turns=turns,
        )

    def conversions(self, rows: int) -> UInt64Array:
        """How often each row is converted for one vector of one plane, (rows,) uint64."""
        return np.bincount(self.row, minlength=rows).astype(np.uint64)

    def rows_of_ranges(self) -> list[tuple[int, Int64Array]]:
        """Each range that is used, with the rows that are sampled in it, ascending."""
        used = self.range_index[self.step]
        return [(index, np.unique(self.row[used == index])) for index in np.unique(used).tolist()]


def _turns(row: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Number each row's samples in their order; also how many the row has."""
    order = np.argsort(row, kind="stable")
    _, inverse, count = np.unique(row, return_inverse=True, return_counts=True)
    begins = np.cumsum(count) - count
    turn = np.empty_like(row)
    turn[order] = np.arange(len(row)) - begins[inverse[order]]
    return turn, count[inverse].astype(np.int64)
