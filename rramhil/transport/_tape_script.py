"""A tape as a script: what the board answered to what.

Owns: sorting recorded frames by what they answer. Answers are kept by session and sequence and
not by their place in the file, because a host with many commands in flight sends and receives
in an order of its own each time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from firmware_protocol.messages import Command, Error, ErrorCode, Flag, HelloRequest, StreamChunk
from rramhil.transport._tape_file import Direction
from rramhil.transport._tape_frames import TapeFrame

_PASSING = (ErrorCode.EXPECTED, ErrorCode.WORKING, ErrorCode.STALE)
"""Errors that answer a lost or repeated frame; nothing is lost between a tape and its host."""


class FrameKey(NamedTuple):
    """What names an ordered command."""

    session: int
    sequence: int


class Greeting(NamedTuple):
    """A recorded HELLO and the reply that followed it, if one did."""

    request: TapeFrame
    reply: TapeFrame | None


@dataclass
class Script:
    """Recorded frames by what they are for.

    Attributes
    ----------
    greetings : list of list of Greeting
        In order; those with one nonce together.
    commands : dict
        Ordered commands of the host.
    answers : dict
        What the board sent for each: chunks of its stream, then its reply, none of them twice.
    at_once : dict
        By type of command: the last reply to one without a sequence, such as STATUS.
    """

    greetings: list[list[Greeting]] = field(default_factory=list[list[Greeting]])
    commands: dict[FrameKey, TapeFrame] = field(default_factory=dict[FrameKey, TapeFrame])
    answers: dict[FrameKey, list[TapeFrame]] = field(
        default_factory=lambda: defaultdict[FrameKey, list[TapeFrame]](list)
    )
    at_once: dict[int, TapeFrame] = field(default_factory=dict[int, TapeFrame])


def script_of(frames: list[TapeFrame]) -> Script:
    """Sort the frames of a tape."""
    script = Script()
    greeting_replies = [
        item for item in frames if _is_reply(item) and item.frame.type == Command.HELLO
    ]
    seen: set[tuple[FrameKey, int | None]] = set()
    for item in frames:
        key = FrameKey(item.frame.session, item.frame.sequence)
        if item.frame.type == Command.HELLO:
            if not _is_reply(item):
                _add_greeting(script, item, greeting_replies)
        elif not _is_reply(item):
            if key.sequence:
                script.commands.setdefault(key, item)
        elif key.sequence == 0:
            script.at_once[item.frame.type] = item
        elif not _is_passing(item) and (key, _chunk_number(item)) not in seen:
            seen.add((key, _chunk_number(item)))
            script.answers[key].append(item)
    for answers in script.answers.values():
        answers.sort(key=_play_order)
    return script


def nonce_of(body: bytes) -> bytes:
    """Return the nonce in the body of a HELLO."""
    return HelloRequest.unpack(body).nonce


def _is_reply(item: TapeFrame) -> bool:
    return item.stream.direction == Direction.TO_HOST


def _is_passing(item: TapeFrame) -> bool:
    return bool(item.frame.flags & Flag.ERROR) and Error.unpack(item.frame.body).code in _PASSING


def _add_greeting(script: Script, item: TapeFrame, replies: list[TapeFrame]) -> None:
    reply = next((reply for reply in replies if reply.number > item.number), None)
    groups = script.greetings
    if groups and nonce_of(groups[-1][0].request.frame.body) == nonce_of(item.frame.body):
        groups[-1].append(Greeting(item, reply))
    else:
        groups.append([Greeting(item, reply)])


def _chunk_number(item: TapeFrame) -> int | None:
    """Return the number of a stream's chunk in its session; None for a reply."""
    if not item.is_chunk:
        return None
    return StreamChunk.unpack(item.frame.body).number


def _play_order(item: TapeFrame) -> tuple[bool, int]:
    """Chunks in the order of their numbers, the reply after them: resent ones came later."""
    number = _chunk_number(item)
    return number is None, number or 0
