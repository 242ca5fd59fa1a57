"""The nominal model between codes and conductance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import CodeModel, nominal

GAINS = (0.00625, 0.05, 0.4)


def model() -> CodeModel:
    return nominal(per_code_uS=GAINS, zero_conversions=16, pedestal=256, adc_bits=14)


def test_the_zero_of_each_row_is_subtracted_before_the_gain_is_applied():
    codes = np.array([[256, 456], [300, 500]], dtype=np.uint16)
    zeros = np.array([256 * 16, 300 * 16 + 8], dtype=np.uint32)
    expected = np.array([[0.0, 200.0], [-0.5, 199.5]]) * 0.05
    assert np.allclose(model().to_uS(codes, zeros, 1), expected, rtol=1e-15, atol=0)


def test_reads_stack_in_front_of_rows_and_columns():
    codes = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    zeros = np.array([0, 16, 32], dtype=np.uint32)
    stacked = model().to_uS(codes, zeros, 0)
    assert stacked.shape == (2, 3, 4)
    assert stacked.dtype == np.float64
    assert np.array_equal(stacked[1], model().to_uS(codes[1], zeros, 0))


@given(st.floats(-1.0, 100.0), st.integers(0, 2))
def test_a_conductance_comes_back_from_the_codes_it_reads(conductance: float, range_index: int):
    codes = model().to_codes([[conductance]], range_index)
    back = model().to_uS(codes, 256 * 16, range_index)
    assert back[0, 0] == pytest.approx(conductance, abs=1e-9)


def test_the_id_names_the_parameters_and_nothing_else():
    assert model().id == model().id
    assert model().id.startswith("nominal-")
    assert len(model().id) == len("nominal-") + 12
    others = [
        nominal(per_code_uS=(0.00625,), zero_conversions=16, pedestal=256, adc_bits=14),
        nominal(per_code_uS=GAINS, zero_conversions=8, pedestal=256, adc_bits=14),
        nominal(per_code_uS=GAINS, zero_conversions=16, pedestal=255, adc_bits=14),
        nominal(per_code_uS=GAINS, zero_conversions=16, pedestal=256, adc_bits=16),
    ]
    assert len({model().id, *(other.id for other in others)}) == 5


@pytest.mark.parametrize("range_index", [-1, 3])
def test_a_range_the_board_does_not_have_is_refused(range_index: int):
    with pytest.raises(ValueError, match=f"range must be 0 to 2, got {range_index}"):
        model().to_codes(1.0, range_index)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"per_code_uS": ()}, "at least one range"),
        ({"per_code_uS": (0.0,)}, "must be positive"),
        ({"per_code_uS": (float("nan"),)}, "must be positive"),
        ({"zero_conversions": 0}, "1 conversion or more"),
        ({"pedestal": 1 << 14}, "pedestal must be 0 to 16383"),
        ({"adc_bits": 0}, "1 to 16 bits"),
    ],
)
def test_a_model_checks_itself(change: dict[str, object], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(model(), **change)
