"""Verification: each fault is found and named, and a sound chip raises no alarm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from rramhil.switching import (
    Geometry,
    Mask,
    MatrixShape,
    Noise,
    Schedule,
    compile_masks,
    expected,
    pack,
    row_sums,
    verify,
)

MACRO = Geometry(512, 512, 8)
NOISE = Noise(cell_relative=0.02, converter_codes=0.75, zero_conversions=16)


class Chip(NamedTuple):
    schedule: Schedule
    cells: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    def measured(self, seed: int) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        return self.mean + self.sd * rng.standard_normal(len(self.mean))


def chip_of(mask: Mask, per_code_uS: float = 0.4) -> Chip:
    rng = np.random.default_rng(99)
    codes = rng.lognormal(np.log(12.2), 0.15, (512, 512)) / per_code_uS
    placement = pack([MatrixShape("a", *mask.shape)], MACRO)
    schedule = compile_masks(placement, {"a": mask}, 2)[0].schedule
    ones = np.ones((1, 512), dtype=np.int64)
    predicted = expected(schedule, codes, ones, 1, False, NOISE)
    mean, sd = predicted.mean, predicted.sd
    return Chip(
        schedule, codes[schedule.samples.row], row_sums(schedule, mean), row_sums(schedule, sd)
    )


@pytest.fixture(scope="module")
def dense() -> Chip:
    return chip_of(Mask.pair(np.ones((256, 400))))


@pytest.fixture(scope="module")
def gated() -> Chip:
    rng = np.random.default_rng(1)
    return chip_of(Mask.cell(rng.random((200, 400)) < 0.5, rng.random((200, 400)) < 0.5))


@pytest.fixture(scope="module")
def small() -> Chip:
    rng = np.random.default_rng(2)
    return chip_of(Mask.pair(rng.random((10, 30)) < 0.5))


@pytest.fixture(params=["dense", "gated", "small"])
def chip(request: pytest.FixtureRequest) -> Chip:
    return request.getfixturevalue(request.param)


def faults(chip: Chip, measured: NDArray[np.float64]) -> list[tuple[str, int]]:
    found = verify(chip.schedule, measured, chip.cells, chip.sd).findings
    return sorted((finding.fault, finding.line) for finding in found)


def test_a_hundred_runs_over_a_sound_chip_raise_no_alarm(chip: Chip) -> None:
    for seed in range(100):
        report = verify(chip.schedule, chip.measured(seed), chip.cells, chip.sd)
        assert report.clean
        assert 0.5 < report.rms_sigma < 1.6
    assert 5 < report.threshold_sigma < 7
    assert report.tests == 2 * 512 + 8 + len(chip.mean)


@pytest.mark.parametrize("seed", range(5))
def test_a_switch_that_stays_open_is_named(chip: Chip, seed: int) -> None:
    gates = chip.schedule.gates[chip.schedule.samples.step]
    column = int(np.random.default_rng(seed).choice(np.flatnonzero(gates.sum(axis=0) >= 4)))
    measured = chip.measured(seed) - chip.cells[:, column] * gates[:, column]
    found = verify(chip.schedule, measured, chip.cells, chip.sd)
    assert [(one.fault, one.line) for one in found.findings] == [("switch", column)]
    assert f"The switch of bit line {column} " in found.findings[0].sentence
    assert "stuck open" in found.findings[0].sentence


@pytest.mark.parametrize("seed", range(5))
def test_a_switch_that_stays_closed_is_named_even_on_a_line_that_nothing_uses(
    chip: Chip, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    gates = chip.schedule.gates[chip.schedule.samples.step]
    for column in (int(rng.integers(0, 30)), 450 + seed):
        if gates[:, column].all():
            continue
        measured = chip.measured(seed) + chip.cells[:, column] * ~gates[:, column]
        assert faults(chip, measured) == [("switch", column)]


@pytest.mark.parametrize("seed", range(5))
def test_a_row_that_drifted_is_named(chip: Chip, seed: int) -> None:
    rng = np.random.default_rng(seed)
    place = int(rng.integers(len(chip.mean)))
    measured = chip.measured(seed)
    measured[place] *= 0.85 if seed % 2 else 1.15
    row = int(chip.schedule.samples.row[place])
    assert faults(chip, measured) == [("row", row)]
    sentence = verify(chip.schedule, measured, chip.cells, chip.sd).findings[0].sentence
    assert f"Row {row} reads 1" in sentence
    assert ("less" if seed % 2 else "more") in sentence


@pytest.mark.parametrize("channel", range(8))
@pytest.mark.parametrize("level", [-20.0, 0.0, 16_000.0])
def test_a_dead_channel_is_named_and_not_its_rows(
    dense: Chip, gated: Chip, channel: int, level: float
) -> None:
    for chip in (dense, gated):
        own = chip.schedule.samples.channel == channel
        noise = 0.75 * np.random.default_rng(channel).standard_normal(int(own.sum()))
        measured = chip.measured(channel)
        measured[own] = level + noise
        assert faults(chip, measured) == [("dead channel", channel)]


def test_a_channel_whose_gain_moved_is_told_from_a_dead_one(dense: Chip, gated: Chip) -> None:
    for chip in (dense, gated):
        measured = chip.measured(3)
        measured[chip.schedule.samples.channel == 5] *= 0.97
        found = verify(chip.schedule, measured, chip.cells, chip.sd).findings
        assert [(one.fault, one.line) for one in found] == [("channel gain", 5)]
        assert "3.0" in found[0].sentence or "2.9" in found[0].sentence


def test_several_faults_at_once_are_told_apart(gated: Chip) -> None:
    samples = gated.schedule.samples
    gates = gated.schedule.gates[samples.step]
    measured = gated.measured(0)
    measured -= gated.cells[:, 17] * gates[:, 17]
    measured -= gated.cells[:, 200] * gates[:, 200]
    measured += gated.cells[:, 300] * ~gates[:, 300]
    measured[samples.channel == 2] = 11.0
    drifted = int(np.flatnonzero(samples.channel == 3)[10])
    measured[drifted] *= 1.2
    assert faults(gated, measured) == [
        ("dead channel", 2),
        ("row", int(samples.row[drifted])),
        ("switch", 17),
        ("switch", 200),
        ("switch", 300),
    ]


def test_a_register_that_reads_back_wrong_is_named_and_its_effect_expected(gated: Chip) -> None:
    read_back = gated.schedule.gates.copy()
    read_back[:, 77] = False
    gates = gated.schedule.gates[gated.schedule.samples.step]
    measured = gated.measured(1) - gated.cells[:, 77] * gates[:, 77]
    found = verify(gated.schedule, measured, gated.cells, gated.sd, read_back).findings
    assert [(one.fault, one.line) for one in found] == [("switch", 77)]
    assert "reads back at ground against its gate" in found[0].sentence
    with pytest.raises(ValueError, match="not every step and line"):
        verify(gated.schedule, measured, gated.cells, gated.sd, read_back[:-1])


def test_a_column_that_only_one_row_uses_is_called_a_drifted_row(small: Chip) -> None:
    measured = small.measured(0)
    measured[4] -= 30.0 + 20 * small.sd[4]
    assert faults(small, measured) == [("row", int(small.schedule.samples.row[4]))]


def test_a_chip_on_which_every_channel_is_dead_is_no_endless_search(dense: Chip) -> None:
    found = faults(dense, np.zeros(len(dense.mean)))
    assert found == [("dead channel", channel) for channel in range(8)]


def test_a_schedule_without_steps_is_clean() -> None:
    empty = Chip(*chip_of(Mask.pair(np.zeros((2, 2)))))
    report = verify(empty.schedule, empty.mean, empty.cells, empty.sd)
    assert (report.clean, report.samples, report.rms_sigma) == (True, 0, 0.0)


def test_sums_that_share_an_accumulator_are_refused(small: Chip) -> None:
    samples = small.schedule.samples
    doubled = Schedule.from_steps(
        [small.schedule.step(0), small.schedule.step(0)], 8, small.schedule.accumulator_count
    )
    with pytest.raises(ValueError, match="share an accumulator"):
        row_sums(doubled, np.zeros((1, doubled.accumulator_count)))
    with pytest.raises(ValueError, match="standard deviation above 0"):
        verify(small.schedule, small.mean, small.cells, 0 * small.sd)
    with pytest.raises(ValueError, match="do not fit"):
        verify(small.schedule, np.zeros(len(samples.row) + 1), small.cells, small.sd)
