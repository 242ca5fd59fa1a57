"""Ending a halt where it was seen: an array command that failed halts the board.

Owns the CLEAR that follows a failure which its caller is about to hear of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firmware_protocol.layouts import POINT_RESULT
from firmware_protocol.messages import (
    ClearRequest,
    Command,
    ErrorCode,
    PulseRowsReply,
    ReadPointsReply,
)
from firmware_protocol.requests import Request
from rramhil.driver.link import Link


def ask(link: Link, command: Command, body: bytes, on_chunk: Any = None) -> bytes:
    """Send an array command; if it fails, end the halt it caused, then raise."""
    request = link.exchange(command, [body], on_chunk=on_chunk)[0]
    clear_and_raise(link, [request])
    return request.reply or b""


def clear_and_raise(link: Link, requests: list[Request]) -> None:
    """End the halt that one of these caused, and raise why it failed; nothing if none did."""
    clear(link, requests)
    link.raise_first_error(requests)


def clear(link: Link, requests: list[Request]) -> None:
    """End the halt that one of these caused."""
    for request in requests:
        halted = request.error is not None or _operation_failed(request)
        if halted and not link.lost:
            link.exchange(Command.CLEAR, [ClearRequest(request.sequence).pack()])
            return


def _operation_failed(request: Request) -> bool:
    if request.reply is None:
        return False
    if request.command == Command.PULSE_ROWS:
        return PulseRowsReply.unpack(request.reply).error.code != ErrorCode.DONE
    if request.command == Command.READ_POINTS:
        results = np.frombuffer(request.reply, POINT_RESULT, offset=ReadPointsReply.SIZE)
        return bool((results["status"] != ErrorCode.DONE).any())
    return False
