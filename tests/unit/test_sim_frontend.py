"""The front end: DACs, amplifiers and converters with their errors, and the references."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol.executor import Refused
from firmware_protocol.fields import FieldError
from firmware_protocol.messages import (
    Command,
    ErrorCode,
    MeasureReply,
    MeasureRequest,
    MeasureSource,
    Rail,
)
from sim_backend.board import SimulatedBoard
from sim_backend.description import describe
from sim_backend.errors import ProfileError
from sim_backend.frontend import (
    REFERENCE_MK,
    Converter,
    converters,
    front_end,
    quantised,
    rail_accuracy_v,
    rail_nv,
    transfers,
    transitions,
)
from sim_backend.profile import load
from sim_backend.randomness import board_key
from tests.unit.test_sim_firmware import Bench, form_rows

PROFILE = load("rram40_256k")
CODE = 1 << 16
SEEDS = st.integers(0, 2**32 - 1)
HOT_MK = REFERENCE_MK + 60_000


# --- converters ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(REFERENCE_MK - 60_000, HOT_MK))
def test_transitions_ascend_within_the_stated_errors(seed: int, temperature_mk: int):
    facts, kelvin = PROFILE.errors.adc, abs(temperature_mk - REFERENCE_MK) / 1000
    offset = float(facts.offset_codes.value + facts.offset_drift_codes_per_k.value * 60)
    drift = float(facts.gain_drift_per_k.value + facts.reference_drift_per_k.value)
    gain = float(facts.gain_relative.value) + drift * kelvin
    dnl = float(facts.dnl_codes.value)
    for converter in converters(PROFILE, board_key(seed), temperature_mk):
        errors = transitions(converter) / CODE - np.arange(1, 1 << 14)
        widths = 1 + np.diff(errors)
        assert abs(widths - 1).max() < dnl + 0.003  # the gain's and the INL's part of a code
        line = converter.offset / CODE + converter.gain_ppb / 1e9 * np.arange(1, 1 << 14)
        assert abs(converter.offset) / CODE <= offset + 0.01
        assert abs(converter.gain_ppb) / 1e9 <= gain + 1e-8
        smooth = errors - line
        assert abs(smooth).max() <= float(facts.inl_codes.value) + dnl / 2 + 1e-3
        assert np.unique(smooth).size > 1000


CONVERTERS = st.builds(
    Converter,
    bits=st.integers(10, 14),
    offset=st.integers(-20 * CODE, 20 * CODE),
    gain_ppb=st.integers(-10_000_000, 10_000_000),
    bow=st.integers(-3 * CODE, 3 * CODE),
    sway=st.integers(-3 * CODE, 3 * CODE),
    jitter=st.integers(0, CODE // 5),
    key=st.integers(0, 2**64 - 1),
)


@settings(deadline=None, max_examples=25)
@given(CONVERTERS, st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=50))
def test_the_table_gives_the_number_of_transitions_passed(converter: Converter, seen: list[int]):
    places, table = transitions(converter), transfers((converter,))[0]
    near = [int(place) + step for place in places[[0, 1, 500, -1]] for step in (-1, 0, 1)]
    edges = places.tolist()
    for level in [*seen, *near]:
        assert quantised(level, 0, 0, table) == bisect_right(edges, level)


def test_a_higher_input_never_gives_a_lower_code_and_no_code_is_missing():
    table = front_end(PROFILE, 3, REFERENCE_MK).read.transfer[2]
    levels = np.arange(-2 * CODE, 800 * CODE, CODE // 64)
    codes = np.array([quantised(level, 0, 0, table) for level in levels])
    assert set(np.diff(codes).tolist()) == {0, 1}
    assert codes[0] == 0


def test_transitions_too_close_for_the_table_are_refused():
    with pytest.raises(ProfileError, match="closer than half a code"):
        transfers((Converter(14, 0, 0, 0, 0, CODE // 2, 7),))
    with pytest.raises(ProfileError, match="beyond 256 codes"):
        transfers((Converter(14, 300 * CODE, 0, 0, 0, 0, 7),))


# --- rails -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(REFERENCE_MK - 60_000, HOT_MK))
def test_rails_ascend_with_their_code_and_keep_the_stated_accuracy(seed: int, temperature_mk: int):
    front, codes = front_end(PROFILE, seed, temperature_mk), np.arange(1 << 16)
    for dac in front.rails:
        volts = rail_nv(codes, dac)
        assert (np.diff(volts) >= 0).all()
        error_v = abs(volts - codes * 5e9 / 65536).max() / 1e9
        assert error_v <= float(rail_accuracy_v(PROFILE)) + 1e-6


def test_an_inhibited_line_cannot_differ_by_what_any_pulse_needs():
    """Commanded within the tolerance, and both rails off by all they may be."""
    facts = describe(PROFILE)
    worst_uv = facts.inhibit_tolerance_uv + 2 * facts.rail_accuracy_uv
    assert 10 * worst_uv < min(envelope.voltage_min_uv for envelope in facts.envelopes)


def test_pulses_apply_what_the_rails_give_and_limits_look_at_the_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with SimulatedBoard(tmp_path, 3, 1) as board:
        seen = []
        monkeypatch.setattr(board, "pulse", lambda *call: seen.append(call[3]) or 0)
        rows = form_rows(1)
        rows["source_code"] = rows["inhibit_code"] = round(4.2 / 5 * 65536)  # the envelope's end
        Bench(board).pulse(rows)
        source_uv, inhibit_uv = (
            int(board.front.rail_uv(rows["source_code"], rail)[0])
            for rail in (Rail.SOURCE, Rail.RAIL_B)
        )
        assert seen[0].inhibited_uv.tolist() == [source_uv - inhibit_uv] != [0]
        ground_uv = int(board.front.rail_uv(rows["bit_code"], Rail.RAIL_A)[0])
        assert seen[0].selected_uv.tolist() == [source_uv - ground_uv]
        assert 0 < abs(seen[0].selected_uv[0] - 4_200_000) <= describe(PROFILE).rail_accuracy_uv * 2


# --- boards and temperatures -------------------------------------------------------------------


def test_channels_and_ranges_and_boards_differ_by_a_per_cent_or_two():
    nominal = 2**42 / np.array([6250, 50_000, 400_000])
    gains = np.array([front_end(PROFILE, seed, REFERENCE_MK).read.gain for seed in range(40)])
    errors = gains / nominal - 1
    assert abs(errors).max() < 0.015 + 0.0085  # the amplifier's and the read voltage's
    assert errors.var(axis=1, ddof=1).mean() == pytest.approx(0.015**2 / 3, rel=0.08)
    assert abs(np.corrcoef(errors[:, 0, 0], errors[:, 1, 0])[0, 1]) < 0.6
    assert np.unique(gains).size > 0.99 * gains.size


def test_the_front_end_is_a_function_of_seed_and_temperature_alone(tmp_path: Path):
    with SimulatedBoard(tmp_path, 11, 1) as board:
        cold = board.front.read
        board.advance(0, HOT_MK)
        hot = board.front.read
        board.advance(0, REFERENCE_MK)
        for name in cold._fields:
            assert np.array_equal(getattr(cold, name), getattr(board.front.read, name))
        fresh = front_end(PROFILE, 11, HOT_MK).read
        assert np.array_equal(hot.transfer, fresh.transfer)
        drift = abs(hot.gain / cold.gain - 1)
        assert 1e-4 < drift.mean() < 60 * 60e-6
        assert (abs(hot.offset - cold.offset) > 0).all()
        assert (hot.transfer != cold.transfer).any()


def test_a_change_of_temperature_reaches_the_next_read(tmp_path: Path):
    rows, columns = np.arange(8), np.arange(512)

    def means(board: SimulatedBoard) -> np.ndarray:
        part = next(board.read(0, rows, columns, 1, 0, 1 << 20))
        return part.codes.reshape(8, 512).mean(axis=1)

    with SimulatedBoard(tmp_path, 11, 1) as board:
        board.chips[0].cells.conductance_ps[:] = 50_000_000
        before = means(board)
        board.advance(0, 423_150)
        after = means(board)
        gain, offset = board.front.read.gain[:, 0] / 2**42 * 6250, board.front.read.offset[:, 0]
        cold = front_end(PROFILE, 11, REFERENCE_MK).read
        change = (
            8000 * (gain - cold.gain[:, 0] / 2**42 * 6250) + (offset - cold.offset[:, 0]) / CODE
        )
        # cells conduct less when they are warm, all by the same
        assert abs(change).max() > 20
        assert np.corrcoef(after - before, change)[0, 1] > 0.9


def test_an_amplifier_that_is_driven_beyond_its_limit_stays_there(tmp_path: Path):
    with SimulatedBoard(tmp_path, 11, 1) as board:
        board.chips[0].cells.conductance_ps[0, :2] = 4_000_000_000, 1_000_000
        rows, columns = np.arange(8), np.arange(512)
        plan = board.timing.read(rows, len(columns), 0)
        lines = board.chips[0].sampling(rows, columns, 0, 0, plan).block
        assert lines.level[0, 0] == board.front.read.limit + (256 << 16) + 2**15
        assert lines.spread[0, 0] == board.front.read.adc_noise < lines.spread[0, 1]


# --- MEASURE -----------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SimulatedBoard(tmp_path, 3, 2) as board:
        yield Bench(board)


def measured(bench: Bench, request: MeasureRequest) -> tuple[MeasureReply, np.ndarray]:
    body = bench.answer(Command.MEASURE, request.pack()).body
    sums = np.frombuffer(body, "<u4", offset=MeasureReply.SIZE)
    return MeasureReply.unpack(body), sums / request.conversions


def test_each_source_reads_what_stands_at_the_converters(bench: Bench):
    front = bench.board.front
    for request, levels in (
        (MeasureRequest(MeasureSource.GROUND, 0, 0, 0, 0, 4096, 255), front.ground()),
        (MeasureRequest(MeasureSource.VOLTAGE, 0, 0, 0, 0, 4096, 255), front.voltage()),
        (MeasureRequest(MeasureSource.OPEN, 0, 2, 0, 0, 4096, 255), front.open_inputs(2)),
        (
            MeasureRequest(MeasureSource.RESISTOR, 0, 1, 0, 2621, 4096, 255),
            front.resistor(1, 2621),
        ),
        (
            MeasureRequest(MeasureSource.RAIL, Rail.RAIL_B, 0, 0, 40_000, 4096, 255),
            front.rail(Rail.RAIL_B, 40_000),
        ),
    ):
        reply, means = measured(bench, request)
        assert (reply.channels, reply.temperature_mk) == (8, REFERENCE_MK)
        own = [
            np.searchsorted(transitions(converter), level) - 0.0
            for converter, level in zip(
                converters(PROFILE, board_key(3), REFERENCE_MK), levels, strict=True
            )
        ]
        assert abs(means - own).max() < 1.0
    nominal = 256 + np.array([0, 1.25 / 1.8 * 16384, 0, 12000 * 2621 / 2621.44])
    assert measured(bench, MeasureRequest(3, 0, 0, 0, 2621, 64, 1))[1] == pytest.approx(
        nominal[3], rel=0.03
    )


def test_a_reference_beyond_the_amplifiers_limit_reads_the_top_of_the_scale(bench: Bench):
    _, means = measured(bench, MeasureRequest(MeasureSource.RESISTOR, 0, 0, 0, 3932, 16, 255))
    assert (means == 16383).all()


def test_noise_of_measurements_is_keyed_by_channel_and_non_volatile_count(tmp_path: Path):
    ask = MeasureRequest(MeasureSource.GROUND, 0, 0, 0, 0, 1, 0b101)
    with SimulatedBoard(tmp_path / "a", 3, 1) as board:
        whole = [measured(Bench(board), ask)[1].tolist() for _ in range(60)]
        assert board.measurements.tolist() == [60, 0, 60, 0, 0, 0, 0, 0]
    parts = []
    for _ in range(2):
        with SimulatedBoard(tmp_path / "b", 3, 1) as board:
            parts += [measured(Bench(board), ask)[1].tolist() for _ in range(30)]
    assert parts == whole
    with SimulatedBoard(tmp_path / "c", 3, 1) as board:
        summed = measured(Bench(board), ask._replace(conversions=60))[1] * 60
    assert np.rint(summed).tolist() == np.sum(whole, axis=0).tolist()


def test_measuring_leaves_the_board_safe_and_takes_its_time(bench: Bench):
    bench.pulse(form_rows(1))
    before_ns = bench.board.clock_ns
    measured(bench, MeasureRequest(MeasureSource.RESISTOR, 0, 1, 0, 2621, 16, 0b111))
    assert bench.board.clock_ns - before_ns == 3 * (6_400 + 5_000 + 2_000 + 16 * 20_000)
    registers = bench.board.registers
    assert not registers.lines.any()
    assert not registers.rails.any()
    assert not registers.word_lines.any()
    before_ns = bench.board.clock_ns
    measured(bench, MeasureRequest(MeasureSource.GROUND, 0, 0, 0, 0, 16, 255))
    assert bench.board.clock_ns - before_ns == 6_400 + 16 * 20_000


@pytest.mark.parametrize(
    ("change", "code", "field", "value", "high"),
    [
        ({"channel_mask": 256}, ErrorCode.BAD_FIELD, "channel_mask", 256, 255),
        ({"range": 3}, ErrorCode.BAD_FIELD, "range", 3, 2),
        ({"rail": 1}, ErrorCode.BAD_FIELD, "rail", 1, 0),
        ({"source": 0, "range": 1}, ErrorCode.BAD_FIELD, "range", 1, 0),
        ({"source": 2}, ErrorCode.BAD_FIELD, "dac_code", 2621, 0),
        ({"dac_code": 3933}, ErrorCode.LIMIT_VOLTAGE, "dac_code", 300_064, 300_000),
    ],
)
def test_the_board_refuses_what_a_source_cannot_do(
    bench: Bench, change: dict[str, int], code: ErrorCode, field: str, value: int, high: int
):
    request = MeasureRequest(MeasureSource.RESISTOR, 0, 1, 0, 2621, 16, 255)._replace(**change)
    with pytest.raises(Refused) as refused:
        measured(bench, request)
    error = refused.value.error
    assert (error.code, error.text, error.value, error.high) == (code, field, value, high)
    assert not bench.board.measurements.any()


@pytest.mark.parametrize(
    "change", [{"source": 5}, {"conversions": 0}, {"channel_mask": 0}, {"reserved": 1}]
)
def test_fields_outside_their_range_are_refused(bench: Bench, change: dict[str, int]):
    request = MeasureRequest(MeasureSource.RESISTOR, 0, 1, 0, 2621, 16, 255)._replace(**change)
    body = b"".join(
        int(value).to_bytes(size, "little")
        for value, size in zip(request, (1, 1, 1, 1, 2, 2, 2), strict=True)
    )
    with pytest.raises(FieldError):
        bench.answer(Command.MEASURE, body)
