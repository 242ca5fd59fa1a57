"""The normal numbers of the simulated board: exact moments of the table, and drawn samples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from sim_backend import fixedpoint, readpath, tables
from sim_backend.frontend import Converter, transfers
from sim_backend.profile import load
from sim_backend.randomness import board_key, child, children
from sim_backend.readpath import Block, NoiseKeys

TABLE = tables.load().normal / 2.0**20


def weighted() -> tuple[np.ndarray, np.ndarray]:
    """Every value a draw can take, with its probability."""
    values = np.concatenate([TABLE[16 : 65536 - 16], TABLE[65536:]])
    weights = np.full(values.size, 2.0**-28)
    weights[: 65536 - 32] = 2.0**-16
    return values, weights


def test_the_table_has_the_moments_of_the_normal_distribution():
    values, weights = weighted()
    assert weights.sum() == 1
    assert abs((weights * values).sum()) < 1e-15
    assert abs((weights * values**2).sum() - 1) < 2e-8
    assert abs((weights * values**3).sum()) < 1e-14
    assert abs((weights * values**4).sum() - 3) < 1e-5


def test_tails_reach_beyond_five_sigma_at_the_right_rate():
    values, weights = weighted()
    for sigma in (3.0, 4.0, 4.5, 5.0, 5.4):
        rate = weights[values > sigma].sum()
        assert rate == pytest.approx(stats.norm.sf(sigma), rel=0.02)
        assert weights[values < -sigma].sum() == rate
    assert values.max() > 5.8


def test_the_fine_entries_of_a_bin_average_to_the_bin():
    fine = TABLE[65536:].reshape(32, 4096).mean(axis=1)
    assert fine == pytest.approx(
        np.concatenate([TABLE[-16 - 131072 : -131072], TABLE[:16]]), abs=1e-6
    )


PIECE = 1 << 22


def codes_drawn(conversions: int) -> Iterator[np.ndarray]:
    """Codes of that many conversions of one row, 1,000 codes a sd, in pieces."""
    key = child(board_key(11), 1, 0, 0)
    keys = NoiseKeys(children(child(key, 5), 1), children(child(key, 6), 1))
    columns = 4096
    middle, sd = 8192 << 16, 1000 << 16  # clips beyond 8 sd only
    block = Block(
        rows=np.array([0]),
        counts=np.array([0], np.uint64),
        level=np.full((1, columns), middle, np.int32),
        spread=np.full((1, columns), sd, np.int32),
        top=16383,
        transfer=transfers((Converter(14, 0, 0, 0, 0, 0, 0),)),
    )
    for start in range(0, conversions, PIECE):
        codes = np.empty(min(PIECE, conversions - start), np.uint16)
        stop = start + codes.size
        assert readpath.read(start, stop, block, keys, tables.load().normal, codes) == 0
        yield codes


def drawn(conversions: int) -> np.ndarray:
    """Noise of that many conversions of one row, in sd."""
    codes = np.concatenate(list(codes_drawn(conversions)))
    return (codes.astype(np.float64) - 8192 + 0.5) / 1000  # a code is the floor of its level


def test_a_hundred_million_draws_are_normal_within_sampling_error():
    n = 100_000_000
    counts = sum(np.bincount(codes, minlength=1 << 14) for codes in codes_drawn(n))
    values = (np.arange(counts.size) - 8192 + 0.5) / 1000
    mean = (counts * values).sum() / n
    second, third, fourth = ((counts * (values - mean) ** k).sum() / n for k in (2, 3, 4))
    sd = math.sqrt(second)
    assert abs(mean) < 4 / math.sqrt(n)
    assert abs(sd - 1) < 4 / math.sqrt(2 * n)
    assert abs(third / sd**3) < 4 * math.sqrt(6 / n)
    assert abs(fourth / sd**4 - 3) < 4 * math.sqrt(24 / n)
    for sigma in (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 5.4):
        expected = n * stats.norm.sf(sigma)
        for side in (counts[values > sigma], counts[values < -sigma]):
            assert side.sum() == pytest.approx(expected, abs=4 * math.sqrt(expected) + 1)


def test_noise_of_conversions_is_normal_and_white():
    n = 1 << 22
    sample = drawn(n)
    assert abs(sample.mean()) < 4 / math.sqrt(n)
    assert abs(sample.std() - 1) < 4 / math.sqrt(2 * n)
    assert abs(stats.skew(sample)) < 4 * math.sqrt(6 / n)
    assert abs(stats.kurtosis(sample)) < 4 * math.sqrt(24 / n)
    for lag in (1, 2, 3, 4, 5, 8, 4096):
        assert abs(np.mean(sample[lag:] * sample[:-lag])) < 4 / math.sqrt(n)
    assert stats.kstest(sample[: 1 << 18], "norm").pvalue > 0.001
    far = np.abs(sample) > 4
    assert far.sum() == pytest.approx(2 * n * stats.norm.sf(4), abs=4 * math.sqrt(n * 6.3e-5))


def test_forming_numbers_reproduce_the_profile():
    numbers = fixedpoint.forming_numbers(load("rram40_256k"))
    assert (numbers.breakdown_mean_uv, numbers.breakdown_sd_uv) == (3_433_000, 114_000)
