"""One chip: its state file, the keys of its randomness, and the caches of its read path.

Owns what pulses and conversions do to the non-volatile state; a cached row is dropped when a
pulse touches it. Knows no DAC code, no limit, no time and no byte pipe. Every conversion sees
the conductances that `Macro._effective` gives, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firmware_protocol.messages import Operation
from sim_backend import cells, defects, devices, fixedpoint, pulsing, readpath, tables
from sim_backend.cells import CellKeys, Cells, Progress, Pulses, UInt16Array, UInt32Array
from sim_backend.defects import Defects
from sim_backend.effective import EffectiveRows, Group, Solution
from sim_backend.errors import NoSuchBoard
from sim_backend.faults.switches import StuckLines
from sim_backend.fixedpoint import Int64Array, ReadNumbers
from sim_backend.multiply import Inputs, Matrices, Matrix, Products, Rows, Schedule, multiply
from sim_backend.profile import Profile
from sim_backend.pulsing import Rules
from sim_backend.randomness import Stream, child, children
from sim_backend.readpath import Block, Lines, NoiseKeys
from sim_backend.state import Arrays, ArraySpec, Identity, Layout, StateFile, create, open_state
from sim_backend.wires import resistances


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
        self.cells = _cells(arrays)
        self._arrays = arrays
        key = _chip_key(seed, index, self._file.identity.generation)
        rows = len(self.cells.flags)
        self._cell_keys = CellKeys(
            breakdown=np.uint64(child(key, Stream.BREAKDOWN)),
            formed=np.uint64(child(key, Stream.FORMED)),
            threshold=np.uint64(child(key, Stream.THRESHOLD)),
            level=np.uint64(child(key, Stream.LEVEL)),
            lifetime=np.uint64(child(key, Stream.LIFETIME)),
            set=np.uint64(child(key, Stream.SET)),
            reset=np.uint64(child(key, Stream.RESET)),
        )
        self._noise_keys = NoiseKeys(
            children(child(key, Stream.CONVERSION), rows),
            children(child(key, Stream.CONVERSION_TAIL), rows),
        )
        self._forming = fixedpoint.forming_numbers(profile)
        self._switching = fixedpoint.switching_numbers(profile)
        self._read = numbers
        self._stuck = stuck
        self._zero_conversions = profile.converters.zero_conversions.value
        self._tables = tables.load()
        self._rows = EffectiveRows(self.cells, resistances(profile))
        self._matrices = Matrices()
        self._lines: dict[int, Lines] = {}
        # which solution each row of the lines was prepared from
        self._prepared_from = np.full((len(profile.converters.ranges), rows), -1, dtype=np.int64)

    # --- pulses ------------------------------------------------------------------------------

    def pulse(self, operation: Operation, pulses: Pulses, progress: Progress) -> int:
        """Fire pulses of one operation; returns how many selected cells were pulsed."""
        self._rows.forget(pulses.row.tolist())
        state = self.cells
        counts = {
            Operation.FORM: state.form_pulses,
            Operation.SET: state.set_pulses,
            Operation.RESET: state.reset_pulses,
        }
        if self._stuck is not None:
            return self._pulse_stuck(self._stuck, operation, counts[operation], pulses, progress)
        return pulsing.fire(state, counts[operation], pulses, self.rules, progress)

    def _pulse_stuck(
        self,
        stuck: StuckLines,
        operation: Operation,
        counts: UInt32Array,
        pulses: Pulses,
        progress: Progress,
    ) -> int:
        """As `pulse`, where some switches do not obey; counts are of what was commanded."""
        masks = stuck.pulsed(operation, pulses.masks)
        pulsing.fire(self.cells, counts, pulses._replace(masks=masks), self.rules, progress)
        for line, correction in stuck.corrections(pulses.masks, masks):
            np.add.at(counts[:, line], pulses.row, correction)
        return int(np.bitwise_count(pulses.masks).sum(dtype=np.int64))

    def warm_up(self) -> None:
        """Fire no pulse, so that the kernel is compiled before a host waits for its first one."""
        none = np.zeros(0, dtype=np.int64)
        masks = np.zeros((0, self.cells.flags.shape[1] // 8), dtype=np.uint8)
        counts = np.zeros(1, dtype=np.uint16)
        pulses = Pulses(none, none, none, none, none, masks)
        self.pulse(Operation.FORM, pulses, Progress(counts, counts, 0))

    @cached_property
    def rules(self) -> Rules:
        """What pulses go by on this chip; the cells' constants are drawn when first needed."""
        keys, forming, switching = self._cell_keys, self._forming, self._switching
        rows, columns = self.cells.flags.shape
        drawn = devices.devices((rows, columns), keys, forming, switching, self._tables)
        return Rules(keys, forming, switching, self._tables, drawn)

    # --- conversions -------------------------------------------------------------------------

    def read_through(self, numbers: ReadNumbers) -> None:
        """Read through another front end from now on; what was cached of the old one is dropped."""
        self._read = numbers
        self._lines.clear()
        self._prepared_from[:] = -1

    def block(
        self, rows: Int64Array, columns: Int64Array, groups: Iterable[Group], range_index: int
    ) -> Block:
        """Prepare a read of these rows and columns, each ascending and at least one.

        `groups` are the rows once more, those sampled at once together.
        """
        lines = self._prepared(groups, range_index)
        return readpath.block(rows, columns, self._counts, lines)

    def read(self, block: Block, start: int, stop: int) -> Codes:
        """Measure conversions `start` to `stop` of a read, in the order (read, row, column).

        Each is measured once: the next call must go on where this one stopped.
        """
        out = np.empty(stop - start, dtype=np.uint16)
        saturated = readpath.read(start, stop, block, self._noise_keys, self._tables.normal, out)
        rows, width = block.level.shape
        reads, rest = divmod(stop, rows * width)
        partial = np.clip(rest - np.arange(rows) * width, 0, width)
        self._counts[block.rows] = block.counts + (reads * width + partial).astype(np.uint64)
        return Codes(out, saturated)

    def read_points(self, rows: Int64Array, columns: Int64Array, range_index: int) -> Codes:
        """Measure single cells, in the order given; each row is sampled alone."""
        lines = self._prepared([(row,) for row in np.unique(rows).tolist()], range_index)
        out = np.empty(len(rows), dtype=np.uint16)
        saturated = readpath.read_points(
            rows, columns, self._counts, lines, self._noise_keys, self._tables.normal, out
        )
        return Codes(out, saturated)

    def measure_zeros(
        self, rows: Int64Array, groups: Iterable[Group], conversions: int, range_index: int
    ) -> UInt32Array:
        """Sum dark conversions of each row; see `block` for the groups."""
        # a line that is stuck at the read voltage is not dark
        lines = self._prepared(groups, range_index) if self._stuck else self._lines_of(range_index)
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

    def multiply(self, schedule: Schedule, inputs: Inputs, first: int, columns: int) -> Products:
        """Run a schedule; the zeros of its rows were measured.

        Parameters
        ----------
        inputs : Inputs
        first, columns : int
            The columns of the inputs; bit lines outside are at ground.
        """
        window = slice(first, first + columns)

        def matrix_of(start: int, stop: int) -> Matrix:
            return self._matrices.of(
                schedule, slice(start, stop), window, self._effective, self._read.noise, self._stuck
            )

        rows = Rows(
            dark=np.stack([self._lines_of(r).dark for r in range(len(self._prepared_from))]),
            zero=(self._arrays["zero_sums"].astype(np.int64) + self._zero_conversions // 2)
            // self._zero_conversions,
            counts=self._counts.copy(),
        )
        if self._stuck is not None:
            inputs = inputs.with_one_more(columns)
        keys, normal = self._noise_keys, self._tables.normal
        products = multiply(schedule, matrix_of, inputs, rows, keys, self._read, normal)
        vectors, planes, _ = inputs.planes.shape
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

    def flush(self) -> None:
        """Bring the state to the disk."""
        self._file.flush()

    @property
    def _counts(self) -> readpath.UInt64Array:
        return self._arrays["conversions"]

    def _effective(self, group: Group) -> Solution:
        """Effective conductances of rows that are sampled at once: what every conversion sees."""
        return self._rows.of(group)

    def _prepared(self, groups: Iterable[Group], range_index: int) -> Lines:
        """Lines of a range, up to date for the rows of these groups."""
        lines = self._lines_of(range_index)
        prepared_from = self._prepared_from[range_index]
        for group in groups:
            solution = self._effective(group)
            stale = prepared_from[list(group)] != solution.number
            if stale.any():
                numbers = np.array(group, dtype=np.int64)
                rows_ps = solution.effective_ps
                if self._stuck is not None:
                    rows_ps = self._stuck.measured_ps(rows_ps)
                readpath.prepare(numbers, range_index, rows_ps, self._read, lines)
                if self._stuck is not None and self._stuck.driven:
                    # a line that is always driven reads the same beside any other, or beside none
                    lines.dark[numbers] = lines.level[numbers, self._stuck.driven[0]]
                prepared_from[numbers] = solution.number
        return lines

    def _lines_of(self, range_index: int) -> Lines:
        """Lines of a range; of their cells, only those of prepared rows mean something."""
        lines = self._lines.get(range_index)
        if lines is None:
            shape = self.cells.flags.shape
            lines = self._lines[range_index] = Lines(
                level=np.zeros(shape, dtype=np.int32),
                spread=np.zeros(shape, dtype=np.int32),
                dark=np.zeros(shape[0], dtype=np.int32),
                dark_spread=self._read.adc_noise,
                top=self._read.top,
                transfer=self._read.transfer,
            )
            readpath.prepare_dark(range_index, self._read, lines.dark)
        return lines


def make_chip(
    path: Path, profile: Profile, seed: int, index: int, generation: int, faults: Defects
) -> None:
    """Write the state file of a fresh chip, replacing the one that is there."""
    key = _chip_key(seed, index, generation)
    numbers = fixedpoint.forming_numbers(profile)

    def fill(arrays: Arrays) -> None:
        state = _cells(arrays)
        unformed = np.uint64(child(key, Stream.UNFORMED))
        cells.fill_unformed(state.conductance_ps, unformed, numbers, tables.load())
        defects.place(faults, key, numbers.shorted_ps, state.conductance_ps, state.flags)

    identity = _identity(profile, seed, index, generation)
    create(path, identity, _layout(profile), fill)


def open_chip(
    path: Path, profile: Profile, seed: int, index: int, *, writable: bool = True
) -> StateFile:
    """Open a chip's state file; see `state.open_state`."""
    return open_state(path, _identity(profile, seed, index, 0), _layout(profile), writable=writable)


class ChipTruth(NamedTuple):
    """What is true of a chip, which no measurement shows; for people and tests.

    Attributes
    ----------
    serial : str
    form_pulses_min, form_pulses_max : int
        Over the cells.
    form_pulses_total, set_pulses, reset_pulses : int
        Over all cells together.
    formed : int
        Cells whose dielectric has broken down.
    off, stuck : int
        Formed cells in their off state, and cells that no SET or RESET changes any more.
    cycles_max : int
        The most that one cell was switched off and on again.
    conversions, switch_loads : int
    cells : Cells
        The state itself, read-only; it follows what a serving process does.
    """

    serial: str
    form_pulses_min: int
    form_pulses_max: int
    form_pulses_total: int
    set_pulses: int
    reset_pulses: int
    formed: int
    off: int
    stuck: int
    cycles_max: int
    conversions: int
    switch_loads: int
    cells: Cells


def truth(file: StateFile) -> ChipTruth:
    """Sum up an open chip."""
    state = _cells(file.arrays)
    return ChipTruth(
        serial=file.identity.serial,
        form_pulses_min=int(state.form_pulses.min()),
        form_pulses_max=int(state.form_pulses.max()),
        form_pulses_total=int(state.form_pulses.sum(dtype=np.uint64)),
        set_pulses=int(state.set_pulses.sum(dtype=np.uint64)),
        reset_pulses=int(state.reset_pulses.sum(dtype=np.uint64)),
        formed=int(np.count_nonzero(state.flags & cells.FORMED)),
        off=int(np.count_nonzero(state.flags & cells.OFF)),
        stuck=int(np.count_nonzero(state.flags & cells.STUCK)),
        cycles_max=int(state.cycles.max()),
        conversions=int(file.arrays["conversions"].sum()),
        switch_loads=int(file.arrays["switch_loads"][0]),
        cells=state,
    )


def _identity(profile: Profile, seed: int, index: int, generation: int) -> Identity:
    return Identity(
        kind="chip",
        seed=seed,
        chip=index,
        generation=generation,
        profile=profile.name,
        profile_digest=profile.digest,
        serial=f"R40-{seed}-{index}-{generation}",
    )


def _layout(profile: Profile) -> Layout:
    rows, columns = profile.array.rows.value, profile.array.columns.value
    return {
        "conductance_ps": ArraySpec("<u4", (rows, columns)),
        "flags": ArraySpec("u1", (rows, columns)),
        "form_pulses": ArraySpec("<u4", (rows, columns)),
        "set_pulses": ArraySpec("<u4", (rows, columns)),
        "reset_pulses": ArraySpec("<u4", (rows, columns)),
        "cycles": ArraySpec("<u4", (rows, columns)),
        "conversions": ArraySpec("<u8", (rows,)),
        "zero_sums": ArraySpec("<u4", (len(profile.converters.ranges), rows)),
        "switch_loads": ArraySpec("<u8", (1,)),
    }


def _cells(arrays: Arrays) -> Cells:
    return Cells(*(arrays[name] for name in Cells._fields))


def _chip_key(seed: int, index: int, generation: int) -> int:
    if index < 0 or generation < 0:
        raise NoSuchBoard(f"There is no chip {index} of generation {generation}.")
    return child(child(seed, 0), Stream.CHIP, index, generation)
