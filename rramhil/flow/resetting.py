"""Pruning by RESET: the masks of a run pulsed into the cells, in place of gates.

Owns: the order of things: cells are read, what the masks prune is RESET and what they use again is
SET, only what changes; then cells are read again, and what is left of pruned ones is measured. An
interrupted run is finished by another, and so are failed pulses: reading says what is left to do,
and a cell that is off gets no second RESET.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.driver import Board
from rramhil.errors import MaskError
from rramhil.flow.chips import KnownChip
from rramhil.lab import ConductanceMap, Lab
from rramhil.network import Run
from rramhil.programming import FORMED_ABOVE_uS, Progress, Silent, pulse_mask, pulse_of
from rramhil.programming.operations import board_time_s, energy_j, row_operations
from rramhil.programming.readback import Origin, read_chip
from rramhil.switching import CellChanges, off_cells, reset_plan

BoolArray = npt.NDArray[np.bool_]

_READS = 4
_ON_ABOVE = 0.7
"""Of what a cell conducted when masks were trained: above that, its RESET has failed. Off levels
scatter widely: one in twenty is above `FORMED_ABOVE_uS`, a few in a million are above this."""

_SET_ABOVE = 0.5
"""Of the median of formed cells: above that a cell is on which got a SET, and conducts anew."""

_MOST_WRONG = 0.05
"""Share of cells that may be on or off other than masks have it: some pulses fail."""


Within = Callable[[CellChanges, int], CellChanges]


@dataclass(frozen=True, eq=False)
class ResetPruned:
    """What was pulsed into one chip, and what is left.

    Attributes
    ----------
    reset_pulses, set_pulses : int
    pruned : int
        Formed cells that the masks prune.
    residual_uS : float or None
        Mean conductance of these as measured afterwards; None where there is none.
    still_on : int
        Pruned cells that are on all the same, as their RESET has failed: another run pulses these.
    map_id : str
        The read-back afterwards.
    """

    reset_pulses: int
    set_pulses: int
    pruned: int
    residual_uS: float | None
    still_on: int
    map_id: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dict(vars(self))


def preview_reset(
    board: Board, lab: Lab, run: Run, chips: Mapping[int, KnownChip]
) -> dict[str, Any]:
    """Say what `prune_by_reset` would do, by the newest maps; asks for a description only.

    Raises
    ------
    MaskError
        Layers share cells.
    LimitRefused
        The board has no such pulses.
    """
    description = board.description
    total = {"reset_pulses": 0, "set_pulses": 0, "row_operations": 0}
    time_s = spent_j = 0.0
    for number, chip in chips.items():
        changes = _changes(run, number, _formed(lab, run, chip), chip.measured)
        for operation, cells in _parts(changes):
            rows = row_operations(pulse_of(operation, description), description, cells)
            total[f"{operation.name.lower()}_pulses"] += int(cells.sum())
            total["row_operations"] += len(rows)
            time_s += board_time_s(rows, description)
            spent_j += energy_j(rows, description)
    return {**total, "board_time_s": time_s, "energy_j": spent_j, "dry_run": True}


def prune_by_reset(
    board: Board,
    lab: Lab,
    run: Run,
    chips: Mapping[int, KnownChip],
    progress: Progress | None = None,
    within: Within = lambda changes, number: changes,
) -> dict[int, ResetPruned]:
    """Pulse the masks of a run into its chips; see the module.

    Parameters
    ----------
    within : callable, optional
        Takes what is to be changed on a chip, and the chip's socket; gives what of it may be.

    Raises
    ------
    MaskError
        Layers share cells.
    UnfinishedJob, LimitRefused, BoardHeld, BoardError, LinkLost, Interrupted
        As `programming.pulse_mask`.
    """
    watch = progress or Silent()
    done: dict[int, ResetPruned] = {}
    for number, chip in chips.items():
        formed = _formed(lab, run, chip)
        now = _read(board, lab, chip, 1, watch, "before RESET")
        changes = within(_changes(run, number, formed, now), number)
        pulses = {
            operation: pulse_mask(
                board, lab, number, pulse_of(operation, board.description), cells, progress=watch
            )
            if cells.any()
            else 0
            for operation, cells in _parts(changes)
        }
        after = _read(board, lab, chip, _READS, watch, f"after RESET by masks {run.masks.id}")
        entry = lab.maps.save(after)
        pruned = off_cells(run.masks.masks, run.placement)[number] & formed.cells
        left = after.conductance_uS[pruned]
        done[number] = ResetPruned(
            reset_pulses=pulses[Operation.RESET],
            set_pulses=pulses[Operation.SET],
            pruned=int(pruned.sum()),
            residual_uS=float(left.mean()) if left.size else None,
            still_on=int((pruned & formed.on_in(after)).sum()),
            map_id=entry.id,
        )
    return done


def refuse_what_is_not_reset(name: str, run: Run, lab: Lab, chips: Mapping[int, KnownChip]) -> None:
    """Refuse chips whose newest map shows cells that are on or off other than a run's masks.

    Parameters
    ----------
    name : str
        Of the run, as `find_run` takes it.

    Raises
    ------
    MaskError
        They are not as the masks have them, or layers share cells.
    """
    pruned = off_cells(run.masks.masks, run.placement)
    for number, chip in chips.items():
        formed = _formed(lab, run, chip)
        cells = pruned[number] & formed.cells
        on = int((cells & formed.on_in(chip.measured)).sum())
        if on > _MOST_WRONG * cells.sum():
            raise MaskError(
                f"Of {int(cells.sum()):,} cells of chip {number} that the masks prune, {on:,} "
                f"conduct by its newest map {chip.map_id}: they were not RESET.",
                f"`rramhil mask apply {name} --by reset` does that.",
            )
    lost = cells_lost(run, lab, chips)
    if lost is not None:
        raise MaskError(lost, f"`rramhil mask apply {name} --by reset` sets them again.")


def cells_lost(run: Run, lab: Lab, chips: Mapping[int, KnownChip]) -> str | None:
    """Say that cells which a run's masks use were RESET since it was trained; None if few were."""
    for number, chip in chips.items():
        formed = _formed(lab, run, chip)
        used = _used(run, number) & formed.cells
        off = int((used & ~formed.on_in(chip.measured)).sum())
        if off > _MOST_WRONG * used.sum():
            return (
                f"Of {int(used.sum()):,} cells of chip {number} that the masks use, {off:,} do not "
                f"conduct by its newest map {chip.map_id}: they were RESET since the run was "
                "trained."
            )
    return None


def _parts(changes: CellChanges) -> tuple[tuple[Operation, BoolArray], ...]:
    return (Operation.RESET, changes.reset), (Operation.SET, changes.set)


class _Formed(NamedTuple):
    """Cells that were on when masks were trained, and in uS above what each is on; (R, C)."""

    cells: BoolArray
    on_above_uS: npt.NDArray[np.float64]

    def on_in(self, measured: ConductanceMap) -> BoolArray:
        """Cells of a map that are on."""
        return measured.conductance_uS > self.on_above_uS


def _changes(run: Run, number: int, formed: _Formed, now: ConductanceMap) -> CellChanges:
    """What to pulse, of the cells that formed: the others are off and stay so."""
    off = formed.cells & ~formed.on_in(now)
    plan = reset_plan({number: off}, run.masks.masks, run.placement)[number]
    return CellChanges(plan.reset & formed.cells, plan.set & formed.cells)


def _used(run: Run, number: int) -> BoolArray:
    """Cells of a chip that the masks of any layer use, (R, C)."""
    geometry = run.placement.geometry
    used = np.zeros((geometry.rows, geometry.columns), dtype=np.bool_)
    for tile in (each for each in run.placement.tiles if each.chip == number):
        mask = run.masks.masks[tile.matrix]
        for side, gates in enumerate((mask.plus, mask.minus)):
            lines = np.ix_(tile.rows[:, side], tile.columns)
            used[lines] |= gates[tile.outputs, tile.inputs]
    return used


def _formed(lab: Lab, run: Run, chip: KnownChip) -> _Formed:
    """What was on when the masks were trained: a later map may miss those RESET since."""
    own = run.masks.map_ids.get(chip.number)
    trained_on = chip.measured if own is None else lab.maps.load(own, chip.serial)
    own_uS = trained_on.conductance_uS
    sound_uS = own_uS[trained_on.valid & (own_uS > FORMED_ABOVE_uS)]
    middle_uS = float(np.median(sound_uS)) if sound_uS.size else 0.0
    set_above_uS = max(FORMED_ABOVE_uS, _SET_ABOVE * middle_uS)
    set_again = lab.journal.pulsed(chip.serial).by_operation[Operation.SET] > 0
    return _Formed(
        cells=trained_on.valid & (own_uS > set_above_uS),
        on_above_uS=np.where(set_again, set_above_uS, _ON_ABOVE * own_uS),
    )


def _read(
    board: Board, lab: Lab, chip: KnownChip, reads: int, watch: Progress, notes: str
) -> ConductanceMap:
    origin = Origin("read", None, notes, chip.map_id)
    with lab.lock(board.identity.serial):
        return read_chip(board, board.chip(chip.number), reads, origin, watch, "reading")
