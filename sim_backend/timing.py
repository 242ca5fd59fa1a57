"""How long the board takes, in integer nanoseconds of its own clock.

Owns the order in which rows are sampled. Rows of different channels are converted at once;
while one conversion runs, the switches' registers are loaded for the next, so a load costs time
only before the first. Nothing here depends on how a host cuts its commands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim_backend.fixedpoint import Int64Array
from sim_backend.profile import Profile


@dataclass(frozen=True)
class ReadPlan:
    """Times of a read of R rows and C columns.

    Attributes
    ----------
    group : (R,) int64
        Which group each row is sampled with.
    groups, columns : int
    load_ns : int
        Before the first conversion of a group.
    step_ns : int
        One conversion with its settling.
    """

    group: Int64Array
    groups: int
    columns: int
    load_ns: int
    step_ns: int

    def rows_of_groups(self, rows: Int64Array) -> list[tuple[int, ...]]:
        """The rows of each group."""
        starts = np.flatnonzero(np.diff(self.group)) + 1
        return [tuple(part.tolist()) for part in np.split(rows, starts)]

    @property
    def group_ns(self) -> int:
        """Time of one group."""
        return self.load_ns + self.columns * self.step_ns

    @property
    def read_ns(self) -> int:
        """Time of one read of everything."""
        return self.groups * self.group_ns

    def before_ns(self, conversion: int) -> int:
        """From the beginning to conversion n, counted in the order (read, row, column)."""
        line, column = divmod(conversion, self.columns)
        reads, row = divmod(line, len(self.group))
        into = self.load_ns + column * self.step_ns if column else 0
        return reads * self.read_ns + int(self.group[row]) * self.group_ns + into

    def sampled_ns(self, read: int, at: Int64Array) -> Int64Array:
        """From the beginning to when the first cell of each of these rows is sampled in a read."""
        return read * self.read_ns + self.group[at] * self.group_ns + self.load_ns

    def after_ns(self, conversion: int) -> int:
        """From the beginning to the end of conversion n."""
        line, column = divmod(conversion, self.columns)
        reads, row = divmod(line, len(self.group))
        into = self.load_ns + (column + 1) * self.step_ns
        return reads * self.read_ns + int(self.group[row]) * self.group_ns + into


@dataclass(frozen=True)
class Timing:
    """Times of a profile."""

    load_ns: int
    dac_settle_ns: int
    conversion_ns: int
    settle_ns: tuple[int, ...]
    channels: int

    @classmethod
    def of(cls, profile: Profile) -> Timing:
        """Times that a profile states."""
        converters = profile.converters
        return cls(
            load_ns=profile.switches.load_ns.value,
            dac_settle_ns=converters.dac_settle_ns.value,
            conversion_ns=converters.conversion_ns.value,
            settle_ns=tuple(r.settle_ns.value for r in converters.ranges),
            channels=converters.channels.value,
        )

    def pulses_ns(self, width_ns: Int64Array) -> int:
        """Pulses, one after the other: switches, rails, word line."""
        return int(width_ns.sum()) + len(width_ns) * (self.load_ns + self.dac_settle_ns)

    def pulse_ends_ns(self, width_ns: Int64Array) -> Int64Array:
        """From the beginning to the end of each pulse."""
        return np.cumsum(width_ns + self.load_ns + self.dac_settle_ns)

    def read(self, rows: Int64Array, columns: int, range_index: int) -> ReadPlan:
        """Plan a read of ascending rows."""
        group = self.groups(rows)
        step_ns = self.settle_ns[range_index] + self.conversion_ns
        return ReadPlan(group, int(group[-1]) + 1, columns, self.load_ns, step_ns)

    def point_times_ns(self, count: int, range_index: int) -> Int64Array:
        """From the beginning to when each of single cells is sampled."""
        return np.arange(count) * self.points_ns(1, range_index) + self.load_ns

    def points_ns(self, count: int, range_index: int) -> int:
        """Single cells, one after the other."""
        return count * (self.load_ns + self.settle_ns[range_index] + self.conversion_ns)

    def zeros_ns(self, rows: Int64Array, conversions: int, range_index: int) -> int:
        """Dark conversions: the switches do not change between those of one group."""
        groups = int(self.groups(rows)[-1]) + 1
        settled_ns = self.load_ns + self.settle_ns[range_index]
        return groups * (settled_ns + conversions * self.conversion_ns)

    def multiply_ns(self, vectors: int, planes: int, range_index: Int64Array) -> int:
        """A run of a gate schedule, whose steps have these ranges.

        The switches change with every conversion; a load takes time before a vector's first.
        """
        settle_ns = sum(self.settle_ns[index] for index in range_index.tolist())
        steps_ns = settle_ns + len(range_index) * self.conversion_ns
        return vectors * (self.load_ns + planes * steps_ns)

    def groups(self, rows: Int64Array) -> Int64Array:
        """Group of each row: a row joins the one before it unless its channel is taken."""
        group = np.empty(len(rows), dtype=np.int64)
        taken: set[int] = set()
        current = 0
        for n, channel in enumerate((rows % self.channels).tolist()):
            if channel in taken:
                taken.clear()
                current += 1
            taken.add(channel)
            group[n] = current
        return group
