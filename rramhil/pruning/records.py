"""What training is told, and what it says of itself: settings, epochs, outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rramhil.network import Pairs
from rramhil.switching import Mask


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
    chooses : bool
        Whether validation data choose the epoch that is kept; else they are not looked at, and it
        is the last one.
    keeps_last : bool
        Keep the last epoch all the same: validation data are looked at, and choose nothing.
    held : int
        Epochs at the end in which batch norm is held as it was measured, as a chip has it; one of
        them is kept. At least 0, and fewer than `epochs`.
    """

    epochs: int
    batch: int = 64
    seed: int = 0
    rate: float = 0.01
    digital_rate: float = 0.01
    chooses: bool = True
    keeps_last: bool = False
    held: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"{self.epochs} epochs of batches of {self.batch} train nothing")
        if not min(self.rate, self.digital_rate) > 0:
            raise ValueError("learning rates are above 0")
        if not 0 <= self.held < self.epochs:
            raise ValueError(f"batch norm cannot be held in {self.held} of {self.epochs} epochs")

    @property
    def first_kept(self) -> int:
        """First epoch that may be the one that is kept."""
        return self.epochs - self.held + 1 if self.held else 1


class EpochRecord(NamedTuple):
    """What is known after an epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    loss : float
        Mean over its steps.
    validation : float or None
        The task's metric; None where validation data choose nothing.
    seconds : float
        Of training, without validation.
    density : float or None
        Share of cells that the masks use; None for an executor without masks, as below.
    flips : int or None
        Cells whose mask is another one than after the epoch before.
    pulses : int or None
        RESET and SET pulses of the epoch, every change on the way counted; None where masks are
        gates.
    """

    epoch: int
    loss: float
    validation: float | None
    seconds: float
    density: float | None = None
    flips: int | None = None
    pulses: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return self._asdict()


class Outcome(NamedTuple):
    """What training came to; network and executor are left as after `best_epoch`, in evaluation.

    Attributes
    ----------
    history : tuple of EpochRecord
    best_epoch : int
        The first one with the best validation metric of those that may be kept, or the last one
        where that chooses nothing.
    validation : float or None
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation: float | None


class Reread(NamedTuple):
    """Where fresh conductances come from while training.

    Attributes
    ----------
    every : int
        Steps between two readings, at least 1.
    read : callable
        Takes the present masks by the matrix's name, and gives conductances in uS likewise.
    """

    every: int
    read: Callable[[Mapping[str, Mask]], Mapping[str, Pairs]]
