"""How masks are trained that are to bear cells that fail later: decision 0034.

Owns: the two figures of it. With noise that large a network learns to spread what it computes. With
batch norm held as measured, as a chip has it, masks also learn to bear the shifts of whole channels
that failed cells cause; in training batch norm takes those away, batch by batch.
"""

from __future__ import annotations

_NOISE = 0.2
_SHARE_HELD = 0.1


def robust_noise(measured: float) -> float:
    """Relative noise of a cell to train with, where a read shows so much."""
    return max(measured, _NOISE)


def robust_epochs(epochs: int) -> int:
    """How many epochs, of so many, batch norm is held in: a tenth, at least one, not all."""
    return min(epochs - 1, max(1, round(_SHARE_HELD * epochs)))
