"""Other processes to measure against: a served simulated board, and a bare socket peer."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rramhil.errors import RramhilError

_BARE_PEER = """
import socket, struct
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
link, _ = listener.accept()
link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    head = link.recv(24, socket.MSG_WAITALL)
    if len(head) < 24:
        break
    inward, outward, piece = struct.unpack("<QQQ", head)
    answer = bytes(piece)
    while inward > 0 or outward > 0:
        if inward > 0:
            inward -= len(link.recv(min(inward, 1 << 20)))
        if outward > 0:
            sent = min(outward, piece)
            link.sendall(answer[:sent])
            outward -= sent
"""


@contextmanager
def served_board(lab_root: Path, pty: Path | None = None) -> Generator[str]:
    """A simulated board served on TCP, and on a pty, by another process; yields its TCP address."""
    command = [sys.executable, "-m", "rramhil", "sim", "serve", "--tcp", "127.0.0.1:0"]
    command += ["--pty", str(pty)] if pty else []
    with _running([*command, "--lab", str(lab_root)]) as first_line:
        yield f"tcp://{first_line.rpartition('tcp://')[2].split()[0]}"


class BareSocket:
    """A peer that moves bytes and does nothing else."""

    def __init__(self, port: int) -> None:
        self._link = socket.create_connection(("127.0.0.1", port))
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange_s(self, outward: int, inward: int, piece: int) -> float:
        """Seconds to send `outward` and receive `inward` bytes in pieces of `piece` bytes."""
        begin = time.perf_counter()
        sizes = (outward, inward, piece)
        self._link.sendall(b"".join(size.to_bytes(8, "little") for size in sizes))
        data = bytes(piece)
        while outward > 0 or inward > 0:
            if outward > 0:
                sent = min(outward, piece)
                self._link.sendall(data[:sent])
                outward -= sent
            if inward > 0:
                inward -= len(self._link.recv(min(inward, 1 << 20)))
        return time.perf_counter() - begin

    def close(self) -> None:
        """End the peer."""
        self._link.close()


@contextmanager
def bare_socket() -> Generator[BareSocket]:
    """A bare socket peer in another process."""
    with _running([sys.executable, "-c", _BARE_PEER]) as first_line:
        peer = BareSocket(int(first_line))
        try:
            yield peer
        finally:
            peer.close()


@contextmanager
def _running(command: list[str]) -> Generator[str]:
    """A child process; yields the first line that it prints."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first_line = child.stdout.readline() if child.stdout else ""
        if not first_line:
            reason = child.stderr.read() if child.stderr else ""
            raise RramhilError(f"The peer process did not start: {reason.strip()}")
        yield first_line
    finally:
        child.terminate()
        child.communicate()
