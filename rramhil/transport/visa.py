"""Pipes for VISA resource names.

Owns: parsing the name and choosing who moves the bytes. Serial ports and raw sockets go to the
serial and TCP pipes of this package: pyvisa-py reads serial ports byte by byte (0.15 MB/s
measured) and reports a closed socket as a time-out. Every other resource (USB, GPIB, VXI-11,
HiSLIP) goes through pyvisa with the backend its usual rules find: the system's VISA library,
else pyvisa-py, or what PYVISA_LIBRARY says. ``?backend=@py`` at the end of the name overrules
them; what follows the equals sign is what `pyvisa.ResourceManager` takes.
"""

from __future__ import annotations

import threading
import time
import warnings

import pyvisa
from pyvisa import rname
from pyvisa.constants import StatusCode
from pyvisa.errors import LibraryError, VisaIOError
from pyvisa.resources import MessageBasedResource

from rramhil.errors import BoardHeld, LinkLost, NotFound, RramhilError, UsageError
from rramhil.transport import _address
from rramhil.transport._fd import FdPipe

READ_BYTES = 1 << 20
"""Most bytes asked of the resource at once."""

SLICE_S = 0.05
"""Longest wait inside the VISA library; a wake is seen between two of them."""

OPEN_TIMEOUT_MS = 5000

_HELD = (StatusCode.error_resource_busy, StatusCode.error_resource_locked)


def open_visa(address: str) -> FdPipe | VisaPipe:
    """Open the resource that a VISA name means, by the fastest pipe that fits it."""
    name, _, backend = address.partition("?backend=")
    try:
        resource = rname.ResourceName.from_string(name)
    except rname.InvalidResourceName as error:
        raise UsageError(
            f"{address!r} is no board address and no VISA resource name ({error}).",
            "Use sim://, tcp://HOST:PORT, serial:///dev/TTY, tape:///FILE, or a VISA name such "
            "as TCPIP::HOST::PORT::SOCKET.",
        ) from None
    if isinstance(resource, rname.ASRLInstr):
        return _open_serial(resource, address)
    if isinstance(resource, rname.TCPIPSocket):
        return _open_socket(resource, address)
    return VisaPipe(name, backend, address)


class VisaPipe:
    """Pipe through pyvisa, for message-based resources.

    Parameters
    ----------
    name : str
        VISA resource name.
    backend : str
        What `pyvisa.ResourceManager` takes; empty for its usual rules.
    address : str
        The address as the user gave it.
    """

    def __init__(self, name: str, backend: str, address: str) -> None:
        self.address = address
        self._woken = threading.Event()
        self._closed = False
        # VISA libraries differ in what they allow two threads to do with one session
        self._session = threading.Lock()
        self._resource = _message_resource(_manager(backend), name)

    def read(self, timeout_s: float) -> bytes:
        """Read one message or what is there of it; empty at the time-out and after `wake`."""
        deadline_s = time.monotonic() + timeout_s
        while not self._woken.is_set():
            left_s = max(0.0, deadline_s - time.monotonic())
            data = self._read_slice(min(left_s, SLICE_S))
            if data or left_s <= SLICE_S:
                return data
        self._woken.clear()
        self._check_open()
        return b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` as one message."""
        with self._session:
            self._check_open()
            try:
                self._resource.write_raw(bytes(data))
            except VisaIOError as error:
                raise self._lost(error) from None

    def wake(self) -> None:
        """Make the read in progress, or else the next one, return empty within 50 ms."""
        self._woken.set()

    def close(self) -> None:
        """Close the resource."""
        self._closed = True
        self._woken.set()
        with self._session:
            self._resource.close()

    def _read_slice(self, timeout_s: float) -> bytes:
        with self._session:
            self._check_open()
            # VISA counts in milliseconds, and 0 would mean "only what is there at this instant"
            self._resource.timeout = max(1, round(timeout_s * 1000))
            try:
                return bytes(self._resource.read_raw(READ_BYTES))
            except VisaIOError as error:
                if error.error_code == StatusCode.error_timeout:
                    return b""
                raise self._lost(error) from None

    def _check_open(self) -> None:
        if self._closed:
            raise LinkLost(f"The connection to {self.address} was closed on this side.")

    def _lost(self, error: VisaIOError) -> LinkLost:
        return LinkLost(
            f"The VISA connection to {self.address} broke ({error.description}).",
            "Check the board's power and its cable, then run it again.",
        )


def _open_serial(resource: rname.ASRLInstr, address: str) -> FdPipe:
    from rramhil.transport.serial import DEFAULT_BAUD, open_port

    if resource.board.isdigit():
        raise UsageError(
            f"{address!r} names a serial port by a number that only a VISA library knows.",
            "Name its device file: ASRL/dev/ttyACM0::INSTR, or serial:///dev/ttyACM0.",
        )
    return open_port(resource.board, DEFAULT_BAUD, address)


def _open_socket(resource: rname.TCPIPSocket, address: str) -> FdPipe:
    from rramhil.transport.tcp import connect

    options = {"port": resource.port}
    port = _address.integer(address, options, "port", 0, low=1)
    return connect(resource.host_address, port, address)


def _manager(backend: str) -> pyvisa.ResourceManager:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about optional packages of the backend
            return pyvisa.ResourceManager(backend)
    except (ValueError, OSError, LibraryError, VisaIOError) as error:
        raise UsageError(
            f"The VISA backend {backend or 'of this system'!r} cannot be loaded ({error}).",
            "Install a VISA library, or use pyvisa-py with ?backend=@py.",
        ) from None


def _message_resource(manager: pyvisa.ResourceManager, name: str) -> MessageBasedResource:
    """Open a resource for raw bytes: no termination character ends a read."""
    try:
        resource = manager.open_resource(name, open_timeout=OPEN_TIMEOUT_MS)
    except VisaIOError as error:
        raise _refusal(name, error) from None
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())  # backends write paragraphs
        raise NotFound(f"The VISA resource {name} cannot be opened ({reason}).") from None
    if not isinstance(resource, MessageBasedResource):
        resource.close()
        raise UsageError(
            f"{name} is a register-based resource and carries no byte stream.",
            "Use the board's message-based resource, ending in INSTR or RAW.",
        )
    resource.read_termination = None
    return resource


def _refusal(name: str, error: VisaIOError) -> RramhilError:
    if error.error_code in _HELD:
        return BoardHeld(f"{name} is in use by another program ({error.description}).")
    return NotFound(
        f"The VISA resource {name} cannot be opened ({error.description}).",
        "`rramhil board list` shows the resources there are.",
    )
