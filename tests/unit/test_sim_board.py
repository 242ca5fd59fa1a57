"""The simulated board's memory: files, lock, clock, outcomes; and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.executor import FrameId
from firmware_protocol.messages import OUTCOME_RING, Operation, OutcomeKind
from sim_backend import state
from sim_backend.board import SimulatedBoard, inspect
from sim_backend.cells import CellFlag, Pulses
from sim_backend.defects import Defects
from sim_backend.errors import NoSuchBoard, StateDamaged, StateHeld
from sim_backend.outcomes import RING_LAYOUT, OutcomeRing

ALL = np.arange(512)


def row_pulses(rows: np.ndarray, uv: int = 4_000_000) -> Pulses:
    """A FORM pulse of 1 ms and 100 uA on every cell of these rows."""
    n = len(rows)
    return Pulses(
        rows.astype(np.int64),
        np.full(n, uv),
        np.zeros(n, np.int64),
        np.full(n, 1_000_000),
        np.full(n, 100_000),
        np.full((n, 64), 255, np.uint8),
    )


def codes_of(board: SimulatedBoard, reads: int = 1) -> np.ndarray:
    parts = [p.codes for p in board.read(0, ALL[:16], ALL, reads, 0, 1 << 19)]
    return np.concatenate(parts)


def test_a_board_remembers_its_cells_counts_clock_and_sessions(tmp_path: Path):
    with SimulatedBoard(tmp_path, 7, 2) as board:
        assert board.next_session() == 1
        board.pulse(FrameId(1, 1), 1, Operation.FORM, row_pulses(ALL[:4]))
        board.measure_zeros(1, ALL[:3], 0)
        before = board.chips[1].cells.conductance_ps.copy()
        zeros = board.chips[1].zeros(ALL, 0).copy()
        clock_ns = board.clock_ns
    with SimulatedBoard(tmp_path, 7, 2) as board:
        assert board.next_session() == 2
        assert np.array_equal(board.chips[1].cells.conductance_ps, before)
        assert np.array_equal(board.chips[1].zeros(ALL, 0), zeros)
        assert board.chips[1].pulse_totals() == (2048, 0, 0)
        assert board.chips[0].pulse_totals() == (0, 0, 0)
        assert board.chips[1].conversions == 48
        assert board.clock_ns == clock_ns
        assert board.outcomes.outcome(1, 1) == (OutcomeKind.FIRED, 4)


def test_conversions_go_on_where_they_stopped_whether_or_not_the_board_restarts(tmp_path: Path):
    with SimulatedBoard(tmp_path / "a", 7, 1) as board:
        whole = codes_of(board, reads=2)
    parts = []
    for _ in range(2):
        with SimulatedBoard(tmp_path / "b", 7, 1) as board:
            parts.append(codes_of(board))
    assert np.array_equal(whole, np.concatenate(parts))


def test_a_read_left_early_counts_only_what_was_measured(tmp_path: Path):
    with SimulatedBoard(tmp_path, 7, 1) as board:
        read = board.read(0, ALL[:4], ALL, 2, 0, 700)
        next(read)
        next(read)
        read.close()
        assert board.chips[0].conversions == 1024
        assert board.clock_ns == board.timing.read(ALL[:4], 512, 0).after_ns(1023)


def test_seeds_and_sockets_and_generations_are_different_chips(tmp_path: Path):
    with SimulatedBoard(tmp_path, 7, 2) as board, SimulatedBoard(tmp_path, 8, 1) as other:
        chips = [*board.chips, *other.chips]
        values = [chip.cells.conductance_ps.copy() for chip in chips]
        board.replace_chip(0)
        values.append(board.chips[0].cells.conductance_ps)
        assert board.chips[0].serial == "R40-7-0-1"
    for n, first in enumerate(values):
        for second in values[n + 1 :]:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.01


def test_replacing_a_chip_leaves_the_board_and_the_other_chips_alone(tmp_path: Path):
    with SimulatedBoard(tmp_path, 7, 2) as board:
        for chip in (0, 1):
            board.pulse(FrameId(1, chip + 1), chip, Operation.FORM, row_pulses(ALL))
        board.replace_chip(0)
        assert board.chips[0].pulse_totals() == (0, 0, 0)
        assert not board.chips[0].cells.flags.any()
        assert board.chips[1].pulse_totals() == (262_144, 0, 0)
        assert board.outcomes.outcome(1, 1).kind == OutcomeKind.FIRED
        with pytest.raises(NoSuchBoard, match="no chip 2, only 0 to 1"):
            board.replace_chip(2)


def test_defects_are_where_they_were_asked_for_and_behave_so(tmp_path: Path):
    wanted = Defects(
        shorted=3, dead=4, shorted_cells=((1, 2),), dead_cells=((3, 4),),
        dead_rows=(10,), dead_columns=(20,),
    )  # fmt: skip
    with SimulatedBoard(tmp_path, 7, 1) as board:
        board.replace_chip(0, wanted)
        flags = board.chips[0].cells.flags
        assert np.count_nonzero(flags & CellFlag.SHORTED) == 4
        assert np.count_nonzero(flags & CellFlag.DEAD) == 5
        board.pulse(FrameId(1, 1), 0, Operation.FORM, row_pulses(ALL))
        formed = (flags & CellFlag.FORMED) != 0
        assert not formed[10].any()
        assert not formed[:, 20].any()
        assert np.count_nonzero(~formed) == 512 + 511 + 9
        codes = codes_of(board).reshape(16, 512).astype(int)
        assert codes[1, 2] == 16383
        assert abs(codes[10] - codes[9, 20]).max() < 40  # no current: offsets and noise only
        assert board.chips[0].pulse_totals() == (262_144, 0, 0)


def test_inspecting_works_while_the_board_is_served_and_changes_nothing(tmp_path: Path):
    with SimulatedBoard(tmp_path, 7, 1) as board:
        board.pulse(FrameId(1, 1), 0, Operation.FORM, row_pulses(ALL[:1]))
        truth = inspect(tmp_path, 7, 1, 0)
        assert (truth.form_pulses_min, truth.form_pulses_max, truth.formed) == (0, 1, 512)
        assert truth.serial == "R40-7-0-0"
        with pytest.raises(ValueError, match="read-only"):
            truth.cells.flags[0, 0] = 1
    with pytest.raises(NoSuchBoard, match="no state file"):
        inspect(tmp_path, 9, 1, 0)
    with pytest.raises(NoSuchBoard, match="no chip 1"):
        inspect(tmp_path, 7, 1, 1)


def test_chips_are_the_same_however_many_sockets_are_in_use(tmp_path: Path):
    """A seed is one board: what is pulsed in socket 0 stays so, and its clock runs on."""
    with SimulatedBoard(tmp_path / "three", 7, 3) as three:
        drawn = three.chips[0].cells.conductance_ps.copy()
    with SimulatedBoard(tmp_path, 7, 1) as one:
        assert np.array_equal(one.chips[0].cells.conductance_ps, drawn)
        one.pulse(FrameId(1, 1), 0, Operation.FORM, row_pulses(ALL[:1]))
        serial, formed = one.serial, one.chips[0].cells.conductance_ps.copy()
        totals, clock_ns = one.chips[0].pulse_totals(), one.clock_ns
    with SimulatedBoard(tmp_path, 7, 3) as three:
        assert (three.serial, three.clock_ns) == (serial, clock_ns)
        assert [chip.serial for chip in three.chips] == ["R40-7-0-0", "R40-7-1-0", "R40-7-2-0"]
        assert three.chips[0].pulse_totals() == totals
        assert np.array_equal(three.chips[0].cells.conductance_ps, formed)
        with pytest.raises(StateHeld, match="serves the simulated board SIM-7"):
            SimulatedBoard(tmp_path, 7, 1)


def test_a_board_has_one_server_at_a_time(tmp_path: Path):
    with (
        SimulatedBoard(tmp_path, 7, 1),
        pytest.raises(StateHeld, match="serves the simulated board SIM-7"),
    ):
        SimulatedBoard(tmp_path, 7, 1)
    SimulatedBoard(tmp_path, 7, 1).close()


@pytest.mark.parametrize(("seed", "chips"), [(-1, 1), (2**32, 1), (1, 0), (1, 65)])
def test_a_board_out_of_range_is_refused(tmp_path: Path, seed: int, chips: int):
    with pytest.raises(NoSuchBoard, match="simulated board"):
        SimulatedBoard(tmp_path, seed, chips)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["board.state", "chip-0.state"])
@pytest.mark.parametrize(
    ("offset", "patch", "complaint"),
    [
        (0, b"?", "header does not check"),
        (30, b"\xff", "header does not check"),
        (-1, b"", "bytes instead of"),
    ],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(
    tmp_path: Path, file: str, offset: int, patch: bytes, complaint: str
):
    SimulatedBoard(tmp_path, 7, 1).close()
    path = tmp_path / "SIM-7" / file
    data = bytearray(path.read_bytes())
    data[offset : offset + len(patch) if patch else None] = patch
    path.write_bytes(data)
    with pytest.raises(StateDamaged, match=complaint):
        SimulatedBoard(tmp_path, 7, 1)
    assert path.read_bytes() == bytes(data)


def flip(path: Path, offset: int) -> None:
    """Turn one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


@pytest.mark.parametrize("name", ["board.state", "chip-0.state", "chip-1.state"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_a_flipped_bit_of_a_board_that_was_closed_is_seen(tmp_path: Path, name: str, part: float):
    with SimulatedBoard(tmp_path, 7, 2) as board:
        board.pulse(FrameId(1, 1), 0, Operation.FORM, row_pulses(ALL[:1]))
    path = tmp_path / "SIM-7" / name
    offset = 4096 + int(part * (path.stat().st_size - 4096))
    flip(path, offset)
    for _ in range(2):  # and again, after it was refused
        with pytest.raises(StateDamaged, match=f"{name} is damaged: its content is not what"):
            SimulatedBoard(tmp_path, 7, 2)
        with pytest.raises(StateDamaged, match=f"{name} is damaged"):
            inspect(tmp_path, 7, 2, 1 if name == "chip-1.state" else 0)
    flip(path, offset)
    with SimulatedBoard(tmp_path, 7, 2) as board:
        assert board.chips[0].pulse_totals()[0] == 512


def test_a_refused_board_keeps_the_seals_of_its_other_files(tmp_path: Path):
    SimulatedBoard(tmp_path, 7, 2).close()
    first, second = (tmp_path / "SIM-7" / f"chip-{index}.state" for index in range(2))
    flip(second, 100_000)
    with pytest.raises(StateDamaged, match="chip-1"):
        SimulatedBoard(tmp_path, 7, 2)
    flip(second, 100_000)
    flip(first, 100_000)
    with pytest.raises(StateDamaged, match="chip-0"):
        SimulatedBoard(tmp_path, 7, 2)


def test_a_damaged_seal_is_damage_and_none_is_there_while_a_board_is_open(tmp_path: Path):
    path = tmp_path / "SIM-7" / "chip-0.state"
    with SimulatedBoard(tmp_path, 7, 1):
        opened = path.read_bytes()
    closed = path.read_bytes()
    changed = {n for n in range(len(closed)) if closed[n] != opened[n]}
    assert changed
    assert all(n < 4096 for n in changed)
    for offset in changed:
        flip(path, offset)
        with pytest.raises(StateDamaged, match=r"chip-0\.state is damaged"):
            SimulatedBoard(tmp_path, 7, 1)
        flip(path, offset)
    # a process that was killed leaves no seal: what it stored is believed
    path.write_bytes(opened)
    SimulatedBoard(tmp_path, 7, 1).close()
    assert path.read_bytes() == closed


def test_a_file_of_another_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as older:
        older.setattr(state, "VERSION", 1)
        SimulatedBoard(tmp_path, 7, 1).close()
    with pytest.raises(StateDamaged, match="has version 1; this is version 3"):
        SimulatedBoard(tmp_path, 7, 1)


def test_a_file_of_another_board_is_refused(tmp_path: Path):
    for seed in (7, 8):
        SimulatedBoard(tmp_path, seed, 1).close()
    other = tmp_path / "SIM-8" / "chip-0.state"
    os.replace(other, tmp_path / "SIM-7" / "chip-0.state")
    with pytest.raises(StateDamaged, match="belongs to another board: seed 8, not 7"):
        SimulatedBoard(tmp_path, 7, 1)


# --- outcomes --------------------------------------------------------------------------------


def ring() -> OutcomeRing:
    return OutcomeRing(
        {name: np.zeros(spec.shape, spec.dtype) for name, spec in RING_LAYOUT.items()}
    )


def test_outcomes_say_what_is_known_at_every_moment():
    outcomes = ring()
    assert outcomes.outcome(3, 9) == (OutcomeKind.NOT_FIRED, 0)
    progress = outcomes.intend(3, 9, 0, 1, 5)
    assert outcomes.outcome(3, 9) == (OutcomeKind.NOT_FIRED, 0)
    progress.started[progress.slot] = 1
    assert outcomes.outcome(3, 9) == (OutcomeKind.IN_DOUBT, 0)
    progress.finished[progress.slot] = 1
    assert outcomes.outcome(3, 9) == (OutcomeKind.FIRED, 1)
    outcomes.complete(progress)
    assert outcomes.outcome(3, 9) == (OutcomeKind.FIRED, 1)
    assert outcomes.outcome(3, 10) == (OutcomeKind.NOT_FIRED, 0)


def test_only_frames_older_than_the_ring_are_forgotten():
    outcomes = ring()
    for sequence in range(1, OUTCOME_RING + 3):
        progress = outcomes.intend(1, 2 * sequence, 0, 1, 1)
        progress.started[progress.slot] = progress.finished[progress.slot] = 1
        outcomes.complete(progress)
    assert outcomes.outcome(1, 4).kind == OutcomeKind.FORGOTTEN
    assert outcomes.outcome(1, 6) == (OutcomeKind.FIRED, 1)
    assert outcomes.outcome(1, 7).kind == OutcomeKind.NOT_FIRED
    assert outcomes.outcome(2, 1).kind == OutcomeKind.NOT_FIRED


# --- a kill ----------------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
import numpy as np
from firmware_protocol.executor import FrameId
from sim_backend.board import SimulatedBoard
from firmware_protocol.messages import Operation
from tests.unit.test_sim_board import ALL, row_pulses
board = SimulatedBoard(Path(sys.argv[1]), 7, 1)
session, operation = board.next_session(), Operation[sys.argv[2]]
print(session, flush=True)
for sequence in range(1, 4000):
    board.pulse(FrameId(session, sequence), 0, operation, row_pulses(ALL))
"""


@pytest.mark.parametrize("operation", list(Operation))
def test_what_a_kill_leaves_is_exactly_what_the_outcomes_say(tmp_path: Path, operation: Operation):
    """Every frame pulses every row once, so each row's counts tell how far the frames came."""
    expected = np.zeros(512, dtype=np.int64)
    for delay_s in (0.0, 0.011, 0.03):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), operation.name],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            if child.stdout is None:
                pytest.fail("the child has no stdout")
            session = int(child.stdout.readline())
            time.sleep(delay_s)
            child.send_signal(signal.SIGKILL)
        with SimulatedBoard(tmp_path, 7, 1) as board:
            sequence = 1
            while (outcome := board.outcomes.outcome(session, sequence)) == (
                OutcomeKind.FIRED,
                512,
            ):
                expected += 1
                sequence += 1
            assert board.outcomes.outcome(session, sequence + 1).kind == OutcomeKind.NOT_FIRED
            counter = getattr(board.chips[0].cells, f"{operation.name.lower()}_pulses")
            counts = counter.astype(np.int64)
            expected[: outcome.operation] += 1
            if outcome.kind == OutcomeKind.IN_DOUBT:
                doubtful = outcome.operation
                assert set(np.unique(counts[doubtful] - expected[doubtful])) <= {0, 1}
                counts[doubtful] = expected[doubtful]
            assert (counts == expected[:, None]).all()
            expected = counter.astype(np.int64).min(axis=1)
            counter[:] = expected[:, None].astype(np.uint32)
