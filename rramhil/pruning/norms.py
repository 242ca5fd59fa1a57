"""Batch norm measured on training data, with the weights that are in use. Trains nothing.

What batch norm remembers while training is of the masks of many steps, each under another read's
noise, and of the last few batches. A chip has one mask and one map, so what its layers put out has
one mean and one variance, which a look at training data tells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rramhil.network import Network, batch_norms_of
from rramhil.tasks import Examples

_BATCH = 256
_NUMBERS = 1 << 20
"""Inputs that are looked at at once, at most: a few large images."""
_MOST_EXAMPLES = 8192
"""A mean of so many is known to a per cent of its spread."""
_MOST_NUMBERS = 1 << 21
"""Inputs that are looked at in all, at most: each large image tells of many pixels."""


@torch.no_grad()
def reestimate_batch_norm(network: Network, examples: Examples) -> None:
    """Measure the mean and variance of every batch norm anew, with the executor in use.

    Nothing is trained: ranges, gains and biases stay. A network without batch norm stays as it is.

    Parameters
    ----------
    network : Network
        Is in evaluation mode afterwards.
    examples : Examples
        Training data, of which at most 8,192 are looked at, evenly spread over all; never their
        targets.
    """
    norms = batch_norms_of(network)
    network.eval()
    if not norms:
        return
    memories = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        for batch in _batches(examples.inputs):
            network(batch.to(next(network.parameters()).device))
    finally:
        for norm, momentum in zip(norms, memories, strict=True):
            norm.momentum = momentum
        network.eval()


def hold_batch_norm(network: Network) -> None:
    """Let every batch norm of a network in training use what was measured, as a chip does.

    Its gains and biases are trained all the same. Until `Network.train` is called the next time.
    """
    for norm in batch_norms_of(network):
        norm.eval()


def batch_of(inputs: Tensor) -> int:
    """How many of these inputs (N, ...) are looked at at once: fewer, where they are large."""
    return max(1, min(_BATCH, _NUMBERS // max(1, inputs[0].numel())))


def _batches(inputs: Tensor) -> tuple[Tensor, ...]:
    """Batches of one size, so that each weighs the same in the mean."""
    numbers = max(1, inputs[0].numel())
    most = min(_MOST_EXAMPLES, max(_BATCH // 2, _MOST_NUMBERS // numbers))
    # not the first ones: neighbours may be of one photograph, or of one speaker
    seen = inputs[:: -(-len(inputs) // most)]
    size = min(batch_of(inputs), len(seen))
    return seen[: len(seen) // size * size].split(size)
