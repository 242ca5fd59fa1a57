"""ADC channels that are dead, and TIAs whose offset drifts: what becomes of the codes.

Owns both, as integers, applied to codes that the read path gives: first the drift, in whole codes
(rounded down), then the dead channel. A code at either end of the scale stays there under drift:
the converter was saturated. Knows no cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.faults.model import DeadChannel, DriftingTia, Faults
from sim_backend.fixedpoint import CODE_BITS, Int64Array
from sim_backend.profile import Profile
from sim_backend.timing import ReadPlan

_NS = 10**9


class _Drift(NamedTuple):
    channel: int
    range_index: int
    rate: int
    """Codes a second, in 2^-16."""
    since_ns: int

    def codes(self, time_ns: int) -> int:
        """Whole codes at a board time."""
        return (max(0, time_ns - self.since_ns) * self.rate // _NS) >> CODE_BITS


class ConverterFaults(NamedTuple):
    """What is wrong with the converters of a board."""

    channels: int
    top: int
    dead: tuple[tuple[int, int], ...]
    drifts: tuple[_Drift, ...]

    def spoil(
        self, codes: UInt16Array, rows: Int64Array, range_index: int, times_ns: Sequence[int]
    ) -> tuple[UInt16Array, int]:
        """Codes as they arrive, and how many of them lie at either end of the scale.

        Parameters
        ----------
        codes : (n,) uint16
        rows : (n,) int64
            Row of each.
        times_ns : n ints
            Board time of each.
        """
        spoilt = codes.astype(np.int64)
        channel = rows % self.channels
        inside = (spoilt > 0) & (spoilt < self.top)
        for drift in self.drifts:
            if drift.range_index == range_index:
                struck = np.flatnonzero(inside & (channel == drift.channel)).tolist()
                spoilt[struck] += [drift.codes(times_ns[n]) for n in struck]
        spoilt = np.clip(spoilt, 0, self.top)
        for dead, code in self.dead:
            spoilt[channel == dead] = code
        saturated = int(np.count_nonzero((spoilt == 0) | (spoilt == self.top)))
        return spoilt.astype(np.uint16), saturated

    def spoil_part(
        self,
        codes: UInt16Array,
        first: int,
        rows: Int64Array,
        plan: ReadPlan,
        start_ns: int,
        range_index: int,
    ) -> tuple[UInt16Array, int]:
        """As `spoil`, for the part of a read that begins with conversion `first`.

        A row's conversions have the time at which its sampling begins.

        Parameters
        ----------
        rows : (R,) int64
            All rows of the read.
        plan : ReadPlan
            When they are sampled, after `start_ns`.
        """
        width = plan.columns
        line_of = np.arange(first, first + len(codes)) // width
        lines = range(first // width, int(line_of[-1]) + 1)
        times_ns = [start_ns + plan.before_ns(line * width) for line in lines]
        each_ns = [times_ns[line] for line in (line_of - lines.start).tolist()]
        return self.spoil(codes, rows[line_of % len(rows)], range_index, each_ns)

    def spoil_zeros(
        self, sums: UInt32Array, rows: Int64Array, range_index: int, time_ns: int, conversions: int
    ) -> UInt32Array:
        """Sums of so many dark conversions a row, (n,), begun at a board time."""
        spoilt = sums.astype(np.int64)
        channel = rows % self.channels
        for drift in self.drifts:
            if drift.range_index == range_index:
                spoilt[channel == drift.channel] += conversions * drift.codes(time_ns)
        spoilt = np.clip(spoilt, 0, conversions * self.top)
        for dead, code in self.dead:
            spoilt[channel == dead] = conversions * code
        return spoilt.astype(np.uint32)


def converter_faults(faults: Faults, profile: Profile) -> ConverterFaults | None:
    """What faults say of the converters, None if nothing."""
    dead = tuple((fault.channel, fault.code) for fault in faults.of_board(DeadChannel))
    drifts = tuple(
        _Drift(
            fault.channel,
            fault.range,
            round(fault.codes_per_s * (1 << CODE_BITS)),
            round(fault.since_s * _NS),
        )
        for fault in faults.of_board(DriftingTia)
    )
    converters = profile.converters
    top = (1 << converters.adc_bits.value) - 1
    return ConverterFaults(converters.channels.value, top, dead, drifts) if dead or drifts else None
