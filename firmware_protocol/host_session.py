"""The host's side of the protocol, without any I/O: requests in, bytes out, replies back.

Owns: the handshake, sequence numbers, the window of commands in flight, retransmission, the order
and credit of streamed chunks, the heartbeat. Does not know threads, pipes or what commands mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from firmware_protocol.framing import Frame, FrameDecoder, encode
from firmware_protocol.messages import (
    HELLO_VERSION,
    MAX_BODY,
    VERSION,
    Command,
    Error,
    ErrorCode,
    Flag,
    HelloReply,
    HelloRequest,
    Role,
    StreamChunk,
)
from firmware_protocol.requests import LinkStatistics, Request, SessionLostError

LAST_SEQUENCE = 0xFFFF_FFFF
"""Sequence numbers never wrap: after this one, a new session must be opened."""

# looked up once: attributes of an enumeration are slow to reach, and every frame needs these
_REPLY, _ERROR, _STREAM = int(Flag.REPLY), int(Flag.ERROR), int(Flag.STREAM)
_HELLO, _BYE = int(Command.HELLO), int(Command.BYE)
_SESSION_ENDED = {ErrorCode.NO_SESSION, ErrorCode.LEASE_LOST, ErrorCode.VERSION}


class HostSession:
    """One session with one board.

    Call `receive` with what arrives, `take_output` for what must be written, `poll` when
    `wait_s` has passed; ordered requests report through their `on_done` in the order in which they
    were submitted, whatever the link lost or repeated.

    Parameters
    ----------
    nonce : bytes
        16 random bytes that name this session before it has a number.
    client : str
        Who asks, at most 64 bytes of UTF-8.
    clock : callable
        Wall time in seconds, monotonic.
    role : Role
        Controller or observer.
    window, stream_window : int
        Commands and chunks to keep in flight, at most; the board may grant fewer.
    max_body : int
        Longest body, in bytes.
    lease_s : float
        Lease asked for; a third of it is the longest silence of this side.
    retry_s : float
        Silence after which the oldest unanswered frame is sent again; doubles up to 8 times.
    give_up_s : float
        Silence after which the board is taken for lost.
    """

    def __init__(
        self,
        nonce: bytes,
        client: str,
        clock: Callable[[], float],
        *,
        role: Role = Role.CONTROLLER,
        versions: tuple[int, int] = (VERSION, VERSION),
        window: int = 256,
        stream_window: int = 16,
        max_body: int = 262_144,
        lease_s: float = 3.0,
        retry_s: float = 0.5,
        give_up_s: float = 10.0,
    ) -> None:
        self.statistics = LinkStatistics()
        self.facts: HelloReply | None = None
        self._hello = HelloRequest(
            nonce,
            versions[0],
            versions[1],
            role,
            0,
            max_body,
            window,
            stream_window,
            round(1000 * lease_s),
            client,
        )
        self._clock = clock
        self._decoder = FrameDecoder(MAX_BODY)
        self._retry_s = retry_s
        self._give_up_s = give_up_s
        self._session = 0
        self._window = 1
        self._stream_window = stream_window
        self._max_body = max_body
        self._lease_s = lease_s
        self._next_sequence = 1
        self._oldest = 1
        self._waiting: deque[Request] = deque()
        # numbers in flight: always _oldest to _next_sequence - 1, without a gap, since the board
        # keeps the replies of one window only
        self._flying: dict[int, Request] = {}
        self._early: dict[int, Frame] = {}
        self._unordered: list[Request] = []
        self._out: list[bytes] = []
        self._closing = False
        self._withdrawn_before = 0
        self._chunks = 0
        self._announced = 0
        self._heard_at = self._sent_at = self._retried_at = self._unordered_at = clock()
        self._retries = 0
        self._asked_to = 0
        self._went_back_to = 0
        self._went_back_at = 0.0
        self._chunks_asked = -1
        self._chunks_asked_at = 0.0

    # --- asking ----------------------------------------------------------------------------

    @property
    def next_sequence(self) -> int:
        """Number that the next ordered request will carry, if nothing else is submitted first."""
        return self._next_sequence + len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether no answer is awaited."""
        return not (self._flying or self._waiting or self._unordered)

    def greet(self, on_done: Callable[[Request], None]) -> None:
        """Send HELLO. Its reply opens the session and is kept in `facts`."""
        self._send_unordered(Request(Command.HELLO, self._hello.pack(), on_done), HELLO_VERSION)

    def submit(self, request: Request) -> None:
        """Queue an ordered command; it leaves when the window has room. Raises as `submit_many`."""
        self.submit_many([request])

    def submit_many(self, requests: list[Request]) -> None:
        """Queue ordered commands, in order; all of them or, if it raises, none.

        Raises
        ------
        ValueError
            A body is longer than was agreed.
        SessionLostError
            The session was closed by BYE, or its sequence numbers are used up.
        """
        closing = self._closing
        for request in requests:
            if closing:
                raise SessionLostError("the session is closed; open a new session")
            if len(request.body) > self._max_body:
                raise ValueError(
                    f"{request.command.name}: a body of {len(request.body)} bytes is longer than "
                    f"the {self._max_body} bytes that were agreed"
                )
            closing = request.command == _BYE
        if self.next_sequence + len(requests) - 1 > LAST_SEQUENCE:
            raise SessionLostError(
                f"sequence numbers of session {self._session} are used up; open a new session"
            )
        self._closing = closing
        self._waiting.extend(requests)
        self._fill_window()

    def send_now(self, request: Request) -> None:
        """Send a command that stands outside the order: STATUS, ABORT or ESTOP.

        ABORT also withdraws every command submitted before it that the board has not accepted by
        then: such a command is never executed, and ends with the error ABORTED.
        """
        if request.command == Command.ABORT:
            self._withdraw()
        self._send_unordered(request, VERSION)

    def _withdraw(self) -> None:
        """Turn every command that the board may not have accepted into a STATUS of its number.

        ABORT drops what the board has; what was lost on the way or has not left yet would be
        executed after it. Its number cannot be left out, since the board executes in order.
        """
        self._withdrawn_before = self.next_sequence - self._closing
        for sequence, request in self._flying.items():
            if sequence < self._withdrawn_before:
                request.frame = encode(Command.STATUS, self._session, sequence)

    def _send_unordered(self, request: Request, version: int) -> None:
        request.frame = encode(
            request.command, self._session, 0, request.body, 0, self._credit(), version
        )
        self._unordered_at = self._clock()
        if not self._unordered and not self._flying:
            self._heard_at = self._unordered_at
        self._unordered.append(request)
        self._put(request.frame)

    def _fill_window(self) -> None:
        flying, waiting = self._flying, self._waiting
        if not waiting or not self._session:
            return
        if not flying:
            # silence is counted from the first unanswered frame
            self._retried_at = self._clock()
            self._retries = 0
            if not self._unordered:
                self._heard_at = self._retried_at
        credit = self._credit()
        session, sequence = self._session, self._next_sequence
        room = self._oldest + self._window - sequence
        for _ in range(min(room, len(waiting))):
            request = waiting[0]
            command, body = request.command, request.body
            if command == _BYE:
                # the board forgets every reply with the session, so nothing else may be open
                if flying:
                    break
            elif sequence < self._withdrawn_before:
                command, body = Command.STATUS, b""
            waiting.popleft()
            request.sequence = sequence
            request.frame = encode(command, session, sequence, body, 0, credit)
            flying[sequence] = request
            sequence += 1
            self._put(request.frame)
        self._next_sequence = sequence

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self.statistics.frames_sent += 1
        self.statistics.bytes_sent += len(data)

    # --- bytes -----------------------------------------------------------------------------

    def take_output(self) -> list[bytes]:
        """Remove and return what must be written, in order."""
        out, self._out = self._out, []
        if out:
            self._sent_at = self._clock()
        return out

    def receive(self, data: bytes) -> None:
        """Take bytes that arrived.

        Raises
        ------
        SessionLostError
            The board ended the session.
        """
        statistics = self.statistics
        statistics.bytes_received += len(data)
        frames = self._decoder.feed(data)
        statistics.bad_frames = self._decoder.bad_frames
        statistics.garbage_bytes = self._decoder.garbage_bytes
        if not frames:
            return
        statistics.frames_received += len(frames)
        if self._session:
            self._heard_at = self._clock()
        progress = self._oldest + self._chunks
        for frame in frames:
            self._take(frame)
        if self._oldest + self._chunks != progress:
            # only progress puts a retry off: heartbeats are answered while a reply is lost
            self._retried_at = self._clock()
            self._retries = 0
        self._fill_window()

    def _take(self, frame: Frame) -> None:
        flags = frame.flags
        if not flags & _REPLY:
            return  # a terminal that echoes sends our own frames back
        if frame.type == _HELLO:
            self._take_hello(frame)
        elif frame.session != self._session:
            return
        elif flags & _STREAM:
            self._take_chunk(frame)
        elif flags & _ERROR and self._handled(frame):
            return
        elif frame.sequence:
            self._take_reply(frame)
        else:
            self._take_unordered(frame)

    def _take_hello(self, frame: Frame) -> None:
        request = next((r for r in self._unordered if r.command == Command.HELLO), None)
        if request is None:
            return
        if not frame.flags & _ERROR:
            facts = HelloReply.unpack(_checked_size(frame, HelloReply.SIZE).body)
            if facts.nonce != self._hello.nonce:
                return  # meant for another program, which died while it waited on this line
            self._open(facts)
        self._unordered.remove(request)
        _finish(request, frame)

    def _open(self, facts: HelloReply) -> None:
        low, high = self._hello.version_min, self._hello.version_max
        if not (low <= facts.version <= high and facts.session and facts.window):
            raise SessionLostError(f"the board grants a session that cannot work: {facts}")
        longest = max((len(request.body) for request in self._waiting), default=0)
        if longest > facts.max_body:
            raise SessionLostError(
                f"a command of {longest} bytes waits, and the board takes {facts.max_body}"
            )
        self.facts = facts
        self._heard_at = self._clock()
        self._session = facts.session
        self._window = facts.window
        self._stream_window = facts.stream_window
        self._max_body = facts.max_body
        self._lease_s = facts.lease_ms / 1000

    def _take_unordered(self, frame: Frame) -> None:
        for request in self._unordered:
            if request.command == frame.type:
                self._unordered.remove(request)
                _finish(request, frame)
                return

    def _handled(self, frame: Frame) -> bool:
        """Deal with an error of the session itself; False if it belongs to a command."""
        error = Error.unpack(_checked_size(frame, Error.SIZE).body)
        if error.code == ErrorCode.EXPECTED:
            self._go_back(error.value)
            return True
        if error.code == ErrorCode.STALE:
            # a copy that was long on its way is no loss, only a number whose reply is still due
            if frame.sequence in self._flying and frame.sequence not in self._early:
                raise SessionLostError("STALE", error)
            return True
        if error.code in _SESSION_ENDED:
            last = self._flying.get(self._oldest)
            if last is None or last.command != Command.BYE:
                raise SessionLostError(ErrorCode(error.code).name, error)
            # BYE was executed and its reply lost
            self._conclude(frame._replace(type=Command.BYE, flags=_REPLY, body=b""))
            return True
        return error.code == ErrorCode.WORKING

    def _take_reply(self, frame: Frame) -> None:
        sequence = frame.sequence
        if sequence == self._oldest and not self._lacks_chunks(frame):
            self._conclude(frame)
            if self._early:
                self._conclude_early()
        elif sequence not in self._flying or sequence in self._early:
            self.statistics.duplicate_replies += 1
        else:
            self._early[sequence] = frame
            if self._lacks_chunks(frame):
                self._ask_chunks_again()
            # the board answers in order, so the replies to earlier numbers were lost
            for number in range(max(self._oldest, self._asked_to), sequence):
                if number not in self._early:
                    self._resend(self._flying[number])
            self._asked_to = max(self._asked_to, sequence)

    def _lacks_chunks(self, frame: Frame) -> bool:
        """Whether chunks that the board sent before this reply have not arrived."""
        return 0 < (frame.credit - self._chunks) & 0xFFFF < 0x8000

    def _conclude_early(self) -> None:
        """End what waited only for the replies or chunks before it."""
        while (frame := self._early.get(self._oldest)) and not self._lacks_chunks(frame):
            del self._early[self._oldest]
            self._conclude(frame)

    def _conclude(self, frame: Frame) -> None:
        """End the oldest request in flight."""
        request = self._flying.pop(self._oldest)
        self._oldest += 1
        if frame.type == request.command:
            _finish(request, frame)
        elif request.sequence < self._withdrawn_before:
            _fail(request, _withdrawn(request))
        else:
            raise SessionLostError(
                f"the board answered {request.command.name}, sequence {request.sequence}, "
                f"with a reply of type {frame.type}"
            )
        if request.command == _BYE:
            self._session = 0
            unordered, self._unordered = self._unordered, []
            for late in unordered:
                _fail(late, _session_closed(late))

    # --- streams ---------------------------------------------------------------------------

    def _credit(self) -> int:
        """Chunks there is room for, in all, modulo 2^16."""
        self._announced = self._chunks + self._stream_window
        return self._announced & 0xFFFF

    def _take_chunk(self, frame: Frame) -> None:
        if len(frame.body) < StreamChunk.SIZE:
            raise _malformed(frame)
        head = StreamChunk.unpack(frame.body)
        if head.number != self._chunks:
            if head.number > self._chunks:
                self._ask_chunks_again()
            else:
                self.statistics.duplicate_replies += 1
            return
        request = self._flying.get(frame.sequence)
        if request is None or len(frame.body) != StreamChunk.SIZE + 2 * head.words:
            raise _malformed(frame)
        self._chunks += 1
        self.statistics.chunks_received += 1
        if request.on_chunk is not None:
            request.on_chunk(head, memoryview(frame.body)[StreamChunk.SIZE :])
        if self._chunks + self._stream_window - self._announced >= max(1, self._stream_window // 4):
            self._send_credit()
        if self._early:
            self._conclude_early()

    def _send_credit(self, flags: int = 0) -> None:
        self._put(encode(Command.CREDIT, self._session, 0, b"", flags, self._credit()))

    def _ask_chunks_again(self) -> None:
        now = self._clock()
        if self._chunks_asked == self._chunks and now - self._chunks_asked_at < self._retry_s:
            return
        self._chunks_asked, self._chunks_asked_at = self._chunks, now
        self.statistics.chunks_asked_again += 1
        self._send_credit(Flag.RESEND)

    # --- time ------------------------------------------------------------------------------

    def wait_s(self) -> float:
        """Seconds until `poll` has something to do."""
        now = self._clock()
        due = now + self._lease_s
        if self._session:
            due = min(due, self._sent_at + self._lease_s / 3)
        if self._unordered:
            due = min(due, self._unordered_at + self._retry_s)
        if self._flying:
            due = min(due, self._retried_at + self._retry_interval_s())
        return max(0.0, due - now)

    def poll(self) -> None:
        """Repeat what was not answered in time and keep the lease.

        Raises
        ------
        SessionLostError
            Nothing was heard for `give_up_s` although an answer is due.
        """
        now = self._clock()
        if (self._flying or self._unordered) and now - self._heard_at > self._give_up_s:
            raise SessionLostError(f"no answer for {self._give_up_s:g} s")
        if self._unordered and now - self._unordered_at >= self._retry_s:
            self._unordered_at = now
            for request in self._unordered:
                self._resend(request)
        if self._flying and now - self._retried_at >= self._retry_interval_s():
            self._retried_at = now
            self._retries += 1
            self._repeat_oldest()
        if self._session and now - self._sent_at >= self._lease_s / 3:
            self._sent_at = now
            self._put(encode(Command.STATUS, self._session, 0, b"", 0, self._credit()))

    def _retry_interval_s(self) -> float:
        return self._retry_s * 2 ** min(self._retries, 3)

    def _repeat_oldest(self) -> None:
        oldest, newest = self._oldest, self._next_sequence - 1
        if self._flying[oldest].on_chunk is not None:
            self._ask_chunks_again()
        if oldest not in self._early:
            self._resend(self._flying[oldest])
        if newest != oldest and newest not in self._early:
            # if frames between the two were lost as well, the board names the first of them
            self._resend(self._flying[newest])

    def _go_back(self, sequence: int) -> None:
        """The board misses a frame: send it and all after it again, once for each gap."""
        now = self._clock()
        self.statistics.missing_frames_reported += 1
        if sequence not in self._flying:
            return  # said long ago: it has arrived since
        if sequence == self._went_back_to and now - self._went_back_at < self._retry_s:
            return
        self._went_back_to, self._went_back_at = sequence, now
        self._retried_at = now
        for number in range(sequence, self._next_sequence):
            self._resend(self._flying[number])

    def _resend(self, request: Request) -> None:
        self.statistics.frames_resent += 1
        self._put(request.frame)

    def drop_all(self) -> None:
        """End every request that still waits, with neither reply nor error: nobody knows."""
        pending = [*self._unordered, *self._flying.values(), *self._waiting]
        self._unordered.clear()
        self._flying.clear()
        self._early.clear()
        self._waiting.clear()
        self._oldest = self._next_sequence
        for request in pending:
            request.on_done(request)


def _finish(request: Request, frame: Frame) -> None:
    if frame.flags & _ERROR:
        request.error = Error.unpack(_checked_size(frame, Error.SIZE).body)
    else:
        request.reply = frame.body
    request.on_done(request)


def _fail(request: Request, error: Error) -> None:
    request.error = error
    request.on_done(request)


def _withdrawn(request: Request) -> Error:
    return Error(ErrorCode.ABORTED, 0xFFFF, request.sequence, 0, 0, 0, "withdrawn by the host")


def _session_closed(request: Request) -> Error:
    return Error(ErrorCode.NO_SESSION, 0xFFFF, request.sequence, 0, 0, 0, "closed by BYE")


def _checked_size(frame: Frame, size: int) -> Frame:
    if len(frame.body) != size:
        raise _malformed(frame)
    return frame


def _malformed(frame: Frame) -> SessionLostError:
    return SessionLostError(
        f"the board sent a malformed frame: type {frame.type}, flags {frame.flags}, sequence "
        f"{frame.sequence}, {len(frame.body)} bytes of body"
    )
