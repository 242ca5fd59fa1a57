"""The journal: what was about to be done to a chip, written down before it is, and what came of it.

Owns: the tables of jobs, pulse frames and later measurements. May not talk to a board. When a
method that records something returns, the record survives the end of the process and of the
power. Every method raises `LabUnusable` when the database fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.errors import NotFound, UnfinishedJob
from rramhil.lab import _bitmaps
from rramhil.lab._clock import utc_now
from rramhil.lab._database import Database
from rramhil.lab.jobs import JOB_COLUMNS, Job, JobState, job_from_row
from rramhil.lab.ledger import PulseLedger, Resolution, add_up, cells_in_doubt
from rramhil.lab.pulses import (
    MACRO_SHAPE,
    PULSE_COLUMNS,
    Conclusion,
    IntendedFrame,
    PulseFate,
    PulseRecord,
    check_rows,
    done_of,
    record_from_row,
    tells_more,
)

BoolArray = npt.NDArray[np.bool_]


class Journal:
    """The journal of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- jobs ---------------------------------------------------------------------------------

    def open_job(self, chip_serial: str, recipe_json: str, cells: BoolArray) -> Job:
        """Record that a job begins.

        Parameters
        ----------
        chip_serial : str
            The chip.
        recipe_json : str
            The recipe, to be found again by `unfinished_job`.
        cells : (512, 512) bool
            Cells that are to get a pulse.

        Raises
        ------
        UnfinishedJob
            If the chip has a job that was not finished.
        ValueError
            If `cells` has another shape.
        """
        wanted = _checked_cells(cells, "cells")
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT id, opened FROM jobs WHERE chip_serial = ? AND state IN (?, ?)",
                (chip_serial, JobState.OPEN, JobState.INTERRUPTED),
            ).fetchone()
            if row is not None:
                raise UnfinishedJob(
                    f"Job {row[0]} on chip {chip_serial}, begun {row[1]}, was not finished.",
                    "Finish it with `rramhil program --resume`.",
                )
            cursor = connection.execute(
                "INSERT INTO jobs (chip_serial, recipe, cells, state, opened) "
                "VALUES (?, ?, ?, ?, ?)",
                (chip_serial, recipe_json, _bitmaps.pack(wanted), JobState.OPEN, utc_now()),
            )
            job_id = int(cursor.lastrowid or 0)
        return self.job(job_id)

    def job(self, job_id: int) -> Job:
        """Return a job by its number.

        Raises
        ------
        NotFound
            If there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
        if row is None:
            raise NotFound(f"The journal has no job {job_id}.")
        return job_from_row(row)

    def unfinished_job(self, chip_serial: str) -> Job | None:
        """Return the chip's open or interrupted job, None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {JOB_COLUMNS} FROM jobs WHERE chip_serial = ? AND state IN (?, ?)",
                (chip_serial, JobState.OPEN, JobState.INTERRUPTED),
            ).fetchone()
        return None if row is None else job_from_row(row)

    def close_job(self, job: Job, state: JobState | str) -> Job:
        """Record how a job stands; an INTERRUPTED one can still be resumed.

        Raises
        ------
        NotFound
            If the journal has no such job.
        ValueError
            If the state is not one of `JobState`.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, closed = ? WHERE id = ?",
                (JobState(state), utc_now(), job.id),
            )
        return self.job(job.id)

    # --- pulse frames -------------------------------------------------------------------------

    def intend(
        self,
        job_id: int | None,
        chip_serial: str,
        operation: Operation,
        frames: Iterable[tuple[int, int, bytes]],
    ) -> list[int]:
        """Record, in one transaction, that pulse frames are about to leave.

        Parameters
        ----------
        job_id : int or None
            The job they belong to.
        chip_serial : str
            The chip.
        operation : Operation
            Kind of the pulses.
        frames : iterable of (session, sequence, rows)
            Name of each frame on the wire and its PULSE_ROW items; `IntendedFrame` fits.

        Returns
        -------
        list of int
            The journal's number for each frame, in their order.

        Raises
        ------
        ValueError
            If `rows` is empty, not whole items, or names a row that the journal cannot hold;
            nothing is recorded then.
        """
        intended = [IntendedFrame(*frame) for frame in frames]
        for frame in intended:
            check_rows(frame)
        now = utc_now()
        with self._database.writing() as connection:
            return [
                int(
                    connection.execute(
                        "INSERT INTO pulses (job_id, chip_serial, operation, session, sequence, "
                        "rows, intended) VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (
                            job_id,
                            chip_serial,
                            Operation(operation).name,
                            frame.session,
                            frame.sequence,
                            frame.rows,
                            now,
                        ),
                    ).lastrowid
                    or 0
                )
                for frame in intended
            ]

    def conclude(
        self,
        pulse_id: int,
        fate: PulseFate | str,
        done: int | None = None,
        statuses: bytes = b"",
    ) -> None:
        """Record what became of one frame; `conclude_all` says how."""
        self.conclude_all([Conclusion(pulse_id, PulseFate(fate), done, statuses)])

    def conclude_all(self, conclusions: Sequence[Conclusion]) -> None:
        """Record, in one transaction, what became of frames.

        A frame that was IN_DOUBT or UNKNOWN may be concluded again, when the board or a
        measurement tells more. What is certain stays: repeating it is harmless, contradicting it
        is refused.

        Parameters
        ----------
        conclusions : sequence of Conclusion
            `done` counts operations certainly fired; PARTIAL and IN_DOUBT need it.

        Raises
        ------
        NotFound
            If the journal has no such frame; nothing is recorded then.
        ValueError
            If a conclusion does not fit its frame or contradicts what is certain; nothing is
            recorded then.
        """
        now = utc_now()
        with self._database.writing() as connection:
            for conclusion in conclusions:
                row = connection.execute(
                    f"SELECT {PULSE_COLUMNS} FROM pulses WHERE id = ?", (conclusion.pulse_id,)
                ).fetchone()
                if row is None:
                    raise NotFound(f"The journal has no pulse frame {conclusion.pulse_id}.")
                record = record_from_row(row)
                if tells_more(conclusion, record):
                    done = done_of(conclusion, record)
                    connection.execute(
                        "UPDATE pulses SET fate = ?, done = ?, statuses = ?, concluded = ? "
                        "WHERE id = ?",
                        (conclusion.fate, done, bytes(conclusion.statuses), now, record.id),
                    )

    def resolve_cells(self, pulse_id: int, fired: BoolArray, unfired: BoolArray) -> None:
        """Record what a measurement says about the cells of a doubtful frame.

        Cells in neither array stay in doubt; cells that the frame does not have in doubt are
        left out of account. Of two measurements that disagree, "fired" holds: a cell is never
        pulsed again on the strength of a contradiction.

        Parameters
        ----------
        pulse_id : int
            The journal's number for the frame.
        fired, unfired : (512, 512) bool
            Cells found pulsed, cells found untouched.

        Raises
        ------
        NotFound
            If the journal has no such frame.
        ValueError
            If a shape is wrong or a cell is in both.
        """
        found = _checked_cells(fired, "fired")
        untouched = _checked_cells(unfired, "unfired")
        if np.any(found & untouched):
            raise ValueError("a cell cannot be both fired and unfired")
        with self._database.writing() as connection:
            if not connection.execute("SELECT 1 FROM pulses WHERE id = ?", (pulse_id,)).fetchone():
                raise NotFound(f"The journal has no pulse frame {pulse_id}.")
            row = connection.execute(
                "SELECT fired, unfired FROM resolutions WHERE pulse_id = ?", (pulse_id,)
            ).fetchone()
            if row is not None:
                found = found | _bitmaps.unpack(row[0])
                untouched = (untouched | _bitmaps.unpack(row[1])) & ~found
            connection.execute(
                "INSERT OR REPLACE INTO resolutions (pulse_id, fired, unfired, resolved) "
                "VALUES (?, ?, ?, ?)",
                (pulse_id, _bitmaps.pack(found), _bitmaps.pack(untouched), utc_now()),
            )

    # --- what it adds up to -------------------------------------------------------------------

    def open_intents(self, chip_serial: str) -> list[PulseRecord]:
        """Return the frames of a chip that were intended and have no outcome, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {PULSE_COLUMNS} FROM pulses WHERE chip_serial = ? AND fate IS NULL "
                "ORDER BY id",
                (chip_serial,),
            ).fetchall()
        return [record_from_row(row) for row in rows]

    def newest_frame(self, chip_serial: str) -> int:
        """Return the number of the frame of a chip that was intended last, 0 if there is none."""
        with self._database.reading() as connection:
            (newest,) = connection.execute(
                "SELECT MAX(id) FROM pulses WHERE chip_serial = ?", (chip_serial,)
            ).fetchone()
        return newest or 0

    def frames_after(self, chip_serial: str, pulse_id: int) -> list[PulseRecord]:
        """Return the frames of a chip that were intended after a frame, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {PULSE_COLUMNS} FROM pulses WHERE chip_serial = ? AND id > ? ORDER BY id",
                (chip_serial, pulse_id),
            ).fetchall()
        return [record_from_row(row) for row in rows]

    def frames_in_doubt(self, chip_serial: str) -> list[tuple[PulseRecord, BoolArray]]:
        """Return the frames that still have cells in doubt, oldest first, each with these cells.

        Frames without an outcome are among them. The cells are (512, 512) bool.
        """
        records, resolutions = self._history(chip_serial)
        doubtful = [
            (record, cells_in_doubt(record, resolutions.get(record.id)))
            for record in records
            if len(record.doubtful_rows)
        ]
        return [(record, cells) for record, cells in doubtful if cells.any()]

    def pulsed(self, chip_serial: str) -> PulseLedger:
        """Add up all that the journal knows of a chip's pulses, cell by cell."""
        records, resolutions = self._history(chip_serial)
        return add_up(records, resolutions)

    def _history(self, chip_serial: str) -> tuple[list[PulseRecord], dict[int, Resolution]]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {PULSE_COLUMNS} FROM pulses WHERE chip_serial = ? ORDER BY id",
                (chip_serial,),
            ).fetchall()
            measured = connection.execute(
                "SELECT pulse_id, resolutions.fired, resolutions.unfired FROM resolutions "
                "JOIN pulses ON pulses.id = pulse_id WHERE chip_serial = ?",
                (chip_serial,),
            ).fetchall()
        resolutions = {
            int(pulse_id): Resolution(_bitmaps.unpack(fired), _bitmaps.unpack(unfired))
            for pulse_id, fired, unfired in measured
        }
        return [record_from_row(row) for row in rows], resolutions


def _checked_cells(cells: BoolArray, name: str) -> BoolArray:
    array = np.asarray(cells, dtype=np.bool_)
    if array.shape != MACRO_SHAPE:
        raise ValueError(f"{name} must have shape {MACRO_SHAPE}, got {array.shape}")
    return array
