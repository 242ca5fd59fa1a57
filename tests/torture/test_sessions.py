"""Both session machines over a link that loses, repeats, delays, reorders, flips and cuts."""

from __future__ import annotations

import struct

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_protocol.executor import Pace
from firmware_protocol.messages import ClearRequest, Command, ErrorCode
from firmware_protocol.requests import Request
from tests.torture.harness import CHUNK_WORDS, FAIL, REFUSE, Host, Trouble, World, pulse, read

LASTING_S = (1000.0, 1000.0)
"""A lease that the worst of these links does not cost; what losing it does is another test's."""

troubles = st.builds(
    Trouble,
    lose=st.sampled_from([0.0, 0.05, 0.3]),
    repeat=st.sampled_from([0.0, 0.1, 0.5]),
    delay=st.sampled_from([0.0, 0.1, 0.5]),
    flip=st.sampled_from([0.0, 0.05, 0.2]),
    cut=st.sampled_from([0.0, 0.05, 0.2]),
)
commands = st.lists(
    st.one_of(
        st.just((Command.PULSE_ROWS, 0)),
        st.just((Command.CHIP, 0)),
        st.just((Command.STATUS, 0)),
        st.tuples(st.just(Command.READ_CELLS), st.integers(0, 12)),
    ),
    min_size=1,
    max_size=40,
)


def body_of(number: int, command: Command, chunks: int) -> bytes:
    if command == Command.PULSE_ROWS:
        return pulse(number)
    if command == Command.READ_CELLS:
        return read(number, chunks)
    return bytes([number]) if command == Command.CHIP else b""


def check_stream(host: Host, request: Request) -> None:
    """Every chunk of the command, once, in order."""
    got = host.chunks[id(request)]
    assert [first for first, _ in got] == [k * CHUNK_WORDS for k in range(request.body[4])]
    for k, (_, words) in enumerate(got):
        assert struct.unpack("<4H", words)[1:] == (k, request.body[0], request.body[1])


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    trouble=troubles,
    todo=commands,
    window=st.sampled_from([1, 2, 5, 256]),
    stream_window=st.sampled_from([1, 3, 16]),
    lazy=st.sampled_from([0.0, 0.5, 0.95]),
    lease_s=st.sampled_from([0.5, 60.0]),
    pace=st.sampled_from([None, Pace(command_s=0.3), Pace(command_s=2.0, board_s=1e7)]),
)
def test_whatever_the_link_does_each_command_is_executed_once_and_in_order(
    seed: int,
    trouble: Trouble,
    todo: list[tuple[Command, int]],
    window: int,
    stream_window: int,
    lazy: float,
    lease_s: float,
    pace: Pace | None,
) -> None:
    world = World(seed, lazy, lease_limits_s=LASTING_S, pace=pace)
    host = world.host(b"host", trouble, window=window, stream_window=stream_window, lease_s=lease_s)
    assert host.greet().error is None
    host.session._lease_s = lease_s  # heartbeats far more often than retries, a lease that lasts
    bodies = [body_of(n, *what) for n, what in enumerate(todo)]
    requests = [host.submit(command, body) for (command, _), body in zip(todo, bodies, strict=True)]
    world.run_until(lambda: host.session.idle)

    recorder = world.recorder
    asked = [b for (command, _), b in zip(todo, bodies, strict=True) if command != Command.STATUS]
    assert recorder.bodies() == asked
    assert [frame.sequence for frame, _, _ in recorder.executed] == [
        r.sequence for r in requests if r.command != Command.STATUS
    ]
    assert host.done == requests
    order = 0
    for request in requests:
        assert request.error is None
        order += request.command != Command.STATUS
        if request.command == Command.READ_CELLS:
            assert request.reply == request.body[:5]
            check_stream(host, request)
        elif request.command != Command.STATUS:
            assert request.reply == struct.pack("<I", order) + request.body[:4]
    assert len(recorder.measured) == sum(chunks for _, chunks in todo)
    assert len(set(recorder.measured)) == len(recorder.measured)
    assert recorder.sessions == 1


def test_a_clean_link_repeats_nothing() -> None:
    world = World()
    host = world.controller()
    for n in range(500):
        host.submit(Command.READ_CELLS, read(n, 3)) if n % 10 == 0 else host.submit(
            Command.PULSE_ROWS, pulse(n)
        )
    world.run_until(lambda: host.session.idle)
    counted = host.session.statistics
    assert counted.chunks_received == 150
    assert counted.frames_resent == counted.chunks_asked_again == counted.bad_frames == 0
    assert counted.duplicate_replies == counted.missing_frames_reported == 0


in_order = st.builds(
    Trouble,
    lose=st.sampled_from([0.0, 0.05, 0.3]),
    repeat=st.sampled_from([0.0, 0.3]),
    flip=st.sampled_from([0.0, 0.2]),
    cut=st.sampled_from([0.0, 0.2]),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    trouble=in_order,
    steps=st.integers(0, 60),
    window=st.sampled_from([1, 4, 256]),
    lazy=st.sampled_from([0.0, 0.9]),
)
@example(612181, Trouble(lose=0.3, flip=0.2, cut=0.2), 0, 1, 0.9)  # silence for a minute
def test_after_abort_nothing_is_executed_that_was_asked_before(
    seed: int, trouble: Trouble, steps: int, window: int, lazy: float
) -> None:
    world = World(seed, lazy, lease_limits_s=LASTING_S)
    host = world.host(b"host", trouble, window=window)
    assert host.greet().error is None
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(30)]
    for _ in range(steps):
        world.step()
    host.now(Command.ABORT)
    fired = world.recorder.bodies()
    world.run_until(lambda: host.session.idle)
    assert world.recorder.bodies() == fired == [pulse(n) for n in range(len(fired))]
    assert [request.reply is not None for request in requests] == [
        n < len(fired) for n in range(30)
    ]
    assert {r.error.code for r in requests if r.error} <= {ErrorCode.ABORTED}
    assert [r for r in host.done if r.command == Command.PULSE_ROWS] == requests
    host.up.trouble = host.down.trouble = Trouble()
    world.run(5.0)  # late copies of ABORT may still strike what comes now, and do no harm
    assert host.ask(Command.PULSE_ROWS, pulse(99)).error is None


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    trouble=troubles,
    failing=st.sets(st.integers(0, 29), min_size=1, max_size=3),
    then=st.sampled_from([FAIL, REFUSE]),
)
def test_whatever_the_link_does_nothing_after_a_failure_is_executed_before_clear(
    seed: int, trouble: Trouble, failing: set[int], then: int
) -> None:
    world = World(seed, lease_limits_s=LASTING_S)
    host = world.host(b"host", trouble, window=16)
    assert host.greet().error is None
    todo = [pulse(n, then if n in failing else 0) for n in range(30)]
    left = list(todo)
    while left:
        requests = [host.submit(Command.PULSE_ROWS, body) for body in left]
        world.run_until(lambda: host.session.idle)
        skipped = [r for r in requests if r.error and r.error.code == ErrorCode.SKIPPED]
        executed = requests[: len(requests) - len(skipped)]
        assert executed + skipped == requests
        left = left[len(executed) :]
        if left or executed[-1].body[-1]:
            halted = executed[-1]
            assert halted.body[-1] == then
            assert {r.error.value for r in skipped if r.error} <= {halted.sequence}
            cleared = host.ask(Command.CLEAR, ClearRequest(halted.sequence).pack())
            assert cleared.error is None
    assert world.recorder.bodies() == todo


def test_a_paced_answer_is_held_for_its_time_and_told_at_once_after_abort() -> None:
    world = World(pace=Pace(command_s=5.0), lease_limits_s=(0.2, 0.2))
    host = world.controller(lease_s=0.2)
    began = world.clock.now
    assert host.ask(Command.PULSE_ROWS, pulse(1)).error is None
    assert 5.0 <= world.clock.now - began < 5.1
    held, queued = (host.submit(Command.PULSE_ROWS, pulse(n)) for n in (2, 3))
    world.run(1.0)
    assert not world.board.busy
    began = world.clock.now
    host.now(Command.ABORT)
    world.run_until(lambda: host.session.idle)
    assert world.clock.now - began < 0.1
    assert held.reply is not None
    assert queued.error is not None
    assert queued.error.code == ErrorCode.ABORTED
    assert world.recorder.bodies() == [pulse(1), pulse(2)]
