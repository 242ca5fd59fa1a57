"""Plans: every eligible cell in exactly one operation, within what the rails deliver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from firmware_protocol.messages import Operation, Rail
from rramhil.driver import Description, Envelope, LineResistances, References
from rramhil.driver.description import RailDescription, RangeDescription
from rramhil.errors import LimitRefused, RecipeError
from rramhil.programming.plan import PulsePlan, plan, step_map
from rramhil.programming.recipes import BUILT_IN, Recipe, Step, dense, ladder, sparse

BOARD = Description(
    rows=512,
    columns=512,
    channels=8,
    adc_bits=14,
    dac_bits=16,
    pedestal=256,
    zero_conversions=16,
    max_pulse_rows=1024,
    max_points=65_535,
    schedule_slots=64,
    schedule_steps=4096,
    schedule_accumulators=4096,
    read_voltage_v=0.2,
    conversion_ns=20_000,
    switch_load_ns=6_400,
    dac_settle_ns=5_000,
    word_threshold_v=0.6,
    compliance_a_per_v=100e-6,
    inhibit_tolerance_v=0.01,
    rail_accuracy_v=0.007,
    adc_span_v=1.8,
    references=References(1.25, 5e-4, 1 / 3, 5e-4, 5e-4, 0.3),
    lines=LineResistances(125.0, 0.5, 0.1, 1.0),
    rails={rail: RailDescription(5.0, 0.032) for rail in Rail},
    ranges=(RangeDescription(0.00625, 5_000, 75.0),),
    envelopes={Operation.FORM: Envelope(1.0, 4.2, 1_000, 10_000_000, 10e-6, 150e-6)},
)

# 1.05 mA: ten cells at 100 uA, seven at 150 uA, all of a row at 10 uA.
SMALL = replace(
    BOARD, rows=12, columns=21, rails=dict.fromkeys(Rail, RailDescription(5.0, 1.05e-3))
)

EVERYTHING = np.ones((512, 512), dtype=bool)


def selected(planned: PulsePlan, columns: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(planned.pulses["column_mask"], axis=1, bitorder="little")
    assert not bits[:, columns:].any()
    return bits[:, :columns]


def pulses_of_cells(planned: PulsePlan, board: Description) -> NDArray[np.int64]:
    counts = np.zeros((board.rows, board.columns), dtype=np.int64)
    np.add.at(counts, planned.pulses["row"], selected(planned, board.columns))
    return counts


def recipe(**pulse: float) -> Recipe:
    given = {"amplitude_v": 4.0, "width_ns": 100_000, "compliance_a": 100e-6} | pulse
    return Recipe(name="x", steps=(Step.model_validate(given),))


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_recipe_pulses_every_cell_once(name: str) -> None:
    planned = plan(BUILT_IN[name](), BOARD, EVERYTHING)
    assert (pulses_of_cells(planned, BOARD) == 1).all()
    assert planned.pulse_count == 262_144
    assert len(planned.pulses) == 1024


@given(
    eligible=arrays(bool, (12, 21)),
    compliance_a=st.floats(10e-6, 150e-6),
    split=st.integers(1, 11),
    stride=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_every_eligible_cell_is_in_exactly_one_operation_and_no_rail_is_overloaded(
    eligible: NDArray[np.bool_], compliance_a: float, split: int, stride: int
) -> None:
    steps = (
        Step(amplitude_v=4.0, width_ns=1000, compliance_a=compliance_a, rows=(0, split)),
        Step(amplitude_v=3.3, width_ns=2000, compliance_a=2e-5, rows=(split, None, stride)),
    )
    chosen = Recipe(name="two", steps=steps)
    planned = plan(chosen, SMALL, eligible)
    wanted = eligible & (step_map(chosen, SMALL) >= 0)
    assert (pulses_of_cells(planned, SMALL) == wanted).all()
    assert (planned.cells == wanted).all()
    assert (planned.cells_of_operation > 0).all()
    assert planned.pulse_count == wanted.sum()
    compliances_a = [SMALL.compliance_a(int(code)) for code in planned.pulses["word_code"]]
    assert (planned.cells_of_operation * compliances_a <= SMALL.rails[Rail.SOURCE].limit_a).all()
    source = {4.0: SMALL.dac_code(Rail.SOURCE, 4.0), 3.3: SMALL.dac_code(Rail.SOURCE, 3.3)}
    upper = planned.pulses["row"] < split
    assert (planned.pulses["source_code"][upper] == source[4.0]).all()
    assert (planned.pulses["source_code"][~upper] == source[3.3]).all()
    assert (planned.pulses["inhibit_code"] == planned.pulses["source_code"]).all()
    assert not planned.pulses["bit_code"].any()


def test_a_row_is_dealt_evenly_to_its_operations() -> None:
    planned = plan(recipe(compliance_a=100e-6), SMALL, np.ones((12, 21), dtype=bool))
    assert planned.cells_of_operation[:3].tolist() == [7, 7, 7]
    first = np.flatnonzero(selected(planned, 21)[0])
    assert first.tolist() == list(range(0, 21, 3))


def test_time_and_energy_are_what_the_pulses_say() -> None:
    planned = plan(dense(), BOARD, EVERYTHING)
    assert planned.board_time_s == pytest.approx(1024 * (1e-3 + 6.4e-6 + 5e-6))
    assert planned.energy_j == pytest.approx(4.0 * 100e-6 * 1e-3 * 262_144, rel=1e-4)


def test_nothing_eligible_is_an_empty_plan() -> None:
    planned = plan(sparse(), BOARD, ~EVERYTHING)
    assert (len(planned.pulses), planned.pulse_count, planned.energy_j) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("pulse", "said"),
    [
        ({"amplitude_v": 4.5}, r"amplitude 4\.5 V lies outside 1 to 4\.2 V"),
        ({"amplitude_v": 0.5}, r"amplitude 0\.5 V"),
        ({"amplitude_v": 60.0}, r"amplitude 60 V"),
        ({"width_ns": 20_000_000}, r"width 20000000 ns lies outside 1000 to 10000000 ns"),
        ({"compliance_a": 1e-3}, r"compliance 1000 uA lies outside 10 to 150 uA"),
        ({"compliance_a": 1e-9}, r"compliance 0\.001 uA"),
    ],
)
def test_a_recipe_outside_the_envelope_is_refused_with_value_limit_and_source(
    pulse: dict[str, float], said: str
) -> None:
    with pytest.raises(LimitRefused, match=said) as refusal:
        plan(recipe(**pulse), BOARD, ~EVERYTHING)
    assert "the board's own description" in refusal.value.sentence
    assert "Step 1 of recipe 'x'" in refusal.value.sentence
    assert refusal.value.exit_code == 7


@pytest.mark.parametrize("pulse", [{"amplitude_v": 4.2}, {"compliance_a": 150e-6}])
def test_values_on_the_limit_are_legal(pulse: dict[str, float]) -> None:
    assert plan(recipe(**pulse), BOARD, EVERYTHING).pulse_count == 262_144


@pytest.mark.parametrize("rows", ["0:513", "512:600", "600:"])
def test_a_region_beside_the_array_is_refused(rows: str) -> None:
    wide = Recipe.model_validate(
        {"name": "x", "steps": [{**recipe().steps[0].model_dump(), "rows": rows}]}
    )
    with pytest.raises(RecipeError, match=r"Step 1 .* rows 0 to 511"):
        plan(wide, BOARD, EVERYTHING)


def test_the_steps_of_cells_follow_the_recipe() -> None:
    steps = step_map(ladder([3.2, 3.4, 3.6]), BOARD)
    assert (steps == (np.arange(512) % 3)[:, None]).all()
