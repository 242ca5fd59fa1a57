"""Let time pass for a simulated board, at a temperature, without waiting for it."""

from __future__ import annotations

import json
import math
import socket
from decimal import Decimal
from typing import Any, NamedTuple

from rramhil.errors import BoardHeld, UsageError
from rramhil.simulation._which import SimulatedBoardName, errors_of, refuse_unknown
from sim_backend import control
from sim_backend.board import SimulatedBoard

_PATIENCE_S = 60.0


class Advanced(NamedTuple):
    """Where a board stands after its time was moved.

    Attributes
    ----------
    board : str
        Serial number.
    served : bool
        Whether another process serves it, and was asked over its control socket.
    board_time_s, temperature_k : float
    """

    board: str
    served: bool
    board_time_s: float
    temperature_k: float


def advance(
    name: SimulatedBoardName, seconds: float, temperature_k: float | None = None
) -> Advanced:
    """Let board time pass, at another temperature if one is given; the board stays at that.

    A board that `rramhil sim serve` serves is asked over its control socket, and moves between two
    commands. One that nobody uses is opened, moved and closed.

    Parameters
    ----------
    seconds : float
        In s, 0 or more.
    temperature_k : float, optional
        In K.

    Raises
    ------
    UsageError
        Time or temperature is beyond what the board bears; nothing was done.
    NotFound
        The lab does not have the board.
    BoardHeld
        The board is in use inside another program, which has no control socket.
    LabUnusable
        The state cannot be read or written.
    """
    for value, what in ((seconds, "time"), (temperature_k, "temperature")):
        if value is not None and not math.isfinite(value):
            raise UsageError(f"A {what} of {value} is no number.", "Give a finite one.")
    time_s = Decimal(repr(seconds))
    at_k = None if temperature_k is None else Decimal(repr(temperature_k))
    replied = _ask(name, control.request(time_s, at_k))
    if replied is not None:
        return Advanced(
            name.serial, True, replied["clock_ns"] / 1e9, replied["temperature_mk"] / 1000
        )
    refuse_unknown(name)
    try:
        with errors_of(name), SimulatedBoard(name.root, name.seed, name.chips) as board:
            control.advance(board, time_s, at_k)
            return Advanced(board.serial, False, board.clock_ns / 1e9, board.temperature_mk / 1000)
    except BoardHeld:
        raise BoardHeld(
            f"The simulated board {name} is in use inside another program, out of reach.",
            "End that program first, or serve the board with `rramhil sim serve` and use that.",
        ) from None


def _ask(name: SimulatedBoardName, line: bytes) -> dict[str, Any] | None:
    """Ask the process that serves a board; None if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_PATIENCE_S)
        try:
            control.connect(link, name.root / name.serial)
        except OSError:
            return None
        try:
            link.sendall(line)
            with link.makefile("rb") as reader:
                text = reader.readline(control.LONGEST_LINE)
        except OSError:
            text = b""
    if not text.endswith(b"\n"):
        raise BoardHeld(
            f"The process that serves {name} did not answer within {_PATIENCE_S:g} s.",
            "It may be in the middle of a read: wait until that ends, and look at the board's time "
            "with `rramhil board info` before trying again.",
        )
    replied = json.loads(text)
    if "error" in replied:
        raise UsageError(replied["error"], "Choose a value within that range.")
    return replied
