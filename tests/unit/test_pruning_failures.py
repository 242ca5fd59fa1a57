"""A training that comes to no numbers, or has nothing to learn, stops with a sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from rramhil.errors import TrainingFailed, UsageError  # noqa: E402
from rramhil.pruning import TrainSettings, fit  # noqa: E402
from rramhil.tasks import Examples, Splits  # noqa: E402
from tests.support.digits import DIGITS, digits_network, drawn_pairs, few_digits  # noqa: E402


def fitted(splits: Splits | None = None, density: float = 0.5, epochs: int = 2, **task: Any):
    network = digits_network()
    return fit(
        network,
        replace(DIGITS, **task),
        splits or few_digits(),
        drawn_pairs(network),
        gate="cell",
        settings=TrainSettings(epochs),
        density=density,
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_epoch_by_its_number(value: float) -> None:
    calls: list[int] = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return DIGITS.loss(outputs, targets) * (value if len(calls) == 6 else 1)

    with pytest.raises(TrainingFailed, match=r"loss is (nan|inf) in epoch 2") as told:
        fitted(loss=loss, epochs=3)  # of four steps each
    assert "--rate" in told.value.next_step
    assert len(calls) == 8


def test_inputs_that_are_no_numbers_stop_the_first_epoch() -> None:
    whole = few_digits()
    spoilt = whole.train.inputs.clone()
    spoilt[7, 0, 3, 3] = math.nan
    splits = whole._replace(train=Examples(spoilt, whole.train.targets))
    with pytest.raises(TrainingFailed, match="epoch 1") as told:
        fitted(splits)
    assert "data" in told.value.next_step


def test_weights_that_are_lost_in_the_last_step_are_not_kept() -> None:
    calls: list[int] = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        # a number whose gradient is none
        given = outputs - outputs.detach()
        return DIGITS.loss(outputs, targets) + (given.sum().sqrt() if len(calls) == 8 else 0)

    with pytest.raises(TrainingFailed, match="outputs"):
        fitted(loss=loss)


@pytest.mark.parametrize("held_back", [True, False])
def test_a_metric_that_is_no_number_is_named(held_back: bool) -> None:
    test = few_digits().test.targets

    def metric(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        is_test = len(targets) == len(test) and bool((targets == test).all())
        return 0.5 if is_test != held_back else math.nan

    with pytest.raises(TrainingFailed, match="accuracy of the task digits is nan") as told:
        fitted(metric=metric)
    assert "metric" in told.value.next_step


def test_a_density_that_leaves_a_layer_without_a_cell_is_refused_by_the_layer() -> None:
    with pytest.raises(UsageError, match="layer 4 ") as told:
        fitted(density=2e-4)  # two of the first layer's cells, none of the last one's
    assert "--density" in told.value.next_step
