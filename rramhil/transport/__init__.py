"""Byte pipes to a board: what every transport promises, and how an address becomes one.

Owns: the `Pipe` protocol, `open_pipe` and `list_addresses`. Knows bytes only: no frames, no
commands (but for `tape`, which replays them). Importing this package loads no VISA, serial,
numpy or simulated-board code: each branch imports its own when it is taken.

================================================  ==============================================
address                                           pipe
================================================  ==============================================
``sim://?seed=N&chips=M``                         a simulated board of this lab, in this process
``tcp://host:port``                               TCP
``serial:///dev/ttyACM0?baud=115200``             serial port or pseudo-terminal
``tape:///path/run.tape``                         a recorded run, replayed as a board
``ASRL/dev/ttyACM0::INSTR``                       VISA name of a serial port: the serial pipe
``TCPIP::host::port::SOCKET``                     VISA name of a socket: the TCP pipe
any other VISA name, ``?backend=@py`` at its end  pyvisa, with the backend the user has
================================================  ==============================================
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rramhil.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rramhil.transport._listing import FoundBoard

__all__ = ["Pipe", "list_addresses", "open_pipe"]

FORMS = "sim://, tcp://HOST:PORT, serial:///dev/TTY, tape:///FILE, or a VISA resource name"


class Pipe(Protocol):
    """A two-way stream of bytes to one board.

    One thread reads and writes; `wake` and `close` may be called from any thread.
    """

    @property
    def address(self) -> str:
        """The address as the user gave it."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Read what is there, waiting for it if there is nothing.

        Parameters
        ----------
        timeout_s : float
            Longest wait in seconds; 0 looks once.

        Returns
        -------
        bytes
            1 to about 1 MiB (1,048,576 bytes), as soon as there is anything; empty at the
            time-out and after `wake`, and possibly earlier: ask again.

        Raises
        ------
        LinkLost
            The other side is gone, or the pipe was closed.
        """
        ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` (8-bit bytes), waiting for room where there is none.

        Raises
        ------
        LinkLost
            The other side is gone or takes nothing any more; how much of `data` arrived is
            not known.
        """
        ...

    def wake(self) -> None:
        """Make a read in progress in another thread, or else the next idle one, return empty."""
        ...

    def close(self) -> None:
        """Release the port. Closing twice is no error."""
        ...


def open_pipe(address: str, *, lab_root: Path, record: Path | None = None) -> Pipe:
    """Open the pipe that an address names.

    Parameters
    ----------
    address : str
        See the table above.
    lab_root : Path
        Lab folder; simulated boards keep their state under ``simulated`` in it.
    record : Path, optional
        New file that keeps every byte in both directions: a tape.

    Raises
    ------
    UsageError
        The address is malformed, or the port may not be opened by this user.
    NotFound
        Nothing is there.
    BoardHeld
        Another process has the port or the simulated board.
    TapeError
        A tape is damaged, or the recording cannot be created.
    """
    pipe = _open(address, lab_root)
    if record is None:
        return pipe
    from rramhil.transport.tape import RecordingPipe

    with _closed_on_failure(pipe):
        return RecordingPipe(pipe, record)


def list_addresses(lab_root: Path) -> list[FoundBoard]:
    """List what could be a board: serial ports, VISA resources, simulated boards of the lab.

    Nothing is opened. What cannot be searched appears as an entry with an empty address and
    a note that says why. ``sim://`` is always there, first.
    """
    from rramhil.transport._listing import found_boards

    return found_boards(lab_root)


def _open(address: str, lab_root: Path) -> Pipe:
    scheme, separator, _ = address.partition("://")
    if not separator:
        from rramhil.transport.visa import open_visa

        return open_visa(address)
    match scheme.lower():
        case "sim":
            from rramhil.transport.simulated import open_simulated

            return open_simulated(address, lab_root)
        case "tcp":
            from rramhil.transport.tcp import open_tcp

            return open_tcp(address)
        case "serial":
            from rramhil.transport.serial import open_serial

            return open_serial(address)
        case "tape":
            from rramhil.transport.tape import open_tape

            return open_tape(address)
        case _:
            raise UsageError(
                f"{address!r} is no board address: there is no transport {scheme!r}.",
                f"Use {FORMS}.",
            )


@contextmanager
def _closed_on_failure(pipe: Pipe) -> Iterator[None]:
    try:
        yield
    except BaseException:
        pipe.close()
        raise
