"""Measured gains: the procedure against a board made of numbers, and the model that uses them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration import Gains, calibrated, measure_gains, nominal
from firmware_protocol.messages import MeasureSource

REFERENCE_US = (75.0, 600.0, 4800.0)
PER_CODE_US = (0.00625, 0.05, 0.4)
ERRORS = np.linspace(-0.02, 0.02, 24).reshape(8, 3)
ZEROS = 256 + np.arange(24).reshape(8, 3) / 3


@dataclass(frozen=True)
class Taken:
    codes: NDArray[np.float64]
    temperature_k: float = 300.0


class Board:
    """Eight channels with these errors, and normal noise of 0.8 codes a conversion."""

    def __init__(self, errors: NDArray[np.float64] = ERRORS) -> None:
        self.errors = errors
        self.asked: list[tuple[MeasureSource, int, int]] = []
        self.random = np.random.default_rng(5)

    def measure(
        self,
        source: MeasureSource,
        *,
        range_index: int = 0,
        dac_code: int = 0,
        conversions: int = 16,
    ) -> Taken:
        self.asked.append((source, range_index, dac_code))
        codes = ZEROS[:, range_index].copy()
        if source == MeasureSource.RESISTOR:
            codes += 12_000 * (1 + self.errors[:, range_index])
        return Taken(codes + self.random.normal(0, 0.8 / conversions**0.5, 8))


def gains_of(board: Board) -> Gains:
    return measure_gains(board, reference_uS=REFERENCE_US, tolerance=5e-4, read_code=2621)


def test_gains_and_zeros_come_out_within_their_uncertainty():
    found = gains_of(Board())
    true = np.array(PER_CODE_US) / (1 + ERRORS)
    pull = (found.per_code_uS - true) / found.per_code_sd_uS
    assert abs(pull).max() < 5
    assert 0.5 < pull.std() < 2
    zero_pull = (found.zero_codes - ZEROS) / found.zero_sd_codes
    assert abs(zero_pull).max() < 5
    assert (found.per_code_sd_uS / true).max() < 5e-6
    assert (found.tolerance, found.temperature_k) == (5e-4, 300.0)
    with pytest.raises(ValueError, match="read-only"):
        found.per_code_uS[0, 0] = 1.0


def test_the_resistor_is_measured_at_the_voltage_that_cells_are_read_at():
    board = Board()
    gains_of(board)
    assert {(source, code) for source, _, code in board.asked} == {
        (MeasureSource.OPEN, 0),
        (MeasureSource.RESISTOR, 2621),
    }
    assert {index for _, index, _ in board.asked} == {0, 1, 2}


def test_a_channel_that_does_not_react_is_named():
    errors = ERRORS.copy()
    errors[[2, 5], 1] = -1.0
    with pytest.raises(ValueError, match=r"channels \[2, 5\] do not react .* range 1"):
        gains_of(Board(errors))


def test_a_calibrated_model_gives_every_row_the_gain_of_its_channel():
    found = gains_of(Board())
    model = nominal(per_code_uS=PER_CODE_US, zero_conversions=16, pedestal=256, adc_bits=14)
    better = calibrated(model, found)
    rows = np.array([3, 8, 9, 511])
    codes = np.full((2, 4, 5), 2256.0)
    zeros = np.full(4, 16 * 256, dtype=np.uint32)
    got = better.to_uS(codes, zeros, 1, rows)
    for n, channel in enumerate((3, 0, 1, 7)):
        assert got[:, n] == pytest.approx(2000 * found.per_code_uS[channel, 1], rel=1e-12)
    assert better.id == found.id != model.id
    assert found.id.startswith("gains-")
    assert np.array_equal(model.to_uS(codes, zeros, 1, rows), model.to_uS(codes, zeros, 1))


def test_gains_of_other_rows_or_ranges_are_refused():
    found = gains_of(Board())
    model = nominal(per_code_uS=PER_CODE_US, zero_conversions=16, pedestal=256, adc_bits=14)
    with pytest.raises(ValueError, match="say which rows"):
        calibrated(model, found).to_uS(np.zeros((1, 1)), 0, 0)
    with pytest.raises(ValueError, match="range must be 0 to 2, got 3"):
        found.per_row_uS([0], 3)
    with pytest.raises(ValueError, match="gains of 3 ranges for 1 ranges"):
        calibrated(
            nominal(per_code_uS=(0.1,), zero_conversions=16, pedestal=256, adc_bits=14), found
        )
