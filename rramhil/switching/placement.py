"""Placements: where on which macro each cell of a network's matrices sits.

Owns: tiles, the proof that they cover every matrix once and share no cell, their file, and the
way between a matrix's inputs and outputs and the lines of a macro. Finding a placement is the
packer's business. Nothing is ever matched by shape.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from rramhil._atomic import write_whole
from rramhil.errors import NotFound, PlacementError

BoolArray = npt.NDArray[np.bool_]
Int16Array = npt.NDArray[np.int16]

_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Geometry:
    """Lines of a macro and ADC channels of its board; channel b serves the rows r mod B = b."""

    rows: int
    columns: int
    channels: int

    @property
    def cells(self) -> int:
        """Cells of a macro."""
        return self.rows * self.columns


@dataclass(frozen=True)
class MatrixShape:
    """A matrix of a network, by name: a differential pair for each output and input."""

    name: str
    outputs: int
    inputs: int

    @property
    def cells(self) -> int:
        """Cells it needs: two a weight."""
        return 2 * self.outputs * self.inputs


@dataclass(frozen=True, eq=False)
class Tile:
    """A rectangle of a matrix on one chip.

    Attributes
    ----------
    matrix : str
        Name of the matrix.
    chip : int
        Socket of the chip.
    first_output, first_input : int
        Where in the matrix the tile begins.
    rows : (outputs, 2) int16
        Plus and minus row of each output: neighbouring rows.
    columns : (inputs,) int16
        Bit line of each input.
    """

    matrix: str
    chip: int
    first_output: int
    first_input: int
    rows: Int16Array
    columns: Int16Array

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            array = np.array(getattr(self, name), dtype=np.int16)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def outputs(self) -> slice:
        """Outputs of the matrix that the tile computes."""
        return slice(self.first_output, self.first_output + len(self.rows))

    @property
    def inputs(self) -> slice:
        """Inputs of the matrix that the tile takes."""
        return slice(self.first_input, self.first_input + len(self.columns))

    def gather(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Values of the plus and the minus cells, each (outputs, inputs), from an (R, C) array."""
        plus, minus = (values[np.ix_(self.rows[:, side], self.columns)] for side in range(2))
        return plus, minus

    def spread(self, inputs: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
        """Put a matrix's inputs (N, inputs) on the bit lines (N, columns); other lines get 0."""
        lines = np.zeros((len(inputs), columns), dtype=inputs.dtype)
        lines[:, self.columns] = inputs[:, self.inputs]
        return lines


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a network's matrices are.

    Attributes
    ----------
    geometry : Geometry
        Of every macro in use.
    matrices : tuple of MatrixShape
        In the network's order.
    tiles : tuple of Tile
        They cover each matrix exactly once; the parts of a matrix are summed digitally.
    overlay : bool
        Whether tiles may share cells, under different gates.

    Raises
    ------
    PlacementError
        If that is not so, or a line lies outside the macro.
    """

    geometry: Geometry
    matrices: tuple[MatrixShape, ...]
    tiles: tuple[Tile, ...]
    overlay: bool = False

    def __post_init__(self) -> None:
        _check_cover(self)
        for tile in self.tiles:
            _check_lines(tile, self.geometry)
        if not self.overlay:
            _check_apart(self)

    @cached_property
    def id(self) -> str:
        """First 12 hexadecimal digits of a SHA-256 over everything in it."""
        return hashlib.sha256(_text(self).encode()).hexdigest()[:12]

    @property
    def chips(self) -> tuple[int, ...]:
        """Sockets in use, ascending."""
        return tuple(sorted({tile.chip for tile in self.tiles}))

    def matrix(self, name: str) -> MatrixShape:
        """The matrix of a name; KeyError if there is none."""
        for matrix in self.matrices:
            if matrix.name == name:
                return matrix
        raise KeyError(name)

    def tiles_of(self, name: str) -> tuple[Tile, ...]:
        """Tiles of a matrix."""
        return tuple(tile for tile in self.tiles if tile.matrix == name)

    def used(self, chip: int) -> BoolArray:
        """Cells of a chip that belong to a tile, (R, C) bool."""
        cells = np.zeros((self.geometry.rows, self.geometry.columns), dtype=np.bool_)
        for tile in self.tiles:
            if tile.chip == chip:
                cells[np.ix_(tile.rows.ravel(), tile.columns)] = True
        return cells

    def gather(
        self, name: str, values: Mapping[int, npt.NDArray[Any]]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Collect what the cells of a matrix have, such as their conductance.

        Parameters
        ----------
        name : str
            Of the matrix.
        values : mapping of int to (R, C) array
            By chip.

        Returns
        -------
        plus, minus : (outputs, inputs) array
        """
        matrix = self.matrix(name)
        dtype = np.result_type(*(values[tile.chip] for tile in self.tiles_of(name)))
        plus, minus = (np.zeros((matrix.outputs, matrix.inputs), dtype=dtype) for _ in range(2))
        for tile in self.tiles_of(name):
            parts = tile.gather(values[tile.chip])
            plus[tile.outputs, tile.inputs], minus[tile.outputs, tile.inputs] = parts
        return plus, minus

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        write_whole(path, (_text(self) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Placement:
        """Read what `save` wrote.

        Raises
        ------
        NotFound
            If there is no such file.
        PlacementError
            If it is damaged, or no placement.
        """
        if not path.is_file():
            raise NotFound(f"There is no placement file {path}.")
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError("too large")
            said = _File.model_validate_json(path.read_bytes())
            tiles = tuple(Tile(**dict(tile)) for tile in said.tiles)
        except (OSError, ValueError, OverflowError, ValidationError) as error:
            raise PlacementError(
                f"{path} cannot be read as a placement: it is damaged or foreign.",
                "Take another copy, or plan again.",
            ) from error
        return cls(said.geometry, said.matrices, tiles, said.overlay)

    def draw(self, path: Path, title: str = "") -> None:
        """Draw the macros with their tiles as a PNG; matplotlib is loaded only here."""
        from rramhil.switching._picture import draw

        draw(self, path, title)


class _TileFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    matrix: str
    chip: int
    first_output: int
    first_input: int
    rows: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    placement: Literal[1]
    geometry: Geometry
    overlay: bool
    matrices: tuple[MatrixShape, ...]
    tiles: tuple[_TileFile, ...]


def _text(placement: Placement) -> str:
    """Canonical JSON of a placement."""
    said = {
        "placement": 1,
        "geometry": vars(placement.geometry),
        "overlay": placement.overlay,
        "matrices": [vars(matrix) for matrix in placement.matrices],
        "tiles": [
            {
                "matrix": tile.matrix,
                "chip": tile.chip,
                "first_output": tile.first_output,
                "first_input": tile.first_input,
                "rows": tile.rows.tolist(),
                "columns": tile.columns.tolist(),
            }
            for tile in placement.tiles
        ],
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _check_cover(placement: Placement) -> None:
    names = [matrix.name for matrix in placement.matrices]
    if len(set(names)) != len(names) or {tile.matrix for tile in placement.tiles} - set(names):
        raise PlacementError("Two matrices of a placement have one name, or a tile has no matrix.")
    for matrix in placement.matrices:
        tiles = placement.tiles_of(matrix.name)
        weights = sum(len(tile.rows) * len(tile.columns) for tile in tiles)
        if matrix.outputs < 1 or matrix.inputs < 1 or weights != matrix.outputs * matrix.inputs:
            raise _uncovered(matrix)
        times = np.zeros((matrix.outputs, matrix.inputs), dtype=np.uint8)
        inside = True
        for tile in tiles:
            inside &= min(tile.first_output, tile.first_input) >= 0
            inside &= tile.outputs.stop <= matrix.outputs and tile.inputs.stop <= matrix.inputs
            times[tile.outputs, tile.inputs] += 1
        if not inside or (times != 1).any():
            raise _uncovered(matrix)


def _uncovered(matrix: MatrixShape) -> PlacementError:
    return PlacementError(
        f"The tiles of matrix {matrix.name} do not cover its {matrix.outputs} x {matrix.inputs} "
        "weights exactly once."
    )


def _check_lines(tile: Tile, geometry: Geometry) -> None:
    rows, columns = tile.rows, tile.columns
    if rows.ndim != 2 or rows.shape[1] != 2 or columns.ndim != 1 or not rows.size * columns.size:
        raise PlacementError(f"A tile of matrix {tile.matrix} has no rows or no columns.")
    for lines, count, what in ((rows, geometry.rows, "row"), (columns, geometry.columns, "column")):
        if lines.min() < 0 or lines.max() >= count or len(np.unique(lines)) != lines.size:
            raise PlacementError(
                f"A tile of matrix {tile.matrix} names a {what} twice, or one outside 0 to "
                f"{count - 1}."
            )
    if (np.abs(np.diff(rows, axis=1)) != 1).any():
        raise PlacementError(f"The two rows of a pair of matrix {tile.matrix} are no neighbours.")


def _check_apart(placement: Placement) -> None:
    for chip in placement.chips:
        tiles = [tile for tile in placement.tiles if tile.chip == chip]
        if sum(tile.rows.size * tile.columns.size for tile in tiles) != placement.used(chip).sum():
            raise PlacementError(
                f"Two tiles share cells of chip {chip}.",
                "Place them with overlay if that is meant.",
            )
