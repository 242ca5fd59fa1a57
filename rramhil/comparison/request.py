"""What a comparison is asked for, as values that check themselves. Does nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rramhil.comparison.conditions import Condition
from rramhil.comparison.rows import COMPARATOR, ROWS, VERSION, Row
from rramhil.errors import UsageError
from rramhil.flow import check_choices, check_numbers

RATES = (0.01, 0.003, 0.03)
"""Learning rates of weights or scores in the order in which they are tried."""


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Attributes
    ----------
    which : str
        The task, as `rramhil.tasks.load` takes it.
    rows : tuple of str
        Names of `ROWS`; the comparator is always among them.
    epochs : int or None
        Of every training; None for the task's own.
    density : float
        Share of gates that are open, above 0 and up to 1.
    rates : tuple of float
        Learning rates that every kind of weights is tried with.
    seed : int
        Of the first replicate.
    replicates : int
    overlay, allow_digital : bool
        As of `TrainRequest`.
    device : str
        To train on, such as "cpu" or "cuda".
    conditions : bool
        Measure masks under noise, stuck and unformed cells too.
    final : bool
        Let validation data choose on the first replicate only, then train every replicate once more
        on all training data.
    """

    which: str
    rows: tuple[str, ...] = tuple(row.name for row in ROWS)
    epochs: int | None = None
    density: float = 0.5
    rates: tuple[float, ...] = RATES[:2]
    seed: int = 0
    replicates: int = 3
    overlay: bool = False
    allow_digital: bool = False
    device: str = "cpu"
    conditions: bool = False
    final: bool = False

    def __post_init__(self) -> None:
        known = {row.name for row in ROWS}
        for name in self.rows:
            if name not in known:
                raise UsageError(
                    f"There is no row {name!r}.", f"Known are {', '.join(sorted(known))}."
                )
        if len(set(self.rows)) < len(self.rows):
            raise UsageError(
                f"{','.join(self.rows)!r} names a row twice.", "Write each of --rows once."
            )
        if not self.rates or min(self.rates) <= 0:
            raise UsageError("At least one learning rate above 0 is to be tried.")
        check_numbers(epochs=self.epochs, density=self.density, seed=self.seed)
        check_choices(device=self.device)

    @property
    def chosen(self) -> tuple[Row, ...]:
        """The rows, in the order of `ROWS`; another chip's masks need another chip."""
        return tuple(
            row
            for row in ROWS
            if row.name == COMPARATOR
            or (row.name in self.rows and (row.on != "other" or self.replicates > 1))
        )

    @property
    def needs_placement(self) -> bool:
        """Whether a row is trained for the places of its cells."""
        return any(row.training == "codebook" for row in self.chosen)

    @property
    def identity(self) -> dict[str, Any]:
        """What two runs of one comparison have in common, plain; the rest may be added."""
        said = asdict(self)
        for name in ("rows", "device", "conditions", "final"):
            del said[name]
        return said | {"rates": list(self.rates), "version": VERSION}


class Step(NamedTuple):
    """A training of a comparison.

    Attributes
    ----------
    kind : str
        Key of `TRAININGS`.
    replicate : int
    rate : float
    is_kept : bool
        Whether it was there already.
    epochs : int
    condition : Condition or None
        That its cells are under, if it was known.
    is_final : bool
        Whether it is on all training data.
    """

    kind: str
    replicate: int
    rate: float
    is_kept: bool
    epochs: int
    condition: Condition | None = None
    is_final: bool = False
