"""A tape of a simulated board replays as that board, to the byte."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from firmware_protocol.host_session import HostSession
from firmware_protocol.messages import Command, ReadCellsRequest, StreamChunk
from firmware_protocol.requests import Request
from rramhil.errors import BoardHeld, TapeError
from rramhil.transport import Pipe, open_pipe, simulated

Codes = list[bytes]


def read_cells(reads: int) -> bytes:
    rows, columns = bytes([0xFF]) + bytes(63), bytes([0xFF] * 64)
    return ReadCellsRequest(0, 0, reads, rows, columns).pack()


def converse(pipe: Pipe, nonce: bytes, reads: int = 2, window: int = 8) -> tuple[Codes, Codes]:
    """Describe the board and read cells; returns the replies and the chunks' words."""
    session = HostSession(nonce, f"client {nonce[0]}", time.monotonic, window=window)
    replies: Codes = []
    words: Codes = []

    def done(request: Request) -> None:
        assert request.error is None
        reply = request.reply or b""
        if request.command == Command.HELLO:
            # the nonce comes back to whoever sent it
            reply = reply.removeprefix(nonce)
        replies.append(reply)

    def on_chunk(_head: StreamChunk, data: memoryview) -> None:
        words.append(bytes(data))

    session.greet(done)
    exchange(pipe, session, lambda: session.idle)
    session.submit(Request(Command.DESCRIBE, b"", done))
    session.submit(Request(Command.CHIP, b"\0", done))
    for _ in range(3):
        session.submit(Request(Command.READ_CELLS, read_cells(reads), done, on_chunk))
    session.send_now(Request(Command.STATUS, b"", lambda _request: None))
    exchange(pipe, session, lambda: session.idle)
    return replies, words


def exchange(pipe: Pipe, session: HostSession, finished: Callable[[], bool]) -> None:
    while True:
        pipe.write(b"".join(session.take_output()))
        if finished():
            return
        session.receive(pipe.read(session.wait_s()))
        session.poll()


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, tuple[Codes, Codes]]:
    tape = tmp_path / "run.tape"
    with closing(open_pipe("sim://?seed=3", lab_root=tmp_path, record=tape)) as pipe:
        return tape, converse(pipe, b"a" * 16)


def test_a_tape_of_a_board_answers_as_the_board_did(recorded, tmp_path):
    tape, seen = recorded
    assert sum(len(words) for words in seen[1]) == 3 * 2 * 8 * 512 * 2
    for nonce, window in ((b"b", 8), (b"c", 8)):
        with closing(open_pipe(f"tape://{tape}", lab_root=tmp_path)) as pipe:
            assert converse(pipe, nonce * 16, window=window) == seen


def test_a_run_that_differs_from_the_tape_is_told_where(recorded, tmp_path):
    tape, _ = recorded
    with (
        closing(open_pipe(f"tape://{tape}", lab_root=tmp_path)) as pipe,
        pytest.raises(TapeError, match=r"READ_CELLS request, sequence 3: reads, byte 0\) is 0x02"),
    ):
        converse(pipe, b"b" * 16, reads=3)


def test_a_changed_byte_of_a_recorded_run_is_named_with_its_meaning(recorded, tmp_path):
    tape, seen = recorded
    content = bytearray(tape.read_bytes())
    at = content.find(seen[1][0][:64]) + 33
    was = content[at]
    content[at] ^= 0x10
    tape.write_bytes(content)
    with pytest.raises(TapeError) as caught:
        open_pipe(f"tape://{tape}", lab_root=tmp_path)
    assert f"Byte {at:,} of the tape" in caught.value.sentence
    assert "READ_CELLS chunk, sequence 3: words[16], byte 1" in caught.value.sentence
    assert caught.value.sentence.endswith(f"0x{was:02x} became 0x{was ^ 0x10:02x}.")


def test_a_simulated_board_in_use_is_held_and_free_after_its_pipe_is_closed(tmp_path):
    with (
        closing(open_pipe("sim://", lab_root=tmp_path)),
        pytest.raises(BoardHeld, match="serves the simulated board"),
    ):
        open_pipe("sim://", lab_root=tmp_path)
    open_pipe("sim://", lab_root=tmp_path).close()


def test_ctrl_c_while_a_simulated_board_is_made_waits_and_releases_it(tmp_path, monkeypatch):
    """Kernels load there, in whose callbacks an exception would be lost."""
    made = []

    class Slow(simulated.InProcessBoard):
        def __init__(self, *arguments):
            signal.raise_signal(signal.SIGINT)
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(simulated, "InProcessBoard", Slow)
    with pytest.raises(KeyboardInterrupt):
        open_pipe("sim://", lab_root=tmp_path)
    assert made
    monkeypatch.undo()
    open_pipe("sim://", lab_root=tmp_path).close()
