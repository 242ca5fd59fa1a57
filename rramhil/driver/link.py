"""A session with a board over a byte pipe: one thread reads, writes, repeats, keeps the lease.

Owns: the I/O thread and the translation of the session's failures into errors. Knows neither what
commands mean nor what kind of pipe it has.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

from firmware_protocol.host_session import HostSession
from firmware_protocol.messages import Command, Error, ErrorCode, HelloReply, Role
from firmware_protocol.requests import ChunkSink, LinkStatistics, Request, SessionLostError
from rramhil.driver._failures import command_failed, hello_refused, session_lost
from rramhil.errors import LinkLost, RramhilError
from rramhil.transport import Pipe

_BUSY_POLL_S = 0.05
_GOODBYE_S = 2.0


def client_name() -> str:
    """Who we are, for the board to tell others: user@host, process."""
    return f"{getpass.getuser()}@{socket.gethostname()} pid {os.getpid()}"[:60]


class Link:
    """Ask a board, from any thread.

    Opening waits for HELLO. A lease that its holder renews is respected; one that nobody renews
    belonged to a process that died, and is waited for. After `close`, or an error of the link,
    every call raises.

    Parameters
    ----------
    pipe : Pipe
        Byte pipe to the board; owned by the link from now on.
    role : Role
        Controller, or observer, which may look but not touch.
    window, max_body : int
        What to ask the board for.

    Raises
    ------
    BoardHeld
        Another controller holds the board.
    ProtocolMismatch
        No common protocol version.
    LinkLost
        Nothing answers.
    """

    def __init__(
        self,
        pipe: Pipe,
        *,
        role: Role = Role.CONTROLLER,
        window: int = 256,
        max_body: int = 262_144,
        give_up_s: float = 10.0,
    ) -> None:
        self._pipe = pipe
        self._role = role
        self._window = window
        self._max_body = max_body
        self._give_up_s = give_up_s
        self._lock = threading.RLock()
        self._failure: RramhilError | None = None
        self._closing = False
        self._session = self._new_session()
        self._thread = threading.Thread(target=self._serve, name="rramhil-link", daemon=True)
        self._thread.start()
        try:
            self.hello = self._greet()
        except BaseException:
            self._end()
            raise

    # --- asking ----------------------------------------------------------------------------

    def request(self, command: Command, body: bytes = b"") -> bytes:
        """Send one command and return the body of its reply.

        Raises
        ------
        BoardError, LimitRefused, NotFound
            The board refused; which one says why.
        LinkLost
            The board is gone; what became of the command is not known.
        """
        return self.request_many(command, [body])[0]

    def request_many(
        self,
        command: Command,
        bodies: Sequence[bytes],
        before: Callable[[int, int], None] | None = None,
    ) -> list[bytes]:
        """Send the same command many times, keeping the window full; the replies in order.

        Parameters
        ----------
        before : callable, optional
            Called with the session's number and the sequence number of the first command, before
            any byte leaves.

        Raises
        ------
        RramhilError
            As `request`, for the first command that failed; those after it were skipped.
        """
        requests = self.exchange(command, bodies, before)
        self.raise_first_error(requests)
        return [request.reply or b"" for request in requests]

    def exchange(
        self,
        command: Command,
        bodies: Sequence[bytes],
        before: Callable[[int, int], None] | None = None,
        on_chunk: ChunkSink | None = None,
    ) -> list[Request]:
        """As `request_many`, but leave refusals in the requests for the caller to judge.

        A request whose outcome nobody knows, because the link was lost, has neither reply nor
        error. Chunks of a command that streams go to `on_chunk`, in the I/O thread, in order.
        """
        return self.start(command, bodies, before, on_chunk).wait()

    def start(
        self,
        command: Command,
        bodies: Sequence[bytes],
        before: Callable[[int, int], None] | None = None,
        on_chunk: ChunkSink | None = None,
    ) -> InFlight:
        """As `exchange`, but do not wait: what is started later is executed later."""
        ended = _Countdown(len(bodies))
        requests = [Request(command, body, ended.one_done, on_chunk) for body in bodies]
        self._submit(requests, before)
        return InFlight(requests, ended.event)

    def now(self, command: Command) -> bytes:
        """Send a command that stands outside the order: STATUS, ABORT or ESTOP."""
        ended = _Countdown(1)
        request = Request(command, b"", ended.one_done)
        with self._woken_after():
            self._session.send_now(request)
        ended.event.wait()
        self.raise_first_error([request])
        return request.reply or b""

    @property
    def lost(self) -> bool:
        """Whether nothing more can be asked."""
        return self._failure is not None or self._closing

    @property
    def failure(self) -> RramhilError:
        """Why nothing more can be asked."""
        return self._failure or LinkLost("The link to the board was closed.")

    def raise_first_error(self, requests: list[Request]) -> None:
        """Raise what the first request that failed says; nothing if all were answered."""
        for request in requests:
            if request.error is not None:
                raise command_failed(request.command, request.error)
            if request.reply is None:
                raise self.failure

    @property
    def statistics(self) -> LinkStatistics:
        """Counters of the link: frames, bytes, repetitions, damage."""
        return self._session.statistics

    @contextmanager
    def _woken_after(self) -> Generator[None]:
        with self._lock:
            self._check_alive()
            yield
        self._pipe.wake()

    def close(self) -> None:
        """Say goodbye, which leaves the board safe, and close the pipe. Never raises."""
        ended = _Countdown(1)
        # a link that is lost already needs no goodbye
        with suppress(RramhilError):
            self._submit([Request(Command.BYE, b"", ended.one_done)], None)
            ended.event.wait(_GOODBYE_S)
        self._end()

    # --- the thread ------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except SessionLostError as lost:
            opened = self._session.facts is not None
            self._fail(session_lost(lost, self._pipe.address, opened=opened))
        except RramhilError as error:
            self._fail(error)
        except BaseException as error:
            # whatever it was, nobody may be left waiting for an answer
            self._fail(RramhilError(f"The link's thread failed: {error!r}."))
            raise

    def _turn(self) -> None:
        with self._lock:
            self._session.poll()
            out = self._session.take_output()
            wait_s = self._session.wait_s()
        if out:
            self._pipe.write(out[0] if len(out) == 1 else b"".join(out))
        data = self._pipe.read(wait_s)
        if data:
            with self._lock:
                self._session.receive(data)

    def _fail(self, error: RramhilError) -> None:
        """End every waiting request; their outcome is unknown."""
        with self._lock:
            self._failure = error
            self._closing = True
            self._session.drop_all()

    # --- helpers ---------------------------------------------------------------------------

    def _new_session(self) -> HostSession:
        return HostSession(
            secrets.token_bytes(16),
            client_name(),
            time.monotonic,
            role=self._role,
            window=self._window,
            max_body=self._max_body,
            give_up_s=self._give_up_s,
        )

    def _greet(self) -> HelloReply:
        """Say HELLO until the session opens, or the holder of the lease is seen to be alive."""
        remaining_ms: int | None = None
        while True:
            error = self._hello_error()
            if error is None:
                return self._facts()
            renewed = remaining_ms is not None and error.value > remaining_ms
            if error.code != ErrorCode.BUSY or renewed:
                raise hello_refused(error, self._pipe.address)
            remaining_ms = error.value
            time.sleep(_BUSY_POLL_S)
            with self._lock:
                self._session = self._new_session()

    def _hello_error(self) -> Error | None:
        ended = _Countdown(1)
        errors: list[Error | None] = []

        def done(request: Request) -> None:
            errors.append(request.error)
            ended.one_done(request)

        with self._woken_after():
            self._session.greet(done)
        ended.event.wait()
        return errors[0]

    def _facts(self) -> HelloReply:
        if self._session.facts is None:
            raise self._failure or LinkLost(f"The board at {self._pipe.address} does not answer.")
        return self._session.facts

    def _submit(self, requests: list[Request], before: Callable[[int, int], None] | None) -> None:
        with self._woken_after():
            if before is not None:
                before(self.hello.session, self._session.next_sequence)
            try:
                self._session.submit_many(requests)
            except SessionLostError as lost:
                raise session_lost(lost, self._pipe.address, opened=True) from None

    def _check_alive(self) -> None:
        if self.lost:
            raise self.failure

    def _end(self) -> None:
        self._closing = True
        self._pipe.wake()
        self._thread.join(2.0)
        self._pipe.close()


class InFlight:
    """Requests that are under way."""

    def __init__(self, requests: list[Request], ended: threading.Event) -> None:
        self._requests = requests
        self._ended = ended

    def wait(self) -> list[Request]:
        """The requests, once all have ended, however they did."""
        self._ended.wait()
        return self._requests


class _Countdown:
    """Counts requests that ended; `event` is set with the last one."""

    def __init__(self, requests: int) -> None:
        self.event = threading.Event()
        self._left = requests
        if requests == 0:
            self.event.set()

    def one_done(self, _request: Request) -> None:
        self._left -= 1
        if self._left == 0:
            self.event.set()
