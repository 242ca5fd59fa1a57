"""`retina-vessels`, `retina-vessels-drive` and `retina-phantom`: which pixels are vessels.

| task | photographs | train | choose the epoch | test |
|---|---|---|---|---|
| retina-vessels | CHASE_DB1 at half its size | 16 | 4 | 8 |
| retina-vessels-drive | DRIVE | 16 | 4 | 20 |
| retina-phantom | drawn, 96 x 96 | 8 | 2 | 5 |

The network learns from patches, drawn once by a fixed seed, turned and mirrored; validation and
test have whole photographs. A last training has patches of those too that chose the epoch. Pixels
outside the field of view have target -1: they are learnt as background, and not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rramhil.datasets.retina import Retinas, draw_phantom, read_chase_db1, read_drive
from rramhil.tasks._metrics import pr_auc, roc_auc, whole_frame
from rramhil.tasks._task import Examples, Splits, Task
from rramhil.tasks.unet import UNet

_SEED = 7
_OUTSIDE = -1.0
_MULTIPLE = 16
"""A U-Net of five levels halves four times."""

_AROUND = 31
"""Pixels; vessels are at most about 8 wide."""

_SPREADS = 6
"""Standard deviations of a photograph from an input of 0 to one of 1."""

_CHOOSING = 5
"""One of so many training photographs, the last ones, chooses the epoch."""


class _Photographs(NamedTuple):
    """Photographs, and the patches that are drawn of each that is trained on.

    Attributes
    ----------
    read : callable
        Takes the folder of data sets, gives training and test photographs.
    halved : bool
        Whether they are taken at half their size.
    pixels, patches : int
        Side of a patch, and how many of a photograph.
    """

    read: Callable[[Path], tuple[Retinas, Retinas]]
    halved: bool
    pixels: int
    patches: int

    def splits(self, root: Path) -> Splits:
        """Patches (N, 1, pixels, pixels) and whole photographs (N, 1, H, W), float32.

        Inputs are 0 to 1, targets 0, 1 (a vessel) or -1 (outside the field of view).
        """
        training, test = self._examples(root)
        kept = len(training.inputs) - len(training.inputs) // _CHOOSING
        first, last = (Examples(*(each[part] for each in training)) for part in _parts(kept))
        return Splits(self._patches(first), last, test)

    def undivided(self, root: Path) -> Examples:
        """Patches of all training photographs."""
        return self._patches(self._examples(root)[0])

    def _examples(self, root: Path) -> tuple[Examples, Examples]:
        training, test = (_examples(part, self.halved) for part in self.read(root))
        return training, test

    def _patches(self, examples: Examples) -> Examples:
        return _patches(examples, self.pixels, self.patches)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy of all pixels; outside the field of view there are no vessels."""
    return functional.binary_cross_entropy_with_logits(outputs, targets.clamp(min=0))


def _examples(read: Retinas, halved: bool) -> Examples:
    """Photographs (N, 1, H, W): green less its local mean, in units of its spread, cut at 0 and 1.

    The light falls off over a retina by more than a thin vessel is dark.
    """
    green, fields, vessels = (torch.tensor(each)[:, None].float() for each in read)
    if halved:
        green, fields, vessels = (
            functional.avg_pool2d(each, 2, ceil_mode=True) for each in (green, fields, vessels)
        )
    inside = fields > 0.5
    contrast = torch.where(inside, green - _local_mean(green, inside), 0.0)
    variance = contrast.square().sum(dim=(1, 2, 3), keepdim=True) / inside.sum(
        dim=(1, 2, 3), keepdim=True
    )
    inputs = (0.5 + contrast / (_SPREADS * variance.sqrt())).clamp(0, 1)
    targets = (vessels >= 0.5).float()
    return Examples(_padded(inputs, inside, 0.5), _padded(targets, inside, _OUTSIDE))


def _local_mean(images: Tensor, inside: Tensor) -> Tensor:
    """Mean of what is in the field of view in a square around each pixel."""
    summed, counted = images * inside, inside.float()
    for square in ((_AROUND, 1), (1, _AROUND)):  # along one side, then the other: 15 times faster
        around = (square[0] // 2, square[1] // 2)
        summed, counted = (
            functional.avg_pool2d(each, square, stride=1, padding=around)
            for each in (summed, counted)
        )
    return summed / counted.clamp(min=1 / _AROUND**2)


def _padded(images: Tensor, inside: Tensor, outside: float) -> Tensor:
    """Let what is outside the field of view be one value, and both sides be multiples of 16."""
    height, width = (-side % _MULTIPLE for side in images.shape[2:])
    around = [width // 2, width - width // 2, height // 2, height - height // 2]
    return functional.pad(torch.where(inside, images, outside), around, value=outside)


def _parts(kept: int) -> tuple[slice, slice]:
    return slice(0, kept), slice(kept, None)


def _patches(examples: Examples, pixels: int, patches: int) -> Examples:
    """Draw patches of each photograph whose centres see the retina; turn and mirror them."""
    random = np.random.default_rng(_SEED)
    drawn: list[Tensor] = []
    for both in torch.cat(examples, dim=1):
        seen = both[1, pixels // 2 : 1 - pixels // 2, pixels // 2 : 1 - pixels // 2] >= 0
        places = seen.nonzero()
        for row, column in places[random.integers(len(places), size=patches)]:
            patch = both[:, row : row + pixels, column : column + pixels]
            patch = patch.rot90(int(random.integers(4)), dims=(1, 2))
            drawn.append(patch.flip(2) if random.integers(2) else patch)
    whole = torch.stack(drawn)
    return Examples(whole[:, :1].contiguous(), whole[:, 1:].contiguous())


def _vessels(name: str, photographs: _Photographs, **said: Any) -> Task:
    return Task(
        name=name,
        data=photographs.splits,
        undivided=photographs.undivided,
        loss=loss,
        metric=roc_auc,
        metric_name="ROC AUC",
        also={
            "PR AUC": pr_auc,
            "ROC AUC, whole frame": whole_frame(roc_auc),
            "PR AUC, whole frame": whole_frame(pr_auc),
        },
        bits=6,
        **said,
    )


# photographs of 480 x 512 and 592 x 576 pixels, drawings of 96 x 96
task = _vessels(
    "retina-vessels", _Photographs(read_chase_db1, True, 64, 256), model=UNet, epochs=6, batch=8
)
drive_task = _vessels(
    "retina-vessels-drive", _Photographs(read_drive, False, 64, 256), model=UNet, epochs=6, batch=8
)
phantom_task = _vessels(
    "retina-phantom",
    _Photographs(lambda root: draw_phantom(), False, 32, 16),
    model=partial(UNet, (8, 16, 24)),
    epochs=10,
    batch=16,
)
