"""Chips as files: how a fresh one begins, how one is opened, and what is true of it.

Owns the layout of a chip's state and its identity. Knows neither pulses nor conversions.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sim_backend import cells, defects, fixedpoint, tables, technology, thermal
from sim_backend.cells import Cells
from sim_backend.defects import Defects
from sim_backend.errors import NoSuchBoard, StateDamaged
from sim_backend.profile import Profile
from sim_backend.randomness import Stream, child
from sim_backend.state import Arrays, ArraySpec, Identity, Layout, StateFile, create, open_state
from sim_backend.technology import DEFAULT_TECHNOLOGY


def make_chip(
    path: Path,
    profile: Profile,
    seed: int,
    index: int,
    generation: int,
    faults: Defects,
    kind: str = DEFAULT_TECHNOLOGY,
) -> None:
    """Write the state file of a fresh chip, replacing the one that is there.

    Parameters
    ----------
    kind : str
        Its technology.

    Raises
    ------
    NoSuchTechnology
        There is none of that name.
    """
    key = chip_key(seed, index, generation)
    numbers = fixedpoint.forming_numbers(profile)

    def fill(arrays: Arrays) -> None:
        state = cells_of(arrays)
        unformed = np.uint64(child(key, Stream.UNFORMED))
        cells.fill_unformed(state.conductance_ps, unformed, numbers, tables.load())
        defects.place(faults, key, numbers.shorted_ps, state.conductance_ps, state.flags)

    identity = _identity(profile, seed, index, generation, kind)
    create(path, identity, _layout(profile), fill)


def open_chip(
    path: Path, profile: Profile, seed: int, index: int, *, writable: bool = True
) -> StateFile:
    """Open a chip's state file; see `state.open_state`."""
    wanted = _identity(profile, seed, index, 0, DEFAULT_TECHNOLOGY)
    file = open_state(path, wanted, _layout(profile), writable=writable)
    kind, digest = file.identity.technology, file.identity.technology_digest
    if kind not in technology.names() or technology.load(kind).digest != digest:
        if writable:
            file.seal()  # as it was
        raise StateDamaged(f"{path} belongs to another technology {kind} than there is now.")
    return file


class ChipTruth(NamedTuple):
    """What is true of a chip, which no measurement shows; for people and tests.

    Attributes
    ----------
    serial, technology : str
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
    board_time_s, temperature_k : float
        Of its board.
    age_s : float
        Since a pulse last changed a cell, at the technology's reference temperature: time at
        another temperature counts more or less.
    cells : Cells
        The state itself, read-only; it follows what a serving process does.
    """

    serial: str
    technology: str
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
    board_time_s: float
    temperature_k: float
    age_s: float
    cells: Cells


def truth(file: StateFile, clock_ns: int, temperature_mk: int) -> ChipTruth:
    """Sum up an open chip, by the clock and temperature of its board."""
    state = cells_of(file.arrays)
    kind = technology.load(file.identity.technology)
    slot_s = kind.relaxation.slot_s.value
    clock = thermal.ThermalClock(file.arrays, kind.temperature, fixedpoint.scaled(slot_s, 10**6))
    changed = (state.flags & cells.FORMED).any()
    age = clock.slot(clock_ns) - int(state.changed_slot.max()) if changed else 0
    return ChipTruth(
        serial=file.identity.serial,
        technology=file.identity.technology,
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
        board_time_s=clock_ns / 1e9,
        temperature_k=temperature_mk / 1000,
        age_s=age * float(slot_s),
        cells=state,
    )


def _identity(profile: Profile, seed: int, index: int, generation: int, kind: str) -> Identity:
    return Identity(
        kind="chip",
        seed=seed,
        chip=index,
        generation=generation,
        profile=profile.name,
        profile_digest=profile.digest,
        serial=chip_serial(seed, index, generation),
        technology=kind,
        technology_digest=technology.load(kind).digest,
    )


def chip_serial(seed: int, index: int, generation: int) -> str:
    """Serial number of a chip, by its board's seed, its socket and the chips before it there."""
    return f"R40-{seed}-{index}-{generation}"


def _layout(profile: Profile) -> Layout:
    rows, columns = profile.array.rows.value, profile.array.columns.value
    return {
        "conductance_ps": ArraySpec("<u4", (rows, columns)),
        "flags": ArraySpec("u1", (rows, columns)),
        "form_pulses": ArraySpec("<u4", (rows, columns)),
        "set_pulses": ArraySpec("<u4", (rows, columns)),
        "reset_pulses": ArraySpec("<u4", (rows, columns)),
        "cycles": ArraySpec("<u4", (rows, columns)),
        "changed_slot": ArraySpec("<u8", (rows, columns)),
        "conversions": ArraySpec("<u8", (rows,)),
        "zero_sums": ArraySpec("<u4", (len(profile.converters.ranges), rows)),
        "switch_loads": ArraySpec("<u8", (1,)),
        **thermal.LAYOUT,
    }


def cells_of(arrays: Arrays) -> Cells:
    """The cells' state among the arrays of a chip's file."""
    return Cells(*(arrays[name] for name in Cells._fields))


def chip_key(seed: int, index: int, generation: int) -> int:
    """Key of everything that is drawn for a chip.

    Raises
    ------
    NoSuchBoard
        A number is negative.
    """
    if index < 0 or generation < 0:
        raise NoSuchBoard(f"There is no chip {index} of generation {generation}.")
    return child(child(seed, 0), Stream.CHIP, index, generation)
