"""The gate compiler: what a schedule computes, and that it takes the fewest steps there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rramhil.errors import MaskError
from rramhil.switching import (
    CompiledTile,
    Geometry,
    Mask,
    MatrixShape,
    Placement,
    Schedule,
    Tile,
    compile_masks,
    compile_tile,
    pack,
    total_bounds,
)

MACRO = Geometry(512, 512, 8)
Instance = tuple[CompiledTile, Mask, Geometry]


def instance(rng: np.random.Generator, most_outputs: int) -> Instance:
    """A random tile on random lines with a random mask; patterns often repeat, some are empty."""
    channels = int(rng.integers(1, 9))
    geometry = Geometry(64, 24, channels)
    outputs, inputs = int(rng.integers(1, most_outputs + 1)), int(rng.integers(1, 25))
    pairs = rng.permutation(32)[:outputs]
    rows = 2 * pairs[:, None] + np.where(rng.random((outputs, 1)) < 0.5, [0, 1], [1, 0])
    tile = Tile("m", 0, 0, 0, rows, rng.permutation(24)[:inputs])
    book = rng.random((int(rng.integers(1, 9)), inputs)) < rng.random()
    plus, minus = (book[rng.integers(0, len(book), outputs)] for _ in range(2))
    mask = Mask.pair(plus) if rng.random() < 0.5 else Mask.cell(plus, minus)
    return compile_tile(tile, mask, geometry, int(rng.integers(3))), mask, geometry


def rows_and_patterns(part: CompiledTile, mask: Mask) -> list[tuple[int, tuple[bool, ...]]]:
    """Row and pattern of everything that is used, one by one."""
    found: list[tuple[int, tuple[bool, ...]]] = []
    for output, (plus, minus) in enumerate(part.tile.rows.tolist()):
        for row, side in ((plus, mask.plus), (minus, mask.minus)):
            if side[output].any():
                found.append((row, tuple(side[output].tolist())))
    return found


def bound_by_counting(rows: list[tuple[int, tuple[bool, ...]]], channels: int) -> int:
    total = 0
    for pattern in {pattern for _, pattern in rows}:
        on_channel = [row % channels for row, one in rows if one == pattern]
        total += max(on_channel.count(channel) for channel in on_channel)
    return total


def fewest_by_trying(rows: list[tuple[int, tuple[bool, ...]]], channels: int) -> int:
    """Fewest steps of all ways to part the rows into steps: looks at every one."""
    if not rows:
        return 0
    (row, pattern), *others = rows
    fitting = [one for one in others if one[1] == pattern and one[0] % channels != row % channels]
    best = len(rows)
    for size in range(len(fitting) + 1):
        for company in combinations(fitting, size):
            lines = [one[0] % channels for one in company]
            if len(set(lines)) == len(lines):
                rest = [one for one in others if one not in company]
                best = min(best, 1 + fewest_by_trying(rest, channels))
    return best


def run_by_hand(
    schedule: Schedule, cells: NDArray[np.int64], vector: NDArray[np.int64], bits: int, signed: bool
) -> list[int]:
    """A schedule as the contract words it, sample by sample, with a converter that is exact."""
    sums = [0] * schedule.accumulator_count
    for number in range(schedule.steps):
        step = schedule.step(number)
        for plane in range(bits):
            driven = step.gate & ((vector >> plane & 1) == 1)
            for row, accumulator, sign in step.samples:
                top = -1 if signed and plane == bits - 1 else 1
                sums[accumulator] += sign * top * (int(cells[row, driven].sum()) << plane)
    return sums


def test_a_thousand_random_instances_take_exactly_the_bound() -> None:
    rng = np.random.default_rng(2024)
    for _ in range(1000):
        part, mask, geometry = instance(rng, 30)
        rows = rows_and_patterns(part, mask)
        bounds = part.bounds
        assert part.schedule.steps == bounds.steps == bounds.placement
        assert bounds.placement == bound_by_counting(rows, geometry.channels)
        patterns = [pattern for _, pattern in rows]
        assert bounds.absolute == sum(
            -(-patterns.count(one) // geometry.channels) for one in set(patterns)
        )
        assert bounds.absolute <= bounds.steps <= len(rows)


def test_no_way_to_part_a_small_instance_into_steps_is_better() -> None:
    rng = np.random.default_rng(7)
    for _ in range(300):
        part, mask, geometry = instance(rng, 3)
        rows = rows_and_patterns(part, mask)
        assert part.schedule.steps == fewest_by_trying(rows, geometry.channels)


@given(seed=st.integers(0, 1_000_000), bits=st.integers(1, 8), signed=st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_schedule_computes_the_masked_product_of_each_row(
    seed: int, bits: int, signed: bool
) -> None:
    rng = np.random.default_rng(seed)
    part, mask, geometry = instance(rng, 12)
    cells = rng.integers(0, 1000, (geometry.rows, geometry.columns))
    low = -(1 << bits - 1) if signed else 0
    inputs = rng.integers(low, low + (1 << bits), (1, mask.shape[1]))
    lines = part.tile.spread(inputs, geometry.columns)
    sums = run_by_hand(part.schedule, cells, lines[0], bits, signed)
    plus, minus = part.tile.gather(cells)
    assert sums[0::2] == ((plus * mask.plus) @ inputs[0]).tolist()
    assert sums[1::2] == ((minus * mask.minus) @ inputs[0]).tolist()


def test_tiles_of_a_matrix_add_up_to_the_whole_product() -> None:
    rng = np.random.default_rng(11)
    geometry = Geometry(32, 16, 4)
    placement = pack([MatrixShape("a", 20, 37)], geometry, chips=range(5))
    mask = Mask.cell(rng.random((20, 37)) < 0.5, rng.random((20, 37)) < 0.5)
    chips = {chip: rng.integers(0, 100, (32, 16)) for chip in range(5)}
    inputs = rng.integers(0, 16, (1, 37))
    total = np.zeros(20, dtype=np.int64)
    for part in compile_masks(placement, {"a": mask}, 1):
        lines = part.tile.spread(inputs, 16)
        sums = run_by_hand(part.schedule, chips[part.tile.chip], lines[0], 4, False)
        total[part.tile.outputs] += np.array(sums[0::2]) - np.array(sums[1::2])
        assert (part.schedule.ranges == 1).all()
    plus, minus = placement.gather("a", chips)
    assert (total == (plus * mask.plus - minus * mask.minus) @ inputs[0]).all()


def test_a_mask_that_prunes_nothing_costs_what_no_mask_costs() -> None:
    placement = pack([MatrixShape("a", 256, 512)], MACRO)
    bounds = total_bounds(compile_masks(placement, {"a": Mask.pair(np.ones((256, 512)))}, 2))
    assert (bounds.steps, bounds.absolute, bounds.dense) == (64, 64, 64)


def test_a_mask_that_prunes_everything_takes_no_step() -> None:
    placement = pack([MatrixShape("a", 4, 4)], MACRO)
    (part,) = compile_masks(placement, {"a": Mask.pair(np.zeros((4, 4)))}, {"a": 0})
    assert part.schedule.steps == 0
    assert part.schedule.accumulator_count == 8


def test_the_same_mask_compiles_to_the_same_schedule() -> None:
    one, other = (instance(np.random.default_rng(3), 30)[0].schedule for _ in range(2))
    assert one.id == other.id


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({}, "4 x 4 weights has no mask"),
        ({"a": Mask.pair(np.ones((4, 5)))}, "has a mask of 4 x 5"),
    ],
)
def test_a_mask_of_another_matrix_is_refused(masks: dict[str, Mask], said: str) -> None:
    placement: Placement = pack([MatrixShape("a", 4, 4)], MACRO)
    with pytest.raises(MaskError, match=said):
        compile_masks(placement, masks, 0)
