"""Photographs of the retina, their field of view, and the vessels that an observer drew."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from rramhil.datasets.phantom import phantom_tree
from rramhil.datasets.trees import Tree
from rramhil.datasets.verify import verified

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
UInt8Array = npt.NDArray[np.uint8]

_CHASE_TRAINING = 20
_DARKEST_RED = 15
"""Of the retina in photographs of CHASE_DB1; what surrounds it is black but for noise."""


class Retinas(NamedTuple):
    """Photographs of one size; entry n of each belongs to photograph n.

    Attributes
    ----------
    green : (N, H, W) uint8
        The channel in which vessels stand out most.
    fields : (N, H, W) bool
        Where the retina is seen.
    vessels : (N, H, W) bool
        What the first observer drew.
    """

    green: UInt8Array
    fields: BoolArray
    vessels: BoolArray

    def part(self, which: slice) -> Retinas:
        """Some of the photographs."""
        return Retinas(self.green[which], self.fields[which], self.vessels[which])


def read_chase_db1(root: Path) -> tuple[Retinas, Retinas]:
    """Read CHASE_DB1: its first 20 photographs, 960 x 999, and its last 8.

    The data set has no fields of view; here they are all but the black around the
    retina. It has no official split either; this one keeps both eyes of a person together.

    Parameters
    ----------
    root : Path
        The folder of data sets.

    Raises
    ------
    NotFound, DataError
        See `verified`.
    """
    with verified(root, "chase-db1") as tree:
        names = sorted(name for name in tree.names if name.endswith(".jpg"))
        colours = [_pixels(tree, name, "RGB") for name in names]
        drawn = [_pixels(tree, name.replace(".jpg", "_1stHO.png"), "L") for name in names]
    whole = Retinas(
        np.stack([each[..., 1] for each in colours]),
        np.stack([_field_of(each[..., 0]) for each in colours]),
        np.stack(drawn) > 0,
    )
    return whole.part(slice(_CHASE_TRAINING)), whole.part(slice(_CHASE_TRAINING, None))


def _field_of(red: UInt8Array) -> BoolArray:
    """All but the black that reaches the edge of a photograph."""
    labels, _ = cast(tuple[IntArray, int], ndimage.label(red <= _DARKEST_RED))
    at_edge = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
    return ~np.isin(labels, at_edge[at_edge > 0])


def read_drive(root: Path) -> tuple[Retinas, Retinas]:
    """Read DRIVE: its 20 training and its 20 test photographs, 584 x 565.

    Raises
    ------
    NotFound, DataError
        See `verified`.
    """
    with verified(root, "drive") as tree:
        return _in_layout_of_drive(tree)


def draw_phantom() -> tuple[Retinas, Retinas]:
    """Draw the phantom: 10 and 5 images, 96 x 96, by way of files in the layout of DRIVE."""
    return _in_layout_of_drive(phantom_tree())


def _in_layout_of_drive(tree: Tree) -> tuple[Retinas, Retinas]:
    return _part(tree, "training"), _part(tree, "test")


def _part(tree: Tree, part: str) -> Retinas:
    images = sorted(name for name in tree.names if name.startswith(f"{part}/images/"))
    stems = [PurePosixPath(name).stem for name in images]
    masks = [f"{part}/mask/{stem}_mask.gif" for stem in stems]
    drawn = [f"{part}/1st_manual/{stem.partition('_')[0]}_manual1.gif" for stem in stems]
    return Retinas(
        np.stack([_pixels(tree, name, "RGB")[..., 1] for name in images]),
        np.stack([_pixels(tree, name, "L") for name in masks]) > 0,
        np.stack([_pixels(tree, name, "L") for name in drawn]) > 0,
    )


def _pixels(tree: Tree, name: str, mode: str) -> UInt8Array:
    with Image.open(io.BytesIO(tree.read(name))) as image:
        return np.asarray(image.convert(mode))
