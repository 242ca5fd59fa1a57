"""`digits`: 1,797 images of 8 x 8 pixels that come with scikit-learn; seconds to train.

The split is drawn once, by a fixed seed: 1,257 to train, 180 of which choose the epoch, and 540 to
test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from rramhil.tasks._metrics import accuracy
from rramhil.tasks._task import Examples, Splits, Task

_SEED = 7
_TEST, _VALIDATION = 540, 180


def model() -> nn.Module:
    """64-96-10, with batch norm between."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 96, bias=False),
        nn.BatchNorm1d(96),
        nn.ReLU(),
        nn.Linear(96, 10),
    )


def data(root: Path) -> Splits:
    """Images (N, 1, 8, 8) float32, 0 to 1, and classes (N,) int64; `root` is not needed."""
    images, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(_SEED).permutation(len(images))
    inputs = torch.tensor(images[order] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    targets = torch.tensor(classes[order], dtype=torch.int64)
    sizes = [_TEST, _VALIDATION, len(images) - _TEST - _VALIDATION]
    test, validation, train = (
        Examples(*part) for part in zip(inputs.split(sizes), targets.split(sizes), strict=True)
    )
    return Splits(train, validation, test)


task = Task(
    name="digits",
    model=model,
    data=data,
    loss=functional.cross_entropy,
    metric=accuracy,
    metric_name="accuracy",
    bits=4,
    epochs=20,
)
