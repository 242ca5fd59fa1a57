"""How masks are trained that are to bear cells that fail later: decision 0034.

Owns: the two figures of it. With noise that large a network learns to spread what it computes. With
batch norm held as measured, as a chip has it, masks also learn to bear the shifts of whole channels
that failed cells cause; in training batch norm takes those away, batch by batch.
"""

from __future__ import annotations

_NOISE = 0.2
_HELD_OF = 10


def robust_noise(measured: float) -> float:
    """Relative noise of a cell to train with, where a read shows so much."""
    return max(measured, _NOISE)


def held_epochs(epochs: int) -> int:
    """Epochs, of so many, with batch norm held: a tenth, rounded up, but not all of them."""
    return min(epochs - 1, -(-epochs // _HELD_OF))
