"""Masks that are written into cells by pulses: which of their bits to change, and what that takes.

Owns: masks as a state, the paper's hysteresis, pulse budgets, and counts. Where masks are gates a
bit costs nothing, and nothing here is needed. Fires no pulse, and knows no chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rramhil.pruning.thresholds import Level


@dataclass(frozen=True)
class Economy:
    """How sparingly masks are written.

    Attributes
    ----------
    hysteresis : float
        A bit is kept until its score is beyond the threshold by more than this, so for all scores
        that moved by no more since their bits were written; in standard deviations of the first
        scores, 0 or more. Scores are learnt with the masks as they are, so what is kept is not
        lost to them.
    begin : float
        Share of the training, 0 to 1, before the first masks are written: until then masks follow
        their scores, on the map alone, and take no pulse. Most bits change in the first epochs.
    cell_pulses, run_pulses : int or None
        Pulses that one cell, and all cells of a run together, may get, 0 or more; the first masks
        count.
    every : int
        Steps between two updates of the masks, at least 1.
    off_uS : float
        What a cell conducts after a RESET, until it is measured.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    hysteresis: float = 0.0
    begin: float = 0.0
    cell_pulses: int | None = None
    run_pulses: int | None = None
    every: int = 1
    off_uS: float = 0.0

    def __post_init__(self) -> None:
        if not self.hysteresis >= 0:
            raise ValueError(f"a hysteresis is 0 or more, not {self.hysteresis}")
        if not 0 <= self.begin <= 1:
            raise ValueError(f"masks begin to be written at 0 to 1, not {self.begin}")
        budgets = [each for each in (self.cell_pulses, self.run_pulses) if each is not None]
        if self.every < 1 or min(budgets, default=0) < 0:
            raise ValueError(
                "masks are updated every step or less often, and budgets are not negative"
            )


class Written(NamedTuple):
    """Pulses that masks have taken so far.

    Attributes
    ----------
    first : int
        RESET pulses of the first masks, of cells that all conduct.
    resets, sets : int
        Those of all changes since.
    most : int
        Of one cell, the first included.
    """

    first: int = 0
    resets: int = 0
    sets: int = 0
    most: int = 0

    @property
    def changes(self) -> int:
        """Pulses after the first masks."""
        return self.resets + self.sets


class HeldGates(nn.Module):
    """Gates of one matrix as its cells have them; before the first masks, as scores ask for.

    Parameters
    ----------
    shape : tuple of int
        Of its scores.
    cells : int
        Cells that one gate is about: 2 for pair gating, 1 for cell gating.

    Attributes
    ----------
    is_open : (...) bool
    pulses : (...) int32
        Of each of its cells.
    counts : (3,) int64
        Pulses of the first masks, then RESET and SET since.
    has_begun : () bool
        Whether the first masks are written.
    """

    is_open: Tensor
    pulses: Tensor
    counts: Tensor
    has_begun: Tensor

    def __init__(self, shape: tuple[int, ...], cells: int) -> None:
        super().__init__()
        self._cells = cells
        self.register_buffer("is_open", torch.ones(shape, dtype=torch.bool))
        self.register_buffer("pulses", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("has_begun", torch.zeros((), dtype=torch.bool))

    @property
    def spent(self) -> int:
        """Pulses so far."""
        return int(self.counts.sum())

    @property
    def written(self) -> Written:
        """The same in parts; before the first masks, what writing the present ones would take."""
        if not self.has_begun:
            closed = int((~self.is_open).sum()) * self._cells
            return Written(first=closed, most=min(1, closed))
        first, resets, sets = (int(each) for each in self.counts)
        return Written(first, resets, sets, int(self.pulses.max()))

    @torch.no_grad()
    def follow(self, scores: Tensor, threshold: Level) -> None:
        """Be as scores (...) float32 ask for, before the first masks: nothing is written."""
        self.is_open.copy_(scores >= threshold)

    @torch.no_grad()
    def write(self, scores: Tensor, threshold: Level, economy: Economy, width: float) -> None:
        """Write the bits that scores ask for, as far as economy lets them.

        The first masks are written into cells that all conduct, without hysteresis.

        Parameters
        ----------
        scores : (...) float32
        threshold : float or () float32
            A gate is to be open from it on.
        economy : Economy
            With the pulses that are left, as `run_pulses`.
        width : float
            Its hysteresis as a difference of scores.
        """
        is_first = not self.has_begun
        if is_first:
            self.is_open.fill_(True)
            self.has_begun.fill_(True)
        beyond = scores - threshold
        changed = (beyond >= 0) != self.is_open
        if width and not is_first:
            changed &= beyond.abs() > width
        if economy.cell_pulses is not None:
            changed &= self.pulses < economy.cell_pulses
        if economy.run_pulses is not None:
            changed = _most_urgent(changed, beyond, economy.run_pulses // self._cells)
        closed = int((changed & self.is_open).sum()) * self._cells
        opened = int(changed.sum()) * self._cells - closed
        self.is_open ^= changed
        self.pulses += changed
        self.counts += torch.tensor(
            [closed, 0, 0] if is_first else [0, closed, opened], device=self.counts.device
        )


def _most_urgent(changed: Tensor, distance: Tensor, most: int) -> Tensor:
    """At most so many of the gates that are to change (...) bool: those farthest beyond."""
    if int(changed.sum()) <= most:
        return changed
    urgency = torch.where(changed, distance.abs(), -1.0).flatten()
    kept = torch.zeros_like(changed).flatten()
    kept[urgency.topk(max(0, most)).indices] = True
    return kept.view_as(changed)
