"""`fashion-mnist`: clothes in ten classes, the paper's convolutional network for them.

Images of 28 x 28 are averaged to 14 x 14, the size of the paper's network. The 10,000 official test
images are the test; 6,000 of the 60,000 others, drawn once by a fixed seed, choose the epoch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rramhil.datasets import UInt8Array, read_fashion_mnist
from rramhil.tasks._metrics import accuracy
from rramhil.tasks._task import Examples, Splits, Task

_SEED = 7
_VALIDATION = 6000


def model() -> nn.Module:
    """Convolutions of 64 x 1 x 3 x 3 and 16 x 64 x 3 x 3, then 400-128-10."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(16),
        nn.Flatten(),
        nn.Linear(400, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def data(root: Path) -> Splits:
    """Images (N, 1, 14, 14) float32, 0 to 1, and classes (N,) int64."""
    read = read_fashion_mnist(root)
    order = np.random.default_rng(_SEED).permutation(len(read.train_images))
    images = _pooled(read.train_images)[order]
    classes = torch.tensor(read.train_classes[order], dtype=torch.int64)
    return Splits(
        train=Examples(images[_VALIDATION:], classes[_VALIDATION:]),
        validation=Examples(images[:_VALIDATION], classes[:_VALIDATION]),
        test=Examples(
            _pooled(read.test_images), torch.tensor(read.test_classes, dtype=torch.int64)
        ),
    )


def _pooled(images: UInt8Array) -> Tensor:
    """Mean of each 2 x 2 pixels: (N, 28, 28) uint8 to (N, 1, 14, 14) float32, 0 to 1."""
    return functional.avg_pool2d(torch.tensor(images, dtype=torch.float32)[:, None] / 255, 2)


task = Task(
    name="fashion-mnist",
    model=model,
    data=data,
    loss=functional.cross_entropy,
    metric=accuracy,
    metric_name="accuracy",
    bits=4,
    epochs=20,
)
