"""The U-Net of `retina-vessels`: 4.3 million weights, the size of the paper's.

The paper's net widens 32-64-128-256-256 and enlarges by interpolation (4,313,440 weights); this one
enlarges by transposed convolutions, which are on the chip as all else (4,288,176 weights).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 48, 96, 192, 376)


class UNet(nn.Module):
    """Each width is a level, half as large as the one before; its result is handed across.

    Parameters
    ----------
    widths : tuple of int
        Channels of each level, at least two levels.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        before = (1, *widths[:-1])
        self.down = nn.ModuleList(map(_two_convolutions, before, widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2) for width, below in pairwise(widths)
        )
        self.join = nn.ModuleList(_two_convolutions(2 * width, width) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of images of that shape; H and W are multiples of 2^(levels - 1)."""
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
