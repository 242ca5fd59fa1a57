"""One chip: its state file, the keys of its randomness, and what happens to it.

Owns what pulses and conversions do to the non-volatile state. Knows no DAC code and no limit; of
time, only at which moment it is told that something happens. What conversions see before noise is
`lines`' part, noise and codes are `readpath`'s and `multiply`'s.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firmware_protocol.messages import Operation
from sim_backend import (
    devices,
    fixedpoint,
    multiply,
    pulsing,
    readpath,
    tables,
    technology,
)
from sim_backend.ageing import Ageing, multiplied
from sim_backend.cells import (
    Progress,
    Pulses,
    UInt16Array,
    UInt32Array,
    cell_keys,
    counts_of,
)
from sim_backend.chips import cells_of, chip_key, open_chip
from sim_backend.effective import Group
from sim_backend.faults.switches import StuckLines
from sim_backend.fixedpoint import Int64Array, ReadNumbers
from sim_backend.lines import AgedSteps, ChipLines
from sim_backend.multiply import Inputs, Matrices, Matrix, Products, Rows, Schedule
from sim_backend.profile import Profile
from sim_backend.pulsing import Rules
from sim_backend.randomness import Stream, child, children
from sim_backend.readpath import Block, NoiseKeys
from sim_backend.timing import ReadPlan
from sim_backend.wires import resistances

_AHEAD = 8192
"""Single cells that are looked at together for whether a row has aged."""


class Sampling(NamedTuple):
    """A read that is under way: what it measures, through which conductances, and when.

    Attributes
    ----------
    effective_ps : (R, columns of the chip) uint32
        Of its rows, before they aged.
    """

    block: Block
    columns: Int64Array
    effective_ps: UInt32Array
    range_index: int
    start_ns: int
    plan: ReadPlan


class Codes(NamedTuple):
    """Codes of a part of a read, and how many of them lie at either end of the scale."""

    codes: UInt16Array
    saturated: int


class Macro:
    """A chip in a socket of the simulated board.

    Parameters
    ----------
    path : Path
        State file; it must exist (`make_chip`).
    profile : Profile
    seed : int
        Of the board.
    index : int
        Socket.
    numbers : ReadNumbers
        Of the board's read path.
    stuck : StuckLines, optional
        Bit-line switches of its socket that do not obey.
    """

    def __init__(
        self,
        path: Path,
        profile: Profile,
        seed: int,
        index: int,
        numbers: ReadNumbers,
        stuck: StuckLines | None = None,
    ) -> None:
        self._file = open_chip(path, profile, seed, index)
        arrays = self._file.arrays
        self.serial = self._file.identity.serial
        self.technology = self._file.identity.technology
        kind = technology.load(self.technology)
        profile = technology.applied(profile, kind)
        self.cells = cells_of(arrays)
        self._arrays = arrays
        key = chip_key(seed, index, self._file.identity.generation)
        rows = len(self.cells.flags)
        self._cell_keys = cell_keys(key)
        self._noise_keys = NoiseKeys(
            children(child(key, Stream.CONVERSION), rows),
            children(child(key, Stream.CONVERSION_TAIL), rows),
        )
        self._forming = fixedpoint.forming_numbers(profile)
        self._switching = fixedpoint.switching_numbers(profile)
        self._noise = fixedpoint.noise(profile)
        self._read = numbers._replace(noise=self._noise)
        self._stuck = stuck
        self._zero_conversions = profile.converters.zero_conversions.value
        self._tables = tables.load()
        self.ageing = Ageing(kind, key, self.cells, arrays, self._tables)
        self._ranges = len(profile.converters.ranges)
        self._lines = ChipLines(
            self.cells, resistances(profile), self.ageing, self._read, self._ranges, stuck
        )
        self._matrices = Matrices()

    # --- pulses ------------------------------------------------------------------------------

    def pulse(
        self, operation: Operation, pulses: Pulses, ends_ns: list[int], progress: Progress
    ) -> int:
        """Fire pulses of one operation, each ending at its own board time.

        Returns how many selected cells were pulsed.
        """
        self._lines.forget(pulses.row)
        slots = np.array([self.ageing.clock.slot(end_ns) for end_ns in ends_ns], dtype=np.int64)
        state, masks = self.cells, pulses.masks
        counts = counts_of(state, operation)
        if self._stuck is None:
            return pulsing.fire(state, counts, pulses, slots, self.rules, progress)
        seen = self._stuck.pulsed(operation, masks)
        pulsing.fire(state, counts, pulses._replace(masks=seen), slots, self.rules, progress)
        # what is counted is what was commanded
        for line, correction in self._stuck.corrections(masks, seen):
            np.add.at(counts[:, line], pulses.row, correction)
        return int(np.bitwise_count(masks).sum(dtype=np.int64))

    def warm_up(self, clock_ns: int) -> None:
        """Do nothing, so that slow kernels are compiled before a host waits for them."""
        none, first = np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
        masks = np.zeros((0, self.cells.flags.shape[1] // 8), dtype=np.uint8)
        notes = np.zeros(1, dtype=np.uint16)
        pulses = Pulses(none, none, none, none, none, masks)
        self.pulse(Operation.FORM, pulses, [], Progress(notes, notes, 0))
        keys, normal, codes = self._noise_keys, self._tables.normal, np.zeros(0, dtype=np.uint16)
        lines = self._lines.prepared([(0,)], 0, clock_ns)
        readpath.read(0, 0, readpath.block(first, first, self._counts, lines), keys, normal, codes)
        readpath.read_points(none, none, self._counts, lines, keys, normal, codes)
        readpath.read_dark(none, 1, self._counts, lines, keys, normal, none.astype(np.uint32))
        multiply.warm_up(keys, self._read, normal)

    @cached_property
    def rules(self) -> Rules:
        """What pulses go by on this chip; the cells' constants are drawn when first needed."""
        keys, forming, switching = self._cell_keys, self._forming, self._switching
        rows, columns = self.cells.flags.shape
        drawn = devices.devices((rows, columns), keys, forming, switching, self._tables)
        return Rules(keys, forming, switching, self._tables, drawn)

    # --- conversions -------------------------------------------------------------------------

    def set_temperature(self, clock_ns: int, temperature_mk: int) -> None:
        """Let the chip stand at this temperature from now on."""
        self._lines.grow_old()
        self.ageing.clock.set_temperature(clock_ns, temperature_mk)

    def read_through(self, numbers: ReadNumbers) -> None:
        """Read through another front end from now on."""
        self._read = numbers._replace(noise=self._noise)
        self._lines.read_through(self._read)

    def aged_ps(self, clock_ns: int) -> UInt32Array:
        """Conductances of all cells, (rows, columns) in pS, as they are at a moment; no wires."""
        rows = np.arange(len(self.cells.flags))
        factors = self.ageing.factors(rows, clock_ns).values
        return multiplied(self.cells.conductance_ps, factors)

    def sampling(
        self, rows: Int64Array, columns: Int64Array, range_index: int, start_ns: int, plan: ReadPlan
    ) -> Sampling:
        """Prepare a read of these rows and columns, each ascending and at least one."""
        groups = plan.rows_of_groups(rows)
        lines = self._lines.prepared(groups, range_index, start_ns)
        block = readpath.block(rows, columns, self._counts, lines)
        effective_ps = self._lines.effective_ps(groups)
        return Sampling(block, columns, effective_ps, range_index, start_ns, plan)

    def read(self, sampling: Sampling, start: int, stop: int) -> Codes:
        """Measure conversions `start` to `stop` of a read, in the order (read, row, column).

        Each is measured once: the next call must go on where this one stopped. Each sees its cell
        as it is at the board time of its own sampling.
        """
        block, keys, normal = sampling.block, self._noise_keys, self._tables.normal
        out = np.empty(stop - start, dtype=np.uint16)
        saturated = 0
        for first, last in self._unchanging(sampling, start, stop):
            codes = out[first - start : last - start]
            saturated += readpath.read(first, last, block, keys, normal, codes)
        rows, width = block.level.shape
        reads, rest = divmod(stop, rows * width)
        partial = np.clip(rest - np.arange(rows) * width, 0, width)
        self._counts[block.rows] = block.counts + (reads * width + partial).astype(np.uint64)
        return Codes(out, saturated)

    def _unchanging(
        self, sampling: Sampling, start: int, stop: int
    ) -> Generator[tuple[int, int], None, None]:
        """Cut a part of a read where rows have aged, and prepare them as they then are."""
        block, width = sampling.block, len(sampling.columns)
        until_ns = self._lines.until_ns(sampling.range_index)
        length = len(block.rows) * width
        done = start
        while done < stop:
            # no row comes twice in a read, so that all its rows can be prepared ahead
            read = done // length
            end = min(stop, (read + 1) * length)
            at = np.arange((done - read * length) // width, -((read * length - end) // width))
            begin_ns = sampling.start_ns + sampling.plan.sampled_ns(read, at)
            end_ns = begin_ns + (width - 1) * sampling.plan.step_ns
            aged = end_ns >= until_ns[block.rows[at]]
            if aged.any():
                self._prepare_again(sampling, at[aged], begin_ns[aged])
            yield done, end
            done = end

    def _prepare_again(self, sampling: Sampling, at: Int64Array, begin_ns: Int64Array) -> None:
        """Prepare some rows of a read, each column as it is when it is sampled."""
        block, columns, range_index = sampling.block, sampling.columns, sampling.range_index
        offsets_ns = np.zeros(self.cells.flags.shape[1], dtype=np.int64)
        offsets_ns[columns] = np.arange(len(columns)) * sampling.plan.step_ns
        rows = block.rows[at]
        effective_ps, times_ns = sampling.effective_ps[at], begin_ns[:, None] + offsets_ns
        self._lines.prepare(rows, effective_ps, range_index, times_ns)
        lines = self._lines.of(range_index)
        if block.level is not lines.level:
            cut = np.ix_(rows, columns)
            block.level[at], block.spread[at] = lines.level[cut], lines.spread[cut]

    def read_points(
        self, rows: Int64Array, columns: Int64Array, range_index: int, times_ns: Int64Array
    ) -> Codes:
        """Measure single cells, in the order given, each row alone and at its own board time."""
        keys, normal = self._noise_keys, self._tables.normal
        until_ns = self._lines.until_ns(range_index)
        out = np.empty(len(rows), dtype=np.uint16)
        start, saturated = 0, 0
        while start < len(rows):
            ahead = slice(start, start + _AHEAD)
            lines = self._lines.prepared_alone(rows[ahead], range_index, int(times_ns[start]))
            changed = times_ns[ahead] >= until_ns[rows[ahead]]
            changed[0] = False  # prepared for this very moment
            stop = start + (int(changed.argmax()) if changed.any() else len(changed))
            part = slice(start, stop)
            saturated += readpath.read_points(
                rows[part], columns[part], self._counts, lines, keys, normal, out[part]
            )
            start = stop
        return Codes(out, saturated)

    def measure_zeros(
        self,
        rows: Int64Array,
        groups: Iterable[Group],
        conversions: int,
        range_index: int,
        clock_ns: int,
    ) -> UInt32Array:
        """Sum dark conversions of each row; `groups` are the rows that are sampled at once."""
        lines = self._lines.dark(groups, range_index, clock_ns)
        sums = np.empty(len(rows), dtype=np.uint32)
        keys, normal = self._noise_keys, self._tables.normal
        readpath.read_dark(rows, conversions, self._counts, lines, keys, normal, sums)
        return sums

    def keep_zeros(self, sums: UInt32Array, rows: Int64Array, range_index: int) -> None:
        """Put sums of dark conversions into the registers."""
        self._arrays["zero_sums"][range_index, rows] = sums

    def zeros(self, rows: Int64Array, range_index: int) -> UInt32Array:
        """Zero registers of these rows; 0 where none was ever measured."""
        return self._arrays["zero_sums"][range_index, rows]

    # --- multiplying -------------------------------------------------------------------------

    def multiply(
        self, schedule: Schedule, inputs: Inputs, columns: slice, start_ns: int, vector_ns: int
    ) -> Products:
        """Run a schedule; the zeros of its rows were measured.

        Parameters
        ----------
        inputs : Inputs
        columns : slice
            Those of the inputs; bit lines outside are at ground.
        start_ns, vector_ns : int
            When the first vector begins, and how long each takes. A vector sees its cells as they
            are when it begins.
        """
        vectors = len(inputs.planes)
        steps = AgedSteps(self._lines, schedule.groups)
        done, parts = 0, list[Products]()
        while done < vectors:
            clock_ns = start_ns + done * vector_ns
            until_ns = steps.look(clock_ns)
            stop = min(vectors, done - (clock_ns - until_ns) // vector_ns)
            part = inputs._replace(planes=inputs.planes[done:stop])
            parts.append(self._multiply_unchanged(schedule, part, columns, steps))
            done = stop
        return Products(
            np.concatenate([part.sums for part in parts]), sum(part.saturated for part in parts)
        )

    def _multiply_unchanged(
        self, schedule: Schedule, inputs: Inputs, columns: slice, steps: AgedSteps
    ) -> Products:
        """The same for vectors between which no cell ages."""

        def matrix_of(start: int, stop: int) -> Matrix:
            part = slice(start, stop)
            return self._matrices.of(schedule, part, columns, steps, self._noise, self._stuck)

        sums = self._arrays["zero_sums"].astype(np.int64)
        rows = Rows(
            dark=np.stack([self._lines.of(index).dark for index in range(self._ranges)]).astype(
                np.int64
            ),
            zero=((sums + self._zero_conversions // 2) // self._zero_conversions).astype(np.int32),
            counts=self._counts.copy(),
        )
        vectors, planes, _ = inputs.planes.shape
        if self._stuck is not None:
            inputs = inputs.with_one_more(columns.stop - columns.start)
        keys, normal = self._noise_keys, self._tables.normal
        products = multiply.multiply(schedule, matrix_of, inputs, rows, keys, self._read, normal)
        self._counts[:] += schedule.conversions(len(self._counts)) * np.uint64(vectors * planes)
        return products

    # --- counts ------------------------------------------------------------------------------

    def pulse_totals(self) -> tuple[int, int, int]:
        """FORM, SET and RESET pulses of all cells together, since the chip was made."""
        form, set_, reset = (
            int(counts.sum(dtype=np.uint64))
            for counts in (self.cells.form_pulses, self.cells.set_pulses, self.cells.reset_pulses)
        )
        return form, set_, reset

    @property
    def conversions(self) -> int:
        """Conversions since the chip was made."""
        return int(self._counts.sum())

    @property
    def switch_loads(self) -> int:
        """Loads of the bit-line switches since the chip was made."""
        return int(self._arrays["switch_loads"][0])

    def count_switch_loads(self, loads: int) -> None:
        """Add to `switch_loads`."""
        self._arrays["switch_loads"][0] += loads

    def seal(self) -> None:
        """Bring the state to the disk, and vouch for it; see `StateFile.seal`."""
        self._file.seal()

    @property
    def _counts(self) -> readpath.UInt64Array:
        return self._arrays["conversions"]
