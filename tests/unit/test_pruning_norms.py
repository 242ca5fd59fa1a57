"""Batch norm measured on training data: of which weights, of which examples, and by the trainer."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from torch import nn  # noqa: E402

from rramhil.network import Network, convert  # noqa: E402
from rramhil.pruning import (  # noqa: E402
    FixedWeights,
    Outcome,
    SupermaskExecutor,
    TrainSettings,
    reestimate_batch_norm,
    train,
)
from rramhil.tasks import Examples  # noqa: E402
from tests.support.digits import DIGITS, digits_network, drawn_pairs, few_digits  # noqa: E402

STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}


def norm_of(made: Network) -> nn.BatchNorm1d:
    return next(each for each in made.modules() if isinstance(each, nn.BatchNorm1d))


def train_cells(made: Network, settings: TrainSettings) -> Outcome:
    executor = SupermaskExecutor(drawn_pairs(made, 1), "cell", noise=0.1)
    executor.prepare(made)
    return train(made, executor, DIGITS, few_digits(), settings)


def test_batch_norm_is_estimated_for_the_weights_in_use():
    splits = few_digits()
    made = digits_network()
    made.calibrate([splits.train.inputs]).freeze().eval()
    norm = next(each for each in made.modules() if isinstance(each, nn.BatchNorm1d))
    weights = dict(made.first_weights)
    weights["1"] = 3 * weights["1"]
    made.use(FixedWeights(weights))
    before = copy.deepcopy(made.state_dict())
    reestimate_batch_norm(made, splits.train)
    seen = made.model[1](splits.train.inputs.flatten(1)).detach()
    torch.testing.assert_close(norm.running_mean, seen.mean(dim=0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, seen.var(dim=0), atol=1e-5, rtol=1e-4)
    assert not made.training
    assert norm.momentum == 0.1
    after = made.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[2] for name in changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_a_network_without_batch_norm_stays_as_it_is():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    made = convert(model, 4, example_input=torch.zeros(2, 6)).calibrate([torch.randn(20, 6)])
    before = copy.deepcopy(made.state_dict())
    reestimate_batch_norm(made, Examples(torch.randn(30, 6), torch.zeros(30)))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_examples_are_looked_at_evenly_over_all():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    made = convert(model, 4, example_input=torch.zeros(2, 1)).calibrate([torch.zeros(2, 1)])
    # more than are looked at, and the first half of them are others than the second
    inputs = torch.cat([torch.zeros(10_000, 1), torch.ones(10_000, 1)])
    reestimate_batch_norm(made, Examples(inputs, torch.zeros(len(inputs))))
    assert float(norm_of(made).running_mean) == pytest.approx(0.5, abs=0.02)


def test_what_the_trainer_validates_and_keeps_is_measured_for_the_masks_of_the_epoch():
    splits = few_digits()
    made = digits_network()
    outcome = train_cells(made, TrainSettings(3))
    before = copy.deepcopy(made.state_dict())
    reestimate_batch_norm(made, splits.train)
    for name, value in made.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert outcome.validation == DIGITS.metric(
        made(splits.validation.inputs), splits.validation.targets
    )


def test_in_the_last_epochs_batch_norm_is_held_as_measured_and_its_gains_are_trained():
    made = digits_network()
    seen: list[dict[str, torch.Tensor]] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if made.training:
            seen.append(copy.deepcopy(module.state_dict()))

    norm_of(made).register_forward_pre_hook(look)
    train_cells(made, TrainSettings(4, held=2))
    half = len(seen) // 2
    for name in ("running_mean", "running_var"):
        values = [tuple(step[name].flatten().tolist()) for step in seen]
        assert len(set(values[:half])) == half
        assert len(set(values[half:])) == 2  # one for each epoch
    gains = [tuple(step["weight"].tolist()) for step in seen]
    assert len(set(gains)) == len(gains)


def test_the_epoch_that_is_kept_is_one_with_batch_norm_held():
    outcome = train_cells(digits_network(), TrainSettings(8, held=2, rate=1.0))
    scores = [record.validation or 0.0 for record in outcome.history]
    assert outcome.validation == max(scores[6:]) < max(scores)
    assert outcome.best_epoch == 1 + scores.index(max(scores[6:]), 6)
    with pytest.raises(ValueError, match="held in 2 of 2"):
        TrainSettings(2, held=2)
