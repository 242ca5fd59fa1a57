"""The forming curve and the conductances of simulated chips against measured cells.

Through the whole stack: recipe, pulses over the wire, codes read back, report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import rramhil
from rramhil.lab import Lab
from rramhil.programming import Recipe, dense, ladder, program, sparse
from rramhil.programming.recipes import Lines
from rramhil.programming.report import Report

BREAKDOWN = stats.norm(3.433, 0.114)  # of 400 measured cells, at the ladder's width


def report_of(recipe: Recipe, lab_root: Path, seed: int) -> Report:
    with rramhil.open(f"sim://?seed={seed}", lab=lab_root) as board, Lab(lab_root) as lab:
        return program(board, lab, 0, recipe, reads=2).report


@pytest.fixture(autouse=True)
def against_the_measured_cells(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRAMHIL_DATA", str(data_root))
    monkeypatch.setattr("rramhil.programming.oneshot.save_picture", lambda *_: None)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_forming_curve_is_that_of_the_model_and_of_the_measured_cells(
    lab_root: Path, seed: int
) -> None:
    report = report_of(ladder(), lab_root, seed)
    assert len(report.steps) == 10
    assert (report.steps[0].amplitude_v, report.steps[-1].amplitude_v) == (3.2, 3.7)
    for step in report.steps:
        assert step.formed_fraction == pytest.approx(BREAKDOWN.cdf(step.amplitude_v), abs=0.03)
        assert step.formed_fraction == pytest.approx(step.measured_fraction, abs=0.07)
    assert not report.rows.stands_out
    # cells far from the amplifiers read lower: that is the wires, and forming knows nothing of it
    assert 0.02 < (report.columns.conductance_explained or 0.0) < 0.1
    assert (report.columns.forming_p or 0.0) > 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sparse_conductances_follow_the_measured_map(lab_root: Path, seed: int) -> None:
    """In an array of the size that was measured: larger ones have larger losses in their wires."""
    (step,) = sparse().steps
    region = step.model_copy(update={"rows": Lines(0, 50), "cols": Lines(462, 512)})
    report = report_of(Recipe(name="corner", steps=(region,)), lab_root, seed)
    assert report.formed_fraction == pytest.approx(0.5, abs=0.05)
    assert report.comparison is not None
    assert report.comparison.cells == 1232
    assert report.comparison.ks.p_value > 0.01
    assert report.unformed_uS.mean == pytest.approx(0.1, abs=0.01)


def test_wires_make_a_whole_sparse_chip_read_low_and_its_corner_hardly(lab_root: Path) -> None:
    report = report_of(sparse(), lab_root, 0)
    assert report.formed_fraction == pytest.approx(0.5, abs=0.03)
    assert report.conductance_uS.mean == pytest.approx(12.35 * 0.93, rel=0.01)
    assert report.comparison is not None
    assert report.comparison.ks.statistic < 0.1


def test_dense_leaves_no_cell_unformed(lab_root: Path) -> None:
    report = report_of(dense(), lab_root, 3)
    assert report.formed == report.cells == 512 * 512
    # the wires of a dense array cost an eighth of the current
    assert report.conductance_uS.mean == pytest.approx(12.35 * 0.88, rel=0.01)
    assert report.conductance_uS.sd == pytest.approx(1.86 * 0.88, rel=0.1)
    assert np.isfinite(report.conductance_uS.skew or np.nan)
