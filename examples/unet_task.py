"""A task of one's own: a U-Net of 4.3 million weights, 33 macros' worth of cells, finds vessels.

    rramhil infer examples/unet_task.py:task --board 'sim://?chips=33' --chips 0-32 --dry-run
    rramhil train examples/unet_task.py:task --overlay
    rramhil infer examples/unet_task.py:task --samples 1

The size is that of networks for the DRIVE data set of retinal images, which cannot be passed on;
patches drawn here stand for it: dark, winding vessels of several widths on an uneven ground.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rramhil.tasks import Examples, Splits, Task

PIXELS = 48
WIDTHS = (24, 48, 96, 192, 376)
_SEED = 5
_TRAIN, _VALIDATION, _TEST = 24, 8, 8
_VESSELS = 5


class UNet(nn.Module):
    """Four times down, four times up; each level's result is handed across."""

    def __init__(self) -> None:
        super().__init__()
        before = (1, *WIDTHS[:-1])
        self.down = nn.ModuleList(map(_two_convolutions, before, WIDTHS))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2) for width, below in pairwise(WIDTHS)
        )
        self.join = nn.ModuleList(_two_convolutions(2 * width, width) for width in WIDTHS[:-1])
        self.last = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of vessels (N, 1, H, W) in images of that shape; H and W are multiples of 16."""
        levels: list[Tensor] = []
        seen = image
        for number, block in enumerate(self.down):
            seen = block(functional.max_pool2d(seen, 2) if number else seen)
            levels.append(seen)
        seen = levels.pop()
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            seen = join(torch.cat([levels.pop(), up(seen)], dim=1))
        return self.last(seen)


def _two_convolutions(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def data(root: Path) -> Splits:
    """Patches (N, 1, 48, 48) float32, 0 to 1, and their vessels, 0 or 1; `root` is not needed."""
    random = np.random.default_rng(_SEED)
    drawn = [_patch(random) for _ in range(_TRAIN + _VALIDATION + _TEST)]
    images, vessels = (
        torch.tensor(np.stack(each), dtype=torch.float32) for each in zip(*drawn, strict=True)
    )
    parts = [slice(0, _TRAIN), slice(_TRAIN, _TRAIN + _VALIDATION), slice(-_TEST, None)]
    return Splits(*(Examples(images[part, None], vessels[part, None]) for part in parts))


def _patch(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image and where its vessels are, both (PIXELS, PIXELS)."""
    place = np.indices((PIXELS, PIXELS)) / PIXELS
    ground = 0.7 + 0.1 * np.sin(3 * place[0] + random.uniform(0, 6)) * np.cos(4 * place[1])
    vessels = np.zeros((PIXELS, PIXELS), dtype=bool)
    for _ in range(_VESSELS):
        angle = random.uniform(0, np.pi)
        along = np.cos(angle) * place[0] + np.sin(angle) * place[1]
        across = np.cos(angle) * place[1] - np.sin(angle) * place[0]
        bend = 0.06 * np.sin(random.uniform(4, 10) * along + random.uniform(0, 6))
        vessels |= np.abs(across - random.uniform(-0.7, 0.9) - bend) < random.uniform(0.01, 0.04)
    image = ground - 0.3 * vessels + 0.05 * random.standard_normal(vessels.shape)
    return image.clip(0, 1), vessels


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
