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
from firmware_protocol.executor import Executor, Pace
from sim_backend.board import SimulatedBoard
from sim_backend.control import ControlPort
from sim_backend.faults import Faults, PowerLost, Slow
from sim_backend.faults.lanes import Lane, Schedule
from sim_backend.faults.model import NONE
from sim_backend.firmware import Firmware

_READ_BYTES = 1 << 20
_WORK_SLICE_S = 0.0005  # how long ABORT may have to wait for the loop to look at its links
_IDLE_S = 1.0
_MAX_PENDING_BYTES = 1 << 28  # replies and chunks of a full window are far less


@dataclass
class _Port:
    """One link: how to read, how to write, what is still to be written.

    Lanes are None where the link has no faults. A link that does not stay ends with the power.
    """

    number: int
    fd: int
    read: Callable[[], bytes]
    write: Callable[[memoryview], int]
    close: Callable[[], None]
    stays: bool
    inward: Lane | None = None
    outward: Lane | None = None
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
    faults : Faults
        Of the links, and how slow the board is; its other faults are the board's own.
    realtime : bool
        Whether answers wait until the board's clock, beside the wall's, says that they are due.
    session_options : keyword arguments
        Passed to `BoardSessions`: versions, window, lease limits.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        faults: Faults = NONE,
        realtime: bool = False,
        **session_options: Any,
    ) -> None:
        self._executor = executor
        self._options = {"pace": _pace(faults, realtime), **session_options}
        self._sessions = self._new_sessions()
        self._inward = Schedule(faults, "to_board")
        self._outward = Schedule(faults, "to_host")
        self._listeners: list[socket.socket] = []
        self._power_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._ports: dict[int, _Port] = {}
        self._next_number = 0
        self._cleanups = contextlib.ExitStack()
        self._stopping = False
        self._control: ControlPort | None = None
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
        self._listeners.append(listener)
        self._listen(listener)
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
            stays=True,
        )

    def attach(self, link: socket.socket) -> None:
        """Serve an already connected socket."""
        link.setblocking(False)
        self._add_port(
            link.fileno(), lambda: link.recv(_READ_BYTES), link.send, link.close, stays=False
        )

    def offer_control(self, board: SimulatedBoard) -> None:
        """Let other processes of this user move the board's time and temperature.

        Raises
        ------
        OSError
            The control socket cannot be made.
        """
        self._control = ControlPort(board, self._selector)
        self._cleanups.callback(self._control.close)

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
        for key, mask in self._selector.select(self._timeout_s()):
            key.data(mask)
        if self._power_at is not None:
            self._wait_for_power()
            return
        if self._inward:
            self._hear()
        sessions = self._sessions
        try:
            sessions.work(_WORK_SLICE_S)
        except PowerLost as lost:
            self._lose_power(lost.off_s)
            return
        sessions.expire()
        if self._control is not None:
            self._control.answer()
        for port in list(self._ports.values()):
            self._write(port)

    def _timeout_s(self) -> float:
        if self._power_at is not None:
            return max(0.0, self._power_at - time.monotonic())
        sessions = self._sessions
        if sessions.busy:
            return 0.0
        due = [sessions.next_expiry_s(), sessions.next_work_s(), self._lanes_due_s()]
        return max(0.0, min((_IDLE_S, *(wait_s for wait_s in due if wait_s is not None))))

    def _new_sessions(self) -> BoardSessions:
        return BoardSessions(self._executor, time.monotonic, **self._options)

    # --- faults ----------------------------------------------------------------------------

    def _lanes_due_s(self) -> float | None:
        """Seconds until a frame that a fault holds up arrives, or None."""
        lanes = [lane for port in self._ports.values() for lane in (port.inward, port.outward)]
        due = [at for lane in lanes if lane is not None and (at := lane.due_s()) is not None]
        return min(due) - time.monotonic() if due else None

    def _hear(self) -> None:
        """Let in what the faults of the links have let through by now."""
        now = time.monotonic()
        for port in self._ports.values():
            for piece in port.inward.take(now) if port.inward else ():
                self._sessions.receive(port.number, piece)

    def _lose_power(self, off_s: float) -> None:
        """Links fall and what is volatile is gone; serial lines stay, and nobody answers."""
        self._power_at = time.monotonic() + off_s
        for port in list(self._ports.values()):
            if port.stays:
                self._spoil(port)
                port.pending = memoryview(b"")
                self._watch(port)
            else:
                self._drop(port)
        for listener in self._listeners:
            self._selector.unregister(listener)
        self._executor.make_safe()
        self._sessions = self._new_sessions()
        for port in self._ports.values():
            self._sessions.connect(port.number)

    def _wait_for_power(self) -> None:
        if self._power_at is not None and time.monotonic() >= self._power_at:
            self._power_at = None
            for listener in self._listeners:
                self._listen(listener)

    def _spoil(self, port: _Port) -> None:
        """Give a link its faults, with nothing on its way."""
        port.inward = Lane(self._inward) if self._inward else None
        port.outward = Lane(self._outward) if self._outward else None

    # --- ports -----------------------------------------------------------------------------

    def _listen(self, listener: socket.socket) -> None:
        self._selector.register(
            listener, selectors.EVENT_READ, lambda _mask: self._accept(listener)
        )

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
        *,
        stays: bool,
    ) -> None:
        port = _Port(self._next_number, fd, read, write, close, stays)
        self._spoil(port)
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
        if not data:
            self._drop(port)
        elif self._power_at is not None:
            return  # nobody hears it
        elif port.inward is not None:
            port.inward.feed(data, time.monotonic())
        else:
            self._sessions.receive(port.number, data)

    def _write(self, port: _Port) -> None:
        had_pending = bool(port.pending)
        frames = self._sessions.take_output(port.number)
        try:
            if port.outward is None:
                port.push(frames)
                port.flush()
            else:
                self._write_spoilt(port, port.outward, frames)
        except (BrokenPipeError, ConnectionResetError):
            self._drop(port)
            return
        if len(port.pending) > _MAX_PENDING_BYTES:
            # a client that asks and never reads must not fill this process's memory
            self._drop(port)
            return
        if bool(port.pending) != had_pending:
            self._watch(port)

    def _watch(self, port: _Port) -> None:
        """Wait for what a link brings, and for its room where something is to be written."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if port.pending else 0)
        self._selector.modify(port.fd, events, lambda mask: self._ready(port, mask))

    def _write_spoilt(self, port: _Port, lane: Lane, frames: list[bytes]) -> None:
        """Write piece by piece what the faults of the link let through."""
        now = time.monotonic()
        lane.feed(b"".join(frames), now)
        port.flush()
        for piece in lane.take(now):
            port.push([piece])
            port.flush()

    def _drop(self, port: _Port) -> None:
        self._selector.unregister(port.fd)
        del self._ports[port.number]
        self._sessions.disconnect(port.number)
        port.close()

    def _drain_waker(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(64)


def _pace(faults: Faults, realtime: bool) -> Pace | None:
    command_s = sum(fault.command_s for fault in faults.of_board(Slow))
    return Pace(command_s, float(realtime)) if command_s or realtime else None


class InProcessBoard:
    """A simulated board in a thread of this process, reached over a socket pair.

    Parameters
    ----------
    root : Path
        Folder of the simulated boards' states.
    seed, chips : int
        Which board.
    faults : Faults
        What is wrong with it and its link.

    Raises
    ------
    StateHeld, StateDamaged
        The board's state is in use, or cannot be read.
    OutOfRange
        A fault is of something that the board does not have.
    """

    def __init__(self, root: Path, seed: int, chips: int, faults: Faults = NONE) -> None:
        self._board = SimulatedBoard(root, seed, chips, faults=faults)
        self._server = BoardServer(Firmware(self._board), faults=faults)
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
