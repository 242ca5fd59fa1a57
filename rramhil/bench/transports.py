"""`rramhil bench transports`: a whole programming run over each transport, beside `sim://`.

Each round programs a fresh chip of the same seed, so that every run carries the same bytes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

from rramhil.bench._peers import served_board
from rramhil.bench._rounds import Figure, side_by_side
from rramhil.driver import Board
from rramhil.lab import Lab
from rramhil.programming import program

_READS = 8
_ROUNDS = 3

AddressOf = Callable[[str, Path], str]
"""Makes an address of the served board's TCP address and the path of its pty."""


def figures() -> Generator[Figure]:
    """Measure, one transport after the other."""
    _in_process_s()  # loads libraries and kernels
    for name, address_of in _TRANSPORTS.items():
        cells = 512 * 512
        yield side_by_side(
            f"program with {_READS} reads over {name}",
            "cells/s",
            cells,
            lambda address_of=address_of: _served_s(address_of),
            "sim://",
            _in_process_s,
            _ROUNDS,
        )


def _visa_socket(tcp: str, _pty: Path) -> str:
    host, _, port = tcp.removeprefix("tcp://").rpartition(":")
    return f"TCPIP::{host}::{port}::SOCKET"


_TRANSPORTS: dict[str, AddressOf] = {
    "tcp://": lambda tcp, _pty: tcp,
    "serial:// on a pty": lambda _tcp, pty: f"serial://{pty}",
    "TCPIP SOCKET": _visa_socket,
    "ASRL on a pty": lambda _tcp, pty: f"ASRL{pty}::INSTR",
}


def _served_s(address_of: AddressOf) -> float:
    with tempfile.TemporaryDirectory() as folder:
        pty = Path(folder) / "tty"
        with served_board(Path(folder), pty) as tcp:
            return _program_s(address_of(tcp, pty), Path(folder))


def _in_process_s() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _program_s("sim://", Path(folder))


def _program_s(address: str, root: Path) -> float:
    begin = time.perf_counter()
    with Board.open(address, lab_root=root) as board, Lab(root) as lab:
        program(board, lab, 0, reads=_READS)
    return time.perf_counter() - begin
