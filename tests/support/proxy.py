"""A TCP proxy that spoils a link in the ways links are spoiled.

It forwards bytes between one client and one server and can delay each piece, hold the flow, or
cut the connection after a number of bytes. One thread, one connection at a time; when a
connection ends it waits for the next one, so that a client may come back.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

PIECE_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes close send RST


@dataclass
class _Lane:
    """One direction: what arrived and when it is due on the other side."""

    source: socket.socket
    sink: socket.socket
    delay_s: float
    cut_after: int | None
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque[tuple[float, bytes]])
    forwarded: int = 0
    read_out: bool = False
    ended: bool = False


class TcpProxy:
    """Forward bytes between a client and `server`, as a context manager.

    Parameters
    ----------
    server : (str, int)
        Host and port to forward to.
    delay_to_server_s, delay_to_client_s : float
        Time by which each piece is late.
    cut_to_server_after, cut_to_client_after : int, optional
        Bytes after which the first connection is cut, in the middle of a frame if need be.

    Attributes
    ----------
    address : str
        Where clients connect: ``tcp://127.0.0.1:PORT``.
    port : int
    connections : int
        How many clients came.
    """

    def __init__(
        self,
        server: tuple[str, int],
        *,
        delay_to_server_s: float = 0.0,
        delay_to_client_s: float = 0.0,
        cut_to_server_after: int | None = None,
        cut_to_client_after: int | None = None,
    ) -> None:
        self._server = server
        self._delays_s = (delay_to_server_s, delay_to_client_s)
        self._cuts = (cut_to_server_after, cut_to_client_after)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.connections = 0
        self._alarm, self._ring = socket.socketpair()
        self._paused = False
        self._cutting = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._notify()
        self._thread.join()
        for one in (self._listener, self._alarm, self._ring):
            one.close()

    def pause(self) -> None:
        """Forward nothing until `resume`; what arrives waits."""
        self._paused = True
        self._notify()

    def resume(self) -> None:
        """Forward again."""
        self._paused = False
        self._notify()

    def cut(self) -> None:
        """Reset both sides of the connection, losing what is under way."""
        self._cutting = True
        self._notify()

    def _notify(self) -> None:
        self._ring.send(b"\0")

    def _run(self) -> None:
        while not self._stopping:
            readable, _, _ = select.select([self._listener, self._alarm], [], [])
            if self._alarm in readable:
                self._alarm.recv(4096)
                self._cutting = False  # there is nothing to cut
            if self._listener in readable:
                self._serve(self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        self.connections += 1
        with client, socket.create_connection(self._server) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            cuts, self._cuts = self._cuts, (None, None)
            lanes = (
                _Lane(client, server, self._delays_s[0], cuts[0]),
                _Lane(server, client, self._delays_s[1], cuts[1]),
            )
            try:
                while not self._stopping and any(not lane.ended for lane in lanes):
                    self._turn(lanes)
            except (ConnectionError, _CutError):
                for one in (client, server):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._cutting = False

    def _turn(self, lanes: tuple[_Lane, _Lane]) -> None:
        """Wait for bytes, an order or a piece that is due, and deal with it."""
        # a lane that holds much stops reading, as a full link does
        open_sources = [x.source for x in lanes if not x.read_out and len(x.waiting) < 64]
        readable, _, _ = select.select([*open_sources, self._alarm], [], [], self._due_in_s(lanes))
        if self._alarm in readable:
            self._alarm.recv(4096)
        if self._cutting:
            raise _CutError
        for lane in lanes:
            if lane.source in readable:
                data = lane.source.recv(PIECE_BYTES)
                lane.read_out = not data
                lane.waiting.append((time.monotonic() + lane.delay_s, data))
            if not self._paused:
                _forward(lane)

    def _due_in_s(self, lanes: tuple[_Lane, _Lane]) -> float | None:
        if self._paused:
            return None
        due = [lane.waiting[0][0] for lane in lanes if lane.waiting]
        return max(0.0, min(due) - time.monotonic()) if due else None


class _CutError(Exception):
    """The connection is to be reset."""


def _forward(lane: _Lane) -> None:
    now = time.monotonic()
    while lane.waiting and lane.waiting[0][0] <= now:
        data = lane.waiting.popleft()[1]
        if not data:
            lane.ended = True
            lane.sink.shutdown(socket.SHUT_WR)
            return
        if lane.cut_after is not None and lane.forwarded + len(data) >= lane.cut_after:
            lane.sink.sendall(data[: lane.cut_after - lane.forwarded])
            raise _CutError
        lane.sink.sendall(data)
        lane.forwarded += len(data)
