"""Rows of a comparison: what is trained, and on which weights it is measured.

Owns: the list of rows, one training of one replicate, and the measuring of a trained network on
weights other than its own. Keeps nothing and compares nothing.

A row's network may be measured on other weights than it was trained on: a mask that was trained
without a map, or on another chip. Then its batch norm no longer fits, so each row is measured
twice, the second time with batch norm estimated again on training data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.comparison.replicates import Replicate
from rramhil.errors import RunError
from rramhil.flow import STEPS
from rramhil.network import Network, TrainedWeights, WeightExecutor
from rramhil.pruning import (
    CodebookExecutor,
    EpochRecord,
    FixedWeights,
    FrozenRandom,
    SupermaskExecutor,
    TrainSettings,
    finite,
    flat_pairs,
    held_epochs,
    masked_weights,
    outputs_of,
    reestimate_batch_norm,
    robust_noise,
    train,
)
from rramhil.switching import Mask, deal_steps, tile_rows
from rramhil.tasks import Examples, Splits, Task

Float64Array = npt.NDArray[np.float64]
Maker = Callable[[Network, Replicate, float, int], WeightExecutor]
"""Makes an executor of a network's first weights, a replicate, a density and a seed."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    name, what : str
        `what` in a few words.
    training : str
        Key of `TRAININGS`; rows may share one.
    on : "own", "map" or "other"
        Weights that it is measured on: those it was trained with, what its masks let through on
        the replicate's map, or what the masks of the next replicate's chip do.
    """

    name: str
    what: str
    training: str
    on: str = "own"


ROWS = (
    Row("trained", "ordinary weights, trained", "trained"),
    Row("frozen", "all pairs of the chip, only the read-out trained", "frozen"),
    Row("frozen-digital", "frozen, but for gains, biases and batch norm", "frozen-digital"),
    Row("pair", "G+ - G- gated pair by pair", "pair"),
    Row("cell", "each cell gated on its own", "cell"),
    Row("robust", "as cell, trained to bear cells that fail", "robust"),
    Row("codebook", f"cells gated in {STEPS:g} times the dense steps", "codebook"),
    Row("ternary", "digital weights -1, 0, 1, gated as cells", "flat"),
    Row("flat", "cell mask that knows no map, on the map", "flat", "map"),
    Row("transfer-pair", "pair mask of another chip, on the map", "pair", "other"),
    Row("transfer-cell", "cell mask of another chip, on the map", "cell", "other"),
)
COMPARATOR = "trained"


class Trained(NamedTuple):
    """A trained network without its model.

    Attributes
    ----------
    state : dict of str to Tensor
        What stays digital, as `Network.state_dict`.
    weights : dict of str to Tensor
        Its own, (outputs, inputs) float32; those that masks let through if it has masks.
    masks : dict of str to Mask
        Empty if it has none.
    best_epoch : int
    validation : float or None
        None where it chose nothing.
    seconds : float
        Of training, without validation.
    """

    state: dict[str, Tensor]
    weights: dict[str, Tensor]
    masks: dict[str, Mask]
    best_epoch: int
    validation: float | None
    seconds: float


class Measured(NamedTuple):
    """A metric over a split.

    Attributes
    ----------
    value : float
        Of all of it, in the task's metric.
    of_units : (units,) float64
        The same metric of each unit by itself.
    also : dict of str to float
        The task's further metrics of all of it, by name.
    """

    value: float
    of_units: Float64Array
    also: Mapping[str, float]


def _trained(network: Network, replicate: Replicate, density: float, seed: int) -> WeightExecutor:
    return TrainedWeights(network.first_weights)


def _frozen(trains_digital: bool) -> Maker:
    def make(network: Network, replicate: Replicate, density: float, seed: int) -> WeightExecutor:
        last = network.matrices[-1].name
        return FrozenRandom(
            replicate.pairs,
            last,
            network.first_weights[last],
            trains_digital=trains_digital,
            noise=replicate.noise,
            seed=seed,
        )

    return make


def _gated(kind: str, noise_of: Callable[[float], float] = lambda measured: measured) -> Maker:
    def make(network: Network, replicate: Replicate, density: float, seed: int) -> WeightExecutor:
        return SupermaskExecutor(
            replicate.pairs,
            kind,  # type: ignore[arg-type]
            density=density,
            noise=noise_of(replicate.noise),
            seed=seed,
        )

    return make


def _codebook(network: Network, replicate: Replicate, density: float, seed: int) -> WeightExecutor:
    if replicate.placement is None:
        raise RunError("A codebook needs to know where a network lies on its chips.")
    vectors = {each.name: each.vectors for each in network.matrices}
    return CodebookExecutor(
        replicate.pairs,
        deal_steps(tile_rows(replicate.placement), vectors, STEPS),
        density=density,
        noise=replicate.noise,
        seed=seed,
    )


def _flat(network: Network, replicate: Replicate, density: float, seed: int) -> WeightExecutor:
    return SupermaskExecutor(flat_pairs(replicate.pairs), "cell", density=density, seed=seed)


class Training(NamedTuple):
    """How a kind of weights is trained: its executor, and epochs with batch norm held."""

    make: Maker
    held: Callable[[int], int] = lambda epochs: 0


TRAININGS: Mapping[str, Training] = {
    "trained": Training(_trained),
    "frozen": Training(_frozen(False)),
    "frozen-digital": Training(_frozen(True)),
    "pair": Training(_gated("pair")),
    "cell": Training(_gated("cell")),
    "robust": Training(_gated("cell", robust_noise), held_epochs),
    "codebook": Training(_codebook),
    "flat": Training(_flat),
}
VERSION = 2
"""Of how they are trained: a comparison that another version began is not gone on with."""


def train_once(
    kind: str,
    network: Network,
    task: Task,
    splits: Splits,
    replicate: Replicate,
    settings: TrainSettings,
    *,
    density: float = 0.5,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Trained:
    """Train one kind of weights on a replicate's cells.

    Parameters
    ----------
    kind : str
        Key of `TRAININGS`.
    network : Network
        Fresh, on the device to train on; trained in place.
    density : float
        Share of gates that are open, of kinds that have gates.
    """
    training = TRAININGS[kind]
    executor = training.make(network, replicate, density, settings.seed)
    if isinstance(executor, torch.nn.Module):
        executor.to(next(network.parameters()).device)
    prepare = getattr(executor, "prepare", None)
    if prepare is not None:
        prepare(network)
    settings = replace(settings, held=training.held(settings.epochs))
    outcome = train(network, executor, task, splits, settings, on_epoch=on_epoch)
    with torch.no_grad():
        weights = {each.name: executor.weight(each).cpu().clone() for each in network.matrices}
    masks = getattr(executor, "masks", None)
    return Trained(
        {name: value.detach().cpu().clone() for name, value in network.state_dict().items()},
        weights,
        {} if masks is None else masks(),
        outcome.best_epoch,
        outcome.validation,
        sum(record.seconds for record in outcome.history),
    )


def weights_on(row: Row, trained: Trained, replicate: Replicate) -> dict[str, Tensor]:
    """Weights that a row is measured on, in the unit that its network was trained with."""
    if row.on == "own":
        return trained.weights
    return masked_weights(replicate.pairs, trained.masks)


def measure(
    network: Network,
    trained: Trained,
    weights: Mapping[str, Tensor],
    task: Task,
    examples: Examples,
    reestimated_on: Examples | None = None,
) -> Measured:
    """Measure a trained network on given weights.

    Parameters
    ----------
    network : Network
        Of the task; it takes the trained state.
    weights : mapping of str to (outputs, inputs) float32
    examples : Examples
        To measure on.
    reestimated_on : Examples, optional
        Training data to estimate batch norm again with first.
    """
    device = next(network.parameters()).device
    network.load_state_dict(trained.state)
    network.freeze().eval()
    network.use(FixedWeights({name: weight.to(device) for name, weight in weights.items()}))
    if reestimated_on is not None:
        reestimate_batch_norm(network, reestimated_on)
    outputs = outputs_of(network, examples)
    values = task.measured(outputs, examples.targets)
    value = finite(task, values.pop(task.metric_name))
    return Measured(value, of_units(task, outputs, examples), values)


def of_units(task: Task, outputs: Tensor, examples: Examples) -> Float64Array:
    """The task's metric of each unit by itself, (units,).

    The mean of an accuracy over its units is that of the whole; an area under a curve is one for
    each image, which is not the same as that of all pixels together.
    """
    parts = zip(outputs.split(1), examples.targets.split(1), strict=True)
    return np.array([task.metric(output, target) for output, target in parts], dtype=np.float64)
