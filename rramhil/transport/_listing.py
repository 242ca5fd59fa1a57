"""What could be a board: serial ports, VISA resources and the simulated boards of a lab.

Owns: searching. Opens no port and starts no board.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

_BOARD_FOLDER = re.compile(r"SIM-(?P<seed>\d+)")
"""Serial number of a simulated board, which names its folder; not asked of `sim_backend`, which
would take a second to load."""


@dataclass(frozen=True)
class FoundBoard:
    """One place where a board could be.

    Attributes
    ----------
    address : str
        What `open_pipe` takes; empty where a search failed.
    kind : str
        ``simulated``, ``serial`` or ``visa``.
    note : str
        What is known of it, or why the search failed.
    """

    address: str
    kind: str
    note: str


def found_boards(lab_root: Path) -> list[FoundBoard]:
    """Search everywhere: simulated boards first, then serial ports, then VISA resources."""
    return [*_simulated(lab_root), *_serial_ports(), *_visa_resources()]


def _simulated(lab_root: Path) -> list[FoundBoard]:
    found = [FoundBoard("sim://", "simulated", "always there; the default")]
    folder = lab_root / "simulated"
    try:
        states = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return found
    except OSError as error:
        return [*found, FoundBoard("", "simulated", f"{folder} cannot be read ({error.strerror})")]
    for state in states:
        if serial := _BOARD_FOLDER.fullmatch(state.name):
            chips = max(1, len(list(state.glob("chip-*.state"))))
            address = f"sim://?seed={serial['seed']}&chips={chips}"
            found.append(FoundBoard(address, "simulated", f"kept in {state}"))
    return found


def _serial_ports() -> list[FoundBoard]:
    from serial.tools import list_ports

    try:
        ports = sorted(list_ports.comports())
    except OSError as error:
        return [FoundBoard("", "serial", f"serial ports cannot be listed ({error})")]
    return [
        FoundBoard(f"serial://{port.device}", "serial", port.description.replace("n/a", "no name"))
        for port in ports
    ]


def _visa_resources() -> list[FoundBoard]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about optional packages of the backend
            import pyvisa

            names = pyvisa.ResourceManager().list_resources("?*")
    except Exception as error:  # backends raise what their vendors' libraries make them raise
        return [FoundBoard("", "visa", f"VISA resources cannot be listed ({error})")]
    return [
        FoundBoard(name, "visa", "VISA resource")
        for name in sorted(names)
        # serial ports have an entry already, and interfaces and backplanes carry no bytes
        if not name.startswith("ASRL") and name.endswith(("::INSTR", "::SOCKET", "::RAW"))
    ]
