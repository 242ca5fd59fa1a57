"""Tapes: keep what crossed the wire, and replay it as a board.

Owns: `RecordingPipe`, which writes a tape, and `open_tape`, which reads one whole, refuses a
damaged one and makes a `TapePipe` of it. The file is `_tape_file`'s, the words for damage
`_tape_damage`'s, the replay `_tape_replay`'s.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rramhil.errors import TapeError
from rramhil.transport import _address
from rramhil.transport._tape_damage import report
from rramhil.transport._tape_file import Direction, TapeWriter, load
from rramhil.transport._tape_frames import frames_of
from rramhil.transport._tape_replay import TapePipe
from rramhil.transport._tape_script import script_of

if TYPE_CHECKING:
    from rramhil.transport import Pipe

__all__ = ["RecordingPipe", "TapePipe", "open_tape"]

_FORM = "tape:///FILE"


class RecordingPipe:
    """Pipe that keeps every byte of another one on a tape.

    Bytes for the board are recorded before they leave and bytes from it as soon as they came,
    so that on the tape no answer stands before its question.

    Parameters
    ----------
    pipe : Pipe
        Carries the bytes; closed with this one.
    path : Path
        New file.

    Raises
    ------
    TapeError
        The file exists or cannot be created; later, that it cannot be written.
    """

    def __init__(self, pipe: Pipe, path: Path) -> None:
        self.address = pipe.address
        self._pipe = pipe
        facts = {"address": pipe.address, "software": f"rramhil {version('rramhil')}"}
        self._tape = TapeWriter(path, facts)

    def read(self, timeout_s: float) -> bytes:
        """Read what is there, and keep it."""
        data = self._pipe.read(timeout_s)
        self._tape.record(Direction.TO_HOST, data)
        return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep `data`, then write it."""
        self._tape.record(Direction.TO_BOARD, data)
        self._pipe.write(data)

    def wake(self) -> None:
        """Make a read in progress return empty."""
        self._pipe.wake()

    def close(self) -> None:
        """Close the pipe, then the tape."""
        self._pipe.close()
        self._tape.close()


def open_tape(address: str) -> TapePipe:
    """Open the tape that ``tape:///path`` names, as a board.

    Raises
    ------
    TapeError
        It is damaged (place and meaning of the changed byte are named), cut short, empty, holds
        no session, or is no tape.
    """
    parts = _address.split(address, _FORM)
    _address.query(address, parts, ())
    path = Path(_address.local_path(address, parts, _FORM))
    records, damages = load(path)
    if damages:
        raise report(path, records, damages)
    script = script_of(frames_of(records))
    if not script.greetings:
        raise TapeError(f"The tape {path} holds no session.", "Record a run that opens a board.")
    return TapePipe(script, address)
