"""The task `digits` in small: a network, a few samples, and cells that nobody measured."""

from __future__ import annotations

from pathlib import Path

import torch

from rramhil.network import Network, Pairs, convert
from rramhil.tasks import Examples, Splits, load

DIGITS = load("digits")


def digits_network() -> Network:
    """The task's network, always with the same first weights."""
    torch.manual_seed(0)
    return convert(DIGITS.model(), 4, example_input=torch.zeros(2, 1, 8, 8))


def few_digits() -> Splits:
    """The first 256 samples of each part, or all."""
    splits = DIGITS.data(Path())
    return Splits(*(Examples(*(tensor[:256] for tensor in part)) for part in splits))


def drawn_pairs(network: Network, seed: int = 0) -> dict[str, Pairs]:
    """Conductances in uS of every matrix, as of a formed array."""
    random = torch.Generator().manual_seed(seed)
    return {
        each.name: Pairs(
            *(12 + 2 * torch.randn(each.outputs, each.inputs, generator=random) for _ in range(2))
        )
        for each in network.matrices
    }
