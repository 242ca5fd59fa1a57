"""The driver against a served board: reads, pulses, refusals, leases, lost links."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_protocol.layouts import PULSE_ROW
from firmware_protocol.messages import (
    BoardState,
    Command,
    ErrorCode,
    Operation,
    OutcomeKind,
    PulseRowsReply,
    PulseRowsRequest,
    Rail,
    Role,
)
from rramhil.driver import UNANSWERED, Board, Description
from rramhil.driver.link import Link
from rramhil.errors import BoardError, BoardHeld, LimitRefused, LinkLost, NotFound, ProtocolMismatch
from rramhil.transport import open_pipe
from sim_backend.board import inspect
from tests.support.boards import endpoint, served_board
from tests.support.proxy import TcpProxy


@pytest.fixture
def address(lab_root: Path) -> Iterator[str]:
    with served_board(lab_root) as address:
        yield address


@pytest.fixture
def board(address: str, lab_root: Path) -> Iterator[Board]:
    with Board.open(address, lab_root=lab_root) as board:
        yield board


def form_pulses(
    description: Description, rows: range, columns: range, amplitude_v: float = 4.0
) -> NDArray[np.void]:
    pulses = np.zeros(len(rows), dtype=PULSE_ROW)
    pulses["row"] = rows
    code = description.dac_code(Rail.SOURCE, amplitude_v)
    pulses["source_code"] = pulses["inhibit_code"] = code
    pulses["word_code"] = description.word_code(100e-6)
    pulses["width_ns"] = 1_000_000
    bits = np.zeros(512, dtype=np.uint8)
    bits[columns] = 1
    pulses["column_mask"] = np.packbits(bits, bitorder="little")
    return pulses


def raw_pulse(board: Board, pulses: NDArray[np.void]) -> PulseRowsReply:
    """Send pulses past the host's limits."""
    body = PulseRowsRequest(0, Operation.FORM, len(pulses)).pack() + pulses.tobytes()
    return PulseRowsReply.unpack(board.link.request(Command.PULSE_ROWS, body))


def test_a_board_describes_itself(board: Board) -> None:
    facts = board.description
    assert (facts.rows, facts.columns, facts.channels, facts.adc_bits) == (512, 512, 8, 14)
    assert facts.ranges[0].per_code_uS == pytest.approx(0.00625)
    assert board.identity.simulated
    assert board.status().state == BoardState.IDLE
    assert board.counters(0).form_pulses == 0


def test_virgin_cells_read_about_a_tenth_of_a_microsiemens(board: Board) -> None:
    conductance_uS = board.chip(0).read(slice(0, 64), slice(None), reads=4)
    assert conductance_uS.shape == (64, 512)
    assert np.median(conductance_uS) == pytest.approx(0.1, abs=0.02)


def test_codes_come_in_the_order_read_row_column(board: Board) -> None:
    chip = board.chip(0)
    chip.pulse(form_pulses(board.description, range(4), range(0, 100)), Operation.FORM)
    block = chip.read_codes([1, 3, 9], [0, 99, 100, 511], reads=5)
    assert block.codes.shape == (5, 3, 4)
    formed = block.codes.mean(axis=0) > 1000
    assert formed.tolist() == [[True, True, False, False]] * 2 + [[False] * 4]
    assert (np.diff(block.row_time_ns.reshape(-1).astype(np.int64)) >= 0).all()
    assert block.stop_ns > block.start_ns


def test_points_and_rectangles_agree_within_the_noise(board: Board) -> None:
    chip = board.chip(0)
    chip.pulse(form_pulses(board.description, range(8), range(64)), Operation.FORM)
    block = chip.read_codes(slice(0, 8), slice(0, 64), reads=32).codes.mean(axis=0)
    rows, columns = np.divmod(np.arange(8 * 64), 64)
    points = np.mean([chip.read_points(rows, columns) for _ in range(32)], axis=0)
    assert np.allclose(points.reshape(8, 64), block, rtol=0.05)


def test_a_pulse_forms_the_selected_cells_and_no_other(board: Board, lab_root: Path) -> None:
    result = board.chip(0).pulse(
        form_pulses(board.description, range(10, 12), range(20, 30)), Operation.FORM
    )
    assert result.error is None
    assert result.cells == 20
    assert (result.statuses == ErrorCode.DONE).all()
    assert board.counters(0).form_pulses == 20
    truth = inspect(lab_root / "simulated", 0, 1, 0)
    expected = np.zeros((512, 512), dtype=bool)
    expected[10:12, 20:30] = True
    assert (truth.cells.form_pulses == expected).all()


def test_the_journal_hears_of_frames_before_they_leave(board: Board) -> None:
    chip = board.chip(0)
    heard: list[tuple[int, int]] = []
    seen_by_board: list[int] = []

    def before(frames: list) -> None:
        heard.extend((frame.start, frame.stop) for frame in frames)
        with Board.open(board.identity.address, lab_root=Path(), role=Role.OBSERVER) as other:
            seen_by_board.append(other.counters(0).form_pulses)

    count = board.description.max_pulse_rows + 3
    pulses = np.repeat(form_pulses(board.description, range(1), range(1)), count)
    pulses["row"] = np.arange(count) % 512
    pulses["column_mask"][512:, 0] = 2
    assert chip.pulse(pulses, Operation.FORM, before).error is None
    assert heard == [(0, count - 3), (count - 3, count)]
    assert seen_by_board == [0]


def test_the_host_refuses_what_lies_outside_the_envelope(board: Board) -> None:
    pulses = form_pulses(board.description, range(4), range(8))
    pulses["source_code"][2] = pulses["inhibit_code"][2] = 65_535
    with pytest.raises(LimitRefused, match=r"amplitude of 4\.99"):
        board.chip(0).pulse(pulses, Operation.FORM)
    assert board.counters(0).form_pulses == 0


def test_the_board_refuses_it_too_whatever_the_host_sends(board: Board) -> None:
    pulses = form_pulses(board.description, range(4), range(8))
    pulses["source_code"][2] = pulses["inhibit_code"][2] = 65_535
    reply = raw_pulse(board, pulses)
    assert (reply.fired, reply.cells) == (2, 16)
    assert reply.error.code == ErrorCode.LIMIT_VOLTAGE
    assert reply.error.operation == 2
    with pytest.raises(BoardError, match="SKIPPED"):
        board.link.request(Command.PULSE_ROWS, b"\0\1\1\0" + bytes(PULSE_ROW.itemsize))


def test_an_unselected_column_must_be_inhibited(board: Board) -> None:
    pulses = form_pulses(board.description, range(1), range(8))
    pulses["inhibit_code"] = 0
    assert raw_pulse(board, pulses).error.code == ErrorCode.LIMIT_INHIBIT
    assert board.counters(0).form_pulses == 0


def test_a_refused_read_leaves_the_board_usable(board: Board) -> None:
    chip = board.chip(0)
    with pytest.raises(BoardError, match="range"):
        chip.read_codes(slice(0, 8), slice(0, 8), range_index=3)
    assert chip.read(slice(0, 8), slice(0, 8)).shape == (8, 8)


def test_a_chip_that_is_not_there_is_named(board: Board) -> None:
    with pytest.raises(NotFound, match="no chip 9"):
        board.chip(9)


def test_a_board_in_use_is_held_and_says_by_whom(board: Board, address: str) -> None:
    with pytest.raises(BoardHeld, match="pid"):
        Board.open(address, lab_root=Path())


def test_an_observer_may_look_but_not_touch(board: Board, address: str) -> None:
    with Board.open(address, lab_root=Path(), role=Role.OBSERVER) as observer:
        assert observer.status().controller_session == board.link.hello.session
        with pytest.raises(BoardError, match="OBSERVER"):
            observer.chip(0).read(slice(0, 1), slice(0, 1))


def test_anyone_may_stop_the_board(board: Board, address: str) -> None:
    with Board.open(address, lab_root=Path(), role=Role.OBSERVER) as observer:
        observer.estop()
    pulses = form_pulses(board.description, range(1), range(8))
    result = board.chip(0).pulse(pulses, Operation.FORM)
    assert isinstance(result.error, BoardError)
    assert "emergency stop" in str(result.error)
    board.clear_estop()
    assert board.chip(0).pulse(pulses, Operation.FORM).error is None


def test_the_lease_of_a_controller_that_died_is_taken_over(address: str, lab_root: Path) -> None:
    with TcpProxy(endpoint(address)) as proxy:
        dead = Board.open(proxy.address, lab_root=lab_root)
        proxy.cut()
        with pytest.raises(LinkLost):
            dead.status()
        with Board.open(address, lab_root=lab_root) as heir:
            assert heir.link.hello.session > dead.link.hello.session
        dead.close()


@pytest.mark.parametrize("lost", ["commands", "replies"])
def test_what_a_cut_link_left_open_the_board_can_tell(
    address: str, lab_root: Path, lost: str
) -> None:
    """Pulses whose replies were lost are settled by asking, never by firing again."""
    late_s = 0.6 if lost == "replies" else 0.0
    with TcpProxy(endpoint(address), delay_to_client_s=late_s) as proxy:
        board = Board.open(proxy.address, lab_root=lab_root)
        chip = board.chip(0)
        pulses = form_pulses(board.description, range(8), range(16))
        if lost == "commands":
            proxy.pause()
        threading.Timer(0.3, proxy.cut).start()
        result = chip.pulse(pulses, Operation.FORM)
        assert (result.statuses == UNANSWERED).all()
        assert isinstance(result.error, LinkLost)
        board.close()
    frame = result.frames[0]
    with Board.open(address, lab_root=lab_root) as board:
        fired = lost == "replies"
        kind = OutcomeKind.FIRED if fired else OutcomeKind.NOT_FIRED
        assert board.outcome(frame.session, frame.sequence).kind == kind
        assert board.counters(0).form_pulses == (128 if fired else 0)


def test_an_outcome_is_remembered_across_sessions(address: str, lab_root: Path) -> None:
    with Board.open(address, lab_root=lab_root) as board:
        pulses = form_pulses(board.description, range(8), range(16))
        frame = board.chip(0).pulse(pulses, Operation.FORM).frames[0]
    with Board.open(address, lab_root=lab_root) as board:
        assert board.outcome(frame.session, frame.sequence) == (OutcomeKind.FIRED, 8)
        assert board.outcome(frame.session, frame.sequence + 1)[0] == OutcomeKind.NOT_FIRED


def test_a_board_of_another_version_is_refused(lab_root: Path) -> None:
    with (
        served_board(lab_root, versions=(2, 2)) as address,
        pytest.raises(ProtocolMismatch, match="versions 2 to 2"),
    ):
        Board.open(address, lab_root=lab_root)


def test_a_board_that_goes_away_is_a_lost_link(lab_root: Path) -> None:
    with served_board(lab_root) as address:
        board = Board.open(address, lab_root=lab_root)
    with pytest.raises(LinkLost):
        board.status()
    board.close()


def test_a_board_that_never_answers_leaves_nothing_to_resume(lab_root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silence = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        pipe = open_pipe(silence, lab_root=lab_root)
        with pytest.raises(LinkLost, match="opened no session: no answer for") as lost:
            Link(pipe, give_up_s=0.2)
    assert "--resume" not in lost.value.next_step


def test_a_board_that_falls_silent_is_told_without_a_step_of_one_commands_own(
    address: str, lab_root: Path
) -> None:
    with TcpProxy(endpoint(address)) as proxy:
        link = Link(open_pipe(proxy.address, lab_root=lab_root), give_up_s=0.5)
        proxy.pause()
        with pytest.raises(LinkLost, match="stopped answering") as lost:
            link.now(Command.STATUS)
        link.close()
    assert lost.value.next_step == "Check its power and cable, then run it again."


def test_threads_may_share_a_board(board: Board) -> None:
    chip = board.chip(0)
    results: list[float] = []

    def read() -> None:
        results.extend(float(chip.read(slice(0, 16), slice(0, 16)).mean()) for _ in range(5))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert np.allclose(results, 0.1, atol=0.05)


def test_the_switches_read_back_as_they_were_set(board: Board) -> None:
    board.chip(0).read(slice(0, 8), [5])
    assert len(board.switches(0)) == 128


def test_a_point_that_is_not_there_is_refused_before_and_after_it_is_sent(lab_root: Path):
    with Board.open("sim://", lab_root=lab_root) as board:
        chip = board.chip(0)
        assert chip.read_points(np.zeros(0, int), np.zeros(0, int)).size == 0
        for rows, columns, sentence in (
            ([1, 600], [1, 1], "there is no row 600, only 0 to 511"),
            ([1, -1], [1, 1], "there is no row -1"),
            ([1, 2], [1, 512], "there is no column 512"),
        ):
            with pytest.raises(ValueError, match=sentence):
                chip.read_points(np.array(rows), np.array(columns))
        chip.description = replace(chip.description, rows=1000)  # a host that knows no better
        with pytest.raises(BoardError, match="row"):
            chip.read_points(np.array([1, 600, 3]), np.array([1, 1, 1]))
        assert board.status().state == BoardState.IDLE
        assert chip.read_points(np.array([1]), np.array([1])).size == 1


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 1e300, float("nan"), float("inf")])
def test_a_wait_that_cannot_be_is_refused(duration_s: float, lab_root: Path):
    with Board.open("sim://", lab_root=lab_root) as board:
        with pytest.raises(ValueError, match="A wait takes at least 1 ns"):
            board.wait(duration_s)
        board.wait(100_000.0)
        assert board.status().board_time_ns == 100_000 * 10**9
