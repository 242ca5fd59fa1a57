"""One controller a board, across processes.

Owns: the lock file of a board and the note beside it that says who holds it. The operating
system frees the lock when its process ends, however it ends; the note alone locks nothing.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
from pydantic import TypeAdapter, ValidationError

from rramhil._atomic import write_whole
from rramhil.errors import BoardHeld, LabUnusable
from rramhil.lab._clock import utc_now


@dataclass(frozen=True)
class Holder:
    """Who holds a board: user, host, process id, program, since when (UTC, ISO 8601)."""

    user: str
    host: str
    pid: int
    program: str
    since: str

    def __str__(self) -> str:
        return (
            f"{self.user} on {self.host} ({self.program}, process {self.pid}, since {self.since})"
        )


@contextmanager
def board_lock(folder: Path, board_serial: str) -> Generator[Holder]:
    """Hold a board while the body runs.

    Raises
    ------
    BoardHeld
        If it is held, here or in another process; the sentence names who holds it.
    LabUnusable
        If the lock cannot be made in this folder.
    """
    stem = _file_stem(board_serial)
    note = folder / f"{stem}.holder.json"
    # Not thread-local: the thread that ends the work may not be the one that began it.
    lock = filelock.FileLock(folder / f"{stem}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = _read_note(note)
        who = "another program" if holder is None else str(holder)
        raise BoardHeld(
            f"Board {board_serial} is held by {who}.",
            "Wait until it is done, or end that process.",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise _unusable(folder, error) from error
    try:
        holder = _myself()
        try:
            write_whole(note, json.dumps(asdict(holder)).encode())
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            yield holder
        finally:
            note.unlink(missing_ok=True)
    finally:
        lock.release()


def _unusable(folder: Path, error: Exception) -> LabUnusable:
    return LabUnusable(
        f"A board cannot be locked in {folder}: {error}.",
        "Check the folder's permissions and free space, or choose another with --lab.",
    )


def _file_stem(board_serial: str) -> str:
    """Turn a serial into a file name; different serials never share one."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", board_serial)[:64]
    if plain == board_serial and plain:
        return plain
    return f"{plain}.{hashlib.sha256(board_serial.encode()).hexdigest()[:8]}"


def _read_note(note: Path) -> Holder | None:
    try:
        return TypeAdapter(Holder).validate_json(note.read_bytes())
    except (OSError, ValidationError):
        return None  # not yet written, or already gone: the lock itself is what counts


def _myself() -> Holder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"  # containers often have no name for theirs
    program = Path(sys.argv[0]).name or "python"
    return Holder(user, socket.gethostname(), os.getpid(), program, utc_now())
