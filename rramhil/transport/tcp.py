"""The pipe over TCP: ``tcp://host:port``.

Owns: connecting, and the words for what can go wrong with it. The bytes move in `_fd`.
"""

from __future__ import annotations

import socket

from rramhil.errors import NotFound, UsageError
from rramhil.transport import _address
from rramhil.transport._fd import FdPipe

CONNECT_TIMEOUT_S = 5.0
"""How long a host may take to accept the connection."""

_FORM = "tcp://HOST:PORT, such as tcp://127.0.0.1:7400"


def open_tcp(address: str) -> FdPipe:
    """Connect to the host and port that ``tcp://host:port`` names."""
    parts = _address.split(address, _FORM)
    _address.query(address, parts, ())
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{address!r} has no usable port: {error}.", f"Write {_FORM}.") from None
    if not host or not port or parts.path not in ("", "/") or "@" in parts.netloc:
        raise UsageError(f"{address!r} names no host and port.", f"Write {_FORM}.")
    return connect(host, port, address)


def connect(host: str, port: int, address: str) -> FdPipe:
    """Connect to `host` and `port`; `address` is what the user called them.

    Raises
    ------
    NotFound
        The host is unknown, refuses, or does not answer within 5 s.
    """
    try:
        connection = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    except socket.gaierror as error:
        raise NotFound(
            f"The host {host!r} of {address} is unknown ({error.strerror}).",
            "Check its spelling, or give its number.",
        ) from None
    except ConnectionRefusedError:
        raise NotFound(
            f"Nothing listens at {address} (connection refused).",
            "Start the board's server, or check the port number.",
        ) from None
    except TimeoutError:
        raise NotFound(
            f"{address} did not answer within {CONNECT_TIMEOUT_S:g} s.",
            "Check that the board is on and in the same network.",
        ) from None
    except OSError as error:
        raise NotFound(f"{address} cannot be reached ({error.strerror or error}).") from None
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Buffer sizes are left alone: setting them would switch the kernel's own tuning off, which
    # goes to several MiB, and the sizes one may ask for usually end at 208 KiB.
    return FdPipe(connection.fileno(), address, connection.close)
