"""The pipe on a file descriptor: what sockets, serial ports and socket pairs have in common.

Owns: waiting, reading what is there, writing all, waking, closing. Knows no address scheme and
never opens a descriptor. POSIX only: it relies on poll and on reads and writes of descriptors.

A read first tries the descriptor and only then waits: while data streams in, that is one
system call for up to 1 MiB and no copy but the kernel's.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import threading
from collections.abc import Callable

from rramhil.errors import LinkLost

READ_BYTES = 1 << 20
"""Most bytes a read returns."""

WRITE_STALL_S = 30.0
"""How long the other side may take nothing before a write gives up."""

_NEXT_STEP = "Check the board's power, its cable or its server, then run it again."


class FdPipe:
    """Pipe on a non-blocking descriptor of a stream.

    Parameters
    ----------
    fd : int
        Descriptor, already non-blocking. End of file must read as empty, and "nothing yet" as
        BlockingIOError.
    address : str
        The address as the user gave it.
    release : Callable
        Closes the descriptor and what else belongs to it.
    """

    def __init__(self, fd: int, address: str, release: Callable[[], None]) -> None:
        self.address = address
        self._fd = fd
        self._release = release
        self._closed = False
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        # `wake` is a byte through the first pair, `close` the end of file of the second: a
        # writer that waits for room must not be woken by bytes meant for the reader
        self._wake_out, self._wake_in = _socket_pair()
        self._end_out, self._end_in = _socket_pair()
        self._readable = select.poll()
        self._readable.register(fd, select.POLLIN)
        self._readable.register(self._wake_out, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(fd, select.POLLOUT)
        self._writable.register(self._end_out, select.POLLIN)

    def read(self, timeout_s: float) -> bytes:
        """Read what is there, up to 1 MiB; empty at the time-out and after `wake`."""
        with self._reading:
            data = self._read_now()
            if data is not None:
                return data
            ready = self._readable.poll(max(0, math.ceil(timeout_s * 1000)))
            if any(fd == self._wake_out.fileno() for fd, _ in ready):
                self._wake_out.recv(READ_BYTES)
                self._check_open()
                return b""
            return self._read_now() or b"" if ready else b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`, waiting for room where there is none."""
        rest = memoryview(data).cast("B")
        with self._writing:
            while rest:
                self._check_open()
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    self._wait_for_room(len(rest))
                except OSError as error:
                    raise self._lost(error) from None

    def wake(self) -> None:
        """Make the read in progress, or else the next idle one, return empty."""
        try:
            self._wake_in.send(b"\0")
        except BlockingIOError:
            pass  # so many wakes are pending that one more changes nothing
        except OSError:
            if not self._closed:
                raise

    def close(self) -> None:
        """Stop reads and writes in progress with LinkLost, then release the descriptor."""
        if self._closed:
            return
        self._closed = True
        self._wake_in.close()
        self._end_in.close()
        with self._reading, self._writing:
            self._release()
            self._wake_out.close()
            self._end_out.close()

    def _read_now(self) -> bytes | None:
        """Return the bytes that are there; None if there are none yet."""
        self._check_open()
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._lost(error) from None
        if not data:
            raise LinkLost(f"The board at {self.address} closed the connection.", _NEXT_STEP)
        return data

    def _wait_for_room(self, left: int) -> None:
        if not self._writable.poll(WRITE_STALL_S * 1000):
            raise LinkLost(
                f"The board at {self.address} has taken no byte for {WRITE_STALL_S:g} s, with "
                f"{left:,} bytes to go.",
                _NEXT_STEP,
            )

    def _check_open(self) -> None:
        if self._closed:
            raise LinkLost(f"The connection to {self.address} was closed on this side.")

    def _lost(self, error: OSError) -> LinkLost:
        # a terminal whose other end is gone answers EIO
        cause = "no device answers" if error.errno == errno.EIO else error.strerror
        return LinkLost(f"The connection to {self.address} broke ({cause}).", _NEXT_STEP)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    out, into = socket.socketpair()
    out.setblocking(False)
    into.setblocking(False)
    return out, into
