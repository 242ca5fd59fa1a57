"""Pulse frames as values: what was about to be sent, and what became of it.

Owns: the fates of a frame, which of its operations they leave fired or in doubt, and what may be
said of a frame after what. The journal keeps them; the ledger adds them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_protocol.layouts import PULSE_ROW
from firmware_protocol.messages import Operation

PulseRows = npt.NDArray[np.void]

# The journal's one geometry: what the mask of a pulse row has room for.
MACRO_SHAPE = (512, 512)

PULSE_COLUMNS = "id, job_id, chip_serial, operation, session, sequence, rows, fate, done, statuses"


class PulseFate(StrEnum):
    """What became of a pulse frame.

    FIRED: all operations. NOT_FIRED: none. PARTIAL: the first `done`, none after. IN_DOUBT: the
    first `done`, operation `done` was begun and not seen to end, none after. UNKNOWN: nobody
    knows of any of them.
    """

    FIRED = "fired"
    NOT_FIRED = "not_fired"
    PARTIAL = "partial"
    IN_DOUBT = "in_doubt"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PulseRecord:
    """One pulse frame of the journal.

    Attributes
    ----------
    id : int
        The journal's number for it.
    job_id : int or None
        The job it belongs to.
    chip_serial, operation, session, sequence
        Which chip, what kind of pulse, and the frame's name on the wire.
    rows : bytes
        Its PULSE_ROW items, as they were sent.
    fate : PulseFate or None
        None while there is an intent and no outcome.
    done : int
        Operations certainly fired, for PARTIAL and IN_DOUBT.
    statuses : bytes
        Status of each operation as the board gave it; empty where it gave none.
    """

    id: int
    job_id: int | None
    chip_serial: str
    operation: Operation
    session: int
    sequence: int
    rows: bytes
    fate: PulseFate | None
    done: int
    statuses: bytes

    @property
    def count(self) -> int:
        """Operations in the frame."""
        return len(self.rows) // PULSE_ROW.itemsize

    @property
    def pulse_rows(self) -> PulseRows:
        """The operations as a (n,) PULSE_ROW array."""
        return np.frombuffer(self.rows, dtype=PULSE_ROW)

    @property
    def fired_rows(self) -> PulseRows:
        """The operations that certainly fired."""
        return self.pulse_rows[: self._bounds[0]]

    @property
    def doubtful_rows(self) -> PulseRows:
        """The operations of which nobody knows whether they fired."""
        start, stop = self._bounds
        return self.pulse_rows[start:stop]

    @property
    def _bounds(self) -> tuple[int, int]:
        """Operations before the first bound fired; from there to the second they are in doubt."""
        count = self.count
        match self.fate:
            case PulseFate.FIRED:
                return count, count
            case PulseFate.NOT_FIRED:
                return 0, 0
            case PulseFate.PARTIAL:
                return self.done, self.done
            case PulseFate.IN_DOUBT:
                return self.done, min(self.done + 1, count)
            case PulseFate.UNKNOWN | None:
                return 0, count


class IntendedFrame(NamedTuple):
    """A pulse frame that is about to leave: its name on the wire and its PULSE_ROW items."""

    session: int
    sequence: int
    rows: bytes


class Conclusion(NamedTuple):
    """What became of a pulse frame; the fields mean what they mean in `PulseRecord`.

    `done` must be given for PARTIAL and IN_DOUBT; with FIRED it can only be the frame's length.
    """

    pulse_id: int
    fate: PulseFate
    done: int | None = None
    statuses: bytes = b""


def record_from_row(row: Sequence[Any]) -> PulseRecord:
    """Return the frame in a row of PULSE_COLUMNS."""
    pulse_id, job_id, chip_serial, operation, session, sequence, rows, fate, done, statuses = row
    return PulseRecord(
        id=pulse_id,
        job_id=job_id,
        chip_serial=chip_serial,
        operation=Operation[operation],
        session=session,
        sequence=sequence,
        rows=rows,
        fate=None if fate is None else PulseFate(fate),
        done=done,
        statuses=statuses,
    )


def tells_more(conclusion: Conclusion, record: PulseRecord) -> bool:
    """Say whether a conclusion adds to what is known of a frame.

    Raises
    ------
    ValueError
        If it does not fit the frame or contradicts what is certain.
    """
    done = done_of(conclusion, record)
    if len(conclusion.statuses) not in (0, record.count):
        raise ValueError(
            f"frame {record.id} has {record.count} operations, "
            f"got {len(conclusion.statuses)} statuses"
        )
    match record.fate:
        case None | PulseFate.UNKNOWN:
            return True
        case PulseFate.IN_DOUBT:
            return conclusion.fate is not PulseFate.UNKNOWN
        case _:
            if (record.fate, record.done) != (conclusion.fate, done):
                raise ValueError(
                    f"frame {record.id} is known to be {record.fate} ({record.done} done); "
                    f"it cannot become {conclusion.fate} ({done} done)"
                )
            return False


def done_of(conclusion: Conclusion, record: PulseRecord) -> int:
    """Return how many operations certainly fired, refusing what does not fit the frame."""
    match conclusion.fate:
        case PulseFate.NOT_FIRED | PulseFate.UNKNOWN:
            return 0
        case PulseFate.FIRED:
            done, first, last = conclusion.done, record.count, record.count
            done = record.count if done is None else done
        case PulseFate.PARTIAL:
            done, first, last = conclusion.done, 0, record.count
        case PulseFate.IN_DOUBT:
            done, first, last = conclusion.done, 0, record.count - 1
    if done is None or not first <= done <= last:
        raise ValueError(
            f"{conclusion.fate} frame {record.id}: done must be {first} to {last}, got {done}"
        )
    return done


def check_rows(frame: IntendedFrame) -> None:
    """Refuse, by a ValueError, rows that are not whole items or that no chip has."""
    if not frame.rows or len(frame.rows) % PULSE_ROW.itemsize:
        raise ValueError(
            f"a frame's rows must be whole items of {PULSE_ROW.itemsize} bytes, "
            f"got {len(frame.rows)} bytes"
        )
    highest = int(np.frombuffer(frame.rows, dtype=PULSE_ROW)["row"].max())
    if highest >= MACRO_SHAPE[0]:
        raise ValueError(f"row must be 0 to {MACRO_SHAPE[0] - 1}, got {highest}")
