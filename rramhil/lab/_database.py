"""The SQLite file of a lab: how it is opened, its schema, and its transactions.

Owns: the connection, its durability and the schema's version. Does not know what the rows mean.
A transaction that has ended is on the disk: WAL with synchronous=FULL.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rramhil.errors import LabUnusable

SCHEMA_VERSION = 1

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

# How long a transaction waits for another process's; theirs are as short as ours.
_BUSY_TIMEOUT_S = 20.0

_SCHEMA = """
CREATE TABLE chips (
    serial TEXT PRIMARY KEY,
    board_serial TEXT NOT NULL,
    slot INTEGER NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    retired TEXT
);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chip_serial TEXT NOT NULL,
    recipe TEXT NOT NULL,
    cells BLOB NOT NULL,
    state TEXT NOT NULL,
    opened TEXT NOT NULL,
    closed TEXT
);
CREATE UNIQUE INDEX one_unfinished_job ON jobs (chip_serial)
    WHERE state IN ('open', 'interrupted');
CREATE TABLE pulses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER REFERENCES jobs (id),
    chip_serial TEXT NOT NULL,
    operation TEXT NOT NULL,
    session INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    rows BLOB NOT NULL,
    intended TEXT NOT NULL,
    fate TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    statuses BLOB NOT NULL DEFAULT x'',
    concluded TEXT
);
CREATE INDEX pulses_of_chip ON pulses (chip_serial);
CREATE TABLE resolutions (
    pulse_id INTEGER PRIMARY KEY REFERENCES pulses (id),
    fired BLOB NOT NULL,
    unfired BLOB NOT NULL,
    resolved TEXT NOT NULL
);
"""


class Database:
    """One connection to a lab's database; usable from several threads and beside other processes.

    Parameters
    ----------
    path : Path
        The file; created with its schema when it is not there.

    Raises
    ------
    LabUnusable
        If the file cannot be opened or written, is damaged or no database, or has a newer schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        with self._as_lab_errors():
            # Transactions are begun by hand below; the threads take turns by the lock.
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        self._finalizer = weakref.finalize(self, self._connection.close)
        try:
            with self._as_lab_errors():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        self._finalizer()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """Give the connection for one consistent view of the file.

        Raises
        ------
        LabUnusable
            If the database fails.
        """
        with self._turn, self._as_lab_errors(), self._transaction("BEGIN"):
            yield self._connection

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """Give the connection for one transaction: all of it is on the disk at the end, or none.

        Raises
        ------
        LabUnusable
            If the database fails, is full, or stays locked by another process.
        """
        # IMMEDIATE: take the write lock at once, so that a transaction that read first never
        # finds out at its end that another process was faster.
        with self._turn, self._as_lab_errors(), self._transaction("BEGIN IMMEDIATE"):
            yield self._connection

    @contextmanager
    def _transaction(self, begin: str) -> Generator[None]:
        try:
            self._connection.execute(begin)
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._refuse_newer(self._version())
        if self._connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._connection.execute("PRAGMA journal_mode = WAL")
        with self._transaction("BEGIN IMMEDIATE"):
            # Asked again inside: another process may have made the schema a moment ago.
            version = self._version()
            self._refuse_newer(version)
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _refuse_newer(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise LabUnusable(
                f"The lab's database {self.path} has schema {version}; this version of rramhil "
                f"knows schemas up to {SCHEMA_VERSION}.",
                "Upgrade rramhil, or choose another folder with --lab.",
            )

    @contextmanager
    def _as_lab_errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise  # a mistake of the caller, such as use after close, not of the folder
        except (sqlite3.Error, OSError) as error:
            # the low byte of an extended code; errors of the Python module itself have none
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise LabUnusable(
                    f"The lab's database {self.path} is damaged: {error}.",
                    "Restore it from a copy, or choose another lab folder with --lab.",
                ) from error
            raise LabUnusable(
                f"The lab's database {self.path} cannot be used: {error}.",
                "Check the folder's permissions and free space, or choose another with --lab.",
            ) from error
