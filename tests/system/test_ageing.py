"""Masks on a simulated chip that ages: through the board, on copies of it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.comparison import AgeingStudy
from rramhil.driver import Board
from rramhil.flow import TrainRequest, known_chips, train_run
from rramhil.lab import Lab
from rramhil.simulation import SimulatedBoardName, inspect
from rramhil.tasks import Examples, load
from tests.support.networks import programmed_lab


@pytest.mark.slow
def test_masks_are_followed_through_time_and_the_board_itself_stays(tmp_path: Path) -> None:
    lab_root = programmed_lab(tmp_path / "lab", seed=3).root
    name = SimulatedBoardName(lab_root, 3)
    task = load("digits")
    splits = task.data(tmp_path)
    with Board.open(str(name), lab_root=lab_root) as board, Lab(lab_root) as lab:
        chips = known_chips(board, lab, (0,))
        request = TrainRequest("digits", epochs=4)
        run = train_run(request, task, splits, chips, board.description).run
        maps, clock_ns = len(lab.maps.list()), board.status().board_time_ns
    sent = Examples(*(part[:60] for part in splits.test))
    study = AgeingStudy(name, {"cell": run}, task, splits, sent)

    first, second = study.follow([100.0], temperature_k=330.0)

    assert (first.run, first.temperature_k, first.asked_s) == ("cell", 330.0, 100.0)
    assert [first.is_reread, second.is_reread] == [False, True]
    assert 100 < first.age_s < 110 < second.age_s + 5 < 140
    assert first.value > 0.8
    assert second.value > 0.8
    with Board.open(str(name), lab_root=lab_root) as board, Lab(lab_root) as lab:
        assert len(lab.maps.list()) == maps
        assert board.status().board_time_ns - clock_ns < 10**9
        assert board.status().temperature_mk == 298_150
    assert inspect(name, 0).reset_pulses == 0
