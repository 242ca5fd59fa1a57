"""Codebook gating: rows pick patterns, and what is learnt compiles into the steps it was dealt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from rramhil.network import Matrix, Pairs, convert, plan, weights_of  # noqa: E402
from rramhil.pruning import CodebookExecutor, TrainSettings, fit  # noqa: E402
from rramhil.pruning.codebook import pick_patterns  # noqa: E402
from rramhil.switching import (  # noqa: E402
    Geometry,
    MatrixShape,
    Placement,
    compile_masks,
    deal_steps,
    pack,
    sample_steps,
    tile_rows,
)
from rramhil.tasks import Splits, load  # noqa: E402

MACRO = Geometry(64, 64, 8)
ONE_VECTOR = Matrix("layer", 20, 80, 4, 1)


def cells(placement: Placement, seed: int = 0) -> dict[str, Pairs]:
    random = torch.Generator().manual_seed(seed)
    return {
        each.name: Pairs(
            *(12 + 2 * torch.randn(each.outputs, each.inputs, generator=random) for _ in range(2))
        )
        for each in placement.matrices
    }


def placed(outputs: int = 20, inputs: int = 80) -> Placement:
    """A matrix that is cut where it exceeds the macro."""
    return pack([MatrixShape("layer", outputs, inputs)], MACRO)


def executor_for(placement: Placement, budget: float, **more) -> CodebookExecutor:
    vectors = {each.name: 1 for each in placement.matrices}
    dealt = deal_steps(tile_rows(placement), vectors, budget)
    return CodebookExecutor(cells(placement), dealt, **more)


# --- what rows pick -----------------------------------------------------------------------------


@given(
    st.integers(1, 60).flatmap(
        lambda outputs: st.lists(
            st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=outputs, max_size=outputs
        )
    ),
    st.integers(0, 20),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_rows_on_one_channel_pick_different_patterns_and_patterns_are_picked_evenly(
    channels, slack: int, seed: int
):
    channel = np.array(channels)
    patterns = int(np.bincount(channel.ravel()).max()) + slack
    picks = pick_patterns(channel, patterns, np.random.default_rng(seed))
    assert picks.shape == channel.T.shape
    assert 0 <= picks.min() <= picks.max() < patterns
    for each in range(8):
        mine = picks.T[channel == each]
        assert len(np.unique(mine)) == len(mine)
    times = np.bincount(picks.ravel(), minlength=patterns)
    assert times.max() - times.min() <= 1
    again = pick_patterns(channel, patterns, np.random.default_rng(seed))
    assert np.array_equal(picks, again)


def test_outputs_without_a_pattern_on_both_channels_go_without():
    picks = pick_patterns(np.array([[0, 1]] * 5 + [[2, 3]]), 4, np.random.default_rng(0))
    assert (picks[:, 4] == 4).all()
    assert (np.delete(picks, 4, axis=1) < 4).all()


# --- what it costs ------------------------------------------------------------------------------


@given(
    st.integers(1, 20), st.integers(1, 90), st.floats(1, 9), st.integers(0, 3), st.floats(0.1, 0.9)
)
@settings(max_examples=60, deadline=None)
def test_compiled_masks_take_the_steps_that_were_dealt(
    outputs: int, inputs: int, budget: float, seed: int, density: float
):
    placement = placed(outputs, inputs)
    executor = executor_for(placement, budget, seed=seed, density=density)
    compiled = compile_masks(placement, executor.masks(), 0)
    for part, tile, scores in zip(compiled, executor.tiles, executor.scores, strict=True):
        patterns = open_bits(scores, density)
        assert part.bounds.steps <= tile.steps
        # equal patterns may share steps, and one without an open bit takes none
        if len(np.unique(patterns, axis=0)) == len(patterns) and patterns.any(axis=1).all():
            assert part.bounds.steps == tile.steps


def open_bits(scores: torch.Tensor, density: float) -> np.ndarray:
    """Patterns by their rank, in plain numpy."""
    values = scores.detach().numpy()
    kept = round(density * values.size)
    order = np.argsort(-values, axis=None)[:kept]
    is_open = np.zeros(values.size, dtype=bool)
    is_open[order] = True
    return is_open.reshape(values.shape)


def test_at_the_dense_budget_wide_tiles_cost_exactly_the_dense_schedule():
    placement = placed(30, 60)
    compiled = compile_masks(placement, executor_for(placement, 1.0).masks(), 0)
    assert all(part.bounds.steps == part.bounds.dense for part in compiled)


# --- what it computes ---------------------------------------------------------------------------


def test_weights_are_what_the_masks_let_through():
    placement = placed()
    executor = executor_for(placement, 1.5).eval()
    plus, minus = cells(placement)["layer"]
    mask = executor.masks()["layer"]
    wanted = plus * torch.tensor(mask.plus) - minus * torch.tensor(mask.minus)
    torch.testing.assert_close(executor.weight(ONE_VECTOR), wanted)
    assert mask.kind == "cell"


def test_the_gradient_of_a_pattern_is_the_sum_over_the_rows_that_picked_it():
    placement = placed()
    assert len(placement.tiles) > 1
    executor = executor_for(placement, 1.0, noise=0.1).train()
    plus, minus = cells(placement)["layer"]
    push = torch.randn(20, 80, generator=torch.Generator().manual_seed(1))
    executor.weight(ONE_VECTOR).backward(push)
    felt = torch.stack([push * plus, -push * minus])
    for tile, scores, picks in zip(executor.tiles, executor.scores, executor.picks, strict=True):
        rows = felt[:, tile.rows.outputs, tile.rows.inputs]
        for pattern in range(tile.steps):
            wanted = rows[picks == pattern].sum(dim=0)
            torch.testing.assert_close(scores.grad[pattern], wanted, rtol=1e-4, atol=1e-4)


def test_noise_is_drawn_in_training_only():
    executor = executor_for(placed(), 2.0, density=1.0, noise=0.05)
    still = executor.eval().weight(ONE_VECTOR)
    assert torch.equal(still, executor.weight(ONE_VECTOR))
    executor.train()
    reads = torch.stack([executor.weight(ONE_VECTOR).detach() for _ in range(200)])
    plus, minus = cells(placed())["layer"]
    spread = 0.05 * torch.hypot(plus, minus)
    assert float((reads.std(dim=0) / spread).mean()) == pytest.approx(1.0, abs=0.02)


def test_the_state_holds_all_that_training_changes():
    first, other = (executor_for(placed(), 1.5, seed=seed).eval() for seed in (1, 2))
    assert not torch.equal(first.weight(ONE_VECTOR), other.weight(ONE_VECTOR))
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.weight(ONE_VECTOR), other.weight(ONE_VECTOR))
    again = executor_for(placed(), 1.5, seed=1).eval()
    assert torch.equal(first.weight(ONE_VECTOR), again.weight(ONE_VECTOR))


@pytest.mark.parametrize("density", [-0.1, 1.5])
def test_a_density_beyond_zero_to_one_is_refused(density: float):
    with pytest.raises(ValueError, match=str(density)):
        executor_for(placed(), 1.0, density=density)


# --- digits -------------------------------------------------------------------------------------


def test_digits_are_learnt_within_a_budget():
    task = load("digits")
    splits: Splits = task.data(Path())
    torch.manual_seed(0)
    network = convert(task.model(), task.bits, example_input=splits.train.inputs[:2])
    placement = plan(network, Geometry(512, 512, 8))
    map_uS = np.random.default_rng(0).lognormal(2.5, 0.15, (512, 512))
    pairs = {each.name: weights_of({0: map_uS}, placement, each) for each in network.matrices}
    vectors = {each.name: each.vectors for each in network.matrices}
    dealt = deal_steps(tile_rows(placement), vectors, 1.25)
    result = fit(network, task, splits, pairs, gate=dealt, settings=TrainSettings(5), noise=0.02)
    assert result.validation > 0.8
    assert result.density == pytest.approx(0.5, abs=0.02)
    steps = sum(part.bounds.steps for part in compile_masks(placement, result.masks, 0))
    dense = sum(tile.rows.fewest for tile in dealt)
    assert steps <= sample_steps(dealt, vectors) <= 1.25 * dense
    with pytest.raises(ValueError, match="one density"):
        fit(
            network,
            task,
            splits,
            pairs,
            gate=dealt,
            settings=TrainSettings(1),
            density=dict.fromkeys(pairs, 0.5),
        )
