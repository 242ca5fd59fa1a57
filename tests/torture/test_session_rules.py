"""The rules of a session, one by one: what each machine does when something goes wrong."""

from __future__ import annotations

import pytest

from firmware_protocol.framing import Frame, FrameDecoder, encode
from firmware_protocol.host_session import LAST_SEQUENCE, HostSession
from firmware_protocol.messages import (
    AbortReply,
    BoardState,
    ClearRequest,
    Command,
    Error,
    ErrorCode,
    Flag,
    HelloReply,
    HelloRequest,
    Role,
    StatusReply,
    StreamChunk,
)
from firmware_protocol.requests import SessionLostError
from tests.torture.harness import FAIL, REFUSE, Host, Trouble, World, pulse, read


class Wire:
    """A bare link to the board, for frames that no host of ours would send."""

    def __init__(self, world: World, link: int = 1) -> None:
        self.world = world
        self.link = link
        self.session = 0
        world.board.connect(link)

    def send(self, *frames: bytes) -> list[Frame]:
        """Give the board frames, and return its answers; it does not work."""
        self.world.board.receive(self.link, b"".join(frames))
        return self.answers()

    def answers(self) -> list[Frame]:
        return FrameDecoder().feed(b"".join(self.world.board.take_output(self.link)))

    def worked(self) -> list[Frame]:
        while self.world.board.busy:
            self.world.board.work()
        return self.answers()

    def frame(self, command: int, sequence: int, body: bytes = b"", **changes: int) -> bytes:
        return encode(command, changes.pop("session", self.session), sequence, body, **changes)

    def ask(self, command: int, sequence: int, body: bytes = b"", **changes: int) -> Frame:
        (answer,) = self.send(self.frame(command, sequence, body, **changes)) or self.worked()
        return answer

    def hello(self, nonce: bytes = b"wire", **changes: object) -> Frame:
        fields = {
            "nonce": nonce.ljust(16, b"\0"),
            "version_min": 1,
            "version_max": 1,
            "role": Role.CONTROLLER,
            "reserved": 0,
            "max_body": 262_144,
            "window": 4,
            "stream_window": 2,
            "lease_ms": 2000,
            "client": nonce.decode(),
            **changes,
        }
        body = HelloRequest(**fields).pack()  # type: ignore[arg-type]
        (answer,) = self.send(encode(Command.HELLO, 0, 0, body, version=0))
        if not answer.flags & Flag.ERROR:
            self.session = HelloReply.unpack(answer.body).session
        return answer


def code(frame: Frame) -> ErrorCode:
    return ErrorCode(Error.unpack(frame.body).code) if frame.flags & Flag.ERROR else ErrorCode.DONE


def error(frame: Frame) -> Error:
    assert frame.flags & Flag.ERROR
    return Error.unpack(frame.body)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def wire(world: World) -> Wire:
    made = Wire(world)
    made.hello()
    return made


def status(host: Host) -> StatusReply:
    return StatusReply.unpack(host.now(Command.STATUS).reply or b"")


# --- order, window, repetition -------------------------------------------------------------------


def test_a_gap_is_answered_with_the_number_awaited(world: World, wire: Wire) -> None:
    wire.ask(Command.PULSE_ROWS, 1, pulse(1))
    answer = error(wire.ask(Command.PULSE_ROWS, 3, pulse(3)))
    assert (answer.code, answer.value, answer.sequence) == (ErrorCode.EXPECTED, 2, 3)
    assert world.recorder.bodies() == [pulse(1)]


def test_a_queued_command_answers_working_and_a_done_one_its_reply(wire: Wire) -> None:
    frame = wire.frame(Command.PULSE_ROWS, 1, pulse(1))
    assert wire.send(frame) == []
    assert [code(answer) for answer in wire.send(frame)] == [ErrorCode.WORKING]
    (reply,) = wire.worked()
    assert wire.send(frame, frame) == [reply, reply]
    assert len(wire.world.recorder.executed) == 1


def test_what_is_older_than_the_window_is_stale(world: World, wire: Wire) -> None:
    for n in range(1, 6):
        wire.ask(Command.PULSE_ROWS, n, pulse(n))
    assert code(wire.ask(Command.PULSE_ROWS, 1, pulse(1))) == ErrorCode.STALE
    assert code(wire.ask(Command.PULSE_ROWS, 2, pulse(2))) == ErrorCode.DONE
    assert len(world.recorder.executed) == 5


def test_more_than_a_window_is_not_queued(world: World, wire: Wire) -> None:
    frames = [wire.frame(Command.PULSE_ROWS, n, pulse(n)) for n in range(1, 7)]
    answers = [error(frame) for frame in wire.send(*frames)]
    assert [(a.code, a.sequence, a.value) for a in answers] == [
        (ErrorCode.EXPECTED, 5, 5),
        (ErrorCode.EXPECTED, 6, 5),
    ]
    wire.worked()
    assert len(world.recorder.executed) == 4


def test_a_changed_body_under_an_old_number_changes_nothing(world: World, wire: Wire) -> None:
    first = wire.ask(Command.PULSE_ROWS, 1, pulse(1))
    assert wire.ask(Command.PULSE_ROWS, 1, pulse(2)) == first
    assert world.recorder.bodies() == [pulse(1)]


def test_a_lost_reply_never_fires_a_second_pulse(world: World) -> None:
    host = world.controller(window=4)
    host.down.lose_next = lambda _frame: len(world.recorder.executed) == 1
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(12)]
    world.run(1.0)
    host.down.lose_next = lambda _frame: False
    world.run_until(lambda: host.session.idle)
    assert host.done == requests
    assert world.recorder.bodies() == [pulse(n) for n in range(12)]
    assert all(request.reply for request in requests)


def test_a_lost_reply_does_not_let_the_window_run_past_it(world: World) -> None:
    # the board keeps four replies: a fifth command would make it forget the one that was lost
    host = world.controller(window=4)
    lost: list[bytes] = []

    def the_first_reply(frame: bytes) -> bool:
        lost.append(frame)
        return len(lost) == 1

    host.down.lose_next = the_first_reply
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(30)]
    world.run_until(lambda: host.session.idle)
    assert host.done == requests
    assert host.session.statistics.frames_resent == 1


def test_a_lost_reply_is_asked_for_again_despite_heartbeats(world: World) -> None:
    host = world.controller(lease_s=0.3)
    lost = [True]
    host.down.lose_next = lambda frame: frame[12] == 1 and bool(lost) and lost.pop()
    host.submit(Command.PULSE_ROWS, pulse(1))
    world.run_until(lambda: host.session.idle, limit_s=2.0)
    assert len(world.recorder.executed) == 1


def test_a_lost_burst_is_repeated_at_once_when_the_board_names_the_gap(world: World) -> None:
    host = world.controller()
    host.up.lose_next = lambda frame: frame[12] in range(1, 200)
    for n in range(250):
        host.submit(Command.PULSE_ROWS, pulse(n))
    world.step()
    host.up.lose_next = lambda _frame: False
    start = world.clock.now
    world.run_until(lambda: host.session.idle)
    assert world.clock.now - start < 0.5
    assert world.recorder.bodies() == [pulse(n) for n in range(250)]


def test_a_board_that_stays_silent_is_given_up(world: World) -> None:
    host = world.controller(give_up_s=5.0)
    host.up.trouble = Trouble(lose=1.0)
    host.submit(Command.PULSE_ROWS, pulse(1))
    with pytest.raises(SessionLostError, match="no answer for 5 s"):
        world.run(20.0)


def test_a_late_copy_that_the_board_calls_stale_ends_nothing(world: World) -> None:
    host = world.controller(window=2)
    for n in range(5):
        host.ask(Command.PULSE_ROWS, pulse(n))
    host.up.send(encode(Command.PULSE_ROWS, 1, 1, pulse(0)))
    host.ask(Command.PULSE_ROWS, pulse(5))
    assert world.recorder.bodies() == [pulse(n) for n in range(6)]


def test_requests_report_in_order_although_a_reply_came_late(world: World) -> None:
    host = world.controller()
    lost = [True, True]
    host.down.lose_next = lambda frame: frame[12] in (3, 5) and bool(lost) and lost.pop()
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(8)]
    world.run_until(lambda: host.session.idle)
    assert host.done == requests


# --- numbers run out -----------------------------------------------------------------------------


def test_sequence_numbers_never_wrap(world: World) -> None:
    host = world.controller()
    host.session._next_sequence = host.session._oldest = LAST_SEQUENCE - 1
    world.board._sessions[1].accepted = LAST_SEQUENCE - 2
    host.ask(Command.PULSE_ROWS, pulse(1))
    two = [host.request(Command.PULSE_ROWS, pulse(n)) for n in (2, 3)]
    with pytest.raises(SessionLostError, match="open a new session"):
        host.session.submit_many(two)
    assert host.session.idle
    last = host.ask(Command.PULSE_ROWS, pulse(4))
    assert (last.sequence, last.error) == (LAST_SEQUENCE, None)
    with pytest.raises(SessionLostError, match="open a new session"):
        host.submit(Command.PULSE_ROWS, pulse(5))
    wire = Wire(world)
    wire.session = 1
    # the number after the last one is not 1: that one is old, and 0 stands outside the order
    assert code(wire.ask(Command.PULSE_ROWS, 1, pulse(6))) == ErrorCode.STALE
    assert code(wire.ask(Command.PULSE_ROWS, 0, pulse(6))) == ErrorCode.BAD_FIELD
    assert world.recorder.bodies() == [pulse(1), pulse(4)]


# --- halting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", [FAIL, REFUSE])
def test_the_first_failure_skips_what_is_in_flight_until_clear(world: World, then: int) -> None:
    host = world.controller()
    requests = [host.submit(Command.PULSE_ROWS, pulse(n, then if n == 2 else 0)) for n in range(5)]
    world.run_until(lambda: host.session.idle)
    assert len(world.recorder.executed) == 3
    failed, *skipped = requests[2:]
    assert (failed.reply is None) == (then == REFUSE)
    assert [r.error and (r.error.code, r.error.value) for r in skipped] == [
        (ErrorCode.SKIPPED, failed.sequence)
    ] * 2
    assert status(host).state == BoardState.HALTED
    assert status(host).halted_sequence == failed.sequence
    # questions are still answered
    assert host.ask(Command.CHIP, b"\0").error is None

    wrong = host.ask(Command.CLEAR, ClearRequest(failed.sequence + 1).pack())
    assert wrong.error is not None
    assert (wrong.error.code, wrong.error.low) == (ErrorCode.NOT_HALTED, failed.sequence)
    zero = host.ask(Command.CLEAR, ClearRequest(0).pack())
    assert zero.error is None
    assert host.ask(Command.PULSE_ROWS, pulse(8)).error is not None
    assert host.ask(Command.CLEAR, ClearRequest(failed.sequence).pack()).error is None
    assert host.ask(Command.PULSE_ROWS, pulse(9)).error is None
    assert status(host).state == BoardState.IDLE


def test_clear_of_a_halt_that_is_not_there_is_refused(world: World) -> None:
    host = world.controller()
    answer = host.ask(Command.CLEAR, ClearRequest(7).pack())
    assert answer.error is not None
    assert answer.error.code == ErrorCode.NOT_HALTED


def test_a_body_of_wrong_length_is_refused_and_halts_like_any_failure(wire: Wire) -> None:
    answer = error(wire.ask(Command.PULSE_ROWS, 1, pulse(1) + b"x"))
    assert (answer.code, answer.value, answer.low) == (ErrorCode.BAD_LENGTH, 85, 4)
    assert code(wire.ask(Command.PULSE_ROWS, 2, pulse(2))) == ErrorCode.SKIPPED
    assert code(wire.ask(Command.CLEAR, 3, ClearRequest(1).pack())) == ErrorCode.DONE
    # a question of wrong length is refused too, but nothing depends on it
    assert code(wire.ask(Command.CHIP, 4)) == ErrorCode.BAD_LENGTH
    assert code(wire.ask(Command.CLEAR, 5, b"123")) == ErrorCode.BAD_LENGTH
    assert code(wire.ask(Command.PULSE_ROWS, 6, pulse(6))) == ErrorCode.DONE
    assert wire.world.recorder.bodies() == [pulse(6)]


def test_the_reason_of_a_refusal_reaches_the_host(world: World) -> None:
    host = world.controller()
    answer = host.ask(Command.PULSE_ROWS, pulse(1, REFUSE))
    assert answer.error is not None
    expected = (ErrorCode.LIMIT_VOLTAGE, 0xFFFF, answer.sequence, 5, 1, 4, "x" * 64)
    assert tuple(answer.error) == expected


# --- abort and emergency stop --------------------------------------------------------------------


def test_abort_drops_what_is_queued_and_answers_it(world: World) -> None:
    host = world.controller()
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(20)]
    world.run_until(lambda: len(world.recorder.executed) == 3)
    safe_before = world.recorder.made_safe
    abort = host.now(Command.ABORT)
    world.run_until(lambda: host.session.idle)
    done = len(world.recorder.executed)
    assert done < 20
    assert AbortReply.unpack(abort.reply or b"").dropped == 20 - done
    assert [request.error is None for request in requests] == [True] * done + [False] * (20 - done)
    assert {r.error.code for r in requests if r.error} == {ErrorCode.ABORTED}
    assert world.recorder.made_safe > safe_before
    assert host.ask(Command.PULSE_ROWS, pulse(99)).error is None


def test_abort_also_stops_what_was_lost_or_had_not_left(world: World) -> None:
    host = world.controller(window=4)
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(40)]
    host.up.lose_next = lambda frame: frame[12] == 2
    for _ in range(3):
        world.step()
    host.up.lose_next = lambda _frame: False
    host.now(Command.ABORT)
    fired = world.recorder.bodies()
    world.run_until(lambda: host.session.idle)
    assert world.recorder.bodies() == fired
    assert len(fired) < 5
    done = len(fired)
    assert host.done[:done] == requests[:done]
    assert [r for r in host.done if r.command == Command.PULSE_ROWS] == requests
    assert {r.error.code for r in requests[done:] if r.error} == {ErrorCode.ABORTED}
    assert all(r.error for r in requests[done:])
    assert host.ask(Command.PULSE_ROWS, pulse(99)).error is None


def test_abort_ends_a_stream_and_its_chunks_arrive_whole(world: World) -> None:
    host = world.controller(stream_window=2)
    request = host.submit(Command.READ_CELLS, read(1, 200))
    world.run_until(lambda: len(world.recorder.measured) >= 5)
    host.now(Command.ABORT)
    world.run_until(lambda: host.session.idle)
    assert request.error is not None
    assert request.error.code == ErrorCode.ABORTED
    assert len(host.chunks[id(request)]) == len(world.recorder.measured) < 200
    other = host.ask(Command.READ_CELLS, read(2, 3))
    assert len(host.chunks[id(other)]) == 3


def test_an_observer_may_stop_everything_and_clear_nothing(world: World) -> None:
    host, observer = world.controller(), world.observer()
    world.working = False
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(4)]
    world.run(0.1)
    safe_before = world.recorder.made_safe
    stopped = observer.now(Command.ESTOP)
    assert AbortReply.unpack(stopped.reply or b"").dropped == 4
    assert world.recorder.made_safe == safe_before + 1
    world.working = True
    world.run_until(lambda: host.session.idle)
    assert {r.error.code for r in requests if r.error} == {ErrorCode.ABORTED}
    refused = host.ask(Command.PULSE_ROWS, pulse(9))
    assert refused.error is not None
    assert refused.error.code == ErrorCode.ESTOPPED
    assert status(observer).state == BoardState.ESTOPPED
    for command in (Command.CLEAR, Command.PULSE_ROWS, Command.READ_POINTS):
        answer = observer.ask(command, pulse(1)[:4])
        assert answer.error is not None
        assert answer.error.code == ErrorCode.OBSERVER
    assert observer.now(Command.ABORT).error is not None
    assert host.ask(Command.CLEAR, ClearRequest(0).pack()).error is None
    assert host.ask(Command.PULSE_ROWS, pulse(10)).error is None
    assert world.recorder.bodies() == [pulse(10)]


def test_an_emergency_stop_outlives_the_controller(world: World) -> None:
    observer = world.observer()
    observer.now(Command.ESTOP)
    assert world.recorder.made_safe == 1
    host = world.controller()
    assert host.ask(Command.PULSE_ROWS, pulse(1)).error is not None
    assert world.recorder.executed == []


def test_two_threads_may_ask_for_the_status_at_once(world: World) -> None:
    host = world.controller()
    both = [host.request(Command.STATUS) for _ in range(2)]
    for request in both:
        host.session.send_now(request)
    world.run_until(lambda: host.session.idle)
    assert host.done == both


# --- lease, links, sessions ----------------------------------------------------------------------


def test_a_controller_that_falls_silent_loses_the_lease(world: World) -> None:
    wire = Wire(world)
    wire.hello()
    world.clock.now += 1.9
    world.board.expire()
    # any frame renews it, also one that is refused
    wire.ask(Command.STATUS, 0)
    world.clock.now += 1.9
    wire.ask(0x7777, 0)
    world.clock.now += 1.9
    world.board.expire()
    assert world.recorder.made_safe == 0
    assert world.board.next_expiry_s() == pytest.approx(0.1)
    world.clock.now += 0.2
    world.board.expire()
    assert world.recorder.made_safe == 1
    assert code(wire.ask(Command.PULSE_ROWS, 1, pulse(1))) == ErrorCode.LEASE_LOST
    assert world.recorder.executed == []


def test_a_reply_sent_back_to_the_board_renews_nothing(world: World, wire: Wire) -> None:
    world.clock.now += 1.9
    assert wire.send(wire.frame(Command.PULSE_ROWS, 1, pulse(1), flags=Flag.REPLY)) == []
    world.clock.now += 0.2
    world.board.expire()
    assert world.recorder.made_safe == 1
    assert world.recorder.executed == []


def test_the_lease_is_suspended_while_the_board_works(world: World, wire: Wire) -> None:
    wire.send(wire.frame(Command.PULSE_ROWS, 1, pulse(1)))
    world.clock.now += 100.0
    world.board.expire()
    assert world.board.next_expiry_s() is None
    assert [code(answer) for answer in wire.worked()] == [ErrorCode.DONE]
    assert world.board.next_expiry_s() == pytest.approx(2.0)


def test_a_host_that_died_in_a_stream_does_not_hold_the_board_for_ever(world: World) -> None:
    wire = Wire(world)
    wire.hello()
    stream = wire.frame(Command.READ_CELLS, 1, read(1, 50), credit=2)
    wire.send(stream, wire.frame(Command.PULSE_ROWS, 2, pulse(2)))
    assert len(wire.worked()) == 2
    assert world.board.next_expiry_s() == pytest.approx(2.0)
    world.clock.now += 2.1
    world.board.expire()
    assert world.recorder.made_safe == 1
    assert Wire(world, 2).hello(b"next").flags == Flag.REPLY
    assert Command.PULSE_ROWS not in [command for _, command, _ in world.recorder.executed]


def test_a_second_controller_learns_who_holds_the_board_and_takes_over_later(world: World) -> None:
    first, second = Wire(world, 1), Wire(world, 2)
    first.hello(b"alice")
    world.clock.now += 0.5
    busy = error(second.hello(b"bob"))
    assert (busy.code, busy.value, busy.high, busy.text) == (ErrorCode.BUSY, 1500, 1, "alice")
    world.board.disconnect(1)
    assert error(second.hello(b"bob")).high == 0
    world.clock.now += 1.6
    assert second.hello(b"bob").flags == Flag.REPLY
    assert second.session == 2


def test_a_lost_link_leaves_the_board_safe_and_fires_nothing(world: World) -> None:
    host = world.controller()
    world.working = False
    for n in range(4):
        host.submit(Command.PULSE_ROWS, pulse(n))
    world.run(0.1)
    host.unplug()
    assert world.recorder.made_safe == 1
    world.working = True
    world.run(1.0)
    assert world.recorder.executed == []


def test_a_controller_comes_back_on_another_link(world: World) -> None:
    wire = Wire(world, 1)
    wire.hello()
    fired = wire.ask(Command.PULSE_ROWS, 1, pulse(1))
    wire.send(wire.frame(Command.PULSE_ROWS, 2, pulse(2)))
    world.board.disconnect(1)
    again = Wire(world, 2)
    assert again.hello().flags == Flag.REPLY
    assert again.session == wire.session == 1
    assert again.ask(Command.PULSE_ROWS, 1, pulse(1)) == fired
    assert code(again.ask(Command.PULSE_ROWS, 2, pulse(2))) == ErrorCode.ABORTED
    assert code(again.ask(Command.PULSE_ROWS, 3, pulse(3))) == ErrorCode.DONE
    assert world.recorder.bodies() == [pulse(1), pulse(3)]


def test_the_same_nonce_gets_the_same_reply_and_renews(world: World) -> None:
    wire = Wire(world)
    first = wire.hello()
    world.clock.now += 1.9
    assert wire.hello() == first
    world.clock.now += 1.9
    world.board.expire()
    assert world.recorder.sessions == 1
    assert world.recorder.made_safe == 0


def test_a_reply_to_the_hello_of_another_program_opens_nothing() -> None:
    """On a serial line the reply to a program that died reaches the one that came after it."""
    now = [0.0]
    host = HostSession(b"n" * 16, "heir", lambda: now[0])
    done: list[object] = []
    host.greet(done.append)
    facts = HelloReply(b"o" * 16, 1, 1, 1, 0, 7, 65_536, 8, 16, 3000, 1, "board", "S-1", "1")
    host.receive(encode(Command.HELLO, 0, 0, facts.pack(), Flag.REPLY, version=0))
    assert host.facts is None
    assert done == []
    now[0] = 11.0
    with pytest.raises(SessionLostError, match="no answer"):
        host.poll()
    ours = facts._replace(nonce=b"n" * 16)
    host.receive(encode(Command.HELLO, 0, 0, ours.pack(), Flag.REPLY, version=0))
    assert host.facts == ours


def test_a_new_nonce_opens_a_new_number(world: World) -> None:
    wire = Wire(world)
    numbers: list[int] = []
    for name in (b"one", b"two", b"three"):
        wire.hello(name)
        numbers.append(wire.session)
        assert code(wire.ask(Command.BYE, 1)) == ErrorCode.DONE
    assert numbers == [1, 2, 3]


def test_a_copy_of_an_old_hello_opens_no_ghost_session(world: World) -> None:
    wire = Wire(world)
    wire.hello()
    wire.ask(Command.BYE, 1)
    assert code(wire.hello()) == ErrorCode.NO_SESSION
    assert Wire(world, 2).hello(b"next").flags == Flag.REPLY


def test_bye_leaves_the_board_safe_and_the_number_dead(world: World, wire: Wire) -> None:
    bye = wire.frame(Command.BYE, 1)
    later = wire.frame(Command.PULSE_ROWS, 2, pulse(2))
    wire.send(bye, later)
    assert [code(answer) for answer in wire.worked()] == [ErrorCode.DONE, ErrorCode.ABORTED]
    assert world.recorder.made_safe == 1
    assert [code(answer) for answer in wire.send(bye)] == [ErrorCode.NO_SESSION]
    assert world.recorder.executed == []


def test_a_lost_reply_to_bye_is_no_failure(world: World) -> None:
    host = world.controller()
    host.down.lose_next = lambda frame: frame[4] == Command.BYE and not frame[3] & Flag.ERROR
    requests = [host.submit(Command.PULSE_ROWS, pulse(1)), host.submit(Command.BYE)]
    world.run_until(lambda: host.session.idle)
    assert host.done == requests
    assert requests[1].error is None
    with pytest.raises(SessionLostError, match="closed"):
        host.submit(Command.PULSE_ROWS, pulse(2))


def test_bye_waits_for_every_reply_since_the_board_forgets_them_with_it(world: World) -> None:
    host = world.controller()
    lost = [True]
    host.down.lose_next = lambda frame: frame[12] == 1 and bool(lost) and lost.pop()
    fired, bye = host.submit(Command.PULSE_ROWS, pulse(1)), host.submit(Command.BYE)
    world.run_until(lambda: host.session.idle)
    assert fired.reply is not None
    assert bye.error is None


def test_a_lost_lease_ends_the_session_with_its_reason(world: World) -> None:
    host = world.controller(lease_s=1.0)
    world.clock.now += 5.0
    world.board.expire()
    host.submit(Command.PULSE_ROWS, pulse(1))
    with pytest.raises(SessionLostError, match="LEASE_LOST") as caught:
        world.run(2.0)
    assert caught.value.error is not None
    assert world.recorder.executed == []


def test_observers_are_limited(world: World) -> None:
    wires = [Wire(world, n) for n in range(10)]
    assert wires[9].hello(b"holder").flags == Flag.REPLY
    kinds = [code(w.hello(b"o%d" % n, role=Role.OBSERVER)) for n, w in enumerate(wires[:9])]
    assert kinds == [ErrorCode.DONE] * 8 + [ErrorCode.TOO_MANY_SESSIONS]
    wires[0].ask(Command.BYE, 1)
    assert code(wires[8].hello(b"o8", role=Role.OBSERVER)) == ErrorCode.DONE


# --- HELLO ---------------------------------------------------------------------------------------


def test_no_common_version_is_said_with_what_the_board_speaks() -> None:
    world = World(versions=(3, 5))
    answer = world.host().greet()
    assert answer.error is not None
    assert tuple(answer.error)[:6] == (ErrorCode.VERSION, 0xFFFF, 0, 1, 3, 5)


def test_a_frame_of_another_version_is_refused_after_hello_too(world: World, wire: Wire) -> None:
    answer = error(wire.ask(Command.PULSE_ROWS, 1, pulse(1), version=2))
    assert (answer.code, answer.value) == (ErrorCode.VERSION, 2)
    assert world.recorder.executed == []


def test_nothing_is_accepted_before_hello(world: World) -> None:
    wire = Wire(world)
    for sequence in (0, 1):
        for command in set(Command) - {Command.HELLO}:
            assert code(wire.ask(command, sequence)) == ErrorCode.NO_SESSION
    assert world.recorder.executed == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"version": 1}, "version"), ({"session": 5}, "session"), ({"sequence": 1}, "sequence")],
)
def test_a_hello_with_another_header_is_refused(
    world: World, changes: dict[str, int], name: str
) -> None:
    header = {"session": 0, "sequence": 0, "version": 0, **changes}
    wire = Wire(world)
    body = HelloRequest(bytes(16), 1, 1, 1, 0, 262_144, 4, 2, 1000, "").pack()
    (answer,) = wire.send(
        encode(1, header["session"], header["sequence"], body, version=header["version"])
    )
    assert (error(answer).code, error(answer).text) == (ErrorCode.BAD_FIELD, name)
    assert world.recorder.sessions == 0


def test_a_hello_that_is_not_one_is_refused(world: World) -> None:
    wire = Wire(world)
    (answer,) = wire.send(encode(Command.HELLO, 0, 0, b"short", version=0))
    assert (error(answer).code, error(answer).low) == (ErrorCode.BAD_LENGTH, 96)
    (answer,) = wire.send(encode(Command.HELLO, 0, 0, bytes(96), version=0))
    assert (error(answer).code, error(answer).text) == (ErrorCode.BAD_FIELD, "window")
    answer = wire.hello(max_body=64)
    assert (error(answer).code, error(answer).text) == (ErrorCode.BAD_FIELD, "max_body")


@pytest.mark.parametrize("client", [b"\xff" * 64, b"a\0b" + b"\0" * 61, "é".encode() * 32])
def test_a_client_may_call_itself_what_it_wants(world: World, client: bytes) -> None:
    wire, other = Wire(world, 1), Wire(world, 2)
    body = HelloRequest(bytes(16), 1, 1, 1, 0, 262_144, 4, 2, 1000, "").pack()[:-64] + client
    wire.send(encode(Command.HELLO, 0, 0, body, version=0))
    busy = error(other.hello())
    assert busy.code == ErrorCode.BUSY
    assert busy.text


def test_what_is_asked_for_is_granted_within_the_boards_limits() -> None:
    world = World(window=8, stream_window=4, max_body=8192)
    facts = world.controller(lease_s=500.0).session.facts
    assert facts is not None
    assert (facts.window, facts.stream_window, facts.max_body, facts.lease_ms) == (
        8,
        4,
        8192,
        60000,
    )


# --- sequence 0 and unknown commands -------------------------------------------------------------


def test_a_command_of_the_order_without_a_number_is_refused(world: World, wire: Wire) -> None:
    for command in (Command.PULSE_ROWS, Command.CHIP, Command.BYE, Command.CLEAR):
        answer = error(wire.ask(command, 0, pulse(1)))
        assert (answer.code, answer.text, answer.low) == (ErrorCode.BAD_FIELD, "sequence", 1)
    assert world.recorder.executed == []


def test_a_command_outside_the_order_with_a_number_is_refused(wire: Wire) -> None:
    for sequence, command in enumerate((Command.ABORT, Command.ESTOP, Command.CREDIT), start=1):
        answer = error(wire.ask(command, sequence))
        assert (answer.code, answer.text) == (ErrorCode.BAD_FIELD, "sequence")
    # each used its number up
    assert code(wire.ask(Command.STATUS, 4)) == ErrorCode.DONE


@pytest.mark.parametrize("sequence", [0, 1])
def test_an_unknown_command_is_refused(wire: Wire, sequence: int) -> None:
    answer = error(wire.ask(0x7777, sequence))
    assert (answer.code, answer.value) == (ErrorCode.UNKNOWN_COMMAND, 0x7777)


# --- streams -------------------------------------------------------------------------------------


def chunk_numbers(frames: list[Frame]) -> list[int]:
    return [StreamChunk.unpack(f.body).number for f in frames if f.flags & Flag.STREAM]


def test_the_board_sends_no_chunk_beyond_its_credit(world: World, wire: Wire) -> None:
    wire.send(wire.frame(Command.READ_CELLS, 1, read(1, 5), credit=1))
    assert chunk_numbers(wire.worked()) == [0]
    wire.send(wire.frame(Command.CREDIT, 0, credit=3))
    assert chunk_numbers(wire.worked()) == [1, 2]
    # an older credit takes nothing back, one beyond the window is not believed
    for credit in (2, 0, 0xFFFF, 6, 0x7000):
        wire.send(wire.frame(Command.CREDIT, 0, credit=credit))
        assert wire.worked() == []
    assert len(world.recorder.measured) == 3


def test_chunks_are_sent_again_and_never_measured_again(world: World, wire: Wire) -> None:
    wire.send(wire.frame(Command.READ_CELLS, 1, read(1, 5), credit=2))
    first = wire.worked()
    again = wire.send(wire.frame(Command.CREDIT, 0, credit=2, flags=Flag.RESEND))
    assert again == first
    # credit for three more says that one chunk arrived: only the other is kept
    assert chunk_numbers(wire.send(wire.frame(Command.CREDIT, 0, credit=3, flags=Flag.RESEND))) == [
        1
    ]
    assert len(world.recorder.measured) == 2


def test_a_repeated_read_is_answered_and_not_measured_again(world: World, wire: Wire) -> None:
    frame = wire.frame(Command.READ_CELLS, 1, read(1, 2), credit=2)
    wire.send(frame)
    assert chunk_numbers(wire.answers()) == []
    wire.world.board.work()
    assert [code(f) for f in wire.send(frame)][-1] == ErrorCode.WORKING
    wire.worked()
    wire.send(wire.frame(Command.CREDIT, 0, credit=4))
    (reply,) = wire.worked()
    assert wire.send(frame) == [reply]
    assert len(world.recorder.measured) == 2


def test_a_lost_reply_between_two_streams_is_found_again(world: World) -> None:
    host = world.controller()
    lost = [True]
    host.down.lose_next = lambda frame: (
        frame[12] == 1 and not frame[3] & Flag.STREAM and bool(lost) and lost.pop()
    )
    requests = [host.submit(Command.READ_CELLS, read(n, 3)) for n in range(2)]
    world.run_until(lambda: host.session.idle)
    assert host.done == requests
    assert [len(host.chunks[id(r)]) for r in requests] == [3, 3]
    assert len(world.recorder.measured) == 6


def test_a_lost_last_chunk_holds_the_reply_back(world: World) -> None:
    host = world.controller()
    lost = [True]
    host.down.lose_next = lambda frame: (
        bool(frame[3] & Flag.STREAM) and frame[24] == 2 and bool(lost) and lost.pop()
    )
    request = host.submit(Command.READ_CELLS, read(1, 3))
    world.run_until(lambda: host.session.idle)
    assert [k for k, _ in host.chunks[id(request)]] == [0, 4, 8]
    assert host.session.statistics.chunks_asked_again == 1


def test_credit_goes_on_past_65536_chunks(world: World) -> None:
    host = world.controller(stream_window=16)
    start = 0x10000 - 5
    board = world.board._sessions[1]
    board.chunks = host.session._chunks = start
    board.credit = start
    lost = [True, True]
    host.down.lose_next = lambda frame: (
        bool(frame[3] & Flag.STREAM) and frame[24] in (0xFE, 2) and bool(lost) and lost.pop()
    )
    request = host.ask(Command.READ_CELLS, read(1, 60))
    assert len(host.chunks[id(request)]) == 60
    assert host.session._chunks == board.chunks == start + 60
    assert len(world.recorder.measured) == 60


def test_chunks_that_nobody_wants_do_not_stop_the_stream(world: World) -> None:
    host = world.controller(stream_window=2)
    request = host.request(Command.READ_CELLS, read(1, 9))
    request.on_chunk = None
    host.session.submit(request)
    world.run_until(lambda: host.session.idle)
    assert request.reply is not None


# --- what a host must not believe or do ----------------------------------------------------------


def test_a_host_hears_no_echo_of_itself(world: World) -> None:
    host = world.host()
    host.session.greet(host.done.append)
    hello = b"".join(host.session.take_output())
    host.session.receive(hello)
    assert host.session.facts is None
    world.board.receive(host.link, hello)
    world.run_until(lambda: host.session.idle)
    assert host.session.facts is not None
    host.submit(Command.PULSE_ROWS, pulse(1))
    host.session.receive(b"".join(host.session.take_output()))
    assert not host.session.idle


@pytest.mark.parametrize(
    ("flags", "kind", "body"),
    [
        (Flag.REPLY | Flag.ERROR, Command.PULSE_ROWS, b"short"),
        (Flag.REPLY | Flag.STREAM, Command.PULSE_ROWS, b"short"),
        (Flag.REPLY | Flag.STREAM, Command.PULSE_ROWS, StreamChunk(0, 9, 0, 0).pack()),
        (Flag.REPLY, Command.DARK, b""),
    ],
)
def test_a_board_that_breaks_the_protocol_ends_the_session(
    world: World, flags: int, kind: int, body: bytes
) -> None:
    host = world.controller()
    host.submit(Command.PULSE_ROWS, pulse(1))
    with pytest.raises(SessionLostError, match=r"malformed|with a reply of type"):
        host.session.receive(encode(kind, 1, 1, body, flags))


def test_a_hello_reply_of_another_size_ends_the_session(world: World) -> None:
    host = world.host()
    host.session.greet(host.done.append)
    with pytest.raises(SessionLostError, match="malformed"):
        host.session.receive(encode(Command.HELLO, 0, 0, bytes(119), Flag.REPLY, version=0))


def test_replies_of_another_session_are_not_ours(world: World) -> None:
    host = world.controller()
    request = host.submit(Command.PULSE_ROWS, pulse(1))
    host.session.receive(encode(Command.PULSE_ROWS, 2, 1, b"", Flag.REPLY))
    assert request.reply is None


def test_a_body_that_the_board_would_not_take_is_not_sent() -> None:
    world = World(max_body=4096)
    host = world.controller()
    with pytest.raises(ValueError, match="4097 bytes is longer than the 4096"):
        host.submit(Command.PULSE_ROWS, bytes(4097))
    assert host.session.idle


def test_an_idle_host_that_waits_for_hello_sleeps() -> None:
    world = World()
    host = HostSession(bytes(16), "", world.clock, retry_s=0.5)
    host.greet(lambda _request: None)
    host.take_output()
    world.clock.now += 0.1
    assert host.wait_s() == pytest.approx(0.4)
    sent = 0
    for _ in range(20):
        world.clock.now += host.wait_s()
        host.poll()
        sent += len(host.take_output())
        if world.clock.now > 1008.0:
            break
    assert 12 <= sent <= 17


def test_what_was_dropped_has_neither_reply_nor_error(world: World) -> None:
    host = world.controller(window=2)
    requests = [host.submit(Command.PULSE_ROWS, pulse(n)) for n in range(5)]
    host.session.drop_all()
    assert host.done == requests
    assert all(r.reply is None and r.error is None for r in requests)
    assert host.session.idle


def test_the_status_counts_what_went_wrong(world: World) -> None:
    host = world.controller(trouble=Trouble(lose=0.2, flip=0.2))
    for n in range(50):
        host.submit(Command.PULSE_ROWS, pulse(n))
    world.run_until(lambda: host.session.idle)
    host.up.trouble = host.down.trouble = Trouble()
    seen = status(host)
    assert seen.bad_frames > 0
    assert seen.resent_replies > 0
    assert (seen.controller_session, seen.controller_linked, seen.queued) == (1, 1, 0)
    assert seen.board_time_ns == len(world.recorder.executed) == 50
    assert host.session.statistics.as_dict()["frames_resent"] > 0
