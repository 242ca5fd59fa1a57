"""The one trainer: epochs over a task's data with any weight executor.

Owns: order of the batches, seeds, learning rates, and the choice of the epoch by validation data.
The test data are used once, by who asks for it at the end. Knows no chip; what the weights are is
the executor's business, and so are masks.

Everything random is seeded by the run's seed and the epoch, so an epoch can be repeated by itself:
a training that is continued from a `TrainState` ends as one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rramhil.errors import TrainingFailed, UsageError
from rramhil.network import Network, Pairs, WeightExecutor
from rramhil.pruning.economy import Written
from rramhil.pruning.norms import hold_batch_norm, reestimate_batch_norm
from rramhil.pruning.records import EpochRecord, Outcome, Reread, TrainSettings
from rramhil.pruning.state import TrainState
from rramhil.switching import Mask
from rramhil.tasks import Examples, Splits, Task

_LOOK = "Lower --rate, or look at the data and the loss of the task."

_EVALUATION_BATCH = 1000
_EVALUATION_NUMBERS = 1 << 20
"""Inputs evaluated at once, at most: a thousand small images, a few large ones."""


@runtime_checkable
class Masked(Protocol):
    """A weight executor with masks; what it has of the next two is used as well."""

    def masks(self) -> dict[str, Mask]:
        """Its masks at present, by the matrix's name."""
        ...


@runtime_checkable
class Stepping(Protocol):
    """An executor that wants to know of each step."""

    def before_step(self, number: int, done: float) -> None:
        """Step `number` begins, from 0 at the very beginning, with this share of all behind it."""
        ...


@runtime_checkable
class Renewing(Masked, Protocol):
    """An executor whose conductances can be measured again."""

    @property
    def is_in_cells(self) -> bool:
        """Whether a chip is to have its present masks."""
        ...

    def renew(self, pairs: Mapping[str, Pairs]) -> None:
        """Take fresh conductances in uS, by the matrix's name."""
        ...


def train(
    network: Network,
    executor: WeightExecutor,
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    start: TrainState | None = None,
    reread: Reread | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_state: Callable[[TrainState], None] = lambda state: None,
) -> Outcome:
    """Train what stays digital and, if it is a module, the executor.

    After each epoch batch norm is measured on training data for the weights as they are then, and
    this is what is validated and kept.

    Parameters
    ----------
    network : Network
        On the device to train on, as the executor; its ranges are frozen at the end.
    splits : Splits
        The test part is not looked at.
    settings : TrainSettings
    start : TrainState, optional
        Go on from there; network, executor and settings are made as they were the first time.
    reread : Reread, optional
        Fresh conductances every so many steps, for an executor that can be `Renewing`.
    on_epoch : callable
        Told after each epoch.
    on_state : callable
        Told after that where training stands; the state is to be written down at once.

    Raises
    ------
    TrainingFailed
        A loss, the outputs or the metric are no finite numbers.
    UsageError
        The density leaves a matrix without a cell.
    ValueError
        If `start` is a state of another training.
    """
    network.use(executor)
    whole = nn.ModuleList([network])
    groups = [{"params": list(network.parameters()), "lr": settings.digital_rate}]
    if isinstance(executor, nn.Module):
        whole.append(executor)
        groups.append({"params": list(executor.parameters()), "lr": settings.rate})
    optimiser = torch.optim.Adam([group for group in groups if group["params"]], fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    work = _Work(network, executor, task, settings, optimiser, rates, reread)
    examples = _on(splits.train, _device_of(network))
    history: list[EpochRecord] = []
    best: Mapping[str, Tensor] = {}
    if start is not None:
        _continue(start, whole, optimiser)
        history, best = list(start.history), start.best
    watch = _Watch(executor)
    if start is None:
        watch.refuse_empty()
    for epoch in range(len(history) + 1, settings.epochs + 1):
        begun = time.perf_counter()
        with _seeded(settings.seed, epoch):
            whole.train()
            if epoch > settings.epochs - settings.held:
                hold_batch_norm(network)
            loss = _epoch(work, examples, epoch)
        if not math.isfinite(loss):
            raise TrainingFailed(f"The loss is {loss} in epoch {epoch}.", _LOOK)
        seconds = time.perf_counter() - begun
        whole.eval()
        reestimate_batch_norm(network, examples)
        score = evaluate(network, task, splits.validation) if settings.chooses else None
        history.append(watch.record(epoch, loss, score, seconds))
        if epoch >= settings.first_kept and _chosen(history, settings) is history[-1]:
            best = copy.deepcopy(whole.state_dict())
        on_epoch(history[-1])
        on_state(TrainState.of(tuple(history), whole, best, optimiser))
    whole.load_state_dict(dict(best))
    whole.eval()
    network.freeze()
    chosen = _chosen(history, settings)
    return Outcome(tuple(history), chosen.epoch, chosen.validation)


def steps_of_epoch(samples: int, batch: int) -> int:
    """Steps that an epoch over so many samples takes."""
    # a last batch that is not full would weigh its samples more, and one sample has no variance
    return max(1, samples // batch)


@torch.no_grad()
def evaluate(network: Network, task: Task, examples: Examples) -> float:
    """Measure the task's metric over examples, with the executor in use, in evaluation mode.

    Raises
    ------
    TrainingFailed
        The outputs or the metric are no finite numbers.
    """
    was_training = network.training
    network.eval()
    device = _device_of(network)
    fitting = _EVALUATION_NUMBERS // max(1, examples.inputs[0].numel())
    parts = examples.inputs.split(min(_EVALUATION_BATCH, max(1, fitting)))
    outputs = [network(part.to(device)) for part in parts]
    network.train(was_training)
    whole = torch.cat(outputs).cpu()
    if not bool(whole.isfinite().all()):
        raise TrainingFailed("Not all outputs of the network are finite numbers.", _LOOK)
    return finite(task, task.metric(whole, examples.targets))


def finite(task: Task, value: float) -> float:
    """What a task's metric gave, if that is a number.

    Raises
    ------
    TrainingFailed
        It is not.
    """
    if not math.isfinite(value):
        raise TrainingFailed(
            f"The {task.metric_name} of the {task.told} is {value}.", f"Look at the metric. {_LOOK}"
        )
    return value


class _Work(NamedTuple):
    """What one epoch works on."""

    network: Network
    executor: WeightExecutor
    task: Task
    settings: TrainSettings
    optimiser: torch.optim.Optimizer
    rates: list[float]
    reread: Reread | None


class _Watch:
    """Density, flips and pulses of an executor's masks, from epoch to epoch."""

    def __init__(self, executor: WeightExecutor) -> None:
        self._executor = executor
        self._masks = self._present()
        self._pulses = self._written()

    def refuse_empty(self) -> None:
        """Refuse masks that let nothing through a matrix: there would be nothing to learn."""
        for name, mask in (self._masks or {}).items():
            if not mask.density:
                raise UsageError(
                    f"At this density not one cell of layer {name} is used.",
                    "Write a higher --density.",
                )

    def record(
        self, epoch: int, loss: float, validation: float | None, seconds: float
    ) -> EpochRecord:
        """What is known after an epoch."""
        before, pulses = self._masks, self._pulses
        self._masks, self._pulses = self._present(), self._written()
        plain = EpochRecord(epoch, loss, validation, seconds)
        if before is None or self._masks is None:
            return plain
        rows = {name: (mask.rows, before[name].rows) for name, mask in self._masks.items()}
        flips = sum(int((now != then).sum()) for now, then in rows.values())
        cells = sum(now.size for now, _ in rows.values())
        used = sum(int(now.sum()) for now, _ in rows.values())
        spent = None if pulses is None or self._pulses is None else self._pulses - pulses
        return plain._replace(density=used / cells, flips=flips, pulses=spent)

    def _present(self) -> dict[str, Mask] | None:
        return self._executor.masks() if isinstance(self._executor, Masked) else None

    def _written(self) -> int | None:
        written: Written | None = getattr(self._executor, "written", None)
        return None if written is None else written.changes


def _chosen(history: Sequence[EpochRecord], settings: TrainSettings) -> EpochRecord:
    """The epoch that is kept of those that are over; the first that may be kept is among them."""
    may_be_kept = history[settings.first_kept - 1 :]
    if settings.keeps_last or not settings.chooses:
        return may_be_kept[-1]
    return max(may_be_kept, key=lambda record: record.validation or 0.0)


def _continue(start: TrainState, whole: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    try:
        start.restore(whole, optimiser)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError("the state is one of another training") from error


def _epoch(work: _Work, examples: Examples, epoch: int) -> float:
    settings, optimiser = work.settings, work.optimiser
    count = len(examples.inputs)
    order = torch.randperm(count).to(examples.inputs.device)
    steps = steps_of_epoch(count, settings.batch)
    losses = torch.zeros((), device=examples.inputs.device)
    for step in range(steps):
        epochs_done = epoch - 1 + step / steps
        pace = (1 + math.cos(math.pi * epochs_done / settings.epochs)) / 2
        for group, rate in zip(optimiser.param_groups, work.rates, strict=True):
            group["lr"] = rate * pace
        _begin((epoch - 1) * steps + step, epochs_done / settings.epochs, work)
        chosen = order[step * settings.batch : (step + 1) * settings.batch]
        optimiser.zero_grad()
        outputs = work.network(examples.inputs[chosen])
        loss = work.task.loss(outputs, examples.targets[chosen])
        loss.backward()
        optimiser.step()
        losses += loss.detach()
    return float(losses) / steps


def _begin(number: int, done: float, work: _Work) -> None:
    """Begin a step: the executor's masks first, then what the chip says of them."""
    executor, reread = work.executor, work.reread
    if isinstance(executor, Stepping):
        executor.before_step(number, done)
    if reread is not None and number and number % reread.every == 0:
        if not isinstance(executor, Renewing):
            raise ValueError("this executor takes no fresh conductances")
        if executor.is_in_cells:
            executor.renew(reread.read(executor.masks()))


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
