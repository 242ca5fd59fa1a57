"""The proxy of the system tests does what it promises."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.proxy import TcpProxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, one client after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    while data := client.recv(65_536):
                        client.sendall(data)
                except ConnectionError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[:2]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def received(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return data


def test_bytes_pass_both_ways_with_a_delay(echo):
    with (
        TcpProxy(echo, delay_to_server_s=0.01, delay_to_client_s=0.01) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        data = bytes(range(256)) * 1000
        client.sendall(data)
        assert received(client, len(data)) == data


def test_a_paused_proxy_loses_nothing(echo):
    with (
        TcpProxy(echo) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        proxy.pause()
        client.sendall(b"held")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(4)
        client.settimeout(10)
        proxy.resume()
        assert received(client, 4) == b"held"


def test_it_cuts_after_exactly_the_bytes_asked_for_and_takes_the_next_client(echo):
    with TcpProxy(echo, cut_to_client_after=5) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"123456789")
            assert received(client, 5) == b"12345"
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"again")
            assert received(client, 5) == b"again"
        assert proxy.connections == 2


def test_it_cuts_on_call(echo):
    with (
        TcpProxy(echo) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        client.sendall(b"x")
        assert received(client, 1) == b"x"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
