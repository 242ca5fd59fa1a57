"""Both session machines, a recording board and a link that loses, in virtual time.

Owns: the clock, the links' schedule of trouble, and the count of what the board really did. No
thread, no socket, no sleep: a run of minutes takes milliseconds and is repeated by its seed.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from firmware_protocol.board_session import BoardSessions
from firmware_protocol.executor import Answer, BoardFacts, Chunk, Condition, FrameId, Refused
from firmware_protocol.host_session import HostSession
from firmware_protocol.messages import Command, ErrorCode, Role, StreamChunk
from firmware_protocol.requests import Request

FAIL, REFUSE = 1, 2
CHUNK_WORDS = 4


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Recorder:
    """A board that does nothing but count what it is made to do."""

    executed: list[tuple[FrameId, Command, bytes]] = field(default_factory=list)
    measured: list[tuple[FrameId, int]] = field(default_factory=list)
    made_safe: int = 0
    sessions: int = 0

    def facts(self) -> BoardFacts:
        return BoardFacts("recorder", "R-1", "0.0", 1, 1)

    def open_session(self) -> int:
        self.sessions += 1
        return self.sessions

    def condition(self) -> Condition:
        return Condition(len(self.executed), 300_000)

    def make_safe(self) -> None:
        self.made_safe += 1

    def execute(
        self, frame: FrameId, command: Command, body: bytes, max_body: int
    ) -> Answer | Generator[Chunk, None, Answer]:
        self.executed.append((frame, command, body))
        if command == Command.READ_CELLS:
            return self._stream(frame, body)
        then = body[-1] if command == Command.PULSE_ROWS else 0
        if then == REFUSE:
            raise Refused(ErrorCode.LIMIT_VOLTAGE, 5, 1, 4, "x" * 200)
        # the reply tells which execution it is, so a second one could not hide
        return Answer(self.reply_to(body), halted=then == FAIL)

    def reply_to(self, body: bytes) -> bytes:
        return struct.pack("<I", len(self.executed)) + body[:4]

    def _stream(self, frame: FrameId, body: bytes) -> Generator[Chunk, None, Answer]:
        for k in range(body[4]):
            self.measured.append((frame, k))
            words = struct.pack("<4H", len(self.measured) & 0xFFFF, k, body[0], body[1])
            yield Chunk(k * CHUNK_WORDS, k, words)
        return Answer(body[:5])

    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.executed]


def pulse(number: int, then: int = 0) -> bytes:
    """Body of a PULSE_ROWS that nobody decodes: a number, and what shall become of it."""
    return struct.pack("<I", number) + bytes(79) + bytes([then])


def read(number: int, chunks: int) -> bytes:
    """Body of a READ_CELLS that answers with so many chunks."""
    return struct.pack("<IB", number, chunks) + bytes(127)


@dataclass(frozen=True)
class Trouble:
    """What a link does to frames: probabilities, and how late a late one is."""

    lose: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    flip: float = 0.0
    cut: float = 0.0
    late_s: float = 1.5


class Link:
    """One direction: frames arrive 1 ms later, in order, unless trouble strikes."""

    def __init__(self, clock: Clock, rng: random.Random, trouble: Trouble) -> None:
        self._clock = clock
        self._rng = rng
        self.trouble = trouble
        self.lose_next: Callable[[bytes], bool] = lambda _frame: False
        self._flying: list[tuple[float, int, bytes]] = []
        self._count = 0

    def send(self, frame: bytes) -> None:
        rng, trouble = self._rng, self.trouble
        copies = 2 if rng.random() < trouble.repeat else 1
        for _ in range(copies):
            if rng.random() < trouble.lose or self.lose_next(frame):
                continue
            data = frame
            if rng.random() < trouble.flip:
                at = rng.randrange(len(data))
                data = data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
            if rng.random() < trouble.cut:
                data = data[: rng.randrange(1, len(data))]
            late_s = rng.random() * trouble.late_s if rng.random() < trouble.delay else 0.0
            self._count += 1
            heapq.heappush(self._flying, (self._clock.now + 0.001 + late_s, self._count, data))

    def due_s(self) -> float:
        return self._flying[0][0] - self._clock.now if self._flying else 3600.0

    def arrived(self) -> bytes:
        out: list[bytes] = []
        while self._flying and self._flying[0][0] <= self._clock.now:
            out.append(heapq.heappop(self._flying)[2])
        return b"".join(out)


class Host:
    """A host session on a link of its own, and what its requests reported."""

    def __init__(self, world: World, link: int, name: bytes, trouble: Trouble, **options: object):
        self.world = world
        self.link = link
        self.up = Link(world.clock, world.rng, trouble)
        self.down = Link(world.clock, world.rng, trouble)
        options = {"give_up_s": 1e6, "lease_s": 60.0, **options}
        self.session = HostSession(name.ljust(16, b"\0"), name.decode(), world.clock, **options)  # type: ignore[arg-type]
        self.done: list[Request] = []
        self.chunks: dict[int, list[tuple[int, bytes]]] = {}
        world.board.connect(link)
        world.hosts.append(self)

    def greet(self) -> Request:
        self.session.greet(self.done.append)
        self.world.run_until(lambda: self.session.idle)
        return self.done.pop()

    def request(self, command: Command, body: bytes = b"") -> Request:
        made = Request(command, body, self.done.append)
        if command == Command.READ_CELLS:
            got = self.chunks.setdefault(id(made), [])

            def keep(head: StreamChunk, words: memoryview) -> None:
                got.append((head.first, bytes(words)))

            made.on_chunk = keep
        return made

    def submit(self, command: Command, body: bytes = b"") -> Request:
        made = self.request(command, body)
        self.session.submit(made)
        return made

    def ask(self, command: Command, body: bytes = b"") -> Request:
        """Submit, and run the world until it is answered."""
        made = self.submit(command, body)
        self.world.run_until(lambda: made in self.done)
        return made

    def now(self, command: Command) -> Request:
        made = self.request(command)
        self.session.send_now(made)
        self.world.run_until(lambda: made in self.done)
        return made

    def unplug(self) -> None:
        """The link is lost, and the board is told so."""
        self.world.hosts.remove(self)
        self.world.board.disconnect(self.link)

    def speak(self) -> None:
        for data in self.session.take_output():
            self.up.send(data)

    def exchange(self) -> None:
        self.session.poll()
        self.speak()
        if data := self.up.arrived():
            self.world.board.receive(self.link, data)

    def hear(self) -> None:
        for data in self.world.board.take_output(self.link):
            self.down.send(data)
        if data := self.down.arrived():
            self.session.receive(data)
            self.speak()


class World:
    """A board and its hosts, advanced from event to event.

    Parameters
    ----------
    seed : int
        Of every trouble.
    lazy : float
        Probability that the board does not get to work in a step.
    """

    def __init__(self, seed: int = 0, lazy: float = 0.0, **options: object) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.lazy = lazy
        self.recorder = Recorder()
        self.board = BoardSessions(self.recorder, self.clock, **options)  # type: ignore[arg-type]
        self.hosts: list[Host] = []
        self.working = True

    def host(
        self,
        name: bytes = b"host",
        trouble: Trouble = Trouble(),
        link: int | None = None,
        **options: object,
    ) -> Host:
        number = link if link is not None else 100 + len(self.hosts)
        return Host(self, number, name, trouble, **options)

    def controller(self, name: bytes = b"host", **options: object) -> Host:
        host = self.host(name, **options)  # type: ignore[arg-type]
        assert host.greet().error is None
        return host

    def observer(self, name: bytes = b"observer") -> Host:
        return self.controller(name, role=Role.OBSERVER)

    def step(self) -> None:
        """Let everybody act, then pass the time until somebody has to."""
        self._act()
        self._wait()

    def _act(self) -> None:
        for host in list(self.hosts):
            host.exchange()
        if self.working and self.rng.random() >= self.lazy:
            self.board.work()
        self.board.expire()
        for host in list(self.hosts):
            host.hear()

    def _wait(self) -> None:
        waits = [0.5]
        for host in self.hosts:
            waits += [host.up.due_s(), host.down.due_s(), host.session.wait_s()]
        expiry_s = self.board.next_expiry_s()
        if expiry_s is not None:
            waits.append(expiry_s)
        work_s = self.board.next_work_s()
        if work_s is not None:
            waits.append(work_s)
        if self.board.busy and self.working:
            waits.append(0.0)
        self.clock.now += max(min(waits), 1e-4)

    def run_until(self, condition: Callable[[], bool], limit_s: float = 900.0) -> None:
        end = self.clock.now + limit_s
        while not condition():
            assert self.clock.now < end, "nothing happens any more"
            self._act()
            if not condition():
                self._wait()

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.step()
