"""The simulated board as a server: links on TCP, on a pty and on a socket pair, one loop for all.

Owns: file descriptors and the loop that joins them to the session machine. The bytes on each kind
of link are the same. Does not know what a command does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware_protocol.board_session import BoardSessions
from firmware_protocol.executor import Executor
from sim_backend.board import SimulatedBoard
from sim_backend.firmware import Firmware

_READ_BYTES = 1 << 20
_WORK_SLICE_S = 0.0005  # how long ABORT may have to wait for the loop to look at its links
_IDLE_S = 1.0
_MAX_PENDING_BYTES = 1 << 28  # replies and chunks of a full window are far less


@dataclass
class _Port:
    """One link: how to read, how to write, what is still to be written."""

    number: int
    fd: int
    read: Callable[[], bytes]
    write: Callable[[memoryview], int]
    close: Callable[[], None]
    pending: memoryview = field(default_factory=lambda: memoryview(b""))

    def push(self, pieces: list[bytes]) -> None:
        if pieces:
            self.pending = memoryview(b"".join((self.pending, *pieces)))

    def flush(self) -> None:
        while self.pending:
            try:
                self.pending = self.pending[self.write(self.pending) :]
            except BlockingIOError:
                return


class BoardServer:
    """Serve one board on any number of links until stopped.

    Parameters
    ----------
    executor : Executor
        The board.
    session_options : keyword arguments
        Passed to `BoardSessions`: versions, window, lease limits.
    """

    def __init__(self, executor: Executor, **session_options: Any) -> None:
        self._sessions = BoardSessions(executor, time.monotonic, **session_options)
        self._executor = executor
        self._selector = selectors.DefaultSelector()
        self._ports: dict[int, _Port] = {}
        self._next_number = 0
        self._cleanups = contextlib.ExitStack()
        self._stopping = False
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain_waker)

    # --- links -----------------------------------------------------------------------------

    def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections; returns the address in use (port 0 picks a free one).

        Raises
        ------
        OSError
            The address cannot be bound.
        """
        # binding to a port in use must fail, but one in TIME_WAIT must not: that is what
        # create_server's SO_REUSEADDR does on POSIX
        listener = socket.create_server((host, port), backlog=16)
        listener.setblocking(False)
        self._cleanups.callback(listener.close)
        self._selector.register(
            listener, selectors.EVENT_READ, lambda _mask: self._accept(listener)
        )
        address = listener.getsockname()
        return address[0], address[1]

    def open_pty(self, path: Path) -> None:
        """Offer a serial line at `path`, a symbolic link to a pty's slave side.

        Raises
        ------
        OSError
            The link cannot be made.
        """
        master, slave = os.openpty()
        # the slave stays open here too, or every client that leaves would end the line
        self._cleanups.callback(os.close, slave)
        tty.setraw(slave)
        if path.is_symlink() and not path.exists():
            path.unlink()  # left by a server that was killed; a living one's is not ours to take
        path.symlink_to(os.ttyname(slave))
        self._cleanups.callback(path.unlink, missing_ok=True)
        os.set_blocking(master, False)
        self._add_port(
            master,
            lambda: os.read(master, _READ_BYTES),
            lambda data: os.write(master, data),
            lambda: os.close(master),
        )

    def attach(self, link: socket.socket) -> None:
        """Serve an already connected socket."""
        link.setblocking(False)
        self._add_port(link.fileno(), lambda: link.recv(_READ_BYTES), link.send, link.close)

    # --- the loop --------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop`; leaves the board safe and every link closed."""
        try:
            while not self._stopping:
                self._turn()
        finally:
            for port in list(self._ports.values()):
                self._drop(port)
            self._executor.make_safe()
            self._cleanups.close()
            self._selector.close()
            self._waker.close()
            self._woken.close()

    def stop(self) -> None:
        """End `run`, from any thread or a signal handler."""
        self._stopping = True
        # the loop may have ended already
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def _turn(self) -> None:
        sessions = self._sessions
        for key, mask in self._selector.select(self._timeout_s()):
            key.data(mask)
        sessions.work(_WORK_SLICE_S)
        sessions.expire()
        for port in list(self._ports.values()):
            self._write(port)

    def _timeout_s(self) -> float:
        if self._sessions.busy:
            return 0.0
        expiry_s = self._sessions.next_expiry_s()
        return _IDLE_S if expiry_s is None else max(0.0, min(expiry_s, _IDLE_S))

    def _accept(self, listener: socket.socket) -> None:
        link, _ = listener.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.attach(link)

    def _add_port(
        self,
        fd: int,
        read: Callable[[], bytes],
        write: Callable[[memoryview], int],
        close: Callable[[], None],
    ) -> None:
        port = _Port(self._next_number, fd, read, write, close)
        self._next_number += 1
        self._ports[port.number] = port
        self._sessions.connect(port.number)
        self._selector.register(fd, selectors.EVENT_READ, lambda mask: self._ready(port, mask))

    def _ready(self, port: _Port, mask: int) -> None:
        if not mask & selectors.EVENT_READ:
            return
        try:
            data = port.read()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.EIO, errno.EPIPE):
                raise
            data = b""
        if data:
            self._sessions.receive(port.number, data)
        else:
            self._drop(port)

    def _write(self, port: _Port) -> None:
        had_pending = bool(port.pending)
        port.push(self._sessions.take_output(port.number))
        try:
            port.flush()
        except (BrokenPipeError, ConnectionResetError):
            self._drop(port)
            return
        if len(port.pending) > _MAX_PENDING_BYTES:
            # a client that asks and never reads must not fill this process's memory
            self._drop(port)
            return
        if bool(port.pending) != had_pending:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if port.pending else 0)
            self._selector.modify(port.fd, events, lambda mask: self._ready(port, mask))

    def _drop(self, port: _Port) -> None:
        self._selector.unregister(port.fd)
        del self._ports[port.number]
        self._sessions.disconnect(port.number)
        port.close()

    def _drain_waker(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(64)


class InProcessBoard:
    """A simulated board in a thread of this process, reached over a socket pair.

    Parameters
    ----------
    root : Path
        Folder of the simulated boards' states.
    seed, chips : int
        Which board.

    Raises
    ------
    StateHeld, StateDamaged
        The board's state is in use, or cannot be read.
    """

    def __init__(self, root: Path, seed: int, chips: int) -> None:
        self._board = SimulatedBoard(root, seed, chips)
        self._server = BoardServer(Firmware(self._board))
        self._thread = threading.Thread(
            target=self._server.run, name="simulated-board", daemon=True
        )

    def start(self) -> socket.socket:
        """Begin to serve; returns the host's end of the link."""
        host_end, board_end = socket.socketpair()
        self._server.attach(board_end)
        self._thread.start()
        return host_end

    def stop(self) -> None:
        """End the board, wait for it and release its state."""
        self._server.stop()
        if self._thread.ident is None:
            self._server.run()  # ends at once, and closes what was opened
        else:
            self._thread.join()
        self._board.close()
