"""The control socket beside the wire: how people move a served board's time and temperature.

Owns the socket's place in the board's folder, its form (one JSON object a line, one line back) and
what requests mean. The server applies a request between commands. No bytes of the wire pass here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from sim_backend.board import SimulatedBoard
from sim_backend.errors import OutOfRange

LONGEST_LINE = 4096
_SOCKET = "control.sock"
_POINTER = "control.path"
_LONGEST_PATH = 100  # sun_path has 108 bytes on Linux and 104 elsewhere


def listen(folder: Path) -> tuple[socket.socket, Callable[[], None]]:
    """Offer the control socket of the board in this folder, which the caller holds the lock of.

    A socket left there by a process that was killed is replaced. Only this user can connect.

    Returns
    -------
    (socket, callable)
        Listening; and what removes it from the file system.

    Raises
    ------
    OSError
        The socket cannot be made.
    """
    _remove(folder)
    path = folder / _SOCKET
    if len(os.fsencode(path)) > _LONGEST_PATH:
        path = Path(tempfile.mkdtemp(prefix="rramhil-")) / _SOCKET
        (folder / _POINTER).write_text(str(path), encoding="utf-8")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)  # nobody can connect before `listen`
        listener.listen()
        listener.setblocking(False)
    except BaseException:
        listener.close()
        _remove(folder)
        raise
    return listener, lambda: _remove(folder)


def place(folder: Path) -> Path:
    """Where the control socket of the board in this folder is, if it is served."""
    with contextlib.suppress(FileNotFoundError):
        return Path((folder / _POINTER).read_text(encoding="utf-8"))
    return folder / _SOCKET


class ControlPort:
    """The control socket of a served board and its links, watched by the server's selector.

    Raises
    ------
    OSError
        The control socket cannot be made.
    """

    def __init__(self, board: SimulatedBoard, selector: selectors.BaseSelector) -> None:
        self._board = board
        self._selector = selector
        self._lines: dict[socket.socket, bytearray] = {}
        self._listener, self._remove = listen(board.folder)
        selector.register(self._listener, selectors.EVENT_READ, lambda _mask: self._accept())

    def answer(self) -> None:
        """Answer what was asked, unless the board is in the middle of a read."""
        if self._board.reading:
            return
        for link, line in list(self._lines.items()):
            if line.endswith(b"\n"):
                del self._lines[link]
                # who no longer listens is told nothing
                with link, contextlib.suppress(OSError):
                    link.send(answer(self._board, bytes(line)))

    def close(self) -> None:
        """Close every link and take the socket out of the file system."""
        for link in self._lines:
            link.close()
        self._listener.close()
        self._remove()

    def _accept(self) -> None:
        link, _ = self._listener.accept()
        link.setblocking(False)
        self._lines[link] = bytearray()
        self._selector.register(link, selectors.EVENT_READ, lambda _mask: self._hear(link))

    def _hear(self, link: socket.socket) -> None:
        """Take what came: one line, answered once, then the link is closed."""
        line = self._lines[link]
        try:
            data = link.recv(LONGEST_LINE)
        except OSError:
            data = b""
        line += data
        complete = line.endswith(b"\n")
        if data and not complete and len(line) < LONGEST_LINE:
            return
        self._selector.unregister(link)
        if not complete:
            del self._lines[link]
            link.close()


def answer(board: SimulatedBoard, line: bytes) -> bytes:
    """Carry out one request; returns the line to send back.

    Requests: `{"advance": {"seconds": S}}`, with `"temperature_k": T` or without. Replies: the
    board's clock and temperature afterwards, or `{"error": sentence}`; then nothing was done.
    """
    try:
        moved = json.loads(line)["advance"]
        temperature_k = moved.get("temperature_k")
        # by way of floats, as they are written: a Decimal may have a billion digits
        at_k = None if temperature_k is None else Decimal(repr(temperature_k))
        advance(board, Decimal(repr(moved["seconds"])), at_k)
    except OutOfRange as error:
        return _line({"error": str(error)})
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        return _line({"error": "This is no advance with seconds, and perhaps temperature_k."})
    return _line({"clock_ns": board.clock_ns, "temperature_mk": board.temperature_mk})


def request(seconds: Decimal, temperature_k: Decimal | None) -> bytes:
    """Line that asks for what `advance` does."""
    moved = {"seconds": float(seconds)}
    if temperature_k is not None:
        moved["temperature_k"] = float(temperature_k)
    return _line({"advance": moved})


def advance(board: SimulatedBoard, seconds: Decimal, temperature_k: Decimal | None) -> None:
    """Let a board's time pass; see `SimulatedBoard.advance`. Fractions of ns and mK are rounded.

    Raises
    ------
    OutOfRange
        Time or temperature is beyond what the board bears; nothing was done.
    """
    duration_ns = round(seconds * 10**9)
    temperature_mk = None if temperature_k is None else round(temperature_k * 1000)
    board.advance(duration_ns, temperature_mk)


def _line(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts).encode() + b"\n"


def _remove(folder: Path) -> None:
    path = place(folder)
    path.unlink(missing_ok=True)
    if path.parent != folder:
        shutil.rmtree(path.parent, ignore_errors=True)
    (folder / _POINTER).unlink(missing_ok=True)
