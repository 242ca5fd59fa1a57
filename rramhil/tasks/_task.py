"""A task as a value: data, a plain torch network, a loss and a metric. Knows no chip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

_MANY = 1_000_000


class Examples(NamedTuple):
    """Inputs and what they should give; sample n is entry n of both.

    Attributes
    ----------
    inputs : (N, ...) float32
    targets : (N, ...) tensor
    """

    inputs: Tensor
    targets: Tensor


class Splits(NamedTuple):
    """Data of a task; the validation part is carved from the training data."""

    train: Examples
    validation: Examples
    test: Examples


@dataclass(frozen=True)
class Task:
    """What is to be learnt.

    Attributes
    ----------
    name : str
    model : callable
        Makes the network: plain torch, with torch's random numbers for its first weights.
    data : callable
        Takes the folder of data sets and gives the splits, the same ones each time.
    loss : callable
        Of outputs and targets; a scalar with a gradient.
    metric : callable
        Of all outputs and targets of a split; the larger, the better.
    metric_name : str
        Such as "accuracy".
    bits : int
        Of every layer's inputs, 1 to 8.
    epochs : int
        Passes over the training data.
    batch : int
        Samples of a training step, at least 2.
    also : mapping of str to callable
        Further metrics that are reported, by name; they choose nothing.
    undivided : callable, optional
        Takes the folder of data sets and gives all training data, for a last training with nothing
        held back; left out, those are the training and the validation part together.
    file : Path, optional
        Of one's own that it is from, as `load` sets it.

    Raises
    ------
    ValueError
        If a number is out of its range, or a field is of another type.
    """

    name: str
    model: Callable[[], nn.Module]
    data: Callable[[Path], Splits]
    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Callable[[Tensor, Tensor], float]
    metric_name: str
    bits: int
    epochs: int
    batch: int = 64
    also: Mapping[str, Callable[[Tensor, Tensor], float]] = field(default_factory=dict, hash=False)
    undivided: Callable[[Path], Examples] | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        for name in ("name", "metric_name"):
            value: Any = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f"{name} of a task is a text, not {value!r}")
        if not isinstance(self.also, Mapping):
            raise ValueError(f"also of {self.name} is metrics by name, not {self.also!r}")
        for name, low, high in (("bits", 1, 8), ("epochs", 1, _MANY), ("batch", 2, _MANY)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"{name} of {self.name} is {low} to {high}, not {value!r}")

    @property
    def told(self) -> str:
        """What a sentence calls it."""
        return f"task {self.name}" if self.file is None else f"task file {self.file}"

    @property
    def metrics(self) -> dict[str, Callable[[Tensor, Tensor], float]]:
        """Every metric by its name, the one that counts first."""
        return {self.metric_name: self.metric, **self.also}

    def measured(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """What every metric gives, by its name, the one that counts first."""
        return {name: metric(outputs, targets) for name, metric in self.metrics.items()}
