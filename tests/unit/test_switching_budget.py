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
    assert dense <= spent <= budget * dense + 1e-6
    for tile in dealt:
        assert tile.rows.fewest <= tile.steps <= tile.rows.most
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


def test_steps_go_to_where_a_sample_needs_few_vectors():
    matrices = [MatrixShape("many", 64, 100), MatrixShape("once", 64, 100)]
    tiles = tile_rows(pack(matrices, MACRO))
    many, once = deal_steps(tiles, {"many": 100, "once": 1}, 1.25)
    assert once.steps == once.rows.most
    assert many.steps < many.rows.most


@pytest.mark.parametrize("budget", [0.99, -1.0, math.nan])
def test_a_budget_below_the_dense_schedule_is_refused(budget: float):
    tiles = tile_rows(pack([MatrixShape("a", 13, 20)], MACRO))
    with pytest.raises(UsageError, match=f"{budget:g}"):
        deal_steps(tiles, {"a": 1}, budget)
