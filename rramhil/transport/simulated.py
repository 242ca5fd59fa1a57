"""The simulated board inside this process: ``sim://?seed=N&chips=M``.

Owns: parsing the address, starting the board's server on one end of a socket pair and stopping
it. The server is the one that serves TCP, so the bytes on this pipe are the bytes on the wire.
The one module of the transports that may import `sim_backend`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rramhil.errors import BoardHeld, LabUnusable, UsageError
from rramhil.transport import _address
from rramhil.transport._fd import FdPipe
from sim_backend.errors import BadSetting, NoSuchBoard, SimError, StateDamaged, StateHeld
from sim_backend.server import InProcessBoard

FOLDER = "simulated"
"""Folder of the lab that holds the states of simulated boards."""

DAMAGED_HINT = "Bring the file back from a copy, or use another board: another seed or lab."
"""What to do about a state file that is damaged."""
_FORM = "sim://?seed=N&chips=M"


def open_simulated(address: str, lab_root: Path) -> FdPipe:
    """Start the simulated board of this lab that the seed names, and connect to it.

    Parameters
    ----------
    address : str
        ``sim://``, with ``seed`` (default 0) and ``chips`` (default 1).
    lab_root : Path
        Lab folder; the board's non-volatile state lives under ``simulated`` in it.

    Raises
    ------
    UsageError
        The address has anything else in it, or names no board that can be simulated.
    BoardHeld
        Another process runs this very board.
    LabUnusable
        The state is damaged, or the folder cannot be written.
    """
    parts = _address.split(address, _FORM)
    if parts.netloc or parts.path:
        raise UsageError(f"{address!r} has a part that means nothing here.", f"Write {_FORM}.")
    options = _address.query(address, parts, ("seed", "chips"))
    seed = _address.integer(address, options, "seed", 0, low=0)
    chips = _address.integer(address, options, "chips", 1, low=1)
    board: InProcessBoard | None = None
    try:
        with _signals_deferred():
            board = InProcessBoard(lab_root / FOLDER, seed, chips)
    except KeyboardInterrupt:
        if board is not None:
            board.stop()
        raise
    except StateHeld as error:
        raise BoardHeld(
            str(error),
            "Wait for it to end, use its address if it is a server, or use another seed or lab.",
        ) from None
    except StateDamaged as error:
        raise LabUnusable(
            str(error),
            DAMAGED_HINT,
        ) from None
    except BadSetting as error:
        raise UsageError(str(error), "Change or unset this environment variable.") from None
    except NoSuchBoard as error:
        raise UsageError(str(error), f"Write {_FORM}.") from None
    except (SimError, OSError) as error:
        raise LabUnusable(
            f"The simulated board {address} cannot keep its state in {lab_root}: "
            f"{str(error).rstrip('.')}.",
            "Choose another lab folder with --lab or RRAMHIL_LAB.",
        ) from None
    host = board.start()
    host.setblocking(False)

    def release() -> None:
        host.close()
        board.stop()

    return FdPipe(host.fileno(), address, release)


@contextmanager
def _signals_deferred() -> Generator[None]:
    """Let ctrl-C and SIGTERM wait until the body has ended.

    Compiled kernels load inside, and their loader calls back into Python: an exception raised
    there is swallowed, or brings the process down.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    before = {
        number: signal.signal(number, lambda *call: waiting.append(call))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, _ in waiting[:1]:
            signal.raise_signal(number)
