"""The board that knows only what a tape recorded.

Owns: matching what a host sends with the recording, and answering it.

The replay goes by frames, not by time: it answers an ordered command when it arrives, with what
the board answered to the command of that number, and refuses one that is not the recorded one.
Commands outside the order (heartbeats, credit, ABORT) are not compared; they are answered with
the last recorded reply of their kind, or not at all. Streams are sent at once: credit protects
a link, and there is none here.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from firmware_protocol.framing import Frame, FrameDecoder, encode
from firmware_protocol.messages import Command, Flag, HelloReply, HelloRequest
from rramhil.errors import LinkLost, TapeError
from rramhil.transport._tape_frames import TapeFrame
from rramhil.transport._tape_script import FrameKey, Script, nonce_of

READ_BYTES = 1 << 20
"""About the most bytes a read returns."""


class TapePipe:
    """Pipe to a board that answers as it did on a tape.

    Parameters
    ----------
    script : Script
        What it answers to what.
    address : str
        The address as the user gave it.
    """

    def __init__(self, script: Script, address: str) -> None:
        self.address = address
        self._script = script
        self._decoder = FrameDecoder()
        self._changed = threading.Condition()
        self._out: deque[bytes] = deque()
        self._session_index = -1
        self._greeting_index = 0
        self._nonce = b""
        self._woken = False
        self._end: TapeError | LinkLost | None = None

    def read(self, timeout_s: float) -> bytes:
        """Read what the recorded board has to say.

        Raises
        ------
        LinkLost
            The tape holds no answer to what was sent, or the pipe was closed.
        TapeError
            What was sent is not what was recorded.
        """
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            pieces: list[bytes] = []
            size = 0
            while self._out and size < READ_BYTES:
                pieces.append(self._out.popleft())
                size += len(pieces[-1])
            if not pieces:
                if self._end is not None:
                    raise self._end
                self._woken = False
            return b"".join(pieces)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the host sends and answer from the tape.

        Raises
        ------
        TapeError
            A command is not the recorded one: which, where, and the two values.
        """
        with self._changed:
            if self._end is not None and not isinstance(self._end, _Unanswered):
                raise self._end
            try:
                for frame in self._decoder.feed(bytes(data)):
                    self._take(frame)
            except TapeError as error:
                self._end = error
                raise
            finally:
                self._changed.notify_all()

    def wake(self) -> None:
        """Make the read in progress, or else the next idle one, return empty."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the replay."""
        with self._changed:
            self._out.clear()
            self._end = LinkLost(f"The tape {self.address} was closed on this side.")
            self._changed.notify_all()

    def _has_news(self) -> bool:
        return bool(self._out) or self._woken or self._end is not None

    def _take(self, frame: Frame) -> None:
        if frame.type == Command.HELLO:
            self._greet(frame)
        elif frame.sequence:
            self._execute(frame)
        elif frame.type in self._script.at_once:
            self._out.append(self._script.at_once[frame.type].raw)

    def _greet(self, frame: Frame) -> None:
        """Answer HELLO: a new nonce opens the next recorded session."""
        nonce = nonce_of(frame.body)
        sessions = self._script.greetings
        if nonce != self._nonce:
            self._session_index += 1
            self._greeting_index = 0
            if self._session_index >= len(sessions):
                raise TapeError(
                    f"The tape {self.address} holds no more than {self._session_index} session(s).",
                    "Record a longer run, or do what was done when it was recorded.",
                )
        elif self._greeting_index + 1 < len(sessions[self._session_index]):
            self._greeting_index += 1
        self._nonce = nonce
        request, reply = sessions[self._session_index][self._greeting_index]
        recorded = HelloRequest.unpack(request.frame.body)
        sent = HelloRequest.unpack(frame.body)
        # who asks, and by which nonce, may differ from one run to the next
        alike = sent._replace(nonce=recorded.nonce, client=recorded.client)
        self._compare(request, frame._replace(body=alike.pack()))
        self._play(request, [] if reply is None else [_addressed_to(nonce, reply)])

    def _execute(self, frame: Frame) -> None:
        key = FrameKey(frame.session, frame.sequence)
        recorded = self._script.commands.get(key)
        if recorded is None:
            raise TapeError(
                f"The tape {self.address} does not go on: it holds no command with sequence "
                f"{key.sequence} in session {key.session}, and {_command_name(frame)} was sent.",
                "Record a longer run, or do what was done when it was recorded.",
            )
        self._compare(recorded, frame)
        self._play(recorded, self._script.answers.get(key, []))

    def _compare(self, recorded: TapeFrame, sent: Frame) -> None:
        """Refuse a frame whose type, sequence or body is not the recorded one."""
        kept = recorded.frame
        raw = encode(
            sent.type, sent.session, sent.sequence, sent.body, kept.flags, kept.credit, kept.version
        )
        if raw == recorded.raw:
            return
        at = next(i for i, byte in enumerate(raw) if byte != recorded.raw[i])
        raise TapeError(
            f"{_command_name(sent)} is not what the tape {self.address} recorded: byte "
            f"{recorded.place(at):,} of the tape ({recorded.name}, {recorded.meaning(at)}) is "
            f"0x{recorded.raw[at]:02x}, 0x{raw[at]:02x} was sent.",
            "Do what was done when the tape was recorded, with the same versions and settings.",
        )

    def _play(self, request: TapeFrame, answers: list[TapeFrame]) -> None:
        self._out.extend(answer.raw for answer in answers)
        if not answers or answers[-1].is_chunk:
            self._end = _Unanswered(
                f"The tape {self.address} ends here: it holds no reply to {request.name}, "
                f"{_command_name(request.frame)}.",
                "Record the whole run.",
            )


class _Unanswered(LinkLost):
    """The recorded board never answered; what is still to be played may be read before."""


def _addressed_to(nonce: bytes, reply: TapeFrame) -> TapeFrame:
    """Return the reply to HELLO as it would be to one with this nonce; a refusal bears none."""
    kept = reply.frame
    if kept.flags & Flag.ERROR:
        return reply
    body = HelloReply.unpack(kept.body)._replace(nonce=nonce).pack()
    raw = encode(
        kept.type, kept.session, kept.sequence, body, kept.flags, kept.credit, kept.version
    )
    return replace(reply, frame=kept._replace(body=body), raw=raw)


def _command_name(frame: Frame) -> str:
    known = {command.value: command.name for command in Command}
    return f"{known.get(frame.type, f'type {frame.type}')} with sequence {frame.sequence}"
