"""The score that a given share of cells reaches, without sorting them.

Owns: selection, exact and from a sample. A full sort each step would cost more than the step.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

SAMPLE = 8192
"""Scores of a sample: a share of one half is met to 0.6 % (one sd)."""

Level = Tensor | float
"""What a score has to reach: a number; on a GPU () float32, which to read would be to wait."""


class Threshold(nn.Module):
    """What a score has to reach: from a sample in training mode, exact in evaluation mode.

    Parameters
    ----------
    share : float or None
        Of the scores that reach it, 0 to 1; None for a threshold of 0.
    count : int
        Scores.
    random : torch.Generator
        Of the sample.

    Raises
    ------
    ValueError
        If the share is not 0 to 1.
    """

    places: Tensor | None

    def __init__(self, share: float | None, count: int, random: torch.Generator) -> None:
        super().__init__()
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"a density is 0 to 1, not {share}")
        self.share = share
        self.register_buffer("places", places_of(count, random), persistent=False)

    def level(self, scores: Tensor) -> Level:
        """Threshold of scores (...) float32."""
        if self.training and self.places is not None and self.share is not None:
            return sampled(scores.detach().flatten(), self.share, self.places)
        return self.exact(scores)

    def exact(self, scores: Tensor) -> Level:
        """The same in either mode, exact."""
        if self.share is None:
            return 0.0
        return exact(scores.detach().flatten(), round(self.share * scores.numel()))


def exact(scores: Tensor, kept: int) -> Level:
    """Largest threshold that `kept` of the scores (M,) float32 reach; infinity for none."""
    if kept <= 0:
        return math.inf
    if scores.is_cuda:
        return torch.kthvalue(scores, len(scores) - kept + 1).values
    # up to ten times as fast as torch's selection
    at = len(scores) - kept
    return float(np.partition(scores.numpy(), at)[at])


def sampled(scores: Tensor, share: float, places: Tensor) -> Level:
    """Threshold that about this share of the scores (M,) float32 reach.

    Parameters
    ----------
    places : (S,) int64
        Where to look: a fixed random choice, so that the threshold moves as smoothly as the
        scores do.
    """
    # numpy gathers them in a third of the time
    sample = scores[places] if scores.is_cuda else torch.from_numpy(scores.numpy()[places.numpy()])
    # a share of few gates is not none of them
    return exact(sample, round(share * len(sample)) or math.ceil(share))


def places_of(count: int, generator: torch.Generator) -> Tensor | None:
    """Random places (S,) among `count` scores, or None where all of them can be looked at."""
    if count <= SAMPLE:
        return None
    # in order, as memory is
    return torch.randint(count, (SAMPLE,), generator=generator).sort().values
