"""The control socket beside the wire: how people move a served board's time and temperature.

Owns the socket's place in the board's folder, its form (one JSON object a line, one line back) and
what requests mean. The server applies a request between commands. No bytes of the wire pass here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sim_backend.board import SimulatedBoard
from sim_backend.errors import OutOfRange

LONGEST_LINE = 4096
_SOCKET = "control.sock"


def listen(folder: Path) -> socket.socket:
    """Offer the control socket of the board in this folder, which the caller holds the lock of.

    A socket left there by a process that was killed is replaced. Only this user can connect.

    Raises
    ------
    OSError
        The socket cannot be made.
    """
    remove(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_name(folder) as name:
            listener.bind(name)
        (folder / _SOCKET).chmod(0o600)  # nobody can connect before `listen`
        listener.listen()
        listener.setblocking(False)
    except BaseException:
        listener.close()
        remove(folder)
        raise
    return listener


def connect(link: socket.socket, folder: Path) -> None:
    """Connect to the control socket of the board in this folder.

    Raises
    ------
    OSError
        Nobody serves it.
    """
    with _short_name(folder) as name:
        link.connect(name)


def remove(folder: Path) -> None:
    """Take the socket out of the board's folder."""
    (folder / _SOCKET).unlink(missing_ok=True)


@contextlib.contextmanager
def _short_name(folder: Path) -> Generator[str]:
    """A name for the socket that fits into an address, however deep the folder lies.

    An address has room for 107 bytes, so the folder is opened and named by its number.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}/{_SOCKET}"
    finally:
        os.close(number)


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
        self._listener = listen(board.folder)
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
        remove(self._board.folder)

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
