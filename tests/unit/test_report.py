"""Reports: what is planted in a map is found, and nothing is found in a clean one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from calibration.wires import Lines, effective_uS
from rramhil.errors import UsageError
from rramhil.lab import ConductanceMap, MapInfo
from rramhil.programming._wires import with_own_conductance
from rramhil.programming.plots import describe, save_picture, terminal_map
from rramhil.programming.recipes import Recipe, dense, ladder, sparse
from rramhil.programming.reference import Reference, ks_test, load_reference
from rramhil.programming.report import Report, Treatment, analyse
from tests.unit.test_plan import BOARD

PER_CODE_uS = 0.00625
BREAKDOWN = stats.norm(3.433, 0.114)


def measured(conductance_uS: NDArray[np.float64], valid: NDArray[np.bool_] | None = None):
    codes = np.clip(np.round(256 + conductance_uS / PER_CODE_uS), 0, 16_383).astype(np.uint16)
    rows, cols = conductance_uS.shape
    return ConductanceMap(
        codes=codes[None],
        zero_sums=np.full(rows, 16 * 256, dtype=np.uint32),
        rows=np.arange(rows),
        cols=np.arange(cols),
        row_time_ns=np.zeros((1, rows), dtype=np.uint64),
        valid=np.ones((rows, cols), dtype=bool) if valid is None else valid,
        range_index=0,
        per_code_uS=PER_CODE_uS,
        zero_conversions=16,
        read_voltage_v=0.2,
        temperature_k=298.15,
        calibration_id="nominal",
        info=MapInfo(kind="readback", chip_serial="R40-1", recipe=dense().model_dump_json()),
    )


def formed_by(recipe: Recipe, shape: tuple[int, int], seed: int):
    """A clean random chip after a recipe: conductances, and the step of each cell."""
    random = np.random.default_rng(seed)
    steps = np.zeros(shape, dtype=np.int16)
    for index, step in enumerate(recipe.steps):
        rows, cols = step.rows.within(shape[0]), step.cols.within(shape[1])
        steps[np.ix_(list(rows), list(cols))] = index
    amplitude_v = np.array([step.amplitude_v for step in recipe.steps])[steps]
    formed = BREAKDOWN.rvs(shape, random) <= amplitude_v
    level_uS = random.lognormal(np.log(12.35) - 0.0113, 0.15, shape)
    return np.where(formed, level_uS, random.normal(0.1, 0.02, shape)), steps


def report_of(
    conductance_uS: NDArray[np.float64],
    steps: NDArray[np.int16],
    recipe: Recipe | None,
    reference: Reference | None = None,
    **named: NDArray[np.bool_],
) -> Report:
    nowhere = np.zeros(conductance_uS.shape, dtype=bool)
    treatment = Treatment(
        recipe=recipe,
        steps=steps,
        pulsed=~nowhere,
        shorts=named.get("shorts", nowhere),
        unknown=named.get("unknown", nowhere),
    )
    return analyse(measured(conductance_uS), treatment, reference)


@pytest.mark.parametrize("recipe", [dense(), sparse(), ladder()], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("shape", [(512, 512), (64, 512), (16, 16)])
@pytest.mark.parametrize("seed", range(3))
def test_a_clean_random_chip_raises_no_alarm(
    recipe: Recipe, shape: tuple[int, int], seed: int
) -> None:
    report = report_of(*formed_by(recipe, shape, seed), recipe)
    assert report.dead_rows == report.dead_columns == ()
    assert not report.rows.stands_out
    assert not report.columns.stands_out
    assert report.shorts == report.unknown == ()


@pytest.mark.parametrize("recipe", [dense(), sparse(), ladder()], ids=lambda recipe: recipe.name)
def test_planted_dead_lines_are_named_and_spoil_nothing_else(recipe: Recipe) -> None:
    conductance_uS, steps = formed_by(recipe, (512, 512), 7)
    conductance_uS[[129, 338], :] = 0.0
    conductance_uS[:, 301] = 0.0
    report = report_of(conductance_uS, steps, recipe)
    assert report.dead_rows == (129, 338)
    assert report.dead_columns == (301,)
    assert not report.rows.stands_out
    assert not report.columns.stands_out


def test_a_line_that_is_only_unlucky_is_not_called_dead() -> None:
    conductance_uS, steps = formed_by(sparse(), (8, 512), 3)
    conductance_uS[:, 100] = 0.1  # eight cells, half of them should have formed: 1 in 256
    assert report_of(conductance_uS, steps, sparse()).dead_columns == ()


def test_a_chip_that_did_not_form_at_all_has_no_dead_lines() -> None:
    nothing = np.full((64, 64), 0.1)
    report = report_of(nothing, np.zeros((64, 64), dtype=np.int16), dense())
    assert (report.formed, report.formed_fraction) == (0, 0.0)
    assert report.dead_rows == report.dead_columns == ()
    assert report.conductance_uS.mean is None


def test_a_single_row_without_a_formed_cell_has_no_neighbours_to_compare() -> None:
    report = report_of(np.full((1, 512), 0.1), np.zeros((1, 512), dtype=np.int16), sparse())
    assert report.dead_rows == ()


@pytest.mark.parametrize(("axis", "lines"), [(0, "rows"), (1, "columns")])
def test_a_planted_gain_of_lines_stands_out(axis: int, lines: str) -> None:
    conductance_uS, steps = formed_by(sparse(), (512, 512), 5)
    channel = np.arange(512) % 8
    gain = 1 + 0.02 * (channel == 3)
    conductance_uS *= gain[:, None] if axis == 0 else gain[None, :]
    report = report_of(conductance_uS, steps, sparse())
    structures = {"rows": report.rows, "columns": report.columns}
    assert structures.pop(lines).stands_out
    assert not structures.popitem()[1].stands_out


def test_a_channel_whose_rows_form_less_stands_out() -> None:
    conductance_uS, steps = formed_by(sparse(), (512, 512), 6)
    weak = np.random.default_rng(6).random((64, 512)) < 0.1
    conductance_uS[3::8][weak] = 0.1
    report = report_of(conductance_uS, steps, sparse())
    assert report.rows.forming_p is not None
    assert report.rows.forming_p < 1e-4
    assert report.rows.stands_out
    assert not report.columns.stands_out


def test_statistics_are_those_of_scipy() -> None:
    conductance_uS, steps = formed_by(sparse(), (128, 128), 1)
    report = report_of(conductance_uS, steps, sparse())
    formed_uS = measured(conductance_uS).conductance_uS
    formed_uS = formed_uS[formed_uS > 2]
    assert report.formed == len(formed_uS)
    assert report.conductance_uS.mean == pytest.approx(formed_uS.mean())
    assert report.conductance_uS.sd == pytest.approx(formed_uS.std(ddof=1))
    assert report.conductance_uS.skew == pytest.approx(stats.skew(formed_uS))
    assert report.unformed_uS.mean == pytest.approx(0.1, abs=0.01)


def test_the_analysis_of_variance_is_that_of_scipy() -> None:
    conductance_uS, steps = formed_by(dense(), (24, 40), 2)
    report = report_of(conductance_uS, steps, dense())
    logs = np.log(measured(conductance_uS).conductance_uS)
    assert report.rows.conductance_p == pytest.approx(stats.f_oneway(*logs).pvalue)
    assert report.columns.conductance_p == pytest.approx(stats.f_oneway(*logs.T).pvalue)


def test_shorts_and_unknown_cells_are_named_and_not_counted() -> None:
    conductance_uS, steps = formed_by(dense(), (32, 32), 4)
    shorts, unknown = np.zeros((2, 32, 32), dtype=bool)
    shorts[3, 9] = unknown[7, 7] = unknown[8, 1] = True
    report = report_of(conductance_uS, steps, dense(), shorts=shorts, unknown=unknown)
    assert report.shorts == ((3, 9),)
    assert report.unknown == ((7, 7), (8, 1))
    assert report.cells == 32 * 32 - 3


def test_clipped_cells_count_as_formed_but_not_for_the_mean() -> None:
    conductance_uS, steps = formed_by(dense(), (32, 32), 4)
    conductance_uS[5, 5] = 400.0
    whole = measured(conductance_uS, valid=conductance_uS < 100)
    everywhere = np.ones((32, 32), dtype=bool)
    report = analyse(whole, Treatment(dense(), steps, everywhere, ~everywhere, ~everywhere))
    assert report.formed == 1024
    assert report.conductance_uS.mean == pytest.approx(12.35, rel=0.05)


def test_each_step_of_a_ladder_is_reported_beside_the_reference() -> None:
    reference = Reference(np.sort(BREAKDOWN.rvs(400, 1)), np.array([9.0, 12.0, 13.0]))
    conductance_uS, steps = formed_by(ladder([3.3, 3.6]), (128, 128), 9)
    report = report_of(conductance_uS, steps, ladder([3.3, 3.6]), reference)
    for step in report.steps:
        assert step.cells == 64 * 128
        assert step.formed_fraction == pytest.approx(BREAKDOWN.cdf(step.amplitude_v), abs=0.03)
        assert step.measured_fraction == pytest.approx(BREAKDOWN.cdf(step.amplitude_v), abs=0.07)
    assert report.comparison is not None
    assert report.comparison.cells == 3


def test_gains_of_channels_raise_no_alarm_and_hide_none() -> None:
    conductance_uS, steps = formed_by(dense(), (128, 512), 5)
    gains = 1 + np.linspace(-0.02, 0.02, 8)[np.arange(128) % 8]
    seen_uS = conductance_uS * gains[:, None]
    everywhere = np.ones(seen_uS.shape, dtype=bool)
    treatment = Treatment(dense(), steps, everywhere, ~everywhere, ~everywhere)
    assert analyse(measured(seen_uS), treatment).rows.stands_out
    assert not analyse(measured(seen_uS), treatment, channels=8).rows.stands_out
    seen_uS[40] *= 1.1
    assert analyse(measured(seen_uS), treatment, channels=8).rows.stands_out


def test_a_chip_is_judged_by_the_cells_own_conductance() -> None:
    conductance_uS, steps = formed_by(dense(), (64, 64), 6)
    read_uS = conductance_uS * np.linspace(0.8, 1.0, 64)  # columns lose by their place
    everywhere = np.ones(read_uS.shape, dtype=bool)
    treatment = Treatment(dense(), steps, everywhere, ~everywhere, ~everywhere)
    reference = Reference(np.array([3.4]), np.sort(conductance_uS.ravel()[:1000]))
    as_read = analyse(measured(read_uS), treatment, reference)
    own = analyse(replace(measured(read_uS), own_uS=conductance_uS), treatment, reference)
    assert as_read.comparison is not None
    assert own.comparison is not None
    assert as_read.comparison.ks.p_value < 1e-6 < 0.01 < own.comparison.ks.p_value
    assert (as_read.wires_removed, own.wires_removed) == (False, True)
    assert own.conductance_uS.mean == pytest.approx(conductance_uS.mean())
    assert as_read.conductance_uS.mean == pytest.approx(read_uS.mean(), rel=1e-3)
    assert (as_read.columns.stands_out, own.columns.stands_out) == (True, False)


def test_wires_are_taken_out_of_a_map_of_the_whole_array() -> None:
    board = replace(BOARD, rows=64, columns=64)
    cells, _ = formed_by(dense(), (64, 64), 8)
    whole = measured(effective_uS(cells, Lines(125.0, 0.5, 0.1, 1.0)))
    own = with_own_conductance(whole, board)
    assert own.own_uS is not None
    assert abs(own.conductance_uS - cells).max() < 0.01  # the codes' rounding
    assert np.array_equal(own.read_uS, whole.conductance_uS)
    assert with_own_conductance(whole, replace(board, rows=512)).own_uS is None
    impossible = measured(np.full((64, 64), 90.0))
    far = replace(board.lines, source_segment_ohm=500.0)
    assert with_own_conductance(impossible, replace(board, lines=far)).own_uS is None


def test_a_report_is_plain_json() -> None:
    conductance_uS, steps = formed_by(sparse(), (16, 16), 1)
    reference = Reference(np.array([3.4]), np.array([9.0, 12.0]))
    said = json.loads(json.dumps(report_of(conductance_uS, steps, sparse(), reference).as_dict()))
    assert said["comparison"]["ks"].keys() == {"statistic", "p_value"}
    assert report_of(conductance_uS, steps * 0, None).steps == ()


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_ks_test_is_that_of_scipy(shift: float) -> None:
    random = np.random.default_rng(8)
    ours, theirs = random.normal(shift, 1, 5000), np.round(random.normal(0, 1, 400), 1)
    expected = stats.ks_2samp(ours, theirs, method="asymp")
    found = ks_test(ours, theirs)
    assert found.statistic == pytest.approx(expected.statistic)
    # scipy corrects the asymptotic law for small samples
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.05)


def test_without_the_data_there_is_no_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RRAMHIL_DATA", raising=False)
    assert load_reference() is None
    assert load_reference(tmp_path) is None


def test_a_damaged_reference_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rram_measured" / "esgnn"
    folder.mkdir(parents=True)
    (folder / "fig1_hidden_conductance_50x50.csv").write_text("1,2\n3,x\n")
    (folder / "ext_data_fig1_400_values.csv").write_text("3.4\n")
    monkeypatch.setenv("RRAMHIL_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=r"50x50\.csv cannot be read"):
        load_reference()


def test_the_measured_reference_is_what_its_provenance_says(data_root: Path) -> None:
    reference = load_reference(data_root)
    assert reference is not None
    assert len(reference.breakdown_v) == 400
    assert len(reference.conductance_uS) == 1232
    assert reference.breakdown_v.mean() == pytest.approx(3.433, abs=5e-4)
    assert reference.formed_fraction(4.0) == 1.0


@pytest.mark.parametrize("share_formed", [0.0, 0.5, 1.0])
def test_a_picture_is_a_png_whatever_the_map_holds(tmp_path: Path, share_formed: float) -> None:
    conductance_uS, _ = formed_by(dense(), (20, 30), 1)
    conductance_uS[np.random.default_rng(1).random((20, 30)) > share_formed] = 0.0
    path = tmp_path / "map.png"
    save_picture(measured(conductance_uS), path, describe(measured(conductance_uS)))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_a_map_without_a_valid_cell_can_be_drawn(tmp_path: Path) -> None:
    nothing = measured(np.zeros((4, 5)), valid=np.zeros((4, 5), dtype=bool))
    save_picture(nothing, tmp_path / "map.png", describe(nothing))
    assert (tmp_path / "map.png").stat().st_size > 0


def test_a_title_says_chip_recipe_and_date() -> None:
    title = describe(measured(np.zeros((4, 5))))
    assert title.startswith("R40-1 — recipe dense\n")
    assert "4 × 5 cells" in title


def test_a_terminal_map_has_means_of_blocks() -> None:
    conductance_uS = np.arange(24, dtype=np.float64).reshape(4, 6)
    valid = np.ones((4, 6), dtype=bool)
    valid[0, 0] = False
    valid[2:, :3] = False
    blocks = np.array(terminal_map(measured(conductance_uS, valid), 2, 2))
    assert np.isnan(blocks[1, 0])
    assert blocks[0, 0] == pytest.approx((1 + 2 + 6 + 7 + 8) / 5)
    assert blocks[1, 1] == pytest.approx(conductance_uS[2:, 3:].mean())
    assert np.array(terminal_map(measured(conductance_uS), 100, 100)).shape == (4, 6)
