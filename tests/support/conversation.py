"""A short conversation between a host and a board, as frames, and tapes of it.

The bytes are written out here frame by frame: a tape must be judged by what crossed the wire,
whatever the session machines make of it.
"""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from firmware_protocol.framing import encode
from firmware_protocol.messages import (
    HELLO_VERSION,
    Command,
    Error,
    ErrorCode,
    Flag,
    HelloReply,
    HelloRequest,
    PulseRow,
    PulseRowsReply,
    PulseRowsRequest,
    StatusReply,
    StreamChunk,
)
from rramhil.transport._fd import FdPipe
from rramhil.transport.tape import RecordingPipe

SESSION = 7
CHUNK = Flag.REPLY | Flag.STREAM
Exchange = tuple[bytes, list[bytes]]


def hello(nonce: int = 1, client: str = "test", window: int = 8) -> bytes:
    """Return the host's HELLO."""
    body = HelloRequest(bytes([nonce]) * 16, 1, 1, 1, 0, 65_536, window, 16, 3000, client).pack()
    return encode(Command.HELLO, 0, 0, body, version=HELLO_VERSION)


def hello_reply(session: int = SESSION, nonce: int = 1) -> bytes:
    """Return the board's reply to HELLO."""
    body = HelloReply(
        bytes([nonce]) * 16, 1, 1, 1, 0, session, 65_536, 8, 16, 3000, 1, "test", "T-1", "0"
    ).pack()
    return encode(Command.HELLO, 0, 0, body, Flag.REPLY, version=HELLO_VERSION)


def status(credit: int = 16) -> bytes:
    """Return a heartbeat."""
    return encode(Command.STATUS, SESSION, 0, b"", 0, credit)


def status_reply(board_time_ns: int) -> bytes:
    """Return the reply to a heartbeat."""
    body = StatusReply(0, 1, 0, 0, SESSION, 3000, board_time_ns, 300_000, 0, 0).pack()
    return encode(Command.STATUS, SESSION, 0, body, Flag.REPLY)


def pulse(sequence: int, width_ns: int = 1000, rows: int = 4) -> bytes:
    """Return a PULSE_ROWS request of some rows."""
    items = [PulseRow(row, 100, 200, 0, 200, 0, width_ns, bytes(64)).pack() for row in range(rows)]
    body = PulseRowsRequest(0, 1, rows).pack() + b"".join(items)
    return encode(Command.PULSE_ROWS, SESSION, sequence, body)


def pulse_reply(sequence: int, rows: int = 4) -> bytes:
    """Return the reply to it."""
    none = Error(ErrorCode.DONE, 0xFFFF, 0, 0, 0, 0, "")
    body = PulseRowsReply(rows, rows, 512 * rows, 10**6, none).pack() + bytes(rows)
    return encode(Command.PULSE_ROWS, SESSION, sequence, body, Flag.REPLY)


def read(sequence: int) -> bytes:
    """Return a READ_CELLS request (its body is of no matter to a tape)."""
    return encode(Command.READ_CELLS, SESSION, sequence, bytes(132))


def chunk(sequence: int, number: int, words: int = 32) -> bytes:
    """Return a chunk of the answer to it."""
    head = StreamChunk(number, words, number * words, 10**6 * number).pack()
    data = b"".join((1000 + number + word).to_bytes(2, "little") for word in range(words))
    return encode(Command.READ_CELLS, SESSION, sequence, head + data, CHUNK)


def read_reply(sequence: int) -> bytes:
    """Return the end of the answer."""
    return encode(Command.READ_CELLS, SESSION, sequence, bytes(40), Flag.REPLY)


def expected(sequence: int, missing: int) -> bytes:
    """Return the board's word that a frame before this one is missing."""
    body = Error(ErrorCode.EXPECTED, 0xFFFF, sequence, missing, 0, 0, "").pack()
    return encode(Command.PULSE_ROWS, SESSION, sequence, body, Flag.REPLY | Flag.ERROR)


def run() -> list[Exchange]:
    """Return what a short run sends, each frame with what the board answers to it."""
    return [
        (hello(), [hello_reply()]),
        (pulse(1), [pulse_reply(1)]),
        (status(), [status_reply(1)]),
        (read(2), [chunk(2, 0), chunk(2, 1), read_reply(2)]),
        (status(18), [status_reply(2)]),
        (pulse(3, width_ns=2000), [pulse_reply(3)]),
    ]


def record(path: Path, exchanges: list[Exchange]) -> Path:
    """Let the bytes of a conversation pass a recording pipe; returns the tape."""
    host, board = socket.socketpair()
    host.setblocking(False)
    inner = FdPipe(host.fileno(), "tcp://192.0.2.1:7400", host.close)
    with board, closing(RecordingPipe(inner, path)) as pipe:
        for sent, answers in exchanges:
            pipe.write(sent)
            board.recv(1 << 20)
            answer = b"".join(answers)
            board.sendall(answer)
            received = 0
            while received < len(answer):
                received += len(pipe.read(10))
    return path
