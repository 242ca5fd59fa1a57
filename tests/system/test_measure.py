"""Measuring references through the driver, against the served board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.messages import Command, MeasureRequest, MeasureSource, Rail
from rramhil.driver import Board
from rramhil.errors import BoardError, LimitRefused
from tests.support.boards import served_board


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with (
        served_board(tmp_path, seed=4) as address,
        Board.open(address, lab_root=tmp_path) as opened,
    ):
        yield opened


def test_references_read_what_the_board_says_of_them_within_its_errors(board: Board):
    facts = board.description
    code_v = facts.adc_span_v / (1 << facts.adc_bits)
    ground = board.measure(MeasureSource.GROUND, conversions=256)
    assert ground.channels.tolist() == list(range(facts.channels))
    assert ground.sums.dtype == np.uint32
    assert abs(ground.codes - facts.pedestal).max() < 8
    voltage = board.measure(MeasureSource.VOLTAGE, conversions=256)
    assert (voltage.codes - ground.codes) * code_v == pytest.approx(
        np.full(8, facts.references.voltage_v), rel=0.004
    )
    code = facts.dac_code(Rail.WORD, 3.0)
    rail = board.measure(MeasureSource.RAIL, rail=Rail.WORD, dac_code=code, conversions=256)
    rail_v = (rail.codes - ground.codes) * code_v / facts.references.divider
    assert rail_v == pytest.approx(np.full(8, 3.0), abs=0.02)
    for index, entry in enumerate(facts.ranges):
        zero = board.measure(MeasureSource.OPEN, range_index=index, conversions=256)
        full = board.measure(
            MeasureSource.RESISTOR,
            range_index=index,
            dac_code=facts.dac_code(Rail.RAIL_A, facts.read_voltage_v),
            conversions=256,
        )
        seen_uS = (full.codes - zero.codes) * entry.per_code_uS
        assert seen_uS == pytest.approx(np.full(8, entry.reference_uS), rel=0.03)
        assert np.ptp(seen_uS) > 0.003 * entry.reference_uS
    assert full.temperature_k == 298.15
    assert full.board_time_ns == board.status().board_time_ns


def test_a_code_sweep_of_the_resistor_is_a_straight_line_up_to_the_end_of_the_scale(board: Board):
    codes = np.arange(400, 3933, 400)
    sweep = np.array(
        [
            board.measure(
                MeasureSource.RESISTOR, dac_code=int(code), conversions=64, channels=[3]
            ).codes[0]
            for code in codes
        ]
    )
    inside = sweep < 16_000
    assert 6 < inside.sum() < len(codes)
    line = np.polyval(np.polyfit(codes[inside], sweep[inside], 1), codes[inside])
    assert abs(sweep[inside] - line).max() < 4  # INL, and the noise of the mean
    assert sweep[-1] == 16383


def test_host_and_board_refuse_too_high_a_voltage_on_the_resistor(board: Board):
    with pytest.raises(LimitRefused, match=r"0\.300\d* V .* above 0\.3 V"):
        board.measure(MeasureSource.RESISTOR, dac_code=3933)
    request = MeasureRequest(MeasureSource.RESISTOR, 0, 0, 0, 3933, 1, 1)
    with pytest.raises(LimitRefused):
        board.link.request(Command.MEASURE, request.pack())


def test_a_refused_measurement_leaves_the_board_usable(board: Board):
    with pytest.raises(BoardError):
        board.measure(MeasureSource.GROUND, range_index=2)
    assert board.measure(MeasureSource.GROUND, conversions=1, channels=0).sums.shape == (1,)
    with pytest.raises(ValueError, match="channel 8 lies outside 0 to 7"):
        board.measure(MeasureSource.GROUND, channels=8)
