"""What the board's refusals and the session's ends mean to a caller: errors with a sentence."""

from __future__ import annotations

from firmware_protocol.messages import Command, Error, ErrorCode
from firmware_protocol.requests import SessionLostError
from rramhil.errors import (
    BoardError,
    BoardHeld,
    LimitRefused,
    LinkLost,
    NotFound,
    ProtocolMismatch,
    RramhilError,
)

_LIMITS = {
    ErrorCode.LIMIT_VOLTAGE: ("voltage", "V", 1e6),
    ErrorCode.LIMIT_WIDTH: ("pulse width", "ns", 1),
    ErrorCode.LIMIT_COMPLIANCE: ("compliance current", "uA", 1e3),
    ErrorCode.LIMIT_CURRENT: ("rail current", "mA", 1e6),
    ErrorCode.LIMIT_INHIBIT: ("inhibit voltage", "V", 1e6),
}

_CODES = {code.value: code for code in ErrorCode}


def command_failed(command: Command, error: Error) -> RramhilError:
    """The error to raise for a command that the board refused."""
    name = command.name
    code = _code(error)
    if code is not None and code in _LIMITS:
        what, unit, scale = _LIMITS[code]
        return LimitRefused(
            f"The board refused {name}: {what} {error.value / scale:g} {unit} lies outside "
            f"{error.low / scale:g} to {error.high / scale:g} {unit}, its own limit.",
            "`rramhil board info` shows the board's limits.",
        )
    if code == ErrorCode.NO_CHIP:
        return NotFound(
            f"There is no chip {error.value} on this board; it has chips "
            f"{error.low} to {error.high}.",
            "`rramhil board info` lists them.",
        )
    if code == ErrorCode.BAD_FIELD:
        return BoardError(
            f"The board refused {name}: {error.text} is {error.value}, not within "
            f"{error.low} to {error.high}."
        )
    if code == ErrorCode.NOT_READY:
        missing, _, remedy = error.text.partition("; ")
        return BoardError(
            f"The board refused {name}: {missing} ({error.value}).",
            f"First {remedy}." if remedy else "",
        )
    if code == ErrorCode.ESTOPPED:
        return BoardError(
            f"The board refused {name}: it is in emergency stop.",
            "Find out why, then `rramhil board estop --clear`.",
        )
    detail = f" ({error.text})" if error.text else ""
    return BoardError(
        f"The board refused {name}: {_name(error)}{detail}, value {error.value}.",
        "`rramhil board info` shows its state.",
    )


def hello_refused(error: Error, address: str) -> RramhilError:
    """The error to raise when the board did not open a session."""
    if error.code == ErrorCode.VERSION:
        return ProtocolMismatch(
            f"The board at {address} speaks protocol versions {error.low} to {error.high}, "
            f"this program speaks version {error.value}.",
            "Update the board's firmware or rramhil.",
        )
    if error.code in (ErrorCode.BUSY, ErrorCode.TOO_MANY_SESSIONS):
        holder = error.text or "others"
        return BoardHeld(
            f"The board at {address} is held by {holder}.",
            "Wait until they are done, or ask them to close it.",
        )
    return ProtocolMismatch(f"The board at {address} refused HELLO: {_name(error)}.")


def session_lost(lost: SessionLostError, address: str, *, opened: bool) -> RramhilError:
    """The error to raise when a session ended by itself, or was never `opened`."""
    if lost.error is None and not opened:
        return LinkLost(
            f"The board at {address} opened no session: {lost}.",
            "Check its power and cable, and that the address is a board's.",
        )
    if lost.error is None:
        return LinkLost(
            f"The board at {address} stopped answering: {lost}.",
            "Check its power and cable, then run it again.",
        )
    if lost.error.code == ErrorCode.VERSION:
        return hello_refused(lost.error, address)
    return LinkLost(
        f"The board at {address} ended the session: {_name(lost.error)}.",
        "Open the board again: run it again." if opened else "Open the board again.",
    )


def _code(error: Error) -> ErrorCode | None:
    return _CODES.get(error.code)


def _name(error: Error) -> str:
    code = _code(error)
    return f"error {error.code}" if code is None else code.name
