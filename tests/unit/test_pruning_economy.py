"""Masks written by pulses: which bits change, what is counted, and what hysteresis saves."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor  # noqa: E402

from rramhil.flow import new_network  # noqa: E402
from rramhil.network import Pairs  # noqa: E402
from rramhil.pruning import Economy, FitResult, TrainSettings, fit  # noqa: E402
from rramhil.pruning.economy import HeldGates  # noqa: E402
from rramhil.tasks import Splits, Task, load  # noqa: E402

ZERO = torch.zeros(())


def written(first: Tensor, cells: int = 1) -> HeldGates:
    """Gates with their first masks."""
    gates = HeldGates(tuple(first.shape), cells)
    gates.write(first, ZERO, Economy(), 0.0)
    return gates


scores = st.lists(st.floats(-1, 1, width=32), min_size=20, max_size=20).map(torch.tensor)


@given(scores, scores, st.floats(0, 1, width=16))
def test_a_bit_is_kept_while_its_score_has_moved_by_no_more_than_the_hysteresis(
    first: Tensor, later: Tensor, width: float
):
    gates = written(first)
    before = gates.is_open.clone()
    gates.write(later, ZERO, Economy(), width)
    moved = (later.double() - first.double()).abs() > width
    kept = gates.is_open == before
    assert bool(kept[~moved].all())
    # and one that is beyond it is as its score asks for
    beyond = later.abs() > width
    assert torch.equal(gates.is_open[beyond], (later >= 0)[beyond])


@given(scores, scores)
def test_without_hysteresis_masks_are_what_scores_ask_for(first: Tensor, later: Tensor):
    gates = written(first)
    gates.write(later, ZERO, Economy(), 0.0)
    assert torch.equal(gates.is_open, later >= 0)


@given(scores, scores, st.sampled_from([1, 2]))
def test_first_masks_and_changes_are_counted_apart_cell_by_cell(
    first: Tensor, later: Tensor, cells: int
):
    gates = written(first, cells)
    assert gates.written == (cells * int((first < 0).sum()), 0, 0, int((first < 0).any()))
    gates.write(later, ZERO, Economy(), 0.0)
    closed = int(((later < 0) & (first >= 0)).sum())
    opened = int(((later >= 0) & (first < 0)).sum())
    assert gates.written[1:3] == (cells * closed, cells * opened)
    assert gates.written.changes == cells * (closed + opened)


@given(scores, scores, st.integers(0, 30))
def test_a_budget_is_kept_and_spent_on_the_most_urgent(first: Tensor, later: Tensor, budget: int):
    gates = written(first)
    asked = (later >= 0) != gates.is_open
    before = gates.is_open.clone()
    gates.write(later, ZERO, Economy(run_pulses=budget), 0.0)
    done = gates.is_open != before
    assert int(done.sum()) == min(budget, int(asked.sum()))
    left = asked & ~done
    if done.any() and left.any():
        assert later.abs()[done].min() >= later.abs()[left].max()


def test_a_cell_gets_no_more_pulses_than_it_may():
    gates = written(torch.tensor([-1.0, 1.0]))
    for sign in (1.0, -1.0, 1.0, -1.0):
        gates.write(sign * torch.tensor([1.0, -1.0]), ZERO, Economy(cell_pulses=2), 0.0)
    assert gates.pulses.tolist() == [2, 2]
    assert gates.written.most == 2


def test_before_the_first_masks_gates_follow_scores_and_take_no_pulse():
    gates = HeldGates((2,), 1)
    for sign in (1.0, -1.0):
        gates.follow(sign * torch.tensor([1.0, -1.0]), ZERO)
    assert gates.is_open.tolist() == [False, True]
    assert (gates.spent, gates.written) == (0, (1, 0, 0, 1))
    gates.write(torch.tensor([1.0, -1.0]), ZERO, Economy(), 5.0)
    assert gates.is_open.tolist() == [True, False]
    assert (gates.spent, gates.written) == (1, (1, 0, 0, 1))


# --- what it saves ------------------------------------------------------------------------------


def trained(task: Task, splits: Splits, epochs: int, hysteresis: float, seed: int) -> FitResult:
    network = new_network(task, splits, seed=seed)
    random = torch.Generator().manual_seed(seed)
    pairs = {
        each.name: Pairs(
            *(
                12.35 + 1.86 * torch.randn(each.outputs, each.inputs, generator=random)
                for _ in range(2)
            )
        )
        for each in network.matrices
    }
    settings = TrainSettings(epochs, batch=task.batch, seed=seed)
    economy = Economy(hysteresis=hysteresis, begin=0.1, off_uS=1.0)
    return fit(
        network, task, splits, pairs, gate="cell", settings=settings, noise=0.02, economy=economy
    )


def flips(result: FitResult) -> int:
    """Pulses of the whole training after the first masks."""
    return sum(record.pulses or 0 for record in result.history)


def test_hysteresis_saves_pulses_and_wear_on_digits():
    task = load("digits")
    splits = task.data(Path())
    plain, sparing = (trained(task, splits, 10, each, 0) for each in (0.0, 0.7))
    assert flips(plain) >= 3 * flips(sparing) > 0
    assert plain.written is not None
    assert sparing.written is not None
    assert sparing.written.most < plain.written.most
    assert sparing.validation > plain.validation - 0.04


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hysteresis_takes_a_fifth_of_the_flips_of_fashion_mnist(data_root: Path):
    task = load("fashion-mnist")
    splits = task.data(data_root)
    plain, sparing = (trained(task, splits, 3, each, 0) for each in (0.0, 0.7))
    assert flips(plain) >= 5 * flips(sparing)
    # one training scatters by 0.3 points: half a point is what the mean of several is held to
    assert sparing.test >= plain.test - 0.01
