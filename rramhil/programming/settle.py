"""What became of pulses whose answer never came: first the board is asked, then the cells.

Owns: turning open intents of the journal into certainty where there is any. Fires nothing.
"""

from __future__ import annotations

import numpy as np

from firmware_protocol.messages import Operation, OutcomeKind
from rramhil.driver import Outcome
from rramhil.errors import NotFound
from rramhil.lab import Conclusion, PulseFate, PulseRecord
from rramhil.programming._bench import Bench, order_of
from rramhil.programming.readback import FINEST_RANGE, FORMED_ABOVE_uS, code_model

_FORGOTTEN = Outcome(OutcomeKind.FORGOTTEN, 0)


def settle_intents(bench: Bench) -> None:
    """Ask the board what became of each frame that has no outcome yet, and write it down.

    Raises
    ------
    LinkLost, BoardError
        If the board does not answer; the intents stay open, for another time.
    """
    records = bench.lab.journal.open_intents(bench.chip.serial)
    bench.lab.journal.conclude_all([_conclusion(record, _ask(bench, record)) for record in records])


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
