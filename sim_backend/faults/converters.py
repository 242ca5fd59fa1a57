"""ADC channels that are dead, and TIAs whose offset drifts.

Owns both, as integers. A dead channel is a converter of its own kind, so whatever is converted
meets it. A drift is added to codes, in whole ones (rounded down); a code at either end of the scale
stays there: the converter was saturated. Knows no cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim_backend.cells import UInt16Array, UInt32Array
from sim_backend.faults.model import DeadChannel, DriftingTia, Faults
from sim_backend.fixedpoint import CODE_BITS, Int64Array
from sim_backend.frontend import FrontEnd, dead_transfer
from sim_backend.multiply import Inputs, Products, Schedule
from sim_backend.profile import Profile
from sim_backend.timing import ReadPlan

_NS = 10**9


def with_dead_channels(front: FrontEnd, faults: tuple[DeadChannel, ...]) -> FrontEnd:
    """The front end with these channels dead."""
    transfer = front.read.transfer.copy()
    for fault in faults:
        transfer[fault.channel] = dead_transfer(fault.code, transfer.shape[1])
    return front._replace(read=front.read._replace(transfer=transfer))


class _Drift(NamedTuple):
    channel: int
    range_index: int
    rate: int
    """Codes a second, in 2^-16."""
    since_ns: int

    def codes(self, time_ns: int) -> int:
        """Whole codes at a board time."""
        return (max(0, time_ns - self.since_ns) * self.rate // _NS) >> CODE_BITS


class Drifts(NamedTuple):
    """Amplifiers of a board whose offsets drift; channels that are dead show none of it."""

    channels: int
    top: int
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
        for drift in self.drifts:
            if drift.range_index == range_index:
                spoilt[rows % self.channels == drift.channel] += conversions * drift.codes(time_ns)
        return np.clip(spoilt, 0, conversions * self.top).astype(np.uint32)

    def spoil_products(
        self, products: Products, schedule: Schedule, inputs: Inputs, start_ns: int, vector_ns: int
    ) -> Products:
        """Accumulators of a run; a vector's conversions drift as they do when it begins.

        Codes are not there any more, so that those at the end of the scale drift as well.
        """
        vectors, planes, _ = inputs.planes.shape
        weight = -1 if inputs.is_signed else (1 << planes) - 1
        sums = products.sums.astype(np.int64)
        times_ns = range(start_ns, start_ns + vectors * vector_ns, vector_ns)
        for drift in self.drifts:
            struck = schedule.row % self.channels == drift.channel
            struck &= schedule.range_index[schedule.step] == drift.range_index
            share = np.zeros(sums.shape[1], dtype=np.int64)
            np.add.at(share, schedule.accumulator[struck], weight * schedule.sign[struck])
            codes = np.array([drift.codes(time_ns) for time_ns in times_ns], dtype=np.int64)
            sums += codes[:, None] * share
        return products._replace(sums=sums.astype(np.int32))

    def added(self, range_index: int, time_ns: int) -> Int64Array:
        """What stands at each converter too much, (channels,) in 2^-16 codes."""
        added = np.zeros(self.channels, dtype=np.int64)
        for drift in self.drifts:
            if drift.range_index == range_index:
                added[drift.channel] += drift.codes(time_ns) << CODE_BITS
        return added


def drifts(faults: Faults, profile: Profile) -> Drifts | None:
    """Drifts that are asked for, None if none is; on a dead channel nobody sees one."""
    dead = {fault.channel for fault in faults.of_board(DeadChannel)}
    found = tuple(
        _Drift(
            fault.channel,
            fault.range,
            round(fault.codes_per_s * (1 << CODE_BITS)),
            round(fault.since_s * _NS),
        )
        for fault in faults.of_board(DriftingTia)
        if fault.channel not in dead
    )
    converters = profile.converters
    top = (1 << converters.adc_bits.value) - 1
    return Drifts(converters.channels.value, top, found) if found else None
