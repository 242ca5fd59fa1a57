"""A task of one's own: a U-Net of 4.3 million weights, 33 macros' worth of cells, finds vessels.

    rramhil infer examples/unet_task.py:task --board 'sim://?chips=33' --chips 0-32 --dry-run
    rramhil train examples/unet_task.py:task --overlay
    rramhil infer examples/unet_task.py:task --samples 1

The size is that of networks for the DRIVE data set of retinal images, which cannot be passed on;
patches drawn here stand for it: dark, winding vessels of several widths on an uneven ground.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rramhil.datasets import draw_vessels
from rramhil.tasks import Examples, Splits, Task
from rramhil.tasks.unet import UNet

PIXELS = 48
_SEED = 5
_TRAIN, _VALIDATION, _TEST = 24, 8, 8


def data(root: Path) -> Splits:
    """Patches (N, 1, 48, 48) float32, 0 to 1, and their vessels, 0 or 1; `root` is not needed."""
    random = np.random.default_rng(_SEED)
    drawn = [draw_vessels(random, PIXELS) for _ in range(_TRAIN + _VALIDATION + _TEST)]
    images, vessels = (
        torch.tensor(np.stack(each), dtype=torch.float32) for each in zip(*drawn, strict=True)
    )
    parts = [slice(0, _TRAIN), slice(_TRAIN, _TRAIN + _VALIDATION), slice(-_TEST, None)]
    return Splits(*(Examples(images[part, None], vessels[part, None]) for part in parts))


def dice(outputs: Tensor, targets: Tensor) -> float:
    """Twice what is found and true over what is found and what is true, 0 to 1."""
    found = outputs > 0
    return float(2 * (found * targets).sum() / (found.sum() + targets.sum()).clamp(min=1))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of every pixel; the few of vessels count four times."""
    return functional.binary_cross_entropy_with_logits(
        outputs, targets, pos_weight=torch.tensor(4.0)
    )


task = Task(
    name="unet",
    model=UNet,
    data=data,
    loss=loss,
    metric=dice,
    metric_name="dice",
    bits=6,
    epochs=10,
)
