"""Masks: which cells of a network's matrices are let through, and to which chip they belong.

Owns: masks as values, their file, and the refusal of a mask that was trained on another map or
for another placement. Knows neither board nor schedule.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from rramhil._atomic import replacing
from rramhil.errors import MaskError, NotFound

BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]
GateKind = Literal["pair", "cell"]

_FORMAT = 1
_MAX_BYTES = 64 << 20  # 250 million weights; beyond is damage or malice


@dataclass(frozen=True, eq=False)
class Mask:
    """Which cells of one matrix of differential pairs follow the input.

    Attributes
    ----------
    kind : "pair" or "cell"
        Whether a pair's two cells are gated together, or each on its own.
    plus, minus : (outputs, inputs) bool
        True for a cell that is used. A pair mask has the same array twice.

    Raises
    ------
    ValueError
        If the arrays are no two equal rectangles, or a pair mask splits a pair.
    """

    kind: GateKind
    plus: BoolArray
    minus: BoolArray

    def __post_init__(self) -> None:
        for name in ("plus", "minus"):
            array = np.array(getattr(self, name), dtype=np.bool_)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.plus.ndim != 2 or self.plus.shape != self.minus.shape or 0 in self.plus.shape:
            raise ValueError(
                f"plus and minus must be one shape (outputs, inputs), not {self.plus.shape} and "
                f"{self.minus.shape}"
            )
        if self.kind == "pair" and (self.plus != self.minus).any():
            raise ValueError("a pair mask gates both cells of a pair together")

    @classmethod
    def pair(cls, keep: npt.ArrayLike) -> Mask:
        """Gate pairs: `keep` (outputs, inputs) bool."""
        kept = np.asarray(keep, dtype=np.bool_)
        return cls("pair", kept, kept)

    @classmethod
    def cell(cls, plus: npt.ArrayLike, minus: npt.ArrayLike) -> Mask:
        """Gate cells: `plus` and `minus` (outputs, inputs) bool."""
        return cls("cell", np.asarray(plus, dtype=np.bool_), np.asarray(minus, dtype=np.bool_))

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        return self.plus.shape[0], self.plus.shape[1]

    @property
    def rows(self) -> BoolArray:
        """Gate patterns of each output's plus and minus row, (outputs, 2, inputs) bool."""
        return np.stack([self.plus, self.minus], axis=1)

    @property
    def density(self) -> float:
        """Share of cells that are used."""
        return float(self.plus.mean() + self.minus.mean()) / 2


@dataclass(frozen=True, eq=False)
class MaskSet:
    """The masks of a network, and what they belong to.

    Attributes
    ----------
    masks : mapping of str to Mask
        By the matrix's name, in the network's order.
    placement_id : str
        Placement they were trained for.
    map_ids : mapping of int to str
        Map that they were trained on, by chip; empty if they were trained for any chip.
    """

    masks: Mapping[str, Mask]
    placement_id: str
    map_ids: Mapping[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        object.__setattr__(self, "masks", MappingProxyType(dict(self.masks)))
        sorted_ids = dict(sorted(self.map_ids.items()))
        object.__setattr__(self, "map_ids", MappingProxyType(sorted_ids))

    @cached_property
    def id(self) -> str:
        """First 12 hexadecimal digits of a SHA-256 over everything in it."""
        return _content_id(_header(self), _packed(self))

    @property
    def density(self) -> float:
        """Share of the network's cells that are used."""
        cells = sum(mask.plus.size for mask in self.masks.values())
        return sum(mask.density * mask.plus.size for mask in self.masks.values()) / max(1, cells)

    def check(self, placement_id: str, map_ids: Mapping[int, str], *, force: bool = False) -> None:
        """Refuse to be used with another placement, or on a chip with another map.

        Parameters
        ----------
        placement_id : str
            The placement in use.
        map_ids : mapping of int to str
            The current map of each chip in use.
        force : bool
            Take another map nevertheless. Another placement is never taken: its cells are others.

        Raises
        ------
        MaskError
        """
        if placement_id != self.placement_id:
            raise MaskError(
                f"The masks {self.id} belong to placement {self.placement_id}, not to "
                f"{placement_id}.",
                "Take the placement that was saved with them, or train again.",
            )
        if force:
            return
        for chip in self.on_other_maps(map_ids):
            raise MaskError(
                f"The masks {self.id} were trained on map {self.map_ids[chip]} of chip {chip}, "
                f"whose map is now {map_ids.get(chip) or 'unknown'}.",
                "Train on the present map, or force it and expect another accuracy.",
            )

    def on_other_maps(self, map_ids: Mapping[int, str]) -> tuple[int, ...]:
        """Chips whose map, of these by chip, is not the one that the masks were trained on."""
        return tuple(chip for chip, one in self.map_ids.items() if map_ids.get(chip) != one)

    def save(self, path: Path) -> None:
        """Write them as an npz file of bits, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        header = _header(self)
        arrays = _packed(self)
        text = json.dumps({**header, "id": self.id}, sort_keys=True)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            contents: dict[str, Any] = {"header": np.frombuffer(text.encode(), dtype=np.uint8)}
            np.savez_compressed(stream, **contents, **_numbered(arrays))

    @classmethod
    def load(cls, path: Path) -> MaskSet:
        """Read what `save` wrote, and verify that it is that.

        Raises
        ------
        NotFound
            If there is no such file.
        MaskError
            If it is damaged, or no file of masks.
        """
        if not path.is_file():
            raise NotFound(f"There is no mask file {path}.")
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                    _refuse(path, "it is larger than any network's masks")
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return _put_together(path, arrays)
        except _DAMAGE as error:
            raise MaskError(f"{path} cannot be read as masks: it is damaged or foreign.") from error


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    # numpy reads an array's header as Python source
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    KeyError,
    struct.error,
    MemoryError,
)


class _MatrixHead(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    kind: GateKind
    shape: tuple[int, int]


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    masks: Literal[1]
    placement_id: str
    map_ids: dict[int, str]
    matrices: tuple[_MatrixHead, ...]
    id: str


def _header(masks: MaskSet) -> dict[str, Any]:
    return {
        "masks": _FORMAT,
        "placement_id": masks.placement_id,
        "map_ids": {str(chip): name for chip, name in masks.map_ids.items()},
        "matrices": [
            {"name": name, "kind": mask.kind, "shape": list(mask.shape)}
            for name, mask in masks.masks.items()
        ],
    }


def _packed(masks: MaskSet) -> list[UInt8Array]:
    return [
        np.packbits(side, bitorder="little")
        for mask in masks.masks.values()
        for side in ((mask.plus,) if mask.kind == "pair" else (mask.plus, mask.minus))
    ]


def _numbered(arrays: list[UInt8Array]) -> dict[str, Any]:
    # numbered, since a name of a matrix may be one that no archive takes
    return {f"bits{number}": array for number, array in enumerate(arrays)}


def _content_id(header: dict[str, Any], arrays: list[UInt8Array]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _put_together(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> MaskSet:
    try:
        head = _Head.model_validate_json(arrays["header"].astype(np.uint8).tobytes())
    except ValidationError:
        _refuse(path, "it has no header of masks")
    masks: dict[str, Mask] = {}
    number = 0
    for matrix in head.matrices:
        sides: list[BoolArray] = []
        for _ in range(1 if matrix.kind == "pair" else 2):
            sides.append(_unpacked(arrays[f"bits{number}"], matrix.shape))
            number += 1
        masks[matrix.name] = Mask(matrix.kind, sides[0], sides[-1])
    found = MaskSet(masks, head.placement_id, head.map_ids)
    if len(masks) != len(head.matrices) or len(arrays) != number + 1 or found.id != head.id:
        _refuse(path, "its content is not what was written")
    return found


def _unpacked(bits: npt.NDArray[Any], shape: tuple[int, int]) -> BoolArray:
    cells = shape[0] * shape[1]
    if bits.dtype != np.uint8 or bits.ndim != 1 or len(bits) != -(-cells // 8) or min(shape) < 1:
        raise ValueError("bits do not fit the shape")
    return np.unpackbits(bits, count=cells, bitorder="little").reshape(shape).astype(np.bool_)


def _refuse(path: Path, why: str) -> NoReturn:
    raise MaskError(f"{path} cannot be read as masks: {why}.", "Take another copy of the file.")
