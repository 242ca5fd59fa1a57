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
from rramhil.programming.report import Report
from sim_backend.board import inspect

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
    # the lines' resistance is taken out: no gradient is left
    assert not report.columns.stands_out
    assert (report.columns.forming_p or 0.0) > 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_sparse_conductances_follow_the_measured_map(
    lab_root: Path, data_root: Path, seed: int
) -> None:
    """Of the whole chip, at nominal gains, from the map that was kept."""
    with rramhil.open(f"sim://?seed={seed}", lab=lab_root) as board, Lab(lab_root) as lab:
        result = program(board, lab, 0, sparse(), reads=2)
        kept = lab.maps.load(result.map.id)
    report = result.report
    assert report.formed_fraction == pytest.approx(0.5, abs=0.03)
    formed_uS = kept.conductance_uS[kept.conductance_uS > 2.0]
    assert len(formed_uS) == report.formed
    array = np.loadtxt(
        data_root / "rram_measured" / "esgnn" / "fig1_hidden_conductance_50x50.csv", delimiter=","
    )
    assert stats.ks_2samp(formed_uS, array[array > 0]).pvalue > 0.01
    assert report.comparison is not None
    assert report.comparison.cells == 1232
    assert report.comparison.ks.p_value > 0.01
    assert report.unformed_uS.mean == pytest.approx(0.1, abs=0.01)


def test_a_map_has_the_cells_own_conductance_and_what_the_wires_left_of_it(lab_root: Path) -> None:
    with rramhil.open("sim://?seed=0", lab=lab_root) as board, Lab(lab_root) as lab:
        result = program(board, lab, 0, sparse(), reads=2)
    truth_uS = inspect(lab_root / "simulated", 0, 1, 0).cells.conductance_ps / 1e6
    measured = result.measured
    formed = measured.conductance_uS > 2.0
    own, read = (
        each[formed] / truth_uS[formed] for each in (measured.conductance_uS, measured.read_uS)
    )
    # what is left are gains, of channels and of all, and what has aged since
    assert own.mean() == pytest.approx(1.0, abs=0.012)
    assert own.std() < 0.02
    assert read.mean() == pytest.approx(0.93, abs=0.012)
    assert read.std() > 1.2 * own.std()


def test_a_differential_pair_of_a_dense_chip_is_near_gaussian_around_zero(lab_root: Path) -> None:
    with rramhil.open("sim://?seed=3", lab=lab_root) as board, Lab(lab_root) as lab:
        own_uS = program(board, lab, 0, dense(), reads=2).measured.conductance_uS
    pairs = (own_uS[0::2] - own_uS[1::2]).ravel()
    # a pair's rows lie on different channels, whose gains the host takes for nominal
    assert abs(pairs.mean()) < 0.02 * own_uS.mean()
    assert pairs.std() == pytest.approx(2**0.5 * own_uS.std(), rel=0.02)
    assert abs(stats.skew(pairs)) < 0.03
    assert abs(stats.kurtosis(pairs)) < 0.4  # a lognormal's tails: 0.22 for these cells
    assert stats.kstest((pairs - pairs.mean()) / pairs.std(), "norm").statistic < 0.01


def test_dense_leaves_no_cell_unformed(lab_root: Path) -> None:
    report = report_of(dense(), lab_root, 3)
    assert report.formed == report.cells == 512 * 512
    assert report.conductance_uS.mean == pytest.approx(12.35, rel=0.012)
    assert report.conductance_uS.sd == pytest.approx(1.86, rel=0.05)
    assert np.isfinite(report.conductance_uS.skew or np.nan)
