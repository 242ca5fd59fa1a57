"""Trainings and measurements of one comparison, each done once.

Owns: the names of what its folder keeps. What is there is taken from there, so that a comparison
that was killed goes on where it was. Knows no table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
from torch import Tensor

from rramhil.comparison.conditions import Condition, under
from rramhil.comparison.kept import load_measured, load_trained, save_measured, save_trained
from rramhil.comparison.replicates import Replicate
from rramhil.comparison.request import CompareRequest, Step
from rramhil.comparison.rows import Measured, Row, Trained, measure, train_once, weights_on
from rramhil.flow import count_steps_of, new_network
from rramhil.network import Network
from rramhil.pruning import EpochRecord, TrainSettings, masked_weights
from rramhil.tasks import Splits, Task


class Work(NamedTuple):
    """What is done for one comparison, each part once.

    Where there is `final`, a last training on all training data is what counts; what chose its rate
    and its epochs is the first replicate's training with validation data.
    """

    request: CompareRequest
    task: Task
    splits: Splits
    replicates: tuple[Replicate, ...]
    folder: Path
    on_step: Callable[[Step], None]
    on_epoch: Callable[[EpochRecord], None]
    final: Splits | None = None

    def chooses(
        self, kind: str, number: int, rate: float, condition: Condition | None = None
    ) -> Step:
        """The training whose epoch validation data choose, on cells under a condition if any."""
        epochs = self.request.epochs or self.task.epochs
        return self._looked_up(Step(kind, number, rate, False, epochs, condition))

    def counts(
        self, kind: str, number: int, rate: float, condition: Condition | None = None
    ) -> Step:
        """The training that a row is measured on: on all training data where that is asked for.

        What chose its epochs is trained if it is not there.
        """
        if self.final is None:
            return self.chooses(kind, number, rate, condition)
        return self._last(kind, number, self._choice(kind, rate), rate, condition)

    def search(self, kind: str) -> float:
        """Learning rate with the best validation metric on the first replicate."""
        found = {rate: self.trained(self.chooses(kind, 0, rate)) for rate in self.request.rates}
        return max(found, key=lambda rate: found[rate].validation or 0.0)

    def trained(self, step: Step) -> Trained:
        """Train, or take what is there."""
        self.on_step(step)
        path = self._path(step)
        if step.is_kept:
            return load_trained(path)
        replicate = self.replicates[step.replicate]
        if step.condition is not None:
            replicate = under(step.condition, replicate)
        trained = train_once(
            step.kind,
            self._network(replicate.seed),
            self.task,
            self._data if step.is_final else self.splits,
            replicate.to(self.request.device),
            TrainSettings(
                step.epochs,
                batch=self.task.batch,
                seed=replicate.seed,
                rate=step.rate,
                chooses=not step.is_final,
            ),
            density=self.request.density,
            on_epoch=self.on_epoch,
        )
        save_trained(trained, path)
        return trained

    def that_counts(
        self, kind: str, number: int, rate: float, condition: Condition | None = None
    ) -> Trained:
        """What a row is measured on, with the validation metric of what chose its epochs."""
        if self.final is None:
            return self.trained(self.chooses(kind, number, rate, condition))
        chosen = self._choice(kind, rate)
        trained = self.trained(self._last(kind, number, chosen, rate, condition))
        return trained._replace(validation=chosen.validation)

    def measured(self, row: Row, trained: Sequence[Trained]) -> list[dict[str, Measured]]:
        """Measure a row on every replicate, or take what is there."""
        found: list[dict[str, Measured]] = []
        for number, replicate in enumerate(self.replicates):
            path = self.folder / f"{self._prefix}row-{row.name}-{number}.npz"
            if not path.is_file():
                shift = 1 if row.on == "other" else 0
                theirs = trained[(number + shift) % len(trained)]
                save_measured(self._measure(row, theirs, replicate), path)
            found.append(load_measured(path))
        return found

    def under(
        self, row: Row, trained: Sequence[Trained], condition: Condition, draws: int
    ) -> list[dict[str, Measured]]:
        """Measure a row's masks on every replicate under a condition: test data, mean of draws."""
        found: list[dict[str, Measured]] = []
        for number, (replicate, theirs) in enumerate(zip(self.replicates, trained, strict=True)):
            path = self.folder / f"{self._prefix}row-{row.name}-{number}-{condition.name}.npz"
            if not path.is_file():
                parts = [self._under(theirs, replicate, condition, draw) for draw in range(draws)]
                names = ("test", "reestimated")
                save_measured({n: _mean_of([part[n] for part in parts]) for n in names}, path)
            found.append(load_measured(path))
        return found

    def steps(self, trained: Sequence[Trained]) -> tuple[float, ...]:
        """Steps of a sample with masks, relative to those without; empty without a placement."""
        matrices = self._network(0).matrices
        counts = [
            count_steps_of(replicate.placement, theirs.masks, matrices)
            for replicate, theirs in zip(self.replicates, trained, strict=True)
            if replicate.placement is not None
        ]
        return tuple(count.ratio for count in counts)

    def _under(
        self, trained: Trained, replicate: Replicate, condition: Condition, draw: int
    ) -> dict[str, Measured]:
        weights = masked_weights(under(condition, replicate, draw).pairs, trained.masks)
        return self._tested(self._network(replicate.seed), trained, weights)

    def _tested(
        self, network: Network, trained: Trained, weights: Mapping[str, Tensor]
    ) -> dict[str, Measured]:
        task, splits = self.task, self._data
        return {
            "test": measure(network, trained, weights, task, splits.test),
            "reestimated": measure(
                network, trained, weights, task, splits.test, reestimated_on=splits.train
            ),
        }

    def _measure(self, row: Row, trained: Trained, replicate: Replicate) -> dict[str, Measured]:
        weights = weights_on(row, trained, replicate)
        network = self._network(replicate.seed)
        tested = self._tested(network, trained, weights)
        if self.final is not None:  # it has learnt from the validation data
            return tested
        return tested | {
            "validation": measure(network, trained, weights, self.task, self.splits.validation)
        }

    def _choice(self, kind: str, rate: float) -> Trained:
        """The training that chooses the epochs of the last ones."""
        return self.trained(self.chooses(kind, 0, rate))

    def _last(
        self, kind: str, number: int, chosen: Trained, rate: float, condition: Condition | None
    ) -> Step:
        step = Step(kind, number, rate, False, chosen.best_epoch, condition, is_final=True)
        return self._looked_up(step)

    def _looked_up(self, step: Step) -> Step:
        return step._replace(is_kept=self._path(step).is_file())

    def _path(self, step: Step) -> Path:
        name = f"{step.kind}-{step.replicate}-{step.rate:g}"
        name = f"final-{name}-{step.epochs}" if step.is_final else f"training-{name}"
        return self.folder / f"{name}{_under_name(step.condition)}.npz"

    @property
    def _data(self) -> Splits:
        return self.splits if self.final is None else self.final

    @property
    def _prefix(self) -> str:
        """Of the names of files that have what came of the trainings that count."""
        return "" if self.final is None else "final-"

    def _network(self, seed: int) -> Network:
        request = self.request
        network = new_network(
            self.task, self.splits, seed=seed, allow_digital=request.allow_digital
        )
        return network.to(request.device)


def _under_name(condition: Condition | None) -> str:
    return "" if condition is None else f"-{condition.name}"


def _mean_of(parts: Sequence[Measured]) -> Measured:
    return Measured(
        mean(part.value for part in parts),
        np.mean([part.of_units for part in parts], axis=0),
        {name: mean(part.also[name] for part in parts) for name in parts[0].also},
    )
