"""Electroforming against the normal model and against the measured 40 nm array."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from firmware_protocol.executor import FrameId
from firmware_protocol.messages import Operation
from sim_backend.board import SimulatedBoard
from sim_backend.cells import FORMED, Pulses
from sim_backend.macro import Macro

AMPLITUDES_V = np.linspace(3.2, 3.7, 10)
GROUPS = np.array_split(np.arange(512), 10)
MEAN_V, SD_V = 3.433, 0.114


def pulses(
    rows: np.ndarray, amplitude_v: float, width_ns: int = 100_000, compliance_na: int = 100_000
) -> Pulses:
    n = len(rows)
    return Pulses(
        row=rows.astype(np.int64),
        selected_uv=np.full(n, round(amplitude_v * 1e6)),
        inhibited_uv=np.zeros(n, np.int64),
        width_ns=np.full(n, width_ns),
        compliance_na=np.full(n, compliance_na),
        masks=np.full((n, 64), 255, np.uint8),
    )


def formed(chip: Macro) -> np.ndarray:
    return (chip.cells.flags & FORMED) != 0


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimulatedBoard]:
    with SimulatedBoard(tmp_path, 1, 1) as opened:
        yield opened


@pytest.fixture
def ladder(board: SimulatedBoard) -> Macro:
    """A chip whose rows, in ten groups, saw one pulse of ten amplitudes."""
    for n, (rows, amplitude_v) in enumerate(zip(GROUPS, AMPLITUDES_V, strict=True)):
        board.pulse(FrameId(1, n + 1), 0, Operation.FORM, pulses(rows, amplitude_v))
    return board.chips[0]


def test_formed_fraction_follows_the_normal_model(ladder: Macro):
    fractions = np.array([formed(ladder)[rows].mean() for rows in GROUPS])
    model = stats.norm.cdf(AMPLITUDES_V, MEAN_V, SD_V)
    assert abs(fractions - model).max() < 0.03
    # and far closer: what 26,000 cells a group allow
    assert abs(fractions - model).max() < 4 * np.sqrt(0.25 / (51 * 512))


def test_formed_fraction_follows_the_measured_breakdown_voltages(ladder: Macro, data_root: Path):
    measured = np.loadtxt(data_root / "rram_measured/esgnn/ext_data_fig1_400_values.csv")
    fractions = np.array([formed(ladder)[rows].mean() for rows in GROUPS])
    below = np.array([(measured <= amplitude_v).mean() for amplitude_v in AMPLITUDES_V])
    assert abs(fractions - below).max() < 0.07


def test_conductances_follow_the_measured_map(board: SimulatedBoard, data_root: Path):
    path = data_root / "rram_measured/esgnn/fig1_hidden_conductance_50x50.csv"
    measured = np.loadtxt(path, delimiter=",")
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(np.arange(512), 3.45))
    chip = board.chips[0]
    here = formed(chip)
    assert abs(here.mean() - (measured > 0).mean()) < 0.08
    sample_uS = chip.cells.conductance_ps[here] / 1e6
    assert stats.ks_2samp(sample_uS, measured[measured > 0]).pvalue > 0.01
    assert sample_uS.mean() == pytest.approx(12.35, rel=0.002)
    assert sample_uS.std() == pytest.approx(1.86, rel=0.01)


def test_conductance_has_no_structure_over_rows_columns_and_neighbours(board: SimulatedBoard):
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(np.arange(512), 4.0, 1_000_000))
    field = board.chips[0].cells.conductance_ps.astype(np.float64)
    field = (field - field.mean()) / field.std()
    assert field.mean(axis=0).std() == pytest.approx(1 / np.sqrt(512), rel=0.15)
    assert field.mean(axis=1).std() == pytest.approx(1 / np.sqrt(512), rel=0.15)
    for a, b in ((field[1:], field[:-1]), (field[:, 1:], field[:, :-1])):
        assert abs((a * b).mean()) < 4 / 512


def test_unformed_cells_conduct_a_tenth_of_a_microsiemens(board: SimulatedBoard):
    virgin_uS = board.chips[0].cells.conductance_ps / 1e6
    assert virgin_uS.mean() == pytest.approx(0.1, rel=0.002)
    assert virgin_uS.std() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_dense_point_forms_every_cell(tmp_path: Path, seed: int):
    with SimulatedBoard(tmp_path, seed, 1) as board:
        board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(np.arange(512), 4.0, 1_000_000))
        assert formed(board.chips[0]).all()


def test_a_longer_pulse_forms_as_a_higher_one_does(board: SimulatedBoard):
    """60 mV a decade, assumed: ten times the reference width at 60 mV less."""
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(np.arange(512), 3.40, 1_000_000))
    long = formed(board.chips[0]).copy()
    board.replace_chip(0)
    board.pulse(FrameId(1, 2), 0, Operation.FORM, pulses(np.arange(512), 3.46, 100_000))
    fractions = long.mean(), formed(board.chips[0]).mean()
    assert fractions == pytest.approx([stats.norm.cdf(3.46, MEAN_V, SD_V)] * 2, abs=0.004)


def test_conductance_is_proportional_to_compliance(board: SimulatedBoard):
    rows = np.arange(512)
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(rows[:256], 4.0, 1_000_000, 50_000))
    board.pulse(FrameId(1, 2), 0, Operation.FORM, pulses(rows[256:], 4.0, 1_000_000, 150_000))
    conductance = board.chips[0].cells.conductance_ps / 1e6
    assert conductance[:256].mean() == pytest.approx(12.35 / 2, rel=0.002)
    assert conductance[256:].mean() == pytest.approx(12.35 * 1.5, rel=0.002)


def test_inhibited_cells_form_only_if_the_inhibit_fails(board: SimulatedBoard):
    chip = board.chips[0]
    half = pulses(np.arange(2), 4.0, 1_000_000)
    half.masks[:] = 0x0F
    board.pulse(FrameId(1, 1), 0, Operation.FORM, half)
    columns = np.arange(512)
    assert (formed(chip)[:2] == (columns % 8 < 4)).all()
    half.inhibited_uv[:] = 4_000_000  # the inhibited lines at ground: physics knows no mask
    board.pulse(FrameId(1, 2), 0, Operation.FORM, half)
    assert formed(chip)[:2].all()
    assert (chip.cells.form_pulses[:2] == 2 * (columns % 8 < 4)).all()
    assert not formed(chip)[2:].any()


def test_a_formed_cell_keeps_its_conductance(board: SimulatedBoard):
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(np.arange(4), 4.0))
    before = board.chips[0].cells.conductance_ps.copy()
    board.pulse(FrameId(1, 2), 0, Operation.FORM, pulses(np.arange(4), 4.1))
    assert np.array_equal(board.chips[0].cells.conductance_ps, before)
    assert (board.chips[0].cells.form_pulses[:4] == 2).all()
