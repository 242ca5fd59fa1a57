"""Budgets: steps dealt to tiles before their masks are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rramhil.errors import UsageError
from rramhil.switching import (
    Geometry,
    Mask,
    MatrixShape,
    compile_masks,
    deal_steps,
    pack,
    sample_steps,
    tile_rows,
    total_bounds,
)

MACRO = Geometry(512, 512, 8)


@st.composite
def networks(draw: st.DrawFn):
    """Matrices and the vectors of each."""
    shapes = draw(
        st.lists(st.tuples(st.integers(1, 60), st.integers(1, 600)), min_size=1, max_size=4)
    )
    matrices = [MatrixShape(f"m{number}", *shape) for number, shape in enumerate(shapes)]
    vectors = {each.name: draw(st.integers(1, 200)) for each in matrices}
    return matrices, vectors


@given(networks(), st.floats(1, 9))
@settings(max_examples=50, deadline=None)
def test_a_budget_is_kept_and_no_affordable_step_is_left(network, budget: float):
    matrices, vectors = network
    tiles = tile_rows(pack(matrices, MACRO))
    dense = sum(tile.fewest * vectors[tile.matrix] for tile in tiles)
    dealt = deal_steps(tiles, vectors, budget)
    spent = sample_steps(dealt, vectors)
    assert spent <= budget * dense + 1e-6
    for tile in dealt:
        assert 0.75 * tile.rows.fewest <= tile.steps <= tile.rows.most
        if tile.steps < tile.rows.most:
            assert spent + vectors[tile.rows.matrix] > budget * dense - 1e-6
    assert dealt == deal_steps(tiles, vectors, budget)


@given(networks())
@settings(max_examples=20, deadline=None)
def test_without_a_limit_each_row_has_a_pattern_of_its_own(network):
    matrices, vectors = network
    dealt = deal_steps(tile_rows(pack(matrices, MACRO)), vectors, math.inf)
    assert all(tile.steps == tile.rows.most for tile in dealt)


def test_the_fewest_steps_are_those_that_the_compiler_takes_without_a_mask():
    matrices = [MatrixShape("a", 13, 20), MatrixShape("b", 5, 600)]
    placement = pack(matrices, MACRO)
    whole = {each.name: Mask.pair(np.ones((each.outputs, each.inputs))) for each in matrices}
    dealt = deal_steps(tile_rows(placement), {"a": 1, "b": 1}, 1.0)
    bounds = total_bounds(compile_masks(placement, whole, 0))
    assert sample_steps(dealt, {"a": 1, "b": 1}) == bounds.steps == bounds.dense


def test_only_matrices_of_many_vectors_go_without_outputs_and_never_the_last_one():
    matrices = [MatrixShape(name, 64, 100) for name in ("conv", "once", "last")]
    tiles = tile_rows(pack(matrices, MACRO))
    conv, once, last = deal_steps(tiles, {"conv": 100, "once": 1, "last": 50}, 0.9)
    assert 12 <= conv.steps < conv.rows.fewest == 16
    assert min(once.steps, last.steps) >= 16


def test_outputs_come_back_when_the_budget_allows():
    matrices = [
        MatrixShape("conv", 64, 9),
        MatrixShape("next", 16, 576),
        MatrixShape("last", 10, 64),
    ]
    tiles = tile_rows(pack(matrices, MACRO))
    dealt = deal_steps(tiles, {"conv": 144, "next": 100, "last": 1}, 2.0)
    assert all(tile.steps >= tile.rows.fewest for tile in dealt)


def test_steps_go_to_where_a_sample_needs_few_vectors():
    matrices = [MatrixShape("many", 64, 100), MatrixShape("once", 64, 100)]
    tiles = tile_rows(pack(matrices, MACRO))
    many, once = deal_steps(tiles, {"many": 100, "once": 1}, 1.25)
    assert once.steps == once.rows.most
    assert many.steps < many.rows.most


@pytest.mark.parametrize("budget", [0.99, -1.0, math.nan])
def test_a_budget_that_cannot_be_met_is_refused_with_the_smallest_one(budget: float):
    tiles = tile_rows(pack([MatrixShape("a", 13, 20)], MACRO))
    with pytest.raises(UsageError, match=rf"{budget:g} times.*give 1 or more"):
        deal_steps(tiles, {"a": 1}, budget)
