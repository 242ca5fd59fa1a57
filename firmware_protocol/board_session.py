"""The board's side of the protocol, without any I/O: bytes in, bytes out, commands in order.

Owns: sessions, the lease, sequence numbers, the window of kept replies, stream credit, abort and
halt. Does not know sockets, and knows the array only as an `Executor`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple

from firmware_protocol.executor import (
    WHOLE_FRAME,
    Answer,
    Chunk,
    Executor,
    FrameId,
    Pace,
    Refused,
)
from firmware_protocol.fields import FieldError, check, fitting_text
from firmware_protocol.framing import Frame, FrameDecoder, encode
from firmware_protocol.messages import (
    COMMANDS,
    HELLO_VERSION,
    VERSION,
    AbortReply,
    BoardState,
    ClearRequest,
    Command,
    CommandFacts,
    Error,
    ErrorCode,
    Flag,
    HelloReply,
    HelloRequest,
    Role,
    StatusReply,
    StreamChunk,
)

MIN_BODY = 4096
"""Least body length, in bytes, that a host must take: so much may any reply need."""

# looked up once: attributes of an enumeration are slow to reach, and every frame needs these
_REPLY, _ERROR, _STREAM = int(Flag.REPLY), int(Flag.ERROR), int(Flag.STREAM)
_HELLO, _STATUS = int(Command.HELLO), int(Command.STATUS)
_CONTROLLER = int(Role.CONTROLLER)
_IDLE, _WORKING = BoardState.IDLE, BoardState.WORKING
_HALTED, _ESTOPPED = BoardState.HALTED, BoardState.ESTOPPED
_COMMANDS = {int(command): (command, facts) for command, facts in COMMANDS.items()}
_ALWAYS = {
    int(command)
    for command, facts in COMMANDS.items()
    if facts.ordered and not facts.controller_only and not facts.array
}
"""What any session may have done in any state of the board."""
_REMEMBERED = 64


class _Held(NamedTuple):
    """What a command led to, which the host may not hear of before its time."""

    due_at: float
    frame: Frame
    result: Answer | Chunk | Refused | FieldError


@dataclass
class _Session:
    number: int
    nonce: bytes
    role: Role
    link: int | None
    client: str
    hello_reply: bytes
    window: int
    stream_window: int
    max_body: int
    lease_s: float
    heard_at: float
    accepted: int = 0
    answered: int = 0
    replies: dict[int, bytes] = field(default_factory=dict[int, bytes])
    queue: deque[Frame] = field(default_factory=deque[Frame])
    stream: Generator[Chunk, None, Answer] | None = None
    streaming: Frame | None = None
    held: _Held | None = None
    began_at: float = 0.0
    began_ns: int = 0
    credit: int = 0
    chunks: int = 0
    kept: deque[tuple[int, bytes]] = field(default_factory=deque[tuple[int, bytes]])

    def remaining_s(self, now: float) -> float:
        return self.heard_at + self.lease_s - now


@dataclass
class _Link:
    decoder: FrameDecoder
    out: list[bytes] = field(default_factory=list[bytes])


class _Closed(NamedTuple):
    nonce: bytes
    reason: ErrorCode


class BoardSessions:
    """Every session of one board, over any number of links.

    Parameters
    ----------
    executor : Executor
        The board.
    clock : callable
        Wall time in seconds, monotonic; leases run on it.
    versions : (int, int)
        Lowest and highest protocol version spoken.
    window, stream_window : int
        Most commands, and most chunks, in flight for a session.
    max_body : int
        Longest body, in bytes.
    lease_limits_s : (float, float)
        Shortest and longest lease granted.
    observers : int
        Most observers at a time.
    pace : Pace, optional
        Wall time that commands take at least; without one, answers leave as soon as they are
        there. While it passes the board works: the lease does not run, and ABORT is heard.
    """

    def __init__(
        self,
        executor: Executor,
        clock: Callable[[], float],
        *,
        versions: tuple[int, int] = (VERSION, VERSION),
        window: int = 256,
        stream_window: int = 16,
        max_body: int = 262_144,
        lease_limits_s: tuple[float, float] = (0.2, 60.0),
        observers: int = 8,
        pace: Pace | None = None,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._versions = versions
        self._window = window
        self._stream_window = stream_window
        self._max_body = max_body
        self._lease_limits_s = lease_limits_s
        self._observers = observers
        self._pace = pace
        self._links: dict[int, _Link] = {}
        self._sessions: dict[int, _Session] = {}
        self._controller: _Session | None = None
        self._closed: dict[int, _Closed] = {}
        self._halted_at = 0
        self._estopped = False
        self._resent_replies = 0
        self._bad_frames = 0

    # --- links -----------------------------------------------------------------------------

    def connect(self, link: int) -> None:
        """Begin to serve a link; `link` is any number not in use."""
        self._links[link] = _Link(FrameDecoder(self._max_body))

    def disconnect(self, link: int) -> None:
        """The link is gone: its sessions stop working, the board goes safe if it was controlled."""
        del self._links[link]
        for session in list(self._sessions.values()):
            if session.link == link:
                session.link = None
                if session is self._controller:
                    self._stop(session)

    def receive(self, link: int, data: bytes) -> None:
        """Take bytes that arrived on a link."""
        decoder = self._links[link].decoder
        bad_before = decoder.bad_frames
        frames = decoder.feed(data)
        self._bad_frames += decoder.bad_frames - bad_before
        now = self._clock() if frames else 0.0
        for frame in frames:
            self._accept(link, frame, now)

    def take_output(self, link: int) -> list[bytes]:
        """Remove and return what must be written to a link, in order."""
        port = self._links[link]
        out, port.out = port.out, []
        return out

    # --- time and work ---------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do now."""
        if self._pace is None:
            return any(map(_can_work, self._sessions.values()))
        now = self._clock()
        return any(_can_work(s) and not _waits(s, now) for s in self._sessions.values())

    def work(self, budget_s: float = 0.0) -> None:
        """Execute queued commands and measure chunks for about `budget_s`, at least one of each.

        Short budgets let the caller look at its links in between, so that ABORT is heard.
        """
        clock = self._clock
        deadline = clock() + budget_s
        for session in list(self._sessions.values()):
            while _can_work(session):
                if session.held is not None:
                    if _waits(session, clock()):
                        break
                    self._let_go(session)
                elif session.stream:
                    self._advance_stream(session)
                else:
                    self._execute(session, session.queue.popleft())
                # the lease is suspended while the board works for its holder
                session.heard_at = now = clock()
                if now >= deadline:
                    break

    def expire(self) -> None:
        """Close the sessions whose lease ran out.

        A session for which the board can work keeps its lease. One that waits for the credit of
        its host does not, whatever else is queued: that host may be dead.
        """
        now = self._clock()
        for session in list(self._sessions.values()):
            if session.remaining_s(now) <= 0 and not _can_work(session):
                self._close(session, ErrorCode.LEASE_LOST)

    def next_expiry_s(self) -> float | None:
        """Seconds until `expire` has something to do, or None."""
        now = self._clock()
        waiting = [s.remaining_s(now) for s in self._sessions.values() if not _can_work(s)]
        return max(0.0, min(waiting)) if waiting else None

    def next_work_s(self) -> float | None:
        """Seconds until `busy`, if only time has to pass, or None."""
        held = [s.held.due_at for s in self._sessions.values() if s.held is not None]
        return max(0.0, min(held) - self._clock()) if held else None

    # --- frames in -------------------------------------------------------------------------

    def _accept(self, link: int, frame: Frame, now: float) -> None:
        if frame.flags & _REPLY:
            return
        if frame.type == _HELLO:
            self._hello(link, frame)
            return
        if frame.version != VERSION:
            low, high = self._versions
            error = Error(ErrorCode.VERSION, WHOLE_FRAME, 0, frame.version, low, high, "version")
            self._send_error(link, frame, error)
            return
        session = self._sessions.get(frame.session)
        if session is None:
            closed = self._closed.get(frame.session)
            code = closed.reason if closed else ErrorCode.NO_SESSION
            self._send_error(link, frame, Error(code, WHOLE_FRAME, 0, frame.session, 0, 0, ""))
            return
        session.link = link
        session.heard_at = now
        if frame.credit != session.credit & 0xFFFF:
            self._take_credit(session, frame.credit)
        sequence = frame.sequence
        if sequence == 0:
            self._at_once(session, frame)
        elif sequence == session.accepted + 1 and len(session.queue) < session.window:
            session.accepted = sequence
            session.queue.append(frame)
        elif sequence > session.accepted:
            error = _error(ErrorCode.EXPECTED, frame, value=session.accepted + 1)
            self._send_error(link, frame, error)
        else:
            self._repeat(session, frame)

    def _repeat(self, session: _Session, frame: Frame) -> None:
        """Answer a frame that was accepted before."""
        reply = session.replies.get(frame.sequence)
        if reply is not None:
            self._resent_replies += 1
            self._send(session, reply)
            return
        code = ErrorCode.WORKING if frame.sequence > session.answered else ErrorCode.STALE
        self._refuse(session, frame, _error(code, frame), keep=False)

    def _hello(self, link: int, frame: Frame) -> None:
        if len(frame.body) != HelloRequest.SIZE:
            error = _error(
                ErrorCode.BAD_LENGTH, frame, value=len(frame.body), low=HelloRequest.SIZE
            )
            self._send_error(link, frame, error)
            return
        try:
            request = self._checked_hello(frame)
        except FieldError as fault:
            self._send_error(link, frame, _field_error(fault, frame))
            return
        for session in self._sessions.values():
            if session.nonce == request.nonce:
                session.link = link
                session.heard_at = self._clock()
                self._send(session, session.hello_reply)
                return
        error = self._reason_to_refuse(request)
        if error is not None:
            self._send_error(link, frame, error)
            return
        session = self._open(link, request)
        self._send(session, session.hello_reply)

    def _checked_hello(self, frame: Frame) -> HelloRequest:
        check("header.version", frame.version, HELLO_VERSION, HELLO_VERSION)
        check("header.session", frame.session, 0, 0)
        check("header.sequence", frame.sequence, 0, 0)
        request = HelloRequest.unpack(frame.body)
        check("HelloRequest.max_body", request.max_body, MIN_BODY, 0xFFFF_FFFF)
        return request

    def _reason_to_refuse(self, request: HelloRequest) -> Error | None:
        self.expire()
        for closed in self._closed.values():
            # a copy of an old HELLO, long on its way, must not open a session that nobody serves
            if closed.nonce == request.nonce:
                return Error(closed.reason, WHOLE_FRAME, 0, 0, 0, 0, "nonce")
        low, high = self._versions
        if request.version_max < low or request.version_min > high:
            return Error(
                ErrorCode.VERSION, WHOLE_FRAME, 0, request.version_max, low, high, "version"
            )
        if request.role == Role.OBSERVER:
            observers = len(self._sessions) - (self._controller is not None)
            if observers >= self._observers:
                return Error(ErrorCode.TOO_MANY_SESSIONS, WHOLE_FRAME, 0, observers, 0, 0, "")
            return None
        holder = self._controller
        if holder is None:
            return None
        remaining_ms = max(0, int(1000 * holder.remaining_s(self._clock())))
        linked = int(holder.link is not None)
        return Error(ErrorCode.BUSY, WHOLE_FRAME, 0, remaining_ms, 0, linked, holder.client)

    def _open(self, link: int, request: HelloRequest) -> _Session:
        facts = self._executor.facts()
        low, high = self._lease_limits_s
        lease_s = min(max(request.lease_ms / 1000, low), high)
        reply = HelloReply(
            nonce=request.nonce,
            version=min(request.version_max, self._versions[1]),
            role=request.role,
            chips=facts.chips,
            reserved=0,
            session=self._executor.open_session(),
            max_body=min(request.max_body, self._max_body),
            window=min(request.window, self._window),
            stream_window=min(request.stream_window, self._stream_window),
            lease_ms=round(1000 * lease_s),
            features=facts.features,
            board=facts.board,
            serial=facts.serial,
            firmware=facts.firmware,
        )
        session = _Session(
            number=reply.session,
            nonce=request.nonce,
            role=Role(request.role),
            link=link,
            client=fitting_text(request.client),
            hello_reply=encode(
                Command.HELLO, 0, 0, reply.pack(), flags=Flag.REPLY, version=HELLO_VERSION
            ),
            window=reply.window,
            stream_window=reply.stream_window,
            max_body=reply.max_body,
            lease_s=lease_s,
            heard_at=self._clock(),
        )
        self._sessions[session.number] = session
        if session.role == Role.CONTROLLER:
            self._controller = session
            self._halted_at = 0
        return session

    def _take_credit(self, session: _Session, credit: int) -> None:
        """Credit is absolute modulo 2^16; a value that is old, or more than agreed, is ignored."""
        gain = (credit - session.credit) & 0xFFFF
        if session.credit + gain > session.chunks + session.stream_window:
            return
        session.credit += gain
        while session.kept and session.kept[0][0] < session.credit - session.stream_window:
            session.kept.popleft()

    # --- commands --------------------------------------------------------------------------

    def _at_once(self, session: _Session, frame: Frame) -> None:
        facts = COMMANDS.get(frame.type)  # type: ignore[call-overload]
        if facts is None:
            error = _error(ErrorCode.UNKNOWN_COMMAND, frame, value=frame.type)
            self._refuse(session, frame, error, keep=False)
        elif not facts.immediate:
            fault = FieldError("header.sequence", 0, 1, 0xFFFF_FFFF)
            self._refuse(session, frame, _field_error(fault, frame), keep=False)
        elif facts.controller_only and session.role != Role.CONTROLLER:
            self._refuse(session, frame, _error(ErrorCode.OBSERVER, frame), keep=False)
        elif frame.type == Command.STATUS:
            self._reply(session, frame, self._status(), keep=False)
        elif frame.type == Command.CREDIT:
            if frame.flags & Flag.RESEND:
                for _, chunk in session.kept:
                    self._send(session, chunk)
        else:
            self._estopped |= frame.type == Command.ESTOP
            dropped = self._stop(self._controller) if self._controller else 0
            if self._controller is None:
                self._executor.make_safe()
            self._reply(session, frame, AbortReply(dropped).pack(), keep=False)

    def _execute(self, session: _Session, frame: Frame) -> None:
        command, facts = _COMMANDS.get(frame.type, (None, None))
        if command is None or facts is None:
            error = _error(ErrorCode.UNKNOWN_COMMAND, frame, value=frame.type)
            self._refuse(session, frame, error)
            return
        if frame.type not in _ALWAYS:
            error = self._reason_to_skip(session, frame, facts)
            if error is not None:
                self._refuse(session, frame, error)
                return
        length = len(frame.body)
        extra = length - facts.request_size
        if extra and (extra < 0 or not facts.request_item_size or extra % facts.request_item_size):
            self._fail(session, frame, Refused(ErrorCode.BAD_LENGTH, length, facts.request_size))
        elif command == _STATUS:
            self._reply(session, frame, self._status())
        elif command == Command.CLEAR:
            self._clear(session, frame)
        elif command == Command.BYE:
            self._reply(session, frame, b"")
            self._close(session, ErrorCode.NO_SESSION)
        else:
            self._run(session, frame, command)

    def _reason_to_skip(self, session: _Session, frame: Frame, facts: CommandFacts) -> Error | None:
        if not facts.ordered:
            return _field_error(FieldError("header.sequence", frame.sequence, 0, 0), frame)
        if facts.controller_only and session.role != _CONTROLLER:
            return _error(ErrorCode.OBSERVER, frame)
        if facts.array and self._estopped:
            return _error(ErrorCode.ESTOPPED, frame)
        if facts.array and self._halted_at:
            return _error(ErrorCode.SKIPPED, frame, value=self._halted_at)
        return None

    def _run(self, session: _Session, frame: Frame, command: Command) -> None:
        name = FrameId(session.number, frame.sequence)
        if self._pace is not None:
            session.began_at = self._clock()
            session.began_ns = self._executor.condition().board_time_ns
        try:
            answer = self._executor.execute(name, command, frame.body, session.max_body)
        except (Refused, FieldError) as fault:
            self._hold(session, frame, fault)
            return
        if isinstance(answer, Answer):
            self._hold(session, frame, answer)
        else:
            session.stream, session.streaming = answer, frame

    def _advance_stream(self, session: _Session) -> None:
        stream, frame = session.stream, session.streaming
        if stream is None or frame is None:
            return
        try:
            chunk = next(stream)
        except StopIteration as end:
            session.stream = session.streaming = None
            self._hold(session, frame, end.value)
        except (Refused, FieldError) as fault:
            session.stream = session.streaming = None
            self._hold(session, frame, fault)
        else:
            self._hold(session, frame, chunk)

    def _hold(
        self, session: _Session, frame: Frame, result: Answer | Chunk | Refused | FieldError
    ) -> None:
        """Keep what a command led to until the time that it takes has passed."""
        pace = self._pace
        if pace is None:
            self._deliver(session, frame, result)
            return
        passed_ns = self._executor.condition().board_time_ns - session.began_ns
        due_at = session.began_at + pace.command_s + passed_ns * 1e-9 * pace.board_s
        session.held = _Held(due_at, frame, result)

    def _let_go(self, session: _Session) -> None:
        if session.held is not None:
            _, frame, result = session.held
            session.held = None
            self._deliver(session, frame, result)

    def _deliver(
        self, session: _Session, frame: Frame, result: Answer | Chunk | Refused | FieldError
    ) -> None:
        if isinstance(result, Chunk):
            self._send_chunk(session, frame, result)
        elif isinstance(result, Answer):
            self._finish(session, frame, result)
        else:
            self._fail(session, frame, result)

    def _send_chunk(self, session: _Session, frame: Frame, chunk: Chunk) -> None:
        head = StreamChunk(
            session.chunks, len(chunk.words) // 2, chunk.first, chunk.board_time_ns
        ).pack()
        body = head + chunk.words
        data = encode(frame.type, session.number, frame.sequence, body, _REPLY | _STREAM)
        session.kept.append((session.chunks, data))
        session.chunks += 1
        self._send(session, data)

    def _finish(self, session: _Session, frame: Frame, answer: Answer) -> None:
        if answer.halted:
            self._halted_at = frame.sequence
        self._answer(session, frame, answer.body, _REPLY, keep=True)

    def _fail(self, session: _Session, frame: Frame, fault: Refused | FieldError) -> None:
        if COMMANDS[Command(frame.type)].array:
            self._halted_at = frame.sequence
        error = _field_error(fault, frame) if isinstance(fault, FieldError) else fault.error
        self._refuse(session, frame, error._replace(sequence=frame.sequence))

    def _clear(self, session: _Session, frame: Frame) -> None:
        sequence = ClearRequest.unpack(frame.body).sequence
        if sequence == 0:
            self._estopped = False
        elif sequence == self._halted_at:
            self._halted_at = 0
        else:
            error = _error(ErrorCode.NOT_HALTED, frame, value=sequence, low=self._halted_at)
            self._refuse(session, frame, error)
            return
        self._reply(session, frame, b"")

    def _status(self) -> bytes:
        linked = queued = number = remaining_ms = 0
        holder = self._controller
        if holder is not None:
            linked = int(holder.link is not None)
            queued = holder.accepted - holder.answered
            number = holder.number
            remaining_s = holder.remaining_s(self._clock())
            remaining_ms = int(1000 * remaining_s) if remaining_s > 0 else 0
        board_time_ns, temperature_mk = self._executor.condition()
        return StatusReply(
            self._state(),
            linked,
            queued,
            self._halted_at,
            number,
            remaining_ms,
            board_time_ns,
            temperature_mk,
            self._bad_frames,
            self._resent_replies,
        ).pack()

    def _state(self) -> BoardState:
        if self._estopped:
            return _ESTOPPED
        if self._halted_at:
            return _HALTED
        for session in self._sessions.values():
            if session.queue or session.stream or session.held:
                return _WORKING
        return _IDLE

    # --- stopping --------------------------------------------------------------------------

    def _stop(self, session: _Session) -> int:
        """Drop what has not begun and answer it; how much. The controller's board goes safe."""
        if session.held is not None and isinstance(session.held.result, Chunk):
            session.held = None
        self._let_go(session)  # what was done is told, however early
        dropped = [session.streaming] if session.streaming else []
        dropped += session.queue
        session.queue.clear()
        if session.stream is not None:
            session.stream.close()
            session.stream = session.streaming = None
        if session is self._controller:
            self._executor.make_safe()
        for frame in dropped:
            self._refuse(session, frame, _error(ErrorCode.ABORTED, frame))
        return len(dropped)

    def _close(self, session: _Session, reason: ErrorCode) -> None:
        self._stop(session)
        del self._sessions[session.number]
        # a few are remembered, to tell a lost lease from a session that never was
        self._closed[session.number] = _Closed(session.nonce, reason)
        if len(self._closed) > _REMEMBERED:
            del self._closed[next(iter(self._closed))]
        if session is self._controller:
            self._controller = None

    # --- frames out ------------------------------------------------------------------------

    def _reply(self, session: _Session, frame: Frame, body: bytes, keep: bool = True) -> None:
        self._answer(session, frame, body, _REPLY, keep)

    def _refuse(self, session: _Session, frame: Frame, error: Error, keep: bool = True) -> None:
        self._answer(session, frame, error.pack(), _REPLY | _ERROR, keep)

    def _answer(self, session: _Session, frame: Frame, body: bytes, flags: int, keep: bool) -> None:
        sequence = frame.sequence
        data = encode(frame.type, session.number, sequence, body, flags, session.chunks & 0xFFFF)
        if keep:
            session.answered = sequence
            session.replies[sequence] = data
            session.replies.pop(sequence - session.window, None)
        self._send(session, data)

    def _send(self, session: _Session, data: bytes) -> None:
        if session.link in self._links:
            self._links[session.link].out.append(data)

    def _send_error(self, link: int, frame: Frame, error: Error) -> None:
        version = HELLO_VERSION if frame.type == Command.HELLO else VERSION
        data = encode(
            frame.type, frame.session, frame.sequence, error.pack(), _REPLY | _ERROR, 0, version
        )
        self._links[link].out.append(data)


def _can_work(session: _Session) -> bool:
    """Whether the board has work for a session, be it that it waits for its clock."""
    if session.held is not None:
        return True
    if session.stream:
        return session.chunks < session.credit
    return bool(session.queue)


def _waits(session: _Session, now: float) -> bool:
    return session.held is not None and now < session.held.due_at


def _error(code: ErrorCode, frame: Frame, value: int = 0, low: int = 0) -> Error:
    return Error(code, WHOLE_FRAME, frame.sequence, value, low, 0, "")


def _field_error(fault: FieldError, frame: Frame) -> Error:
    name = fault.field.rpartition(".")[2]
    return Error(
        ErrorCode.BAD_FIELD, WHOLE_FRAME, frame.sequence, fault.value, fault.low, fault.high, name
    )
