"""The simulated board: chips, registers, clock and non-volatile memory behind the firmware.

Owns the folder of one board, its lock, DAC and switch registers and the board's clock, which
counts integer nanoseconds and never sleeps. Carries out what it is told; limits are the
firmware's. Speaks the board's units: row numbers, microvolt, nanosecond.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, NoReturn

import numpy as np
from filelock import FileLock, Timeout

from firmware_protocol.executor import FrameId
from firmware_protocol.messages import Operation
from sim_backend import chips as chip_files
from sim_backend import profile, state
from sim_backend.cells import Progress, Pulses, UInt8Array, UInt16Array, UInt32Array, leading
from sim_backend.chips import ChipTruth
from sim_backend.defects import Defects
from sim_backend.errors import NoSuchBoard, OutOfRange, StateHeld
from sim_backend.faults import BrownOut, DeadChannel, Faults, PowerLost, StuckSwitch
from sim_backend.faults.converters import drifts, with_dead_channels
from sim_backend.faults.fitting import refuse_what_is_not_there
from sim_backend.faults.model import NONE
from sim_backend.faults.supply import Dip, Supply
from sim_backend.faults.switches import stuck_lines
from sim_backend.fixedpoint import Int64Array
from sim_backend.frontend import FrontEnd, front_end
from sim_backend.macro import Macro
from sim_backend.multiply import Inputs, Products, Schedule
from sim_backend.outcomes import RING_LAYOUT, OutcomeRing
from sim_backend.profile import Profile
from sim_backend.readpath import UInt64Array
from sim_backend.registers import LineState, Registers
from sim_backend.state import ArraySpec, Identity, StateFile
from sim_backend.technology import DEFAULT_TECHNOLOGY
from sim_backend.timing import Timing

DEFAULT_PROFILE = "rram40_256k"
MAX_SEED = (1 << 32) - 1
MAX_CHIPS = 64
_ZERO_C_IN_K = Decimal("273.15")
LAST_NS = 1 << 61
"""Where board time ends: 73 years."""


class ReadPart(NamedTuple):
    """A part of a read.

    Attributes
    ----------
    first : int
        Number of its first conversion, in the order (read, row, column).
    board_time_ns : int
        Clock before that conversion.
    codes : (n,) uint16
    saturated : int
        Codes at either end of the scale.
    """

    first: int
    board_time_ns: int
    codes: UInt16Array
    saturated: int


class SimulatedBoard:
    """A board in a folder, opened or made; a context manager.

    Parameters
    ----------
    root : Path
        Folder of all simulated boards; this one lives in a subfolder named by its serial.
    seed : int
        0 to 2^32 - 1; names the board and decides everything that is drawn.
    chips : int
        Sockets in use, 1 to 64, each with a chip; the board and the chips in its first sockets are
        the same for any number.
    profile_name : str
        Board profile.
    faults : Faults
        What is wrong with the board, and with chips that are made while it is open.

    Raises
    ------
    OutOfRange
        Seed or number of chips is out of range, or a fault is of something that is not there.
    StateHeld
        Another process serves this board.
    StateDamaged
        A file of the board is damaged or belongs to something else.
    """

    def __init__(
        self,
        root: Path,
        seed: int,
        chips: int,
        profile_name: str = DEFAULT_PROFILE,
        *,
        faults: Faults = NONE,
    ) -> None:
        self.profile = profile.load(profile_name)
        self.seed = seed
        self.serial = board_serial(seed, chips)
        refuse_what_is_not_there(faults, self.profile, chips)
        self._faults = faults
        self._supply = Supply(faults.of_board(BrownOut))
        self.drifts = drifts(faults, self.profile)
        self.folder = root / self.serial
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _hold(self.folder, self.serial)
        with ExitStack() as undone:
            undone.callback(self._lock.release)
            self._file = _open_board(self.folder, self.profile, seed)
            undone.callback(self._file.seal)
            # views that give plain integers: every STATUS asks
            self._clock_ns = self._file.arrays["clock_ns"].data
            self._temperature_mk = self._file.arrays["temperature_mk"].data
            self._front = self._front_at(self.temperature_mk)
            self.outcomes = OutcomeRing(self._file.arrays)
            self.timing = Timing.of(self.profile)
            self.reading = False
            """Whether a read has begun and not ended."""
            self.registers = Registers.of(self.profile, chips)
            self.chips: list[Macro] = []
            for index in range(chips):
                self.chips.append(self._open_chip(index))
                undone.callback(self.chips[index].seal)
            self.chips[0].warm_up(self.clock_ns)
            undone.pop_all()

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Bring the state to the disk, sealed, and let others serve the board."""
        self.registers.make_safe()
        self._file.seal()
        for chip in self.chips:
            chip.seal()
        self._lock.release()

    # --- the board's own ---------------------------------------------------------------------

    @property
    def clock_ns(self) -> int:
        """Board time."""
        return self._clock_ns[0]

    @clock_ns.setter
    def clock_ns(self, time_ns: int) -> None:
        self._clock_ns[0] = time_ns

    @property
    def temperature_mk(self) -> int:
        """Temperature of board and chips."""
        return self._temperature_mk[0]

    @property
    def measurements(self) -> UInt64Array:
        """Conversions of references since the board was made, (channels,); measuring adds to it."""
        return self._file.arrays["measurements"]

    @property
    def front(self) -> FrontEnd:
        """DACs, amplifiers and converters as they are at this temperature."""
        return self._front

    def advance(self, duration_ns: int, temperature_mk: int | None = None) -> None:
        """Let board time pass while nothing happens, at another temperature if one is given.

        The board stays at that temperature.

        Raises
        ------
        OutOfRange
            Time or temperature is beyond what the board bears; nothing was done.
        """
        if not 0 <= duration_ns <= LAST_NS - self.clock_ns:
            raise OutOfRange(
                f"Board time can go on by 0 to {(LAST_NS - self.clock_ns) / 1e9:.0f} s, "
                f"not by {(Decimal(duration_ns) / 10**9).normalize():g} s."
            )
        if temperature_mk is not None:
            self._set_temperature(temperature_mk)
        self.clock_ns += duration_ns

    def _front_at(self, temperature_mk: int) -> FrontEnd:
        front = front_end(self.profile, self.seed, temperature_mk)
        dead = self._faults.of_board(DeadChannel)
        return with_dead_channels(front, dead) if dead else front

    def _set_temperature(self, temperature_mk: int) -> None:
        limits = self.profile.environment
        low_k, high_k = limits.temperature_min_k.value, limits.temperature_max_k.value
        if not low_k * 1000 <= temperature_mk <= high_k * 1000:
            raise OutOfRange(
                f"The board's temperature can be {low_k} K to {high_k} K "
                f"({low_k - _ZERO_C_IN_K} to {high_k - _ZERO_C_IN_K} degC), "
                f"not {temperature_mk / 1000:g} K."
            )
        # the board first: should this end here, the chips follow when the board is opened
        self._temperature_mk[0] = temperature_mk
        self._front = self._front_at(temperature_mk)
        for chip in self.chips:
            chip.set_temperature(self.clock_ns, temperature_mk)
            chip.read_through(self._front.read)

    def next_session(self) -> int:
        """Count sessions, from 1, across restarts."""
        self._file.arrays["session"][0] += 1
        return int(self._file.arrays["session"][0])

    def replace_chip(
        self,
        index: int,
        defects: Defects = Defects(),  # noqa: B008
        technology: str = DEFAULT_TECHNOLOGY,
    ) -> None:
        """Put a fresh chip into a socket; the old one is gone.

        Raises
        ------
        NoSuchBoard
            There is no such socket.
        OutOfRange
            The defects do not fit, or there is no such technology.
        """
        if not 0 <= index < len(self.chips):
            raise NoSuchBoard(
                f"{self.serial} has no chip {index}, only 0 to {len(self.chips) - 1}."
            )
        path = chip_path(self.folder, index)
        old = chip_files.open_chip(path, self.profile, self.seed, index, writable=False)
        generation = old.identity.generation + 1
        chip_files.make_chip(path, self.profile, self.seed, index, generation, defects, technology)
        self.chips[index] = self._open_chip(index)

    # --- operations: what was checked is done, registers follow, the clock moves ----------------

    def pulse(self, frame: FrameId, chip: int, operation: Operation, pulses: Pulses) -> int:
        """Fire pulses of one operation; returns how many cells were pulsed.

        The outcome is recorded under the frame's name. Afterwards word lines and rails are at
        zero; the switches keep the pattern of the last pulse.
        """
        count = len(pulses.row)
        progress = self.outcomes.intend(*frame, chip, operation, count)
        dip = self._supply.draw(count)
        if dip is not None:
            self._fail_while_pulsing(dip, chip, operation, pulses, progress)
        pulsed = self._fire(chip, operation, pulses, progress)
        mask = np.unpackbits(pulses.masks[-1], bitorder="little")
        self._switch(chip, np.where(mask, LineState.RAIL_A, LineState.RAIL_B), count)
        self.clock_ns += self.timing.pulses_ns(pulses.width_ns)
        self.outcomes.complete(progress)
        return pulsed

    def _fail_while_pulsing(
        self, dip: Dip, chip: int, operation: Operation, pulses: Pulses, progress: Progress
    ) -> NoReturn:
        """Fire what begins before a brown-out; of the pulse under way no end is recorded."""
        begun = leading(pulses, dip.begun)
        self._fire(chip, operation, begun, progress)
        progress.finished[progress.slot] = dip.ended
        self.clock_ns += self.timing.pulses_ns(begun.width_ns)
        raise PowerLost(dip.off_s)

    def _fire(self, chip: int, operation: Operation, pulses: Pulses, progress: Progress) -> int:
        ends_ns = self.clock_ns + self.timing.pulse_ends_ns(pulses.width_ns)
        return self.chips[chip].pulse(operation, pulses, ends_ns.tolist(), progress)

    def spend(self, operations: int) -> None:
        """Count operations that only measure or wait; a brown-out among them loses them all."""
        dip = self._supply.draw(operations)
        if dip is not None:
            raise PowerLost(dip.off_s)

    def wait(self, duration_ns: int) -> None:
        """Let board time pass; nothing else happens."""
        self.spend(1)
        self.clock_ns += duration_ns

    def read(
        self,
        chip: int,
        rows: Int64Array,
        columns: Int64Array,
        reads: int,
        range_index: int,
        words: int,
    ) -> Generator[ReadPart, None, None]:
        """Measure cells, at most `words` conversions each time a part is asked for.

        Parts end where a row ends, if they have room for a row. Left early, the rest is not
        measured and the clock stays where the last part ended.
        """
        self.spend(1)
        start_ns = self.clock_ns
        macro = self.chips[chip]
        plan = self.timing.read(rows, len(columns), range_index)
        sampling = macro.sampling(rows, columns, range_index, start_ns, plan)
        part = words - words % len(columns) if words > len(columns) else words
        total = reads * len(rows) * len(columns)
        stop = 0
        self.reading = True
        try:
            while stop < total:
                start, stop = stop, min(stop + part, total)
                codes, saturated = macro.read(sampling, start, stop)
                if self.drifts is not None:
                    codes, saturated = self.drifts.spoil_part(
                        codes, start, rows, plan, start_ns, range_index
                    )
                self.clock_ns = max(self.clock_ns, start_ns + plan.after_ns(stop - 1))
                yield ReadPart(start, start_ns + plan.before_ns(start), codes, saturated)
        finally:
            self.reading = False
        self._select(chip, columns[-1:], reads * plan.groups * len(columns))

    def read_points(
        self, chip: int, rows: Int64Array, columns: Int64Array, range_index: int
    ) -> UInt16Array:
        """Measure single cells, in the order given; returns their codes."""
        self.spend(len(rows))
        times_ns = self.clock_ns + self.timing.point_times_ns(len(rows), range_index)
        codes = self.chips[chip].read_points(rows, columns, range_index, times_ns).codes
        if self.drifts is not None:
            codes, _ = self.drifts.spoil(codes, rows, range_index, times_ns.tolist())
        self._select(chip, columns[-1:], len(rows))
        self.clock_ns += self.timing.points_ns(len(rows), range_index)
        return codes

    def measure_zeros(self, chip: int, rows: Int64Array, range_index: int) -> UInt32Array:
        """Measure the zeros of these rows with all bit lines grounded; returns the sums."""
        conversions = self.profile.converters.zero_conversions.value
        self.spend(1)
        groups = self.timing.read(rows, 1, range_index).rows_of_groups(rows)
        sums = self.chips[chip].measure_zeros(rows, groups, conversions, range_index, self.clock_ns)
        if self.drifts is not None:
            sums = self.drifts.spoil_zeros(sums, rows, range_index, self.clock_ns, conversions)
        self.chips[chip].keep_zeros(sums, rows, range_index)
        self._select(chip, rows[:0], int(self.timing.groups(rows)[-1]) + 1)
        self.clock_ns += self.timing.zeros_ns(rows, conversions, range_index)
        return sums

    def multiply(
        self, chip: int, schedule: Schedule, inputs: Inputs, first_column: int, columns: int
    ) -> Products:
        """Run a gate schedule on inputs for some columns; the zeros of its rows were measured."""
        vectors, planes, _ = inputs.planes.shape
        self.spend(vectors)
        vector_ns = self.timing.multiply_ns(1, planes, schedule.range_index)
        products = self.chips[chip].multiply(
            schedule, inputs, slice(first_column, first_column + columns), self.clock_ns, vector_ns
        )
        if self.drifts is not None:
            products = self.drifts.spoil_products(
                products, schedule, inputs, self.clock_ns, vector_ns
            )
        last = np.zeros(self.profile.array.columns.value, dtype=np.uint8)
        last[first_column : first_column + columns] = np.unpackbits(
            inputs.planes[-1, -1], count=columns, bitorder="little"
        )
        loads = vectors * planes * len(schedule.groups)
        self._select(chip, np.flatnonzero(last & schedule.gates[-1]), loads)
        self.clock_ns += vectors * vector_ns
        return products

    def _select(self, chip: int, columns: Int64Array, loads: int) -> None:
        """Leave these bit lines at the read voltage and the others at ground."""
        lines = np.full(self.profile.array.columns.value, LineState.GND, dtype=np.uint8)
        lines[columns] = LineState.RAIL_A
        self._switch(chip, lines, loads)

    def _switch(self, chip: int, lines: UInt8Array, loads: int) -> None:
        self.registers.lines[chip] = lines
        self.chips[chip].count_switch_loads(loads)

    def _open_chip(self, index: int) -> Macro:
        path = chip_path(self.folder, index)
        if not path.exists():
            chip_files.make_chip(path, self.profile, self.seed, index, 0, self._faults.chip)
        stuck = stuck_lines(self._faults.of_board(StuckSwitch), index)
        chip = Macro(path, self.profile, self.seed, index, self._front.read, stuck)
        chip.set_temperature(self.clock_ns, self.temperature_mk)
        return chip


def sockets_kept(root: Path, seed: int) -> int:
    """Count the sockets of a board that were ever in use; 0 if it was never made.

    Raises
    ------
    OutOfRange
        The seed is out of range.
    """
    return len(list((root / board_serial(seed, 1)).glob("chip-*.state")))


def inspect(
    root: Path, seed: int, chips: int, index: int, profile_name: str = DEFAULT_PROFILE
) -> ChipTruth:
    """Look at a chip from outside, also while another process serves its board.

    Raises
    ------
    NoSuchBoard
        The board has no such socket, or was never opened.
    StateDamaged
        The chip's file is damaged.
    """
    serial = board_serial(seed, chips)
    if not 0 <= index < chips:
        raise NoSuchBoard(f"{serial} has no chip {index}, only 0 to {chips - 1}.")
    facts = profile.load(profile_name)
    file = chip_files.open_chip(chip_path(root / serial, index), facts, seed, index, writable=False)
    board = _open_board(root / serial, facts, seed, writable=False).arrays
    return chip_files.truth(file, int(board["clock_ns"][0]), int(board["temperature_mk"][0]))


def board_serial(seed: int, chips: int) -> str:
    """Serial number of a board, which is also the name of its folder.

    Raises
    ------
    OutOfRange
        Seed or number of chips is out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise OutOfRange(f"A simulated board's seed is 0 to {MAX_SEED}, not {seed}.")
    if not 1 <= chips <= MAX_CHIPS:
        raise OutOfRange(f"A simulated board has 1 to {MAX_CHIPS} chips, not {chips}.")
    return f"SIM-{seed}"


def chip_path(folder: Path, index: int) -> Path:
    """State file of a chip in the folder of its board."""
    return folder / f"chip-{index}.state"


def _hold(folder: Path, serial: str) -> FileLock:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StateHeld(f"Another process serves the simulated board {serial}.") from error
    return lock


def _open_board(folder: Path, profile: Profile, seed: int, *, writable: bool = True) -> StateFile:
    path = folder / "board.state"
    identity = Identity(
        kind="board",
        seed=seed,
        chip=0,
        generation=0,
        profile=profile.name,
        profile_digest=profile.digest,
        serial=folder.name,
    )
    layout: state.Layout = {
        "session": ArraySpec("<u4", (1,)),
        "clock_ns": ArraySpec("<u8", (1,)),
        "temperature_mk": ArraySpec("<u4", (1,)),
        "measurements": ArraySpec("<u8", (profile.converters.channels.value,)),
        **RING_LAYOUT,
    }
    start_mk = int(profile.environment.temperature_k.value * 1000)

    def fill(arrays: state.Arrays) -> None:
        arrays["temperature_mk"][0] = start_mk

    if writable and not path.exists():
        state.create(path, identity, layout, fill)
    return state.open_state(path, identity, layout, writable=writable)
