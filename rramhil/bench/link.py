"""`rramhil bench link`: small commands, batched operations and bulk reads over TCP loopback.

Client and server are two processes; the reference is a pair of bare sockets, also two processes,
that move the same number of bytes in each direction.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from firmware_protocol.messages import Command
from rramhil.bench._peers import BareSocket, bare_socket, served_board
from rramhil.bench._rounds import Figure, side_by_side
from rramhil.driver import Board, Chip

_COMMANDS = 100_000
_POINTS = 4_000_000
_READS = 64
_PIECE_BYTES = 65_536


def figures() -> Generator[Figure]:
    """Measure, one figure after the other."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served_board(Path(folder)) as address,
        bare_socket() as bare,
        Board.open(address, lab_root=Path(folder)) as board,
    ):
        chip = board.chip(0)
        yield _compare(
            board,
            bare,
            "small commands (STATUS), windowed",
            "commands/s",
            _COMMANDS,
            _status(board),
        )
        yield _compare(
            board, bare, "batched operations (READ_POINTS)", "operations/s", _POINTS, _points(chip)
        )
        codes = _READS * chip.description.rows * chip.description.columns
        yield _compare(
            board, bare, "bulk read-back (READ_CELLS)", "MB/s", 2 * codes / 1e6, _bulk(chip)
        )


def _compare(
    board: Board,
    bare: BareSocket,
    name: str,
    unit: str,
    amount: float,
    work: Callable[[], object],
) -> Figure:
    statistics = board.link.statistics
    before = statistics.bytes_sent, statistics.bytes_received
    work()  # warms caches and kernels, and tells how many bytes move
    outward = statistics.bytes_sent - before[0]
    inward = statistics.bytes_received - before[1]

    def ours_s() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    def bare_s() -> float:
        return bare.exchange_s(outward, inward, _PIECE_BYTES)

    return side_by_side(name, unit, amount, ours_s, "bare sockets, same bytes", bare_s)


def _status(board: Board) -> Callable[[], object]:
    bodies = [b""] * _COMMANDS
    return lambda: board.link.request_many(Command.STATUS, bodies)


def _points(chip: Chip) -> Callable[[], object]:
    cells = np.arange(_POINTS) % (chip.description.rows * chip.description.columns)
    rows, columns = np.divmod(cells, chip.description.columns)
    return lambda: chip.read_points(rows, columns)


def _bulk(chip: Chip) -> Callable[[], object]:
    return lambda: chip.read_codes(slice(None), slice(None), reads=_READS)
