"""SET or RESET of chosen cells, with a read before and one after, all of it in the journal.

Owns: the order of things: open intents are settled, cells read, pulses written down, fired,
concluded, cells read again. Unlike forming, these pulses may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.driver import Board, Description, Identity
from rramhil.errors import BoardError, Interrupted, LinkLost, UnfinishedJob
from rramhil.lab import Lab
from rramhil.lab.ledger import MACRO_SHAPE
from rramhil.programming._bench import Bench, refuse_other_geometry
from rramhil.programming._ending import CHECK_THE_LINK, put_in_order
from rramhil.programming.firing import fire_rows
from rramhil.programming.operations import (
    Pulse,
    board_time_s,
    cells_of,
    energy_j,
    refuse_outside_limits,
    row_operations,
)
from rramhil.programming.progress import Progress, Silent
from rramhil.programming.readback import FINEST_RANGE, code_model
from rramhil.programming.settle import Settled, add_up, settle_intents

FloatArray = npt.NDArray[np.float64]
PulseRows = npt.NDArray[np.void]

SET_V, RESET_V = 2.0, 2.0
"""Amplitudes where nobody says otherwise: well above the thresholds.

Source: assumed, as the thresholds themselves; the published levels are not known.
"""
WIDTH_NS = 100_000
"""Width where nobody says otherwise. Source: assumed."""
SET_COMPLIANCE_A = 100e-6
"""Compliance of SET where nobody says otherwise: that of forming. Source: assumed."""


def pulse_of(
    operation: Operation,
    description: Description,
    amplitude_v: float | None = None,
    width_ns: int | None = None,
    compliance_a: float | None = None,
) -> Pulse:
    """Complete a SET or RESET pulse by defaults and check it against the board's limits.

    The compliance of RESET is by default the most that the board allows: the word line full on.

    Raises
    ------
    LimitRefused
        It lies outside the board's limits, or the board does not have the operation.
    """
    if compliance_a is None:
        compliance_a = SET_COMPLIANCE_A
        envelope = description.envelopes.get(operation)
        if operation == Operation.RESET and envelope is not None:
            compliance_a = envelope.compliance_max_a
    default_v = RESET_V if operation == Operation.RESET else SET_V
    pulse = Pulse(
        operation,
        default_v if amplitude_v is None else amplitude_v,
        WIDTH_NS if width_ns is None else width_ns,
        compliance_a,
    )
    refuse_outside_limits(pulse, description, f"The {operation.name} pulse")
    return pulse


@dataclass(frozen=True, eq=False)
class PulsePreview:
    """What `pulse_cells` would do; nothing was touched."""

    chip: int
    chip_serial: str
    board: Identity
    pulse: Pulse
    cells: int
    operations: int
    board_time_s: float
    energy_j: float

    def as_dict(self) -> dict[str, Any]:
        """Return it in the shape that `--json` prints."""
        return {
            **_facts(self.chip, self.chip_serial, self.board, self.pulse),
            "cells": self.cells,
            "pulses": self.cells,
            "row_operations": self.operations,
            "board_time_s": self.board_time_s,
            "energy_j": self.energy_j,
            "dry_run": True,
        }


@dataclass(frozen=True, eq=False)
class PulsedCells:
    """What was done to chosen cells.

    Attributes
    ----------
    rows, cols : list of int
        Their lines, ascending.
    pulses : int
        Pulses fired, counted once a cell.
    before_uS, after_uS : (R, C) float64
        Conductance before and after, one read each in the finest range.
    settled : tuple of Settled
        What had become of pulses that an earlier run left without an outcome.
    """

    chip: int
    chip_serial: str
    board: Identity
    pulse: Pulse
    rows: list[int]
    cols: list[int]
    pulses: int
    before_uS: FloatArray
    after_uS: FloatArray
    board_time_s: float
    wall_time_s: float
    settled: tuple[Settled, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it in the shape that `--json` prints."""
        return {
            **_facts(self.chip, self.chip_serial, self.board, self.pulse),
            "settled": [each.as_dict() for each in self.settled],
            "rows": self.rows,
            "cols": self.cols,
            "cells": len(self.rows) * len(self.cols),
            "pulses": self.pulses,
            "before_uS": self.before_uS,
            "after_uS": self.after_uS,
            "board_time_s": self.board_time_s,
            "wall_time_s": self.wall_time_s,
        }


def preview_pulse(
    board: Board, chip_index: int, pulse: Pulse, rows: list[int], cols: list[int]
) -> PulsePreview:
    """Say what `pulse_cells` would do. Asks the board for its description and its counts only.

    Raises
    ------
    LimitRefused, NotFound
        As `pulse_cells`.
    """
    chip = board.chip(chip_index)
    operations = _operations(board, pulse, rows, cols)
    return PulsePreview(
        chip=chip_index,
        chip_serial=chip.serial,
        board=board.identity,
        pulse=pulse,
        cells=int(cells_of(operations).sum()),
        operations=len(operations),
        board_time_s=board_time_s(operations, board.description),
        energy_j=energy_j(operations, board.description),
    )


def pulse_cells(
    board: Board,
    lab: Lab,
    chip_index: int,
    pulse: Pulse,
    rows: list[int],
    cols: list[int],
    *,
    progress: Progress | None = None,
) -> PulsedCells:
    """Give the cells where rows and columns cross one SET or RESET pulse, and read them.

    What became of earlier pulses without an outcome is asked first. The board is held for the
    whole call, by a lock in the lab.

    Parameters
    ----------
    board, lab : Board, Lab
        An open board, and the lab that keeps the journal.
    chip_index : int
        Socket of the chip.
    pulse : Pulse
        From `pulse_of`.
    rows, cols : list of int
        Line numbers, ascending.
    progress : Progress, optional
        Hears what is being done.

    Raises
    ------
    UnfinishedJob
        Programming of the chip was interrupted, and must be resumed first.
    LimitRefused
        The pulse lies outside the limits; nothing was fired.
    NotFound, BoardHeld, BoardError, LinkLost, Interrupted
        As `program`.
    """
    refuse_outside_limits(pulse, board.description, f"The {pulse.operation.name} pulse")
    began_s = time.monotonic()
    with lab.lock(board.identity.serial):
        bench = Bench(board, board.chip(chip_index), lab, progress or Silent())
        refuse_other_geometry(bench.shape, MACRO_SHAPE)
        _refuse_unfinished(bench)
        operations = _operations(board, pulse, rows, cols)
        began_ns = bench.board_time_ns()
        with _left_idle(bench, operations):
            settled = settle_intents(bench)
            lab.chips.see(bench.chip.serial, board.identity.serial, chip_index)
            before_uS = _measure(bench, rows, cols)
            fire_rows(bench, None, pulse.operation, operations)
            after_uS = _measure(bench, rows, cols)
            board_s = (bench.board_time_ns() - began_ns) / 1e9
    return PulsedCells(
        chip=chip_index,
        chip_serial=bench.chip.serial,
        board=board.identity,
        pulse=pulse,
        rows=rows,
        cols=cols,
        pulses=int(cells_of(operations).sum()),
        before_uS=before_uS,
        after_uS=after_uS,
        board_time_s=board_s,
        wall_time_s=time.monotonic() - began_s,
        settled=settled,
    )


def pulse_mask(
    board: Board,
    lab: Lab,
    chip_index: int,
    pulse: Pulse,
    cells: npt.NDArray[np.bool_],
    *,
    progress: Progress | None = None,
) -> int:
    """Give chosen cells one SET or RESET pulse each, in the journal; reads nothing.

    Parameters
    ----------
    cells : (R, C) bool
        The cells, of the whole array.
    board, lab, chip_index, pulse, progress
        As of `pulse_cells`.

    Returns
    -------
    int
        Pulses fired, counted once a cell.

    Raises
    ------
    UnfinishedJob, LimitRefused, NotFound, BoardHeld, BoardError, LinkLost, Interrupted
        As `pulse_cells`.
    """
    refuse_outside_limits(pulse, board.description, f"The {pulse.operation.name} pulse")
    with lab.lock(board.identity.serial):
        bench = Bench(board, board.chip(chip_index), lab, progress or Silent())
        refuse_other_geometry(bench.shape, MACRO_SHAPE)
        _refuse_unfinished(bench)
        operations = row_operations(pulse, board.description, cells)
        with _left_idle(bench, operations):
            settle_intents(bench)
            lab.chips.see(bench.chip.serial, board.identity.serial, chip_index)
            fire_rows(bench, None, pulse.operation, operations)
    return int(cells.sum())


def _operations(board: Board, pulse: Pulse, rows: list[int], cols: list[int]) -> PulseRows:
    cells = np.zeros((board.description.rows, board.description.columns), dtype=np.bool_)
    cells[np.ix_(rows, cols)] = True
    return row_operations(pulse, board.description, cells)


def _refuse_unfinished(bench: Bench) -> None:
    # its doubtful cells are told by their conductance, which these pulses would change
    if bench.lab.journal.unfinished_job(bench.chip.serial) is not None:
        raise UnfinishedJob(
            f"Programming of chip {bench.chip.serial} was interrupted and is not finished.",
            "Finish it with `rramhil program --resume` first.",
        )


def _measure(bench: Bench, rows: list[int], cols: list[int]) -> FloatArray:
    bench.chip.dark(rows, FINEST_RANGE)
    block = bench.chip.read_codes(rows, cols, 1, FINEST_RANGE)
    model = code_model(bench.board.description)
    return model.to_uS(block.codes[0], block.zero_sums, FINEST_RANGE)


@contextmanager
def _left_idle(bench: Bench, operations: PulseRows) -> Iterator[None]:
    """Leave board and journal in order if the body fails; ctrl-C becomes `Interrupted`.

    A lost link and a board that fails say how many of the pulses were fired, as far as is known.
    """
    newest = bench.lab.journal.newest_frame(bench.chip.serial)
    try:
        yield
    except KeyboardInterrupt:
        idle = put_in_order(bench)
        state = "is idle" if idle else "did not confirm that it stopped"
        raise Interrupted(
            f"Stopped by the user; the board {state}, and the journal of chip "
            f"{bench.chip.serial} says which cells were pulsed.",
            "Read the cells, then run it again.",
        ) from None
    except (LinkLost, BoardError) as error:
        put_in_order(bench)
        fired = _fired_since(bench, newest, operations)
        next_step = _next_step(fired) if isinstance(error, LinkLost) else error.next_step
        raise type(error)(f"{error.sentence} {fired}", next_step) from error
    except BaseException:
        put_in_order(bench)
        raise


class _Fired(NamedTuple):
    """Pulses of a run that ended early, counted once a cell."""

    pulses: int
    fired: int
    in_doubt: int

    def __str__(self) -> str:
        left = self.pulses - self.fired - self.in_doubt
        return (
            f"Of {self.pulses:,} cells, {self.fired:,} are known to have been pulsed, "
            f"{self.in_doubt:,} are in doubt, {left:,} were not."
        )


def _fired_since(bench: Bench, newest: int, operations: PulseRows) -> _Fired:
    known = add_up(bench.lab.journal.frames_after(bench.chip.serial, newest))
    return _Fired(
        int(cells_of(operations).sum()),
        sum(each.fired for each in known),
        sum(each.in_doubt for each in known),
    )


def _next_step(fired: _Fired) -> str:
    if not fired.in_doubt:
        return f"{CHECK_THE_LINK}, then run it again; it pulses all of its cells."
    return (
        f"{CHECK_THE_LINK}, then `rramhil read` shows the cells; run again, it first asks "
        "the board what became of the pulses in doubt, then pulses all of its cells."
    )


def _facts(chip: int, chip_serial: str, board: Identity, pulse: Pulse) -> dict[str, Any]:
    identity = asdict(board)
    return {
        "chip": chip,
        "chip_serial": chip_serial,
        "board": {name: identity[name] for name in ("serial", "simulated", "firmware")},
        "operation": pulse.operation.name,
        "amplitude_v": pulse.amplitude_v,
        "width_ns": pulse.width_ns,
        "compliance_a": pulse.compliance_a,
    }
