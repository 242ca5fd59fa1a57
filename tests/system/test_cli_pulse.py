"""`rramhil pulse`: cells switched off and on over the real wire, refused, journalled, settled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.messages import Operation
from rramhil.driver import Board, Chip, FrameRange
from rramhil.errors import LimitRefused, LinkLost, UnfinishedJob
from rramhil.lab import Lab
from rramhil.programming import (
    Recipe,
    Settled,
    Step,
    preview_pulse,
    program,
    pulse_cells,
    pulse_of,
)
from rramhil.programming.operations import row_operations
from rramhil.programming.recipes import Lines
from rramhil.simulation import SimulatedBoardName, inspect
from tests.support.boards import served_board
from tests.support.cli import Cli

ROWS, COLS = [0, 1, 2, 3], [5, 9]
FOUR_ROWS = Recipe(
    name="four",
    steps=(Step(amplitude_v=4.0, width_ns=1_000_000, compliance_a=100e-6, rows=Lines(0, 4)),),
)


def test_reset_and_set_show_before_and_after_and_keep_counts(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cells = ("--rows", "0:4", "--cols", "5,9")
    with Lab(cli.lab) as lab, Board.open("sim://", lab_root=cli.lab) as board:
        program(board, lab, 0, FOUR_ROWS, reads=1)
    off = cli("pulse", "reset", *cells, "--json").json
    assert (off["operation"], off["pulses"], off["rows"], off["cols"]) == ("RESET", 8, ROWS, COLS)
    assert np.min(off["before_uS"]) > 5
    assert np.max(off["after_uS"]) < 5
    shown = cli("pulse", "set", *cells, "--compliance", "50").stdout
    assert "before uS" in shown
    assert "SET at 2 V for 100 us, 50 uA" in shown
    truth = inspect(SimulatedBoardName(cli.lab), 0)
    assert (truth.set_pulses, truth.reset_pulses, truth.off, truth.cycles_max) == (8, 8, 0, 1)
    refused = cli("pulse", "set", *cells, "--amplitude", "2.6", "--json", code=7)
    assert "2.6 V" in refused.json["error"]["sentence"]
    planned = cli("pulse", "reset", "--rows", "0", "--cols", "0:512", "--dry-run", "--json").json
    assert (planned["dry_run"], planned["pulses"], planned["row_operations"]) == (True, 512, 5)
    assert inspect(SimulatedBoardName(cli.lab), 0).reset_pulses == 8


@pytest.fixture
def formed(lab_root: Path) -> Iterator[tuple[Lab, Board]]:
    """A lab and a board whose rows 0 to 3 are formed."""
    with (
        served_board(lab_root) as address,
        Lab(lab_root) as lab,
        Board.open(address, lab_root=lab_root) as board,
    ):
        program(board, lab, 0, FOUR_ROWS, reads=1)
        yield lab, board


def test_every_pulse_is_in_the_journal_and_none_counts_as_forming(
    formed: tuple[Lab, Board],
) -> None:
    lab, board = formed
    for operation in (Operation.RESET, Operation.SET, Operation.RESET):
        pulse_cells(board, lab, 0, pulse_of(operation, board.description), ROWS, COLS)
    ledger = lab.journal.pulsed(board.chip(0).serial)
    assert ledger.by_operation[Operation.RESET].sum() == 16
    assert ledger.by_operation[Operation.SET].sum() == 8
    assert not ledger.in_doubt.any()
    again = program(board, lab, 0, FOUR_ROWS, reads=1)
    assert again.pulses == 0
    # cells that were reset although nobody formed them still get their one forming pulse
    pulse_cells(board, lab, 0, pulse_of(Operation.RESET, board.description), [8], COLS)
    rest = FOUR_ROWS.model_copy(
        update={"steps": (FOUR_ROWS.steps[0].model_copy(update={"rows": Lines(8, 9)}),)}
    )
    assert program(board, lab, 0, rest, reads=1).pulses == 512


def test_a_pulse_whose_answer_was_lost_is_settled_before_the_next_one(
    formed: tuple[Lab, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, board = formed
    pulse = pulse_of(Operation.RESET, board.description)
    serial = board.chip(0).serial

    def lost(*_: object) -> None:
        raise LinkLost("The answer never came.")

    with monkeypatch.context() as broken:
        broken.setattr(Chip, "_pulse_result", lost)
        broken.setattr("rramhil.programming._ending.settle_intents", lost)
        with pytest.raises(LinkLost, match=r"Of 8 cells, 0 are known .* 8 are in doubt") as left:
            pulse_cells(board, lab, 0, pulse, ROWS, COLS)
    assert "asks the board what became" in left.value.next_step
    assert "--resume" not in left.value.next_step
    (open_frame,) = lab.journal.open_intents(serial)
    assert open_frame.fate is None
    done = pulse_cells(board, lab, 0, pulse, ROWS, COLS)
    assert done.settled == (Settled(Operation.RESET, 1, fired=8, not_fired=0, in_doubt=0),)
    assert pulse_cells(board, lab, 0, pulse, [0], [5]).settled == ()
    assert lab.journal.open_intents(serial) == []
    assert lab.journal.pulsed(serial).by_operation[Operation.RESET].sum() == 17
    assert board.counters(0).reset_pulses == 17


def test_the_command_says_what_it_settled(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    asked = ("pulse", "reset", "--rows", "0:4", "--cols", "5,9")
    with served_board(cli.lab) as address:
        _leave_an_open_frame(address, cli.lab)
        told = cli(*asked, "--board", address).stdout
        assert "1 frame of RESET that had no outcome: 8 pulses fired, 0 not fired" in told
        _leave_an_open_frame(address, cli.lab)
        settled = cli(*asked, "--board", address, "--json").json["settled"]
        assert settled == [
            {"operation": "RESET", "frames": 1, "fired": 8, "not_fired": 0, "in_doubt": 0}
        ]
        assert cli(*asked, "--board", address, "--json").json["settled"] == []


def test_a_link_that_is_lost_before_any_pulse_says_so(
    formed: tuple[Lab, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, board = formed

    def lost(*_: object) -> None:
        raise LinkLost("The answer never came.")

    monkeypatch.setattr(Chip, "dark", lost)
    with pytest.raises(LinkLost, match=r"0 are known .* 0 are in doubt, 8 were not\.") as left:
        pulse_cells(board, lab, 0, pulse_of(Operation.SET, board.description), ROWS, COLS)
    assert left.value.next_step.endswith("then run it again; it pulses all of its cells.")


def test_a_link_that_is_lost_while_programming_leaves_something_to_resume(
    lab_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise LinkLost("The answer never came.")

    with Lab(lab_root) as lab, Board.open("sim://", lab_root=lab_root) as board:
        monkeypatch.setattr(Chip, "_pulse_result", lost)
        with pytest.raises(LinkLost) as left:
            program(board, lab, 0, FOUR_ROWS, reads=1)
    assert "`rramhil program --resume`" in left.value.next_step


def _leave_an_open_frame(address: str, lab_root: Path) -> None:
    """Fire eight RESET pulses that the journal intends and never hears of again."""
    with Lab(lab_root) as lab, Board.open(address, lab_root=lab_root) as board:
        chip = board.chip(0)
        lab.chips.see(chip.serial, board.identity.serial, 0)
        cells = np.zeros((512, 512), dtype=np.bool_)
        cells[np.ix_(ROWS, COLS)] = True
        pulse = pulse_of(Operation.RESET, board.description)
        rows = row_operations(pulse, board.description, cells)

        def intend(frames: list[FrameRange]) -> None:
            lab.journal.intend(
                None,
                chip.serial,
                Operation.RESET,
                [(frame.session, frame.sequence, rows.tobytes()) for frame in frames],
            )

        chip.pulse(rows, Operation.RESET, intend)


def test_an_interrupted_programming_job_comes_first(formed: tuple[Lab, Board]) -> None:
    lab, board = formed
    lab.journal.open_job(board.chip(0).serial, "{}", np.zeros((512, 512), dtype=np.bool_))
    with pytest.raises(UnfinishedJob, match="--resume"):
        pulse_cells(board, lab, 0, pulse_of(Operation.SET, board.description), ROWS, COLS)
    assert board.counters(0).set_pulses == 0


@pytest.mark.parametrize(
    ("operation", "field", "value", "told"),
    [
        (Operation.SET, "inhibit_code", 0, "inhibited bit lines"),
        (Operation.SET, "bit_code", 60_000, "amplitude"),
        (Operation.RESET, "inhibit_code", 20_000, "inhibited bit lines"),
        (Operation.RESET, "source_code", 3_000, "source line, which is to be at ground"),
        (Operation.RESET, "word_code", 20_000, "compliance"),
        (Operation.RESET, "bit_code", 0, "amplitude"),
    ],
)
def test_the_host_refuses_lines_in_other_states_than_the_operations(
    formed: tuple[Lab, Board], operation: Operation, field: str, value: int, told: str
) -> None:
    _, board = formed
    cells = np.zeros((512, 512), dtype=np.bool_)
    cells[2, 3] = True
    pulses = row_operations(pulse_of(operation, board.description), board.description, cells)
    pulses[field] = value
    with pytest.raises(LimitRefused, match=told):
        board.chip(0).pulse(pulses, operation)
    counters = board.counters(0)
    assert (counters.set_pulses, counters.reset_pulses) == (0, 0)


def test_a_dry_run_splits_rows_by_the_rails_current(formed: tuple[Lab, Board]) -> None:
    _, board = formed
    everything = list(range(512))
    for operation, parts in ((Operation.SET, 2), (Operation.RESET, 5)):
        pulse = pulse_of(operation, board.description)
        plan = preview_pulse(board, 0, pulse, everything, everything)
        assert (plan.cells, plan.operations) == (512 * 512, 512 * parts)
        assert 0 < plan.energy_j < 1


def test_waiting_lets_board_time_pass_in_parts_of_a_minute(formed: tuple[Lab, Board]) -> None:
    _, board = formed
    before_ns = board.status().board_time_ns
    board.wait(150.000000001)
    assert board.status().board_time_ns == before_ns + 150_000_000_001
    with pytest.raises(ValueError, match="at least 1 ns"):
        board.wait(0)
