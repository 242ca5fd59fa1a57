"""Promises of every pipe, on real sockets, socket pairs and pseudo-terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from rramhil.errors import BoardHeld, LinkLost, NotFound, UsageError
from rramhil.transport import Pipe, open_pipe
from rramhil.transport._fd import FdPipe

ALL_BYTES = bytes(range(256))


@dataclass
class Peer:
    """A pipe and what the board's side of it can do."""

    pipe: Pipe
    send: Callable[[bytes], object]
    receive: Callable[[int], bytes]
    leave: Callable[[], object]


def socket_peer(make: Callable[[socket.socket], Pipe], host: socket.socket, board: socket.socket):
    def receive(count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += board.recv(1 << 20)
        return bytes(data)

    return Peer(make(host), board.sendall, receive, board.close)


@contextlib.contextmanager
def tcp_peer(lab_root) -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe = open_pipe(f"tcp://127.0.0.1:{listener.getsockname()[1]}", lab_root=lab_root)
        board, _ = listener.accept()
        with board, contextlib.closing(pipe):
            yield socket_peer(lambda _: pipe, board, board)


@contextlib.contextmanager
def pair_peer(lab_root) -> Iterator[Peer]:
    host, board = socket.socketpair()
    host.setblocking(False)
    with board, contextlib.closing(FdPipe(host.fileno(), "pair", host.close)) as pipe:
        yield socket_peer(lambda _: pipe, host, board)


@contextlib.contextmanager
def pty_peer(lab_root) -> Iterator[Peer]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    pipe = open_pipe(f"serial://{name}?baud=3000000", lab_root=lab_root)
    os.close(slave)  # so that closing the master hangs the line up

    def receive(count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += os.read(master, 1 << 20)
        return bytes(data)

    def send(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(master, view) :]

    left: list[bool] = []

    def leave() -> None:
        if not left:
            left.append(True)
            os.close(master)

    with contextlib.closing(pipe):
        yield Peer(pipe, send, receive, leave)
    leave()


@pytest.fixture(params=[tcp_peer, pair_peer, pty_peer], ids=["tcp", "pair", "pty"])
def peer(request, tmp_path) -> Iterator[Peer]:
    with request.param(tmp_path) as made:
        yield made


def read_exactly(pipe: Pipe, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        data += pipe.read(10)
    return bytes(data)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_every_byte_value_passes_both_ways_unchanged(peer):
    peer.pipe.write(ALL_BYTES)
    assert peer.receive(256) == ALL_BYTES
    peer.send(ALL_BYTES)
    assert read_exactly(peer.pipe, 256) == ALL_BYTES


def test_a_read_takes_what_is_there_without_waiting_for_more(peer):
    peer.send(b"abc")
    assert read_exactly(peer.pipe, 3) == b"abc"
    assert peer.pipe.read(0) == b""


def test_a_read_returns_empty_at_its_time_out(peer):
    assert peer.pipe.read(0.01) == b""


def test_a_wake_ends_a_read_in_progress(peer):
    results: list[bytes] = []
    reader = in_thread(lambda: results.append(peer.pipe.read(60)))
    peer.pipe.wake()
    reader.join(30)
    assert results == [b""]


def test_a_wake_before_the_read_is_not_lost_and_counts_once(peer):
    for _ in range(100_000 if isinstance(peer.pipe, FdPipe) else 1):
        peer.pipe.wake()
    assert peer.pipe.read(60) == b""
    peer.send(b"x")
    assert read_exactly(peer.pipe, 1) == b"x"


def test_data_outrun_a_wake(peer):
    peer.send(b"x")
    time.sleep(0.05)
    peer.pipe.wake()
    assert read_exactly(peer.pipe, 1) == b"x"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_8_mib_arrive_whole_through_any_number_of_partial_writes(peer, kind):
    data = os.urandom(1 << 16) * 128
    received: list[bytes] = []
    board = in_thread(lambda: received.append(peer.receive(len(data))))
    peer.pipe.write(kind(data))
    board.join(60)
    assert received == [data]


def test_bulk_data_are_read_whole_and_in_large_pieces(peer):
    data = os.urandom(1 << 16) * 64
    board = in_thread(lambda: peer.send(data))
    assert read_exactly(peer.pipe, len(data)) == data
    board.join()


def test_a_peer_that_left_is_reported_by_reads_after_its_last_bytes(peer):
    peer.leave()
    with pytest.raises(LinkLost, match=r"closed the connection|broke"):
        peer.pipe.read(10)


def test_a_peer_that_left_is_reported_by_writes(peer):
    peer.leave()
    with pytest.raises(LinkLost, match=r"The connection to .* broke \("):
        peer.pipe.write(bytes(64 << 20))


def test_a_peer_that_leaves_ends_a_read_in_progress(peer):
    lost: list[Exception] = []

    def read() -> None:
        try:
            while True:
                peer.pipe.read(60)
        except LinkLost as error:
            lost.append(error)

    reader = in_thread(read)
    peer.leave()
    reader.join(30)
    assert len(lost) == 1


def test_a_peer_that_takes_nothing_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("rramhil.transport._fd.WRITE_STALL_S", 0.05)
    with (
        pair_peer(tmp_path) as peer,
        pytest.raises(LinkLost, match=r"no byte for 0\.05 s, with [\d,]+ bytes to go"),
    ):
        peer.pipe.write(bytes(8 << 20))


def test_closing_ends_a_write_that_waits_for_room(tmp_path):
    with pair_peer(tmp_path) as peer:
        lost: list[Exception] = []

        def write() -> None:
            try:
                peer.pipe.write(bytes(8 << 20))
            except LinkLost as error:
                lost.append(error)

        writer = in_thread(write)
        time.sleep(0.05)
        peer.pipe.close()
        writer.join(30)
        assert "closed on this side" in str(lost[0])


def test_closing_ends_a_read_in_progress_and_closing_twice_is_no_error(peer):
    lost: list[Exception] = []

    def read() -> None:
        try:
            peer.pipe.read(60)
        except LinkLost as error:
            lost.append(error)

    reader = in_thread(read)
    time.sleep(0.05)
    peer.pipe.close()
    peer.pipe.close()
    peer.pipe.wake()
    reader.join(30)
    assert "closed on this side" in str(lost[0])
    with pytest.raises(LinkLost):
        peer.pipe.write(b"x")


def test_a_closed_pipe_leaves_no_descriptor_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for make in (tcp_peer, pair_peer, pty_peer):
        with make(tmp_path) as peer:
            peer.leave()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_tcp_port_where_nothing_listens_is_not_found(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotFound, match=f"Nothing listens at tcp://127.0.0.1:{port}"):
        open_pipe(f"tcp://127.0.0.1:{port}", lab_root=tmp_path)


def test_an_unknown_host_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"The host 'no-such-host\.invalid' of .* is unknown"):
        open_pipe("tcp://no-such-host.invalid:5025", lab_root=tmp_path)


def test_a_host_that_does_not_answer_is_not_found(tmp_path, monkeypatch):
    monkeypatch.setattr("rramhil.transport.tcp.CONNECT_TIMEOUT_S", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = f"tcp://127.0.0.1:{full.getsockname()[1]}"
        # a full backlog drops connection requests, as a host that is off does
        with socket.create_connection(full.getsockname()), socket.socket() as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
            with pytest.raises(NotFound, match=r"did not answer within 0\.05 s"):
                open_pipe(address, lab_root=tmp_path)


def test_a_missing_serial_port_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"There is no serial port /dev/ttyNONE0"):
        open_pipe("serial:///dev/ttyNONE0", lab_root=tmp_path)


def test_a_serial_port_in_use_is_held(tmp_path):
    with pty_peer(tmp_path) as peer:
        name = peer.pipe.address
        with pytest.raises(BoardHeld, match=r"is in use by another program") as caught:
            open_pipe(name, lab_root=tmp_path)
        assert caught.value.exit_code == 5


def test_a_file_that_is_no_serial_port_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match=r"is not a serial port"):
            open_pipe(f"serial://{path}", lab_root=tmp_path)


def test_a_serial_port_without_permission_names_the_group_to_join(tmp_path, monkeypatch):
    # root may open everything, so the refusal itself is played
    def refuse(*_args: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    master, slave = pty.openpty()
    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with pytest.raises(UsageError, match=r"sudo usermod -aG \w+ \$USER"):
        open_pipe(f"serial://{os.ttyname(slave)}", lab_root=tmp_path)
    os.close(master)
    os.close(slave)


def test_a_serial_port_is_free_again_once_its_pipe_is_closed(tmp_path):
    master, slave = pty.openpty()
    for _ in range(2):
        open_pipe(f"serial://{os.ttyname(slave)}", lab_root=tmp_path).close()
    os.close(master)
    os.close(slave)
