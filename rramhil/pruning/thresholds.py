"""The score that a given share of cells reaches, without sorting them.

Owns: selection, exact and from a sample. A full sort each step would cost more than the step.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SAMPLE = 8192
"""Scores of a sample: a share of one half is met to 0.6 % (one sd)."""


def exact(scores: Tensor, kept: int) -> Tensor:
    """Largest threshold () that `kept` of the scores (M,) float32 reach; infinity for none."""
    if kept <= 0:
        return scores.new_tensor(torch.inf)
    if scores.is_cuda:
        return torch.kthvalue(scores.detach(), len(scores) - kept + 1).values
    # ten times as fast as torch's selection
    values = scores.detach().numpy()
    at = len(values) - kept
    return torch.tensor(np.partition(values, at)[at], dtype=scores.dtype)


def sampled(scores: Tensor, share: float, places: Tensor) -> Tensor:
    """Threshold () that about this share of the scores (M,) float32 reach.

    Parameters
    ----------
    places : (S,) int64
        Where to look: a fixed random choice, so that the threshold moves as smoothly as the
        scores do.
    """
    sample = scores.detach()[places]
    return exact(sample, round(share * len(sample)))


def places_of(count: int, generator: torch.Generator) -> Tensor | None:
    """Random places (S,) among `count` scores, or None where all of them can be looked at."""
    if count <= SAMPLE:
        return None
    # in order, as memory is
    return torch.randint(count, (SAMPLE,), generator=generator).sort().values
