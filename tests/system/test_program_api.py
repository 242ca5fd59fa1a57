"""One-shot programming from Python against simulated boards: one pulse a cell, whatever happens.

The truth is what the simulated chip itself counted, cell by cell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rramhil
from firmware_protocol.messages import BoardState, Operation, OutcomeKind, Rail
from rramhil.driver import Board, Outcome
from rramhil.errors import (
    BoardError,
    BoardHeld,
    Interrupted,
    LimitRefused,
    LinkLost,
    NotFound,
    RecipeError,
    UnfinishedJob,
    UsageError,
    VerificationFailed,
)
from rramhil.lab import Job, JobState, Lab
from rramhil.programming import Recipe, Silent, Step, dense, plan, preview, program, sparse
from rramhil.programming.firing import GROUP_CELLS
from sim_backend.board import SimulatedBoard, chip_path, inspect
from sim_backend.chips import ChipTruth
from sim_backend.defects import Defects
from tests.support.boards import endpoint, served_board
from tests.support.proxy import TcpProxy

CELLS = 512 * 512


class Stop(Exception):
    """What a progress bar may raise."""


class Tripwire(Silent):
    """Raise an exception when a phase has advanced by so many steps."""

    def __init__(self, phase: str, steps: int, fault: Callable[[], BaseException]) -> None:
        self.wanted, self.left, self.fault = phase, steps, fault
        self.now = ""

    def phase(self, name: str, total: int, unit: str) -> None:
        self.now = name

    def advance(self, n: int, board_time_ns: int) -> None:
        if self.now == self.wanted:
            self.left -= 1
            if self.left == 0:
                raise self.fault()


@pytest.fixture
def lab(lab_root: Path) -> Iterator[Lab]:
    with Lab(lab_root) as lab:
        yield lab


@pytest.fixture
def board(lab: Lab) -> Iterator[Board]:
    with rramhil.open("sim://", lab=lab.root) as board:
        yield board


@pytest.fixture
def pictures() -> None:
    """Asks for pictures to be drawn, which most tests can do without."""


@pytest.fixture(autouse=True)
def nothing_beside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RRAMHIL_DATA", raising=False)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("rramhil.programming.oneshot.save_picture", lambda *_: None)


def truth(lab: Lab) -> ChipTruth:
    return inspect(lab.root / "simulated", 0, 1, 0)


def pulse_counts(lab: Lab) -> np.ndarray[Any, Any]:
    return truth(lab).cells.form_pulses


def unfinished(lab: Lab, board: Board) -> Job | None:
    return lab.journal.unfinished_job(board.chip(0).serial)


def quarter(amplitude_v: float = 4.0) -> Recipe:
    step = Step.model_validate(
        {"amplitude_v": amplitude_v, "width_ns": 100_000, "compliance_a": 1e-4, "rows": "0:128"}
    )
    return Recipe(name="quarter", steps=(step,))


# --- a run from end to end ----------------------------------------------------------------------


def test_dense_forms_every_cell_with_exactly_one_pulse(lab: Lab, board: Board) -> None:
    result = program(board, lab, 0, dense())
    assert (pulse_counts(lab) == 1).all()
    assert (result.cells, result.pulses, result.report.formed) == (CELLS, CELLS, CELLS)
    assert result.report.formed_fraction == 1.0
    assert result.report.conductance_uS.mean == pytest.approx(12.35, rel=0.012)
    assert result.report.wires_removed
    # the wires of a dense array cost an eighth of the current
    assert result.measured.read_uS.mean() == pytest.approx(12.35 * 0.88, rel=0.012)
    assert result.report.dead_rows == result.report.dead_columns == ()
    # which is no gradient along the lines once it is taken out
    assert not result.report.rows.stands_out
    assert not result.report.columns.stands_out
    assert result.board_time_s > 8 * 0.65
    assert unfinished(lab, board) is None
    assert board.status().state == BoardState.IDLE


@pytest.mark.usefixtures("pictures")
def test_the_map_is_kept_with_its_parent_its_recipe_and_a_picture(lab: Lab, board: Board) -> None:
    result = program(board, lab, 0, sparse(), reads=3, notes="first light")
    kept = lab.maps.load(result.map.id)
    assert kept.codes.shape == (3, 512, 512)
    assert kept.valid.all()
    assert (kept.zero_sums > 0).all()
    assert kept.info.notes == "first light"
    assert kept.info.simulated
    assert json.loads(kept.info.recipe or "")["name"] == "sparse"
    virgin = lab.maps.load(kept.info.parent or "")
    assert virgin.info.kind == "virgin"
    assert virgin.reads == 1
    assert np.median(virgin.conductance_uS) == pytest.approx(0.1, abs=0.02)
    for entry in lab.maps.list():
        assert entry.heatmap.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("pictures")
def test_the_result_has_the_keys_that_others_rely_on(lab: Lab, board: Board) -> None:
    said = json.loads(json.dumps(program(board, lab, 0, quarter(), reads=1).as_dict()))
    assert {
        *("chip", "board", "recipe", "cells", "pulses", "formed", "formed_fraction"),
        *("conductance_uS", "map", "heatmap", "board_time_s", "wall_time_s", "resumed", "unknown"),
    } <= said.keys()
    assert {"serial", "simulated", "firmware"} <= said["board"].keys()
    assert said["conductance_uS"].keys() == {"mean", "sd", "skew"}
    assert (said["chip"], said["unknown"], said["resumed"]) == (0, 0, False)
    assert Path(said["map"]).is_file()
    assert Path(said["heatmap"]).is_file()


def test_the_estimates_of_a_preview_come_true(lab: Lab, board: Board) -> None:
    said = preview(board, lab, 0, sparse())
    assert (said.pulses, said.cells) == (CELLS, CELLS)
    result = program(board, lab, 0, sparse())
    assert result.board_time_s == pytest.approx(said.board_time_s, rel=0.3)
    assert preview(board, lab, 0, sparse()).pulses == 0


def test_a_preview_touches_nothing(lab: Lab, board: Board) -> None:
    before = board.counters(0), board.status().board_time_ns
    preview(board, lab, 0)
    assert (board.counters(0), board.status().board_time_ns) == before
    assert lab.maps.list() == []
    assert lab.chips.list() == []
    assert unfinished(lab, board) is None


# --- never twice --------------------------------------------------------------------------------


def test_a_second_run_fires_nothing_says_so_and_reads_back(lab: Lab, board: Board) -> None:
    first = program(board, lab, 0, sparse(), reads=2)
    second = program(board, lab, 0, dense(), reads=2)
    assert (second.pulses, second.cells) == (0, CELLS)
    assert "already programmed" in second.message
    assert second.recipe == "sparse"
    assert second.report.formed == first.report.formed
    assert second.map.id != first.map.id
    assert lab.maps.load(second.map.id).info.parent == lab.maps.load(first.map.id).info.parent
    assert (pulse_counts(lab) == 1).all()


def test_a_second_recipe_pulses_only_what_the_first_left(lab: Lab, board: Board) -> None:
    assert program(board, lab, 0, quarter(), reads=1).pulses == CELLS // 4
    second = program(board, lab, 0, dense(), reads=1)
    assert second.pulses == CELLS - CELLS // 4
    assert (pulse_counts(lab) == 1).all()
    assert program(board, lab, 0, dense(), reads=1).report.formed == CELLS


def test_a_chip_that_another_lab_programmed_gets_no_pulse(
    lab: Lab, board: Board, tmp_path: Path
) -> None:
    program(board, lab, 0, quarter(), reads=1)
    with Lab(tmp_path / "other") as other:
        assert preview(board, other, 0).pulses == 0
        result = program(board, other, 0, dense(), reads=1)
    assert result.pulses == 0
    assert "65,536 forming pulses that this lab's journal does not know" in result.message
    assert result.recipe is None
    assert truth(lab).form_pulses_total == CELLS // 4


def test_pulses_that_only_the_board_knows_of_are_a_veto(lab: Lab, board: Board) -> None:
    chosen = plan(quarter(), board.description, np.ones((512, 512), dtype=bool))
    board.chip(0).pulse(chosen.pulses[:1], Operation.FORM)
    assert program(board, lab, 0, dense(), reads=1).pulses == 0


def test_a_chip_that_conducts_without_a_known_pulse_gets_none(
    lab: Lab, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(board, lab, 0, quarter(), reads=1)
    forgotten = replace(board.counters(0), form_pulses=0)
    monkeypatch.setattr(board, "counters", lambda _chip: forgotten)
    with Lab(lab.root / "other") as other:
        result = program(board, other, 0, dense(), reads=1)
        assert unfinished(other, board) is None
    assert result.pulses == 0
    assert "25.0% of its cells conduct" in result.message


# --- refused before anything --------------------------------------------------------------------


def test_a_recipe_outside_the_limits_is_refused_before_anything(lab: Lab, board: Board) -> None:
    before = board.counters(0)
    with pytest.raises(LimitRefused, match=r"amplitude 4\.5 V .* 4\.2 V"):
        program(board, lab, 0, quarter(4.5))
    with pytest.raises(LimitRefused):
        preview(board, lab, 0, quarter(4.5))
    assert board.counters(0) == before
    assert lab.maps.list() == []
    assert unfinished(lab, board) is None


def test_a_chip_that_is_not_there_and_reads_that_make_no_sense_are_refused(
    lab: Lab, board: Board
) -> None:
    with pytest.raises(NotFound, match="no chip 9"):
        program(board, lab, 9)
    with pytest.raises(UsageError, match="not 0"):
        program(board, lab, 0, reads=0)


def test_a_board_that_this_lab_holds_elsewhere_is_not_touched(lab: Lab, board: Board) -> None:
    with lab.lock(board.identity.serial), pytest.raises(BoardHeld):
        program(board, lab, 0)
    assert truth(lab).form_pulses_total == 0


# --- shorts and dead lines ----------------------------------------------------------------------


def test_shorts_are_named_and_get_no_pulse_and_dead_lines_are_found(lab: Lab) -> None:
    shorts = ((3, 9), (200, 0), (511, 511))
    with SimulatedBoard(lab.root / "simulated", 0, 1) as simulated:
        simulated.replace_chip(0, Defects(shorted_cells=shorts, dead_rows=(40,), dead_columns=(7,)))
    with rramhil.open("sim://", lab=lab.root) as board:
        result = program(board, lab, 0, dense(), reads=2)
        again = program(board, lab, 0, dense(), reads=1)
    counts = pulse_counts(lab)
    assert all(counts[cell] == 0 for cell in shorts)
    assert counts.sum() == result.pulses == CELLS - 3
    for each in (result, again):
        assert each.report.shorts == shorts
        assert each.report.dead_rows == (40,)
        assert each.report.dead_columns == (7,)
        assert not each.measured.valid[40].any()
        assert not each.measured.valid[:, 7].any()
        assert not each.measured.valid[3, 9]
    assert "3 shorted cells" in result.message
    assert again.pulses == 0
    assert "each of the recipe's cells had its one pulse" in again.message
    assert "3 shorted cells" in again.message


# --- interrupted and resumed --------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Stop, KeyboardInterrupt, LinkLost])
def test_what_stops_a_run_half_way_leaves_a_job_that_resumes_with_one_pulse_a_cell(
    lab: Lab, board: Board, fault: type[BaseException]
) -> None:
    raised = Interrupted if fault is KeyboardInterrupt else fault
    watcher = Tripwire("forming", 5, lambda: fault("stop"))
    with pytest.raises(raised):
        program(board, lab, 0, sparse(), progress=watcher)
    assert truth(lab).form_pulses_total == 5 * GROUP_CELLS
    assert board.status().state == BoardState.IDLE
    job = unfinished(lab, board)
    assert job is not None
    assert job.state == JobState.INTERRUPTED
    assert lab.journal.open_intents(board.chip(0).serial) == []

    with pytest.raises(UnfinishedJob, match=r"'sparse'.*--resume"):
        program(board, lab, 0)
    with pytest.raises(RecipeError, match="'sparse', not the recipe 'dense'"):
        program(board, lab, 0, dense(), resume=True)
    assert preview(board, lab, 0, resume=True).pulses == CELLS - 5 * GROUP_CELLS

    result = program(board, lab, 0, resume=True, reads=2)
    assert result.resumed
    assert result.recipe == "sparse"
    assert (result.pulses, result.cells) == (CELLS - 5 * GROUP_CELLS, CELLS)
    assert result.report.cells == CELLS
    assert result.report.unknown == ()
    assert (pulse_counts(lab) == 1).all()
    assert unfinished(lab, board) is None


def test_ctrl_c_says_how_far_it_came_and_what_to_do(lab: Lab, board: Board) -> None:
    with pytest.raises(
        Interrupted, match=r"after 32,768 of 262,144 pulses.*idle.*--resume"
    ) as stop:
        program(board, lab, 0, progress=Tripwire("forming", 2, KeyboardInterrupt))
    assert stop.value.exit_code == 130


def test_ctrl_c_before_the_first_pulse_leaves_no_job(lab: Lab, board: Board) -> None:
    with pytest.raises(Interrupted, match="before any pulse"):
        program(board, lab, 0, progress=Tripwire("virgin read", 1, KeyboardInterrupt))
    assert unfinished(lab, board) is None
    assert program(board, lab, 0, quarter(), reads=1).pulses == CELLS // 4


def test_ctrl_c_while_reading_back_leaves_only_the_reading_to_resume(
    lab: Lab, board: Board
) -> None:
    with pytest.raises(Interrupted, match="after 262,144 of 262,144"):
        program(board, lab, 0, progress=Tripwire("read-back", 2, KeyboardInterrupt))
    result = program(board, lab, 0, resume=True, reads=1)
    assert (result.pulses, result.resumed) == (0, True)
    assert result.report.formed == CELLS
    assert (pulse_counts(lab) == 1).all()


def test_resuming_without_a_job_begins_one(lab: Lab, board: Board) -> None:
    result = program(board, lab, 0, quarter(), resume=True, reads=1)
    assert (result.pulses, result.resumed) == (CELLS // 4, False)


def interrupted_after(call: Callable[..., Any], times: int, *, before: bool) -> Callable[..., Any]:
    """Wrap a function: its n-th call is hit by ctrl-C, before or after it did its work."""
    count = 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == times and before:
            raise KeyboardInterrupt
        answer = call(*args, **kwargs)
        if count == times:
            raise KeyboardInterrupt
        return answer

    return wrapper


@pytest.mark.parametrize(
    ("where", "before", "fired"),
    [
        ("intend", True, 2),
        ("intend", False, 2),  # the intent is written, no byte left
        ("conclude_all", True, 3),  # the pulses fired, the journal does not know
        ("conclude_all", False, 3),
    ],
)
def test_ctrl_c_between_journal_and_board_is_settled_by_asking(
    lab: Lab,
    board: Board,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    before: bool,
    fired: int,
) -> None:
    with monkeypatch.context() as patch:
        call = interrupted_after(getattr(lab.journal, where), 3, before=before)
        patch.setattr(lab.journal, where, call)
        with pytest.raises(Interrupted, match=f"after {fired * GROUP_CELLS:,} of"):
            program(board, lab, 0)
    assert lab.journal.open_intents(board.chip(0).serial) == []
    assert program(board, lab, 0, resume=True, reads=1).report.unknown == ()
    assert (pulse_counts(lab) == 1).all()


def test_what_nobody_knows_is_measured_and_what_stays_unknown_is_never_pulsed(
    lab: Lab, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two groups whose outcome the board forgot: one had fired, one had not."""
    forgotten = Outcome(OutcomeKind.FORGOTTEN, 0)
    monkeypatch.setattr(board, "outcome", lambda _session, _sequence: forgotten)
    for where, before in (("conclude_all", True), ("intend", False)):
        with monkeypatch.context() as patch:
            call = interrupted_after(getattr(lab.journal, where), 4, before=before)
            patch.setattr(lab.journal, where, call)
            with pytest.raises(Interrupted):
                program(board, lab, 0, resume=True)
    result = program(board, lab, 0, resume=True, reads=1)
    counts = pulse_counts(lab)
    assert counts.max() == 1
    assert (counts == 0).sum() == GROUP_CELLS
    assert len(result.report.unknown) == GROUP_CELLS
    assert {tuple(cell) for cell in np.argwhere(counts == 0)} == set(result.report.unknown)
    assert result.report.cells == result.report.formed == CELLS - GROUP_CELLS
    assert result.as_dict()["unknown"] == GROUP_CELLS
    assert "nobody knows" in result.message
    assert program(board, lab, 0, reads=1).pulses == 0


def test_a_chip_moved_to_another_board_is_not_asked_about_its_old_frames(
    lab: Lab, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = interrupted_after(lab.journal.conclude_all, 4, before=True)
    with monkeypatch.context() as patch:
        patch.setattr(lab.journal, "conclude_all", call)
        patch.setattr(board, "outcome", _gone)
        with pytest.raises(Interrupted):
            program(board, lab, 0)
    moved = replace(board.identity, serial="ANOTHER")
    monkeypatch.setattr(board, "identity", moved)
    monkeypatch.setattr(board, "outcome", lambda *_frame: Outcome(OutcomeKind.NOT_FIRED, 0))
    result = program(board, lab, 0, resume=True, reads=1)
    assert result.report.unknown == ()
    assert (pulse_counts(lab) == 1).all()


def _gone(*_frame: int) -> Outcome:
    raise LinkLost("The board is gone.")


def test_a_link_cut_while_forming_is_resumed_with_one_pulse_a_cell(lab: Lab) -> None:
    with served_board(lab.root) as address:
        # 1,024 operations of 80 bytes: the cut falls into the middle of the job
        with (
            TcpProxy(endpoint(address), cut_to_server_after=45_000) as proxy,
            Board.open(proxy.address, lab_root=lab.root) as board,
            pytest.raises(LinkLost),
        ):
            program(board, lab, 0)
        assert 0 < truth(lab).form_pulses_total < CELLS
        with Board.open(address, lab_root=lab.root) as board:
            assert unfinished(lab, board) is not None
            result = program(board, lab, 0, resume=True, reads=1)
    assert result.report.unknown == ()
    assert (pulse_counts(lab) == 1).all()


def test_an_emergency_stop_half_way_leaves_a_job_that_resumes(lab: Lab, board: Board) -> None:
    class Alarm(Tripwire):
        def advance(self, n: int, board_time_ns: int) -> None:
            try:
                super().advance(n, board_time_ns)
            except Stop:
                board.estop()

    with pytest.raises(BoardError, match="emergency stop"):
        program(board, lab, 0, progress=Alarm("forming", 3, Stop))
    board.clear_estop()
    assert program(board, lab, 0, resume=True, reads=1).report.unknown == ()
    assert (pulse_counts(lab) == 1).all()


def test_an_operation_that_the_board_refuses_is_known_not_to_have_fired(
    lab: Lab, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board's own limits stop a frame in its middle; resuming fires the rest of it."""
    with monkeypatch.context() as patch:
        patch.setattr("rramhil.driver.limits.check", lambda *_: None)
        chip_class = type(board.chip(0))
        fire = chip_class.pulse

        def spoiled(chip: Any, pulses: Any, *args: Any) -> Any:
            spoiled_pulses = pulses.copy()
            spoiled_pulses["source_code"][10] = board.description.dac_code(Rail.SOURCE, 4.9)
            return fire(chip, spoiled_pulses, *args)

        patch.setattr(chip_class, "pulse", spoiled)
        with pytest.raises(LimitRefused, match="its own limit"):
            program(board, lab, 0)
    assert truth(lab).form_pulses_total == 10 * 256
    assert board.status().state == BoardState.IDLE
    assert program(board, lab, 0, resume=True, reads=1).pulses == CELLS - 2560
    assert (pulse_counts(lab) == 1).all()


def test_a_board_that_counts_fewer_pulses_than_the_journal_is_not_believed(lab: Lab) -> None:
    with rramhil.open("sim://", lab=lab.root) as board:
        program(board, lab, 0, dense(), reads=1)
    chip_path(lab.root / "simulated" / "SIM-0", 0).unlink()
    with (
        rramhil.open("sim://", lab=lab.root) as board,
        pytest.raises(VerificationFailed, match="its board counts 0"),
    ):
        program(board, lab, 0, dense(), reads=1)
    assert pulse_counts(lab).sum() == 0


def test_more_reads_than_memory_holds_are_refused_before_any_pulse(lab: Lab) -> None:
    with (
        rramhil.open("sim://", lab=lab.root) as board,
        pytest.raises(UsageError, match=r"1 to 2,048 times at once, not 65,535"),
    ):
        program(board, lab, 0, dense(), reads=65_535)
    assert pulse_counts(lab).sum() == 0
