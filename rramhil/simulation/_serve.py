"""Serve a simulated board to other processes, on TCP and on a pseudo-terminal.

Owns: the life of the server in this process. What is served is what `sim://` opens.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from rramhil.errors import BoardHeld, UsageError
from rramhil.simulation._which import SimulatedBoardName, errors_of
from sim_backend.board import SimulatedBoard
from sim_backend.faults import Faults, load
from sim_backend.firmware import Firmware
from sim_backend.server import BoardServer

_FORM = "Write HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070; port 0 picks a free one."


class Endpoint(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read HOST:PORT.

    Raises
    ------
    UsageError
        It is not of that form.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    known = port.isascii() and port.isdigit() and int(port) <= 0xFFFF
    if not colon or not host or not known:
        raise UsageError(f"{text!r} is no place to listen.", _FORM)
    return Endpoint(host, int(port))


class ServedBoard:
    """A simulated board and its server; a context manager that releases both.

    Its control socket is in the board's folder as long as it is served.

    Parameters
    ----------
    name : SimulatedBoardName
        Which board.
    faults : Path, optional
        TOML file of what is wrong with it; see the user guide.
    realtime : bool
        Whether answers wait until the board's clock says that they are due.

    Raises
    ------
    BoardHeld
        Another process has the board.
    UsageError
        There are no such faults.
    NotFound, LabUnusable
        There is no such board, or its state is damaged.
    """

    def __init__(
        self, name: SimulatedBoardName, *, faults: Path | None = None, realtime: bool = False
    ) -> None:
        with errors_of(name):
            wanted = Faults() if faults is None else load(faults)
            self._board = SimulatedBoard(name.root, name.seed, name.chips, faults=wanted)
        self._server = BoardServer(Firmware(self._board), faults=wanted, realtime=realtime)
        try:
            with errors_of(name):
                self._server.offer_control(self._board)
        except BaseException:
            self._board.close()
            raise
        self.serial = self._board.serial
        self._ran = False

    def __enter__(self) -> ServedBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._ran:
            # a run that ends at once closes what was opened to listen on
            self._server.stop()
            self._server.run()
        self._board.close()

    def listen_tcp(self, endpoint: Endpoint) -> str:
        """Accept TCP connections; returns the address for `--board`.

        Raises
        ------
        BoardHeld
            Another process listens there.
        UsageError
            This computer cannot listen there.
        """
        try:
            host, port = self._server.listen_tcp(*endpoint)
        except OSError as error:
            raise _cannot_listen(endpoint, error) from None
        return f"tcp://{Endpoint(host, port)}"

    def open_pty(self, path: Path) -> str:
        """Offer a serial line at a new path; returns the address for `--board`.

        Raises
        ------
        BoardHeld
            The path is taken.
        UsageError
            It cannot be made.
        """
        path = path.expanduser().absolute()
        try:
            self._server.open_pty(path)
        except FileExistsError:
            raise BoardHeld(
                f"{path} exists already: another board may be served there.",
                "Choose another path, or remove it if nobody uses it.",
            ) from None
        except OSError as error:
            raise UsageError(
                f"No serial line can be made at {path}: {error.strerror or error}.",
                "Choose a path that does not exist, in a folder that does.",
            ) from None
        return f"serial://{path}"

    def run(self) -> None:
        """Serve until `stop`; leaves the board safe."""
        self._ran = True
        self._server.run()

    def stop(self) -> None:
        """End `run`, from any thread or a signal handler."""
        self._server.stop()


def _cannot_listen(endpoint: Endpoint, error: OSError) -> BoardHeld | UsageError:
    if error.errno == errno.EADDRINUSE:
        return BoardHeld(
            f"Another process listens on {endpoint} already.",
            "End it, or choose another port; port 0 picks a free one.",
        )
    reason = "no such host" if isinstance(error, socket.gaierror) else error.strerror or error
    return UsageError(f"This computer cannot listen on {endpoint}: {reason}.", _FORM)
