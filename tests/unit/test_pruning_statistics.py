"""Intervals: what they hold, what they do not depend on, and that they hold it often enough."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="pruning needs the extra `train`")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rramhil.pruning import mean_interval, paired_difference

SCORES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-5, 5))


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_an_interval_lies_within_the_scores(scores: np.ndarray):
    found = mean_interval(scores, resamples=200)
    assert found.value == pytest.approx(scores.mean())
    assert scores.min() - 1e-9 <= found.low <= found.high <= scores.max() + 1e-9


@settings(max_examples=40, deadline=None)
@given(SCORES, st.floats(-3, 3))
def test_the_same_gain_on_every_unit_is_known_exactly(scores: np.ndarray, gain: float):
    found = paired_difference(scores + gain, scores, resamples=200)
    assert found == pytest.approx((gain, gain, gain), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_a_difference_turned_round_is_the_negative(scores: np.ndarray):
    other = scores[::-1].copy()
    one = paired_difference(scores, other, resamples=400)
    two = paired_difference(other, scores, resamples=400)
    assert one.value == pytest.approx(-two.value, abs=1e-12)
    spread = np.abs(scores - other).max()
    assert one.low == pytest.approx(-two.high, abs=0.5 * spread + 1e-9)


def test_pairing_takes_out_what_units_have_in_common():
    draw = np.random.default_rng(0)
    hard = draw.normal(size=400)
    ours, theirs = hard + 0.1 + 0.05 * draw.normal(size=400), hard
    paired = paired_difference(ours, theirs)
    alone = mean_interval(ours)
    assert paired.low > 0
    assert paired.high - paired.low < (alone.high - alone.low) / 10


def test_replicates_are_averaged_before_units_are_drawn():
    draw = np.random.default_rng(1)
    answers = (draw.random((3, 300)) < 0.9).astype(float)
    together = mean_interval(answers)
    assert together == mean_interval(answers.mean(axis=0))
    assert together.value == pytest.approx(answers.mean())


def test_a_seed_gives_the_same_interval_again():
    scores = np.random.default_rng(2).random(50)
    assert mean_interval(scores, seed=3) == mean_interval(scores, seed=3)
    assert mean_interval(scores, seed=3) != mean_interval(scores, seed=4)


def test_95_percent_intervals_hold_the_truth_about_so_often():
    draw = np.random.default_rng(5)
    right, trials = 0.9, 400
    held = 0
    for seed in range(trials):
        found = mean_interval(draw.random(200) < right, resamples=500, seed=seed)
        held += found.low <= right <= found.high
    # 400 trials scatter by 1.1 %; percentiles of 200 right or wrong answers miss a little more
    assert 0.90 < held / trials < 0.98


def test_the_width_is_that_of_the_standard_error():
    scores = np.random.default_rng(6).normal(size=1000)
    found = mean_interval(scores)
    assert found.high - found.low == pytest.approx(2 * 1.96 * scores.std() / 1000**0.5, rel=0.05)


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], np.zeros((2, 2, 2))])
def test_what_is_no_list_of_scores_is_refused(bad: object):
    with pytest.raises(ValueError, match="scores"):
        mean_interval(bad)  # type: ignore[arg-type]


def test_scores_of_other_units_are_refused():
    with pytest.raises(ValueError, match="different units"):
        paired_difference(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="level"):
        mean_interval(np.zeros(3), level=1.0)
