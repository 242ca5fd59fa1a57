"""Gains measured over the wire, against what the simulated board really has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from calibration import measure_gains
from firmware_protocol.messages import MeasureSource, Rail
from rramhil.driver import Board
from sim_backend.frontend import REFERENCE_MK, converters, front_end, transitions
from sim_backend.profile import load
from sim_backend.randomness import board_key
from tests.support.boards import served_board

SEED = 6
PROFILE = load("rram40_256k")
FRONT = front_end(PROFILE, SEED, REFERENCE_MK)
TRANSITIONS = [transitions(one) for one in converters(PROFILE, board_key(SEED), REFERENCE_MK)]


def mean_code(channel: int, level: float) -> float:
    """Mean of many noisy conversions of a level: how many transitions it passes on average."""
    return float(special.ndtr((level - TRANSITIONS[channel]) / FRONT.read.adc_noise).sum())


def true_per_code_uS(channel: int, index: int, conductance_uS: float) -> float:
    """What a code of a cell of this conductance is worth."""
    zero = FRONT.open_inputs(index)[channel]
    current = conductance_uS * 1e6 * FRONT.read.gain[channel, index] / 2**26
    return conductance_uS / (mean_code(channel, zero + current) - mean_code(channel, zero))


def test_calibration_recovers_the_gains_of_a_board_within_their_uncertainty(tmp_path: Path):
    with served_board(tmp_path, seed=SEED) as address, Board.open(address, lab_root=tmp_path) as b:
        facts = b.description
        reference_uS = [entry.reference_uS for entry in facts.ranges]
        read_code = facts.dac_code(Rail.RAIL_A, facts.read_voltage_v)
        tolerance = facts.references.resistor_tolerance
        found = measure_gains(
            b, reference_uS=reference_uS, tolerance=tolerance, read_code=read_code
        )
        half = [
            b.measure(
                MeasureSource.RESISTOR, range_index=n, dac_code=read_code // 2, conversions=1024
            ).codes
            for n in range(3)
        ]
    own_uS = np.array(reference_uS) * (1 + np.array(FRONT.references.resistor_ppb) / 1e9)
    true = np.array(
        [[true_per_code_uS(c, n, uS) for n, uS in enumerate(own_uS.tolist())] for c in range(8)]
    )
    error = found.per_code_uS / true - 1
    sd = found.per_code_sd_uS / true
    assert (abs(error) < tolerance + 5 * sd).all()
    # the resistor's own error is common to the channels of a range; what is left is noise
    assert (abs(error - error.mean(axis=0)) < 5 * sd).all()
    assert found.temperature_k == 298.15

    nominal = np.array([entry.per_code_uS for entry in facts.ranges])
    assert np.ptp(found.per_code_uS / nominal, axis=0).min() > 0.01
    # at another voltage all channels see the same resistor: with their own gains they agree
    rise = np.array(half).T - found.zero_codes
    uncorrected, corrected = rise * nominal, rise * found.per_code_uS
    assert (np.ptp(uncorrected, axis=0) / uncorrected.mean(axis=0)).min() > 0.01
    assert np.ptp(corrected, axis=0) / corrected.mean(axis=0) == pytest.approx(0, abs=6e-4)
