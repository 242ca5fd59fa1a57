"""Batch norm measured on training data: of which weights, of which examples, and by the trainer."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from torch import nn  # noqa: E402

from rramhil.network import Network, convert  # noqa: E402
from rramhil.pruning import (  # noqa: E402
    FixedWeights,
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
    executor = SupermaskExecutor(drawn_pairs(made, 1), "cell", noise=0.1)
    executor.prepare(made)
    outcome = train(made, executor, replace(DIGITS, epochs=3), splits, TrainSettings(3))
    before = copy.deepcopy(made.state_dict())
    reestimate_batch_norm(made, splits.train)
    for name, value in made.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert outcome.validation == DIGITS.metric(
        made(splits.validation.inputs), splits.validation.targets
    )
