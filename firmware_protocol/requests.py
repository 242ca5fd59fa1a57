"""A host's requests and what comes of them: values that pass between a session and its user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from firmware_protocol.messages import Command, Error, StreamChunk

ChunkSink = Callable[[StreamChunk, memoryview], None]
"""Takes a chunk's head and its raw words, in order, each exactly once."""


class SessionLostError(Exception):
    """The session cannot go on: `error` is the board's reason, or None if it fell silent."""

    def __init__(self, reason: str, error: Error | None = None) -> None:
        super().__init__(reason)
        self.error = error


@dataclass
class LinkStatistics:
    """What happened on the link since it was opened."""

    frames_sent: int = 0
    frames_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    frames_resent: int = 0
    duplicate_replies: int = 0
    missing_frames_reported: int = 0
    chunks_received: int = 0
    chunks_asked_again: int = 0
    bad_frames: int = 0
    garbage_bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counters by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


class Request:
    """One command on its way, and what came back.

    Attributes
    ----------
    sequence : int
        Assigned when it is first sent; 0 for an unordered command.
    reply : bytes or None
        Body of the reply.
    error : Error or None
        The board's refusal.
    """

    __slots__ = ("body", "command", "error", "frame", "on_chunk", "on_done", "reply", "sequence")

    def __init__(
        self,
        command: Command,
        body: bytes,
        on_done: Callable[[Request], None],
        on_chunk: ChunkSink | None = None,
    ) -> None:
        self.command = command
        self.body = body
        self.on_done = on_done
        self.on_chunk = on_chunk
        self.sequence = 0
        self.frame = b""
        self.reply: bytes | None = None
        self.error: Error | None = None
