"""What became of pulses whose answer never came: first the board is asked, then the cells.

Owns: turning open intents of the journal into certainty where there is any. Fires nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from firmware_protocol.messages import Operation, OutcomeKind
from rramhil.driver import Outcome
from rramhil.errors import NotFound
from rramhil.lab import Conclusion, PulseFate, PulseRecord
from rramhil.programming._bench import Bench, order_of
from rramhil.programming.operations import cells_of
from rramhil.programming.readback import FINEST_RANGE, FORMED_ABOVE_uS, code_model

_FORGOTTEN = Outcome(OutcomeKind.FORGOTTEN, 0)


class Settled(NamedTuple):
    """What had become of frames of one kind of pulse that an earlier run left without an outcome.

    Attributes
    ----------
    operation : Operation
        Kind of the pulses.
    frames : int
        How many.
    fired, not_fired, in_doubt : int
        Pulses of theirs that certainly were fired, that certainly were not, and of which the board
        does not know either; counted once a cell.
    """

    operation: Operation
    frames: int
    fired: int
    not_fired: int
    in_doubt: int

    def __str__(self) -> str:
        return (
            f"{self.frames:,} {'frame' if self.frames == 1 else 'frames'} of {self.operation.name} "
            f"that had no outcome: {self.fired:,} pulses fired, {self.not_fired:,} not fired, "
            f"{self.in_doubt:,} in doubt"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it in the shape that `--json` prints."""
        return {**self._asdict(), "operation": self.operation.name}


def settle_intents(bench: Bench) -> tuple[Settled, ...]:
    """Ask the board what became of each frame that has no outcome yet, and write it down.

    Returns
    -------
    tuple of Settled
        What was found, one for each kind of pulse; empty where nothing was open.

    Raises
    ------
    LinkLost, BoardError
        If the board does not answer; the intents stay open, for another time.
    """
    journal = bench.lab.journal
    opened = journal.open_intents(bench.chip.serial)
    if not opened:
        return ()
    journal.conclude_all([_conclusion(record, _ask(bench, record)) for record in opened])
    numbers = {record.id for record in opened}
    after = journal.frames_after(bench.chip.serial, min(numbers) - 1)
    return add_up([record for record in after if record.id in numbers])


def add_up(records: Sequence[PulseRecord]) -> tuple[Settled, ...]:
    """Count the pulses of frames by what became of them, for each kind of pulse."""
    found: list[Settled] = []
    for operation in Operation:
        frames = [record for record in records if record.operation == operation]
        if frames:
            pulses, fired, in_doubt = (
                sum(int(cells_of(rows).sum()) for rows in each)
                for each in (
                    [record.pulse_rows for record in frames],
                    [record.fired_rows for record in frames],
                    [record.doubtful_rows for record in frames],
                )
            )
            left = pulses - fired - in_doubt
            found.append(Settled(operation, len(frames), fired, left, in_doubt))
    return tuple(found)


def measure_doubt(bench: Bench) -> None:
    """Read the cells that nobody knows about: one that has formed was pulsed.

    One that still is virgin may have been pulsed without breaking down, or not at all. It stays in
    doubt, and is never pulsed again.

    Raises
    ------
    LinkLost, BoardError
        If the board fails; the cells stay in doubt.
    """
    doubtful = [
        (record, cells)
        for record, cells in bench.lab.journal.frames_in_doubt(bench.chip.serial)
        if record.operation == Operation.FORM
    ]
    if not doubtful:
        return
    cells = np.logical_or.reduce([each for _, each in doubtful])
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    bench.chip.dark(rows, FINEST_RANGE)
    block = bench.chip.read_codes(rows, columns, 1, FINEST_RANGE)
    model = code_model(bench.board.description)
    conductance_uS = model.to_uS(block.codes[0], block.zero_sums, FINEST_RANGE)
    formed = np.zeros_like(cells)
    formed[np.ix_(rows, columns)] = conductance_uS > FORMED_ABOVE_uS
    for record, each in doubtful:
        bench.lab.journal.resolve_cells(record.id, each & formed, np.zeros_like(cells))


def _ask(bench: Bench, record: PulseRecord) -> Outcome:
    if _board_of(bench, record) != bench.board.identity.serial:
        return _FORGOTTEN
    return bench.board.outcome(record.session, record.sequence)


def _board_of(bench: Bench, record: PulseRecord) -> str | None:
    """Return the serial of the board that a frame was sent to."""
    if record.job_id is not None:
        return order_of(bench.lab.journal.job(record.job_id)).board_serial
    try:
        return bench.lab.chips.get(record.chip_serial).board_serial
    except NotFound:
        return None


def _conclusion(record: PulseRecord, outcome: Outcome) -> Conclusion:
    operations = len(record.pulse_rows)
    match outcome.kind:
        case OutcomeKind.NOT_FIRED:
            return Conclusion(record.id, PulseFate.NOT_FIRED, 0, b"")
        case OutcomeKind.FIRED if outcome.operation >= operations:
            return Conclusion(record.id, PulseFate.FIRED, operations, b"")
        case OutcomeKind.FIRED:
            return Conclusion(record.id, PulseFate.PARTIAL, outcome.operation, b"")
        case OutcomeKind.IN_DOUBT if outcome.operation < operations:
            return Conclusion(record.id, PulseFate.IN_DOUBT, outcome.operation, b"")
        case _:
            return Conclusion(record.id, PulseFate.UNKNOWN, 0, b"")
