"""The one trainer: epochs over a task's data with any weight executor.

Owns: order of the batches, seeds, learning rates, and the choice of the epoch by validation data.
The test data are used once, by who asks for it at the end. Knows no chip; what the weights are is
the executor's business.

Everything random is seeded by the run's seed and the epoch, so an epoch can be repeated by itself.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rramhil.network import Network, WeightExecutor
from rramhil.tasks import Examples, Splits, Task

_EVALUATION_BATCH = 1000
_EVALUATION_NUMBERS = 1 << 20
"""Inputs evaluated at once, at most: a thousand small images, a few large ones."""


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    Attributes
    ----------
    epochs : int
        At least 1.
    batch : int
        Samples of a step, at least 2.
    seed : int
    rate : float
        Learning rate of the executor's parameters at the start; it falls to 0 along a cosine.
    digital_rate : float
        The same of what stays digital: gains, biases, batch norm.
    """

    epochs: int
    batch: int = 64
    seed: int = 0
    rate: float = 0.01
    digital_rate: float = 0.01

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"{self.epochs} epochs of batches of {self.batch} train nothing")


class EpochRecord(NamedTuple):
    """What is known after an epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    loss : float
        Mean over its steps.
    validation : float
        The task's metric.
    seconds : float
        Of training, without validation.
    """

    epoch: int
    loss: float
    validation: float
    seconds: float


class Outcome(NamedTuple):
    """What training came to; network and executor are left as after `best_epoch`, in evaluation.

    Attributes
    ----------
    history : tuple of EpochRecord
    best_epoch : int
        The first one with the best validation metric.
    validation : float
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation: float


def train(
    network: Network,
    executor: WeightExecutor,
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Outcome:
    """Train what stays digital and, if it is a module, the executor.

    Parameters
    ----------
    network : Network
        On the device to train on, as the executor; its ranges are frozen at the end.
    splits : Splits
        The test part is not looked at.
    on_epoch : callable
        Told after each epoch.
    """
    network.use(executor)
    whole = nn.ModuleList([network])
    groups = [{"params": list(network.parameters()), "lr": settings.digital_rate}]
    if isinstance(executor, nn.Module):
        whole.append(executor)
        groups.append({"params": list(executor.parameters()), "lr": settings.rate})
    optimiser = torch.optim.Adam([group for group in groups if group["params"]], fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    device = _device_of(network)
    examples = _on(splits.train, device)
    history: list[EpochRecord] = []
    best: dict[str, Tensor] = {}
    for epoch in range(1, settings.epochs + 1):
        begun = time.perf_counter()
        with _seeded(settings.seed, epoch):
            whole.train()
            loss = _epoch(network, task, examples, settings, epoch, optimiser, rates)
        seconds = time.perf_counter() - begun
        whole.eval()
        score = evaluate(network, task, splits.validation)
        if not history or score > max(record.validation for record in history):
            best = copy.deepcopy(whole.state_dict())
        history.append(EpochRecord(epoch, loss, score, seconds))
        on_epoch(history[-1])
    whole.load_state_dict(best)
    whole.eval()
    network.freeze()
    chosen = max(history, key=lambda record: record.validation)
    return Outcome(tuple(history), chosen.epoch, chosen.validation)


@torch.no_grad()
def evaluate(network: Network, task: Task, examples: Examples) -> float:
    """Measure the task's metric over examples, with the executor in use, in evaluation mode."""
    was_training = network.training
    network.eval()
    device = _device_of(network)
    fitting = _EVALUATION_NUMBERS // max(1, examples.inputs[0].numel())
    parts = examples.inputs.split(min(_EVALUATION_BATCH, max(1, fitting)))
    outputs = [network(part.to(device)) for part in parts]
    network.train(was_training)
    return task.metric(torch.cat(outputs).cpu(), examples.targets)


def _epoch(
    network: Network,
    task: Task,
    examples: Examples,
    settings: TrainSettings,
    epoch: int,
    optimiser: torch.optim.Optimizer,
    rates: list[float],
) -> float:
    count = len(examples.inputs)
    order = torch.randperm(count).to(examples.inputs.device)
    # a last batch that is not full would weigh its samples more, and one sample has no variance
    steps = max(1, count // settings.batch)
    losses = torch.zeros((), device=examples.inputs.device)
    for step in range(steps):
        done = (epoch - 1 + step / steps) / settings.epochs
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * (1 + math.cos(math.pi * done)) / 2
        chosen = order[step * settings.batch : (step + 1) * settings.batch]
        optimiser.zero_grad()
        loss = task.loss(network(examples.inputs[chosen]), examples.targets[chosen])
        loss.backward()
        optimiser.step()
        losses += loss.detach()
    return float(losses) / steps


@contextmanager
def _seeded(seed: int, epoch: int) -> Iterator[None]:
    """Make torch's own random numbers those of an epoch, and give the caller's back."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed * 1_000_003 + epoch)
        yield


def _device_of(network: Network) -> torch.device:
    return next(network.parameters()).device


def _on(examples: Examples, device: Any) -> Examples:
    return Examples(examples.inputs.to(device), examples.targets.to(device))
