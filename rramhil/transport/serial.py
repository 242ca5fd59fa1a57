"""The pipe over a serial port: ``serial:///dev/ttyACM0?baud=115200``, pseudo-terminals included.

Owns: opening the port raw, locked and non-blocking, and the words for what can go wrong with
it. The bytes move in `_fd`, straight from the descriptor: reads take what is there instead of
asking for a number of bytes.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import termios

import serial

from rramhil.errors import BoardHeld, NotFound, RramhilError, UsageError
from rramhil.transport import _address
from rramhil.transport._fd import FdPipe

DEFAULT_BAUD = 115_200
"""Bits per second where none are given; USB CDC ports ignore it."""

_FORM = "serial:///dev/ttyACM0?baud=115200"
_BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)
_ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO, errno.ENOTDIR)


def open_serial(address: str) -> FdPipe:
    """Open the port that ``serial:///path?baud=N`` names."""
    parts = _address.split(address, _FORM)
    options = _address.query(address, parts, ("baud",))
    baud = _address.integer(address, options, "baud", DEFAULT_BAUD, low=1)
    return open_port(_address.local_path(address, parts, _FORM), baud, address)


def open_port(path: str, baud: int, address: str) -> FdPipe:
    """Open a serial port for this process alone: 8 data bits, no parity, no flow control.

    Parameters
    ----------
    path : str
        Device file.
    baud : int
        Bits per second.
    address : str
        What the user called it.

    Raises
    ------
    NotFound
        No such port, or no device behind it.
    BoardHeld
        Another process has it.
    UsageError
        Not a serial port, a rate it does not have, or no permission.
    """
    try:
        port = serial.Serial(path, baud, exclusive=True, timeout=0)
    except serial.SerialException as error:
        raise _refusal(path, error) from None
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{path} does not run at {baud} baud ({error}).",
            "Give the rate of the board, or leave ?baud= out.",
        ) from None
    fd = port.fileno()
    _end_of_file_is_not_silence(fd)
    with contextlib.suppress(ValueError, OSError, AttributeError):
        # USB bridges hold bytes back for 16 ms otherwise; ports without the setting refuse it
        port.set_low_latency_mode(True)
    return FdPipe(fd, address, port.close)


def _end_of_file_is_not_silence(fd: int) -> None:
    """Make "nothing yet" an EAGAIN, where pyserial's VMIN 0 makes it look like a hang-up."""
    attributes = termios.tcgetattr(fd)
    attributes[6][termios.VMIN] = 1
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _refusal(path: str, error: serial.SerialException) -> RramhilError:
    """Say in words why the port did not open."""
    number = error.errno
    if number in _BUSY:
        return BoardHeld(
            f"The serial port {path} is in use by another program.",
            f"Close that program; `fuser {path}` names it.",
        )
    if number in _ABSENT:
        return NotFound(
            f"There is no serial port {path} ({os.strerror(number)})."
            if number
            else f"There is no serial port {path}.",
            "Plug the board in; `rramhil board list` shows the ports there are.",
        )
    if number in (errno.EACCES, errno.EPERM):
        group = _group_of(path)
        return UsageError(
            f"You may not open the serial port {path} (permission denied).",
            f"Join its group: `sudo usermod -aG {group} $USER`, then log in again.",
        )
    return UsageError(
        f"{path} is not a serial port ({error}).",
        "`rramhil board list` shows those that are there.",
    )


def _group_of(path: str) -> str:
    """Return the name of the group that owns the device file, or its number."""
    number = os.stat(path).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
