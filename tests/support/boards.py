"""Simulated boards for tests, served on TCP from a thread, and the truth about their chips."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sim_backend.board import SimulatedBoard
from sim_backend.faults import Faults
from sim_backend.faults.model import NONE
from sim_backend.firmware import Firmware
from sim_backend.server import BoardServer


@contextmanager
def served_board(
    lab_root: Path,
    *,
    seed: int = 0,
    chips: int = 1,
    pty: Path | None = None,
    faults: Faults = NONE,
    **options: Any,
) -> Generator[str]:
    """Serve a board of the lab on TCP, and on a pty if asked; yields the TCP address.

    Leaving stops it, as a crash would. Options go to the server: `realtime`, and the session's.
    """
    with SimulatedBoard(lab_root / "simulated", seed, chips, faults=faults) as board:
        server = BoardServer(Firmware(board), faults=faults, **options)
        host, port = server.listen_tcp("127.0.0.1", 0)
        if pty is not None:
            server.open_pty(pty)
        thread = threading.Thread(target=server.run, name="served-board")
        thread.start()
        try:
            yield f"tcp://{host}:{port}"
        finally:
            server.stop()
            thread.join()


def endpoint(address: str) -> tuple[str, int]:
    """Host and port of a `tcp://` address."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)
