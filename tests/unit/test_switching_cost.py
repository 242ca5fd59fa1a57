"""Prices: of gating, of no mask, of the bound, and of RESET; and what RESET would pulse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rramhil.errors import MaskError
from rramhil.switching import (
    BoardFacts,
    Geometry,
    Mask,
    MatrixShape,
    PulseFacts,
    Work,
    compile_masks,
    energy_model,
    off_cells,
    pack,
    price_masks,
    reset_plan,
    reset_price,
    table_text,
)

MACRO = Geometry(512, 512, 8)
FACTS = BoardFacts(
    conversion_ns=20_000, switch_load_ns=6_400, settle_ns=(5_000, 2_000, 1_000), read_voltage_v=0.2
)
PULSE = PulseFacts(
    width_ns=100_000,
    overhead_ns=11_400,
    cells_at_once=118,
    cell_energy_j=2e-8,
    endurance_cycles=1e6,
)
PLACEMENT = pack([MatrixShape("a", 256, 512), MatrixShape("b", 3, 2)], MACRO, chips=(0, 1))


def random_masks(seed: int, density: float = 0.5) -> dict[str, Mask]:
    rng = np.random.default_rng(seed)
    return {
        matrix.name: Mask.pair(rng.random((matrix.outputs, matrix.inputs)) < density)
        for matrix in PLACEMENT.matrices
    }


def test_a_layer_costs_what_its_steps_say() -> None:
    masks = {"a": random_masks(0)["a"], "b": Mask.pair([[1, 0], [1, 1], [0, 0]])}
    compiled = compile_masks(PLACEMENT, masks, 2)
    work = {"a": Work(vectors=1, bits=4), "b": Work(vectors=10, bits=1, ones=0.25)}
    report = price_masks(compiled, work, MACRO, FACTS, 12.0)
    big, small = report.layers
    # every pair has a pattern of its own: one step each, two samples
    assert (big.gated.steps, big.dense.steps, big.bounds.absolute) == (256, 64, 256)
    assert big.gated.conversions == big.dense.conversions == 512 * 4
    assert big.gated.switch_loads == 256 * 4
    assert big.gated.board_time_s == pytest.approx(256 * 4 * 21e-6 + 6.4e-6)
    assert big.dense.board_time_s == pytest.approx(64 * 4 * 21e-6 + 6.4e-6)
    # the third output uses nothing
    assert (small.gated.steps, small.gated.conversions) == (20, 40)
    cells_uS = 12.0 * 2 * 3
    in_cells_j = 10 * cells_uS * 1e-6 * 0.2**2 * 21e-6 * 0.25
    assert small.gated.energy_parts_j["cells"] == pytest.approx(in_cells_j)
    assert small.gated.energy_parts_j["converters"] == pytest.approx(40 * 20e-6 * 2.5e-3)
    assert report.total.gated.board_time_s == pytest.approx(
        big.gated.board_time_s + small.gated.board_time_s
    )
    assert report.total.gated.energy_j == pytest.approx(big.gated.energy_j + small.gated.energy_j)


def test_cells_are_priced_by_the_map_of_their_chip() -> None:
    masks = {"a": Mask.pair(np.zeros((256, 512))), "b": Mask.pair(np.ones((3, 2)))}
    compiled = compile_masks(PLACEMENT, masks, 2)
    work = {"a": Work(1, 1), "b": Work(1, 1)}
    maps = {chip: np.full((512, 512), 10.0 + chip) for chip in (0, 1)}
    (_, small) = price_masks(compiled, work, MACRO, FACTS, maps).layers
    chip = PLACEMENT.tiles_of("b")[0].chip
    (_, same) = price_masks(compiled, work, MACRO, FACTS, 10.0 + chip).layers
    assert small.gated.energy_j == same.gated.energy_j
    nothing = price_masks(compiled, work, MACRO, FACTS, maps).layers[0].gated
    assert (nothing.steps, nothing.board_time_s) == (0, 0.0)


def test_every_constant_of_energy_has_a_source_and_a_reason() -> None:
    model = energy_model()
    assert set(model.constants()) >= {"converter.power_w", "amplifier.current_a", "dac.current_a"}
    assert all(constant.note for constant in model.constants().values())
    assert "dac.current_a" in model.assumed
    assert "converter.power_w" not in model.assumed


def test_the_report_compares_with_reset_and_is_plain_data() -> None:
    masks = random_masks(1)
    price = reset_price(reset_plan({}, masks, PLACEMENT), PULSE)
    report = price_masks(
        compile_masks(PLACEMENT, masks, 2),
        {"a": Work(1, 4), "b": Work(1, 4)},
        MACRO,
        FACTS,
        12.35,
        reset=price,
    )
    total = report.total
    saved_s = total.gated.board_time_s - total.dense.board_time_s
    assert report.break_even_samples == pytest.approx(price.board_time_s / saved_s)
    said = json.loads(json.dumps(report.as_dict()))
    assert said["reset"]["reset_pulses"] == price.reset_pulses
    assert said["total"]["gated"]["energy_j"] == pytest.approx(total.gated.energy_j)
    lines = table_text(report.table()).splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "a", "b", "total"]
    assert len({len(line) for line in lines}) == 1


def test_all_numbers_of_the_table_are_of_one_sample() -> None:
    compiled = compile_masks(PLACEMENT, random_masks(1), 2)
    report = price_masks(compiled, {"a": Work(1, 4), "b": Work(100, 4)}, MACRO, FACTS, 12.0)
    heading, *layers, total = report.table()
    assert heading[:4] == ("layer", "steps a sample", "fewest", "no mask")
    for column, price in enumerate((report.total.gated, report.total.least, report.total.dense), 1):
        said = [int(row[column].replace(",", "")) for row in (*layers, total)]
        assert said[-1] == sum(said[:-1]) == price.steps
    assert "e+" not in table_text(report.table())


def test_a_mask_no_dearer_than_dense_never_pays_for_a_reset() -> None:
    masks = {"a": Mask.pair(np.ones((256, 512))), "b": Mask.pair(np.ones((3, 2)))}
    price = reset_price(reset_plan({}, masks, PLACEMENT), PULSE)
    assert (price.reset_pulses, price.board_time_s) == (0, 0.0)
    compiled = compile_masks(PLACEMENT, masks, 2)
    report = price_masks(
        compiled, {"a": Work(1, 4), "b": Work(1, 4)}, MACRO, FACTS, 12.0, reset=price
    )
    assert report.break_even_samples is None


# --- reset ----------------------------------------------------------------------------------


def test_reset_pulses_exactly_what_is_pruned() -> None:
    masks = random_masks(2)
    plan = reset_plan({}, masks, PLACEMENT)
    pruned = sum(2 * int((~mask.plus).sum()) for mask in masks.values())
    assert sum(int(change.reset.sum()) for change in plan.values()) == pruned
    assert not any(change.set.any() for change in plan.values())
    for name, mask in masks.items():
        plus, minus = PLACEMENT.gather(name, {chip: plan[chip].reset for chip in plan})
        assert (plus == ~mask.plus).all()
        assert (minus == ~mask.minus).all()


def test_a_swap_pulses_only_what_changes_and_ends_at_the_new_mask() -> None:
    one, other = random_masks(3), random_masks(4)
    off = off_cells(one, PLACEMENT)
    plan = reset_plan(off, other, PLACEMENT)
    wanted = off_cells(other, PLACEMENT)
    for chip, change in plan.items():
        assert not (change.reset & change.set).any()
        assert ((off[chip] | change.reset) & ~change.set == wanted[chip]).all()
        assert not (change.reset & off[chip]).any()
        assert not (change.set & ~off[chip]).any()
    again = reset_plan(wanted, other, PLACEMENT)
    assert reset_price(again, PULSE).reset_pulses == reset_price(again, PULSE).set_pulses == 0


def test_cells_outside_of_the_placement_are_left_alone() -> None:
    placement = pack([MatrixShape("a", 2, 2)], MACRO)
    everything = {0: np.ones((512, 512), dtype=np.bool_)}
    change = reset_plan(everything, {"a": Mask.pair([[1, 1], [1, 0]])}, placement)[0]
    assert change.set.sum() == 6
    assert not change.reset.any()
    operations = change.set_operations
    assert operations.rows.tolist() == [0, 1, 2, 3]
    assert [int(columns.sum()) for columns in operations.columns] == [2, 2, 1, 1]
    assert len(change.reset_operations.rows) == 0


def test_the_price_of_pulses_follows_the_rails_current() -> None:
    masks = {"a": Mask.pair(np.zeros((256, 512))), "b": Mask.pair(np.ones((3, 2)))}
    price = reset_price(reset_plan({}, masks, PLACEMENT), PULSE)
    assert price.reset_pulses == 512 * 512
    assert price.operations == 512 * 5
    assert price.board_time_s == pytest.approx(512 * 5 * 111.4e-6)
    assert price.energy_j == pytest.approx(512 * 512 * 2e-8)
    assert price.endurance_used == 1e-6


def test_layers_that_share_cells_cannot_be_pruned_by_reset() -> None:
    placement = pack([MatrixShape("a", 4, 4), MatrixShape("b", 4, 4)], MACRO, overlay=True)
    masks = {name: Mask.pair(np.ones((4, 4))) for name in "ab"}
    with pytest.raises(MaskError, match="which only gating can do"):
        reset_plan({}, masks, placement)
