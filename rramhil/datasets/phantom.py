"""A phantom of the retina: drawn vessels, as files in the layout of DRIVE.

It stands for the photographs where those may not be: in tests, and before a user has them.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from rramhil.datasets.trees import Tree

_SEED = 5
_PIXELS = 96
_TRAINING, _TEST = 10, 5
_VESSELS = 5


def draw_vessels(
    random: np.random.Generator, pixels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Draw an image, 0 to 1, and say where its vessels are; both (pixels, pixels).

    Dark, winding vessels of several widths on an uneven ground, with noise.
    """
    place = np.indices((pixels, pixels)) / pixels
    ground = 0.7 + 0.1 * np.sin(3 * place[0] + random.uniform(0, 6)) * np.cos(4 * place[1])
    vessels = np.zeros((pixels, pixels), dtype=bool)
    for _ in range(_VESSELS):
        angle = random.uniform(0, np.pi)
        along = np.cos(angle) * place[0] + np.sin(angle) * place[1]
        across = np.cos(angle) * place[1] - np.sin(angle) * place[0]
        bend = 0.06 * np.sin(random.uniform(4, 10) * along + random.uniform(0, 6))
        vessels |= np.abs(across - random.uniform(-0.7, 0.9) - bend) < random.uniform(0.01, 0.04)
    image = ground - 0.3 * vessels + 0.05 * random.standard_normal(vessels.shape)
    return image.clip(0, 1), vessels


@cache
def phantom_tree() -> Tree:
    """Make the files: photographs as TIFF, fields of view and vessels as GIF, the same each time.

    As in DRIVE, tests are numbered from 1 and training images go on from there, and a round field
    of view is surrounded by black.
    """
    random = np.random.default_rng(_SEED)
    across = np.indices((_PIXELS, _PIXELS)) - (_PIXELS - 1) / 2
    field = np.hypot(*across) < 0.48 * _PIXELS
    contents: dict[str, bytes] = {}
    for number in range(1, _TEST + _TRAINING + 1):
        part = "test" if number <= _TEST else "training"
        image, vessels = draw_vessels(random, _PIXELS)
        grey = (255 * image * field).astype(np.uint8)
        stem = f"{number:02d}_{part}"
        contents |= {
            f"{part}/images/{stem}.tif": _encoded(np.stack([grey] * 3, axis=-1), "tiff"),
            f"{part}/mask/{stem}_mask.gif": _encoded(255 * field.astype(np.uint8), "gif"),
            f"{part}/1st_manual/{number:02d}_manual1.gif": _encoded(
                255 * (vessels & field).astype(np.uint8), "gif"
            ),
        }
    return Tree(tuple(sorted(contents)), contents.__getitem__)


def _encoded(pixels: npt.NDArray[np.uint8], kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind)
    return file.getvalue()
