"""Faults on request through the served board, and the host's stack that survives them.

What a fault does is compared with the same operations on a sound board.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rramhil
from firmware_protocol.framing import FrameDecoder, encode
from firmware_protocol.messages import (
    BoardState,
    Command,
    Error,
    ErrorCode,
    Flag,
    HelloReply,
    Operation,
    OutcomeKind,
    PulseRowsRequest,
)
from rramhil.driver import Board
from rramhil.driver.link import Link
from rramhil.errors import LinkLost
from rramhil.lab import Lab
from rramhil.programming import Recipe, Step, program
from rramhil.transport._fd import FdPipe
from sim_backend.board import SimulatedBoard, inspect
from sim_backend.cells import CellFlag
from sim_backend.chips import ChipTruth
from sim_backend.defects import Defects
from sim_backend.errors import OutOfRange
from sim_backend.faults import (
    BrownOut,
    Cut,
    DeadChannel,
    Delayed,
    DriftingTia,
    Faults,
    Flipped,
    Lost,
    Merged,
    Repeated,
    Slow,
    Split,
    StuckSwitch,
)
from sim_backend.server import InProcessBoard
from tests.support.boards import endpoint, served_board
from tests.support.conversation import hello
from tests.support.pulses import row_pulses

FORM, SET, RESET = Operation.FORM, Operation.SET, Operation.RESET
SOUND = Defects()


@contextmanager
def opened(
    root: Path, faults: Sequence[Any] = (), chip: Defects = SOUND, **options: Any
) -> Generator[Board]:
    """A board with these faults of its own, served and opened."""
    wanted = Faults(board=tuple(faults), chip=chip)
    with (
        served_board(root, faults=wanted, **options) as address,
        Board.open(address, lab_root=root) as board,
    ):
        yield board


@contextmanager
def in_process(root: Path, faults: Faults) -> Generator[Board]:
    """A board with faults in this process, reached as `sim://` reaches one."""
    inside = InProcessBoard(root, 0, 1, faults)
    host = inside.start()
    host.setblocking(False)
    with host, Board(Link(FdPipe(host.fileno(), "sim://", lambda: None)), "sim://") as board:
        yield board
    inside.stop()


def fire(board: Board, operation: Operation, rows: Sequence[int], columns: Sequence[int]) -> int:
    pulses = row_pulses(board.description, operation, rows, columns)
    result = board.chip(0).pulse(pulses, operation)
    assert result.error is None
    return result.cells


def codes(board: Board, rows: Sequence[int], columns: Sequence[int], reads: int = 1) -> np.ndarray:
    return board.chip(0).read_codes(rows, columns, reads=reads).codes.astype(int)


def truth(root: Path) -> ChipTruth:
    return inspect(root / "simulated", 0, 1, 0)


def quarter() -> Recipe:
    step = Step.model_validate(
        {"amplitude_v": 4.0, "width_ns": 100_000, "compliance_a": 1e-4, "rows": "0:128"}
    )
    return Recipe(name="quarter", steps=(step,))


# --- the link: each pulse once, whatever becomes of frames --------------------------------------


def trouble(*directions: Any) -> list[Any]:
    made: list[Any] = []
    for way in directions:
        made += [
            Lost(direction=way, every=17),
            Repeated(direction=way, every=5),
            Delayed(direction=way, every=11, by_frames=3),
            Delayed(direction=way, every=31, by_s=0.02),
            Flipped(direction=way, every=23, bits=3),
            Cut(direction=way, every=29, missing=7),
            Merged(direction=way, every=7, count=3),
            Split(direction=way, every=13, pieces=3, pause_s=0.002),
        ]
    return made


SINGLE = [[fault] for way in ("to_board", "to_host") for fault in trouble(way)]
ALL = [trouble("to_board", "to_host")]


@pytest.mark.parametrize(
    "link", SINGLE + ALL, ids=lambda link: "-".join((link[0].fault, link[0].direction))
)
def test_every_pulse_is_fired_exactly_once_over_a_link_with_faults(
    link: list[Any], lab_root: Path
) -> None:
    faults = Faults(seed=3, link=tuple(link))
    with (
        served_board(lab_root, faults=faults) as address,
        Board.open(address, lab_root=lab_root) as board,
    ):
        pulses = row_pulses(board.description, FORM, range(120), range(8))
        bodies = [PulseRowsRequest(0, FORM, 1).pack() + one.tobytes() for one in pulses]
        for request in board.link.exchange(Command.PULSE_ROWS, bodies):
            assert request.error is None
            assert request.reply is not None
        spoilt = codes(board, range(8), range(16), reads=40)
    expected = np.zeros((512, 512), dtype=int)
    expected[:120, :8] = 1
    assert (truth(lab_root).cells.form_pulses == expected).all()
    with opened(lab_root / "sound") as board:
        fire(board, FORM, range(120), range(8))
        assert (spoilt == codes(board, range(8), range(16), reads=40)).all()


def answers_of_five(address: str) -> list[tuple[int, int]]:
    """Send HELLO and STATUS 1 to 5 from a bare socket; sequence and error code of what comes back.

    Code 0 is a reply, and -1 a frame that does not check.
    """
    with socket.create_connection(endpoint(address)) as link:
        decoder = FrameDecoder()
        link.sendall(hello())
        session = HelloReply.unpack(decoder.feed(link.recv(4096))[0].body).session
        for sequence in range(1, 6):
            link.sendall(encode(Command.STATUS, session, sequence, b"", 0, 16))
        found: list[tuple[int, int]] = []
        link.settimeout(0.3)
        with suppress(TimeoutError):
            while data := link.recv(4096):
                bad = decoder.bad_frames
                for frame in decoder.feed(data):
                    error = frame.flags & Flag.ERROR
                    found.append((frame.sequence, Error.unpack(frame.body).code if error else 0))
                found += [(0, -1)] * (decoder.bad_frames - bad)
        return found


OK = [(n, 0) for n in range(1, 6)]
TOO_EARLY = [(n, int(ErrorCode.EXPECTED)) for n in range(3, 6)]

AGAIN = [(2, int(ErrorCode.WORKING))] * 2
"""Copies that arrive together are told to wait."""


@pytest.mark.parametrize(
    ("fault", "options", "to_host", "to_board"),
    [
        (Lost, {}, [OK[0], *OK[2:]], [OK[0], *TOO_EARLY]),
        (Repeated, {"times": 2}, [OK[0], OK[1], OK[1], *OK[1:]], [*OK, *AGAIN]),
        (
            Delayed,
            {"by_frames": 2},
            [OK[0], OK[2], OK[3], OK[1], OK[4]],
            [OK[0], OK[1], *TOO_EARLY],
        ),
        (Flipped, {}, [OK[0], *OK[2:], (0, -1)], [OK[0], *TOO_EARLY]),
        (Cut, {"missing": 30}, [OK[0], *OK[2:], (0, -1)], [OK[0], *TOO_EARLY]),
        (Merged, {"count": 3}, OK, OK),
        (Split, {"pieces": 4}, OK, OK),
    ],
)
def test_each_fault_of_the_link_is_on_the_wire_as_it_was_asked_for(
    fault: Any,
    options: dict[str, Any],
    to_host: list[tuple[int, int]],
    to_board: list[tuple[int, int]],
    tmp_path: Path,
) -> None:
    for way, expected in (("to_host", to_host), ("to_board", to_board)):
        # the first frame is HELLO, so the third is the second STATUS
        faults = Faults(link=(fault(direction=way, frames=(3,), **options),))
        with served_board(tmp_path / way, faults=faults) as address:
            found = answers_of_five(address)
        if way == "to_host":
            found.sort(key=lambda answer: answer == (0, -1))  # seen when what follows has come
            assert found == expected
        else:
            # refusals leave at once, replies when the board has come to their command
            assert sorted(found) == sorted(expected)


def test_a_link_with_faults_has_them_on_the_wire(lab_root: Path) -> None:
    faults = Faults(
        link=(Lost(direction="to_host", every=10), Flipped(direction="to_host", every=7))
    )
    with (
        served_board(lab_root, faults=faults) as address,
        Board.open(address, lab_root=lab_root) as board,
    ):
        board.link.request_many(Command.STATUS, [b""] * 60)
        seen = board.link.statistics
        assert seen.bad_frames > 3
        assert seen.frames_resent > 6


def test_faults_work_in_process_and_on_a_serial_line(lab_root: Path, tmp_path: Path) -> None:
    faults = Faults(link=tuple(trouble("to_board", "to_host")))
    tty = tmp_path / "tty"
    with (
        served_board(lab_root, pty=tty, faults=faults),
        Board.open(f"serial://{tty}", lab_root=lab_root) as board,
    ):
        assert fire(board, FORM, range(20), range(8)) == 160
    assert truth(lab_root).form_pulses_total == 160
    inside = InProcessBoard(
        tmp_path, 1, 1, faults=Faults(link=(Lost(direction="to_host", every=1),))
    )
    host = inside.start()
    host.settimeout(0.1)
    host.send(b"anything at all, which is no frame and is answered by nothing")
    with pytest.raises(TimeoutError):
        host.recv(1)
    inside.stop()
    host.close()


# --- the board: brown-out -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "kind", "pulsed"),
    [("before", OutcomeKind.FIRED, 9), ("during", OutcomeKind.IN_DOUBT, 10)],
)
def test_a_brown_out_in_a_frame_of_pulses_leaves_the_outcome_that_is_true(
    moment: Any, kind: OutcomeKind, pulsed: int, lab_root: Path
) -> None:
    fault = BrownOut(operation=15, moment=moment, off_s=0.2)
    with served_board(lab_root, faults=Faults(board=(fault,))) as address:
        with Board.open(address, lab_root=lab_root) as board:
            fire(board, FORM, range(100, 105), [0])  # operations 1 to 5
            before = board.status().board_time_ns
            pulses = row_pulses(board.description, FORM, range(30), [0])
            result = board.chip(0).pulse(pulses, FORM)
            assert isinstance(result.error, LinkLost)
            session, sequence = result.frames[0][:2]
        began_s = time.monotonic()
        with Board.open(address, lab_root=lab_root) as board:
            assert time.monotonic() - began_s > 0.1  # it was away
            outcome = board.outcome(session, sequence)
            assert (outcome.kind, outcome.operation) == (kind, 9)
            assert board.status().state == BoardState.IDLE
            assert board.status().board_time_ns > before  # the clock and the counts are kept
            assert board.switches(0) == bytes(128)  # the registers are not
            assert board.counters(0).form_pulses == 5 + pulsed
            fire(board, FORM, range(200, 230), [0])  # it comes once
    counts = truth(lab_root).cells.form_pulses[:30, 0]
    assert counts.tolist() == [1] * pulsed + [0] * (30 - pulsed)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_programming_through_a_brown_out_resumes_with_one_pulse_a_cell(
    moment: Any, lab_root: Path
) -> None:
    # the virgin read and its zeros are operations too
    fault = BrownOut(operation=120, moment=moment, off_s=0.1)
    with (
        served_board(lab_root, faults=Faults(board=(fault,))) as address,
        Lab(lab_root) as lab,
    ):
        with Board.open(address, lab_root=lab_root) as board, pytest.raises(LinkLost):
            program(board, lab, 0, quarter(), reads=1)
        assert 0 < truth(lab_root).form_pulses_total < 128 * 512
        with Board.open(address, lab_root=lab_root) as board:
            result = program(board, lab, 0, resume=True, reads=1)
    counts = truth(lab_root).cells.form_pulses
    assert counts.max() == 1
    assert (counts[:128] == 0).sum() == len(result.report.unknown)
    assert result.report.unknown == ()


def test_a_brown_out_on_a_serial_line_is_silence_and_then_a_board_without_a_session(
    lab_root: Path, tmp_path: Path
) -> None:
    fault = BrownOut(operation=2, off_s=0.3)
    with served_board(lab_root, pty=tmp_path / "tty", faults=Faults(board=(fault,))):
        address = f"serial://{tmp_path / 'tty'}"
        with Board.open(address, lab_root=lab_root) as board:
            board.wait(1e-3)
            with pytest.raises(LinkLost, match="NO_SESSION"):
                board.wait(1e-3)
        with Board.open(address, lab_root=lab_root) as board:
            assert board.status().board_time_ns == 1_000_000


def test_a_brown_out_in_process_is_a_lost_link(lab_root: Path) -> None:
    faults = Faults(board=(BrownOut(operation=1),))
    with in_process(lab_root / "simulated", faults) as board, pytest.raises(LinkLost):
        board.wait(1e-3)
    with rramhil.open("sim://", lab=lab_root) as board:
        board.wait(1e-3)


# --- the board: switches ------------------------------------------------------------------------


def pair(root: Path, *faults: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of formed rows 0 to 7, columns 0 to 19, and dark sums, of a board with faults.

    Also what a sound board reads.
    """
    found = []
    for name, wanted in (("sound", ()), ("spoilt", faults)):
        with opened(root / name) as board:
            fire(board, FORM, range(8), range(20))
        with opened(root / name, wanted) as board:
            dark = board.chip(0).dark(range(8)).astype(int)
            found.append((codes(board, range(8), range(20), reads=50).mean(axis=0), dark))
    (sound, _), (spoilt, dark) = found
    return sound, spoilt, dark / 16


@pytest.mark.parametrize("state", ["GND", "FLOAT", "RAIL_B"])
def test_a_line_stuck_away_from_the_read_voltage_reads_nothing(state: Any, tmp_path: Path) -> None:
    sound, spoilt, _ = pair(tmp_path, StuckSwitch(line=17, state=state))
    others = np.arange(20) != 17
    assert np.allclose(spoilt[:, others], sound[:, others], rtol=0.02)
    assert (sound[:, 17] > 1000).all()
    assert (abs(spoilt[:, 17] - 256) < 40).all()


def test_a_line_stuck_at_the_read_voltage_adds_its_cells_to_every_reading(tmp_path: Path) -> None:
    sound, spoilt, dark = pair(tmp_path, StuckSwitch(line=17, state="RAIL_A"))
    zero = 256
    own = sound[:, 17] - zero
    others = np.arange(20) != 17
    expected = sound[:, others] + own[:, np.newaxis]
    assert np.allclose(spoilt[:, others], expected, rtol=0.03)
    assert np.allclose(spoilt[:, 17], sound[:, 17], rtol=0.03)
    assert np.allclose(dark, sound[:, 17], rtol=0.03)


@pytest.mark.parametrize(
    ("state", "operation", "changes"),
    [
        ("RAIL_A", FORM, True),
        ("GND", FORM, True),
        ("RAIL_B", FORM, False),
        ("FLOAT", FORM, False),
        ("RAIL_A", SET, True),
        ("RAIL_B", SET, False),
        ("RAIL_A", RESET, True),
        ("GND", RESET, False),
        ("FLOAT", RESET, False),
    ],
)
@pytest.mark.parametrize("selected", [True, False])
def test_the_cells_of_a_stuck_line_see_its_state_and_not_its_register(
    state: Any, operation: Operation, changes: bool, selected: bool, lab_root: Path
) -> None:
    columns = [3, 17] if selected else [3]
    with opened(lab_root) as board:
        if operation != FORM:
            fire(board, FORM, range(8), [3, 17])
        if operation == SET:
            fire(board, RESET, range(8), [3, 17])
    cells = truth(lab_root).cells
    before = cells.flags[:8].copy()
    with opened(lab_root, [StuckSwitch(line=17, state=state)]) as board:
        assert fire(board, operation, range(8), columns) == 8 * len(columns)
        total = board.counters(0)
    after = cells.flags[:8]
    assert (after[:, 3] != before[:, 3]).mean() > 0.9  # a pulse may fail
    assert ((after[:, 17] != before[:, 17]).mean() > 0.9) == changes
    assert (np.delete(after, [3, 17], axis=1) == np.delete(before, [3, 17], axis=1)).all()
    # what was commanded is what is counted
    counts = {FORM: cells.form_pulses, SET: cells.set_pulses, RESET: cells.reset_pulses}
    assert (counts[operation][:8, 17] == selected).all()
    counted = {FORM: total.form_pulses, SET: total.set_pulses, RESET: total.reset_pulses}
    assert counted[operation] == 8 * len(columns)


def test_read_back_shows_the_register_and_not_the_stuck_switch(lab_root: Path) -> None:
    with opened(lab_root, [StuckSwitch(line=17, state="RAIL_A")]) as board:
        codes(board, [0], [3])
        assert board.switches(0)[17 // 4] >> 2 * (17 % 4) & 3 == 1  # GND
        assert board.switches(0)[0] >> 6 == 2  # RAIL_A


# --- the board: converters ----------------------------------------------------------------------


def test_a_dead_channel_answers_one_code_and_the_others_are_sound(tmp_path: Path) -> None:
    sound, spoilt, dark = pair(tmp_path, DeadChannel(channel=3, code=777))
    assert (spoilt[3] == 777).all()
    assert dark[3] == 777
    assert np.allclose(np.delete(spoilt, 3, axis=0), np.delete(sound, 3, axis=0), rtol=0.02)
    with opened(tmp_path / "spoilt", [DeadChannel(channel=3, code=0)]) as board:
        block = board.chip(0).read_codes(range(8), range(20))
        assert block.saturated == 20
        points = board.chip(0).read_points(np.arange(8), np.zeros(8, dtype=int))
        assert points[3] == 0
        assert (np.delete(points, 3) > 0).all()


def test_an_offset_drifts_by_so_many_codes_a_second_of_board_time(lab_root: Path) -> None:
    fault = DriftingTia(channel=2, range=0, codes_per_s=100, since_s=1)
    levels = []
    with opened(lab_root, [fault]) as board:
        for _ in range(5):
            dark = board.chip(0).dark(range(8)) / 16
            read = codes(board, range(8), [0], reads=64).mean(axis=(0, 2))
            levels.append((board.status().board_time_ns / 1e9, dark[2], read[2], read[3]))
            board.wait(1.0)
        coarse = board.chip(0).dark(range(8), range_index=1) / 16
    clock_s, dark, drifting, steady = np.array(levels).T
    assert coarse[2] == pytest.approx(256, abs=40)
    expected = 100 * np.maximum(0, clock_s - 1)
    assert np.ptp(steady) < 3
    assert np.allclose(drifting - drifting[0], expected - expected[0], atol=4)
    assert np.allclose(dark - dark[0], expected - expected[0], atol=4)


def test_points_drift_the_same_however_they_are_batched(tmp_path: Path) -> None:
    fault = DriftingTia(channel=0, range=0, codes_per_s=100_000)
    found = []
    for size in (1, 7, 256):
        with opened(tmp_path / str(size), [fault]) as board:
            rows, columns = np.zeros(256, dtype=int), np.arange(256)
            parts = [slice(at, at + size) for at in range(0, 256, size)]
            read = [board.chip(0).read_points(rows[part], columns[part]) for part in parts]
            found.append(np.concatenate(read))
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    assert found[0][-1] > found[0][0] + 200


# --- the board: slow ----------------------------------------------------------------------------


def test_a_slow_board_takes_its_time_and_is_not_taken_for_dead(lab_root: Path) -> None:
    with opened(lab_root, [Slow(command_s=0.8)], lease_limits_s=(0.3, 0.3)) as board:
        began_s = time.monotonic()
        assert fire(board, FORM, range(3), [5]) == 3
        assert codes(board, [0], [5])[0] > 1000
        assert time.monotonic() - began_s > 1.6
        assert not board.link.lost
        assert board.link.statistics.frames_resent > 0  # the host asked, and was told to wait
    assert truth(lab_root).form_pulses_total == 3


# --- chips --------------------------------------------------------------------------------------


def test_cells_are_stuck_where_they_were_asked_for(lab_root: Path) -> None:
    wanted = Defects(stuck_on_cells=((1, 2),), stuck_off_cells=((3, 4),))
    with opened(lab_root, chip=wanted) as board:
        for operation in (FORM, RESET, SET, RESET):
            fire(board, operation, range(8), range(8))
        read = codes(board, range(8), range(8))[0]
    assert read[1, 2] > 1000
    assert read[3, 4] < 400
    flags = truth(lab_root).cells.flags
    assert np.argwhere(flags & CellFlag.STUCK).tolist() == [[1, 2], [3, 4]]


def test_a_stuck_off_cell_is_never_switched_on(lab_root: Path) -> None:
    with opened(lab_root, chip=Defects(stuck_off=20, stuck_on=30)) as board:
        fire(board, FORM, range(512), range(0, 512, 4))
        fire(board, SET, range(512), range(0, 512, 4))
    flags = truth(lab_root).cells.flags
    stuck = (flags & CellFlag.STUCK) != 0
    assert stuck.sum() == 50
    assert ((flags & CellFlag.OFF) != 0).sum() == 20


def test_a_fault_file_s_chip_is_the_one_that_is_made(lab_root: Path) -> None:
    with opened(lab_root, chip=Defects(dead_rows=(5,))) as board:
        fire(board, FORM, [5, 6], range(8))
    with opened(lab_root, chip=Defects(dead_rows=(6,))):
        pass  # a chip that is there already stays as it is
    formed = (truth(lab_root).cells.flags & CellFlag.FORMED) != 0
    assert (formed[5].sum(), formed[6].sum()) == (0, 8)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (StuckSwitch(line=512, state="GND"), r"stuck_switch\.line is 512: this board has 0 to 511"),
        (StuckSwitch(chip=1, line=0, state="GND"), r"chip is 1: this board has 0 to 0"),
        (DeadChannel(channel=8), r"dead_channel\.channel is 8: this board has 0 to 7"),
        (DeadChannel(channel=0, code=16384), r"code is 16384: this board has 0 to 16383"),
        (DriftingTia(channel=0, range=3, codes_per_s=1), r"range is 3: this board has 0 to 2"),
    ],
)
def test_a_fault_of_what_the_board_does_not_have_is_refused(
    fault: Any, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(OutOfRange, match=sentence):
        SimulatedBoard(tmp_path, 0, 1, faults=Faults(board=(fault,)))
    SimulatedBoard(tmp_path, 0, 1).close()  # and nothing is held
