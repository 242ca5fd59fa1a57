"""What masks are worth where a chip is not as its map says: read noise, stuck and unformed cells.

Owns: the conditions, and measuring the masks of a comparison under each. A condition is either
*unknown*, so that the masks were trained on the sound map, or *known*: then it is in the map that
masks are trained on, and they are trained anew. Each is measured with batch norm as trained, as
where nobody noticed, and with batch norm estimated again, as after reading the chip again. Touches
no board.

A stuck cell is off (0.1 uS) or fully on, with equal chances; gates reach it all the same. An
unformed cell is off. Read noise is drawn once a cell for a whole measurement ("per weight"), as if
the chip were read once; a value is the mean over several draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.comparison.replicates import Replicate
from rramhil.network import Pairs
from rramhil.pruning import Interval

Kind = Literal["noise", "stuck", "unformed"]

OFF_uS = 0.1
"""Of a cell that has not formed. Source: assumed, as the board's profile."""
_ON_QUANTILE = 0.999
"""Of the map's own cells, that a cell stuck on conducts."""
DRAWS = 3
"""Of an unknown condition; a known one is drawn once, since masks are trained on it."""


class Condition(NamedTuple):
    """What is wrong.

    Attributes
    ----------
    kind : "noise", "stuck" or "unformed"
    level : float
        Standard deviation relative to a cell's conductance; else the share of cells.
    is_known : bool
        Whether it is in the map at training time.
    """

    kind: Kind
    level: float
    is_known: bool = False

    @property
    def name(self) -> str:
        """A name for files, such as `stuck-0.05-known`."""
        return f"{self.kind}-{self.level:g}" + "-known" * self.is_known


UNKNOWN = (
    Condition("noise", 0.02),
    Condition("noise", 0.05),
    Condition("noise", 0.1),
    Condition("stuck", 0.01),
    Condition("stuck", 0.02),
    Condition("stuck", 0.05),
    Condition("stuck", 0.1),
    Condition("unformed", 0.5),
)
KNOWN = (Condition("stuck", 0.05, True), Condition("unformed", 0.5, True))


@dataclass(frozen=True)
class ConditionResult:
    """Masks under a condition.

    Attributes
    ----------
    row : str
        Name of the row whose masks they are.
    condition : Condition
    test, reestimated : tuple of float
        The task's metric of each replicate, mean over draws; with batch norm as it was trained, and
        estimated again on the cells under the condition.
    change, reestimated_change : Interval
        Against the same row without the condition and with batch norm as trained, paired by unit,
        mean over replicates.
    """

    row: str
    condition: Condition
    test: tuple[float, ...]
    reestimated: tuple[float, ...]
    change: Interval
    reestimated_change: Interval

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "row": self.row,
            "test": self.test,
            "reestimated": self.reestimated,
            "change": self.change._asdict(),
            "reestimated_change": self.reestimated_change._asdict(),
            "condition": self.condition.kind,
            "level": self.condition.level,
            "known": self.condition.is_known,
        }


def under(condition: Condition, replicate: Replicate, draw: int = 0) -> Replicate:
    """The cells of a replicate under a condition; each draw is one of its own."""
    random = torch.Generator().manual_seed(10_007 * replicate.seed + draw)
    on_uS = _quantile(replicate.pairs, _ON_QUANTILE)
    pairs = {
        name: Pairs(*(_changed(cells, condition, on_uS, random) for cells in pair))
        for name, pair in replicate.items()
    }
    return replace(replicate, pairs=pairs)


def _changed(
    cells_uS: Tensor, condition: Condition, on_uS: float, random: torch.Generator
) -> Tensor:
    if condition.kind == "noise":
        return cells_uS * (1 + condition.level * torch.randn(cells_uS.shape, generator=random))
    hit = torch.rand(cells_uS.shape, generator=random) < condition.level
    changed = torch.full_like(cells_uS, OFF_uS)
    if condition.kind == "stuck":
        changed[torch.rand(cells_uS.shape, generator=random) < 0.5] = on_uS
    return torch.where(hit, changed, cells_uS)


def _quantile(pairs: Mapping[str, Pairs], share: float) -> float:
    cells: list[npt.NDArray[Any]] = [
        cell.numpy().ravel() for pair in pairs.values() for cell in pair
    ]
    return float(np.quantile(np.concatenate(cells), share))
