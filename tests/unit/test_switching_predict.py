"""Predictions of accumulators against a simulation of every conversion, written for this test."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rramhil.switching import (
    Noise,
    Sample,
    Schedule,
    Step,
    expected,
    expected_of_samples,
)

NOISE = Noise(cell_relative=0.05, converter_codes=0.75, zero_conversions=16)
SILENT = Noise(0.0, 0.0, 1)
RNG = np.random.default_rng(4)
CODES = RNG.uniform(3, 60, (12, 10))
SCHEDULE = Schedule.from_steps(
    [
        Step(0, RNG.random(10) < 0.6, (Sample(0, 0), Sample(5, 1), Sample(2, 2))),
        Step(0, RNG.random(10) < 0.6, (Sample(9, 0, -1), Sample(4, 3))),
        # the same row again: both samples share its zero
        Step(0, RNG.random(10) < 0.6, (Sample(0, 0), Sample(7, 3, -1))),
    ],
    channels=4,
    accumulator_count=5,
)


def simulate(
    inputs: NDArray[np.int64], bits: int, signed: bool, runs: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(runs, accumulators) for one vector: zeros are measured anew in each run."""
    sums = np.zeros((runs, 5))
    pedestal = 256.3
    dark = pedestal + NOISE.converter_codes * rng.standard_normal((runs, 12, 16))
    zeros = np.round(np.round(dark).mean(axis=2))
    for number in range(SCHEDULE.steps):
        step = SCHEDULE.step(number)
        for plane in range(bits):
            driven = step.gate & ((inputs >> plane & 1) == 1)
            weight = (1 << plane) * (-1 if signed and plane == bits - 1 else 1)
            for row, accumulator, sign in step.samples:
                noise = 1 + NOISE.cell_relative * rng.standard_normal((runs, 10))
                level = pedestal + (CODES[row] * noise) @ driven
                codes = np.round(level + NOISE.converter_codes * rng.standard_normal(runs))
                sums[:, accumulator] += sign * weight * (codes - zeros[:, row])
    return sums


@pytest.mark.parametrize(("bits", "signed"), [(1, False), (4, False), (3, True), (8, True)])
def test_mean_and_scatter_are_those_of_a_simulation(bits: int, signed: bool) -> None:
    rng = np.random.default_rng(bits)
    low = -(1 << bits - 1) if signed else 0
    inputs = rng.integers(low, low + (1 << bits), (1, 10))
    found = simulate(inputs[0], bits, signed, 4000, rng)
    prediction = expected(SCHEDULE, CODES, inputs, bits, signed, NOISE)
    mean, sd = prediction.mean[0], prediction.sd[0]
    assert sd.shape == mean.shape == (5,)
    assert (sd[4], mean[4]) == (0.0, 0.0)
    used = sd > 0
    # zeros are rounded, so that their mean may be off by a part of a code in every conversion
    planes = (1 << bits) - 1
    assert (np.abs(found.mean(axis=0) - mean)[used] < 5 * sd[used] / 63 + 0.75 * planes).all()
    ratio = found.std(axis=0)[used] / sd[used]
    assert ((ratio > 0.85) & (ratio < 1.08)).all()


def test_without_noise_the_mean_is_the_gated_product() -> None:
    inputs = np.arange(-5, 5)[None].repeat(3, axis=0)
    prediction = expected(SCHEDULE, CODES, inputs, 4, True, SILENT)
    mean, sd = prediction.mean, prediction.sd
    first, second, third = (SCHEDULE.gates[number] * inputs[0] for number in range(3))
    wanted = CODES[0] @ first - CODES[9] @ second + CODES[0] @ third
    assert mean[:, 0] == pytest.approx([wanted] * 3)
    # rounding alone: 1/12 in each conversion, and in each zero
    planes, conversions = -1, (4**4 - 1) / 3
    zeros = (2 * planes) ** 2 + planes**2
    assert sd[0, 0] == pytest.approx(np.sqrt((3 * conversions + zeros) / 12))
    averaged = prediction.sd_of_mean(100)[0, 0]
    assert averaged == pytest.approx(np.sqrt((3 * conversions / 100 + zeros) / 12))


def test_cells_may_depend_on_the_rows_that_are_sampled_together() -> None:
    rows = SCHEDULE.samples.row
    ones = np.ones((1, 10), dtype=np.int64)
    plain = expected(SCHEDULE, CODES, ones, 1, False, NOISE)
    same = expected_of_samples(SCHEDULE, CODES[rows], ones, 1, False, NOISE)
    assert (plain.mean == same.mean).all()
    less = expected_of_samples(SCHEDULE, 0.9 * CODES[rows], ones, 1, False, NOISE)
    assert less.mean == pytest.approx(0.9 * plain.mean)


@pytest.mark.parametrize(
    ("inputs", "bits", "signed", "said"),
    [
        (np.full((1, 10), 4), 2, False, "must lie in 0 to 3"),
        (np.full((1, 10), 2), 2, True, "must lie in -2 to 1"),
        (np.ones((1, 9), dtype=np.int64), 2, False, r"must be \(N, 10\)"),
        (np.ones((1, 10), dtype=np.int64), 9, False, "1 to 8 bits"),
    ],
)
def test_inputs_that_the_board_would_refuse_are_refused(
    inputs: NDArray[np.int64], bits: int, signed: bool, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        expected(SCHEDULE, CODES, inputs, bits, signed, NOISE)
    with pytest.raises(ValueError, match="cells must be"):
        expected_of_samples(SCHEDULE, CODES, np.ones((1, 10), dtype=np.int64), 1, False, NOISE)
