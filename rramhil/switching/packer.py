"""The packer: finds a place on one or more macros for every matrix of a network.

Owns: the order, the cutting of what is too large, the choice of lines around defects, and of rows
so that equal gate patterns can be sampled together. What a placement is, and whether it is sound,
is `placement`'s business.

A pair is rows 2 k and 2 k + 1. Matrices are cut where they exceed a macro, and further only where
no free rectangle takes a part whole: across outputs if that helps, since a cut across inputs
converts every row twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.errors import PlacementError
from rramhil.switching._balance import match, spread_patterns
from rramhil.switching._lines import Lines, clean_grid, first_clean_lines
from rramhil.switching._regions import Region, without
from rramhil.switching.masks import Mask
from rramhil.switching.placement import Geometry, MatrixShape, Placement, Tile

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

_ROOM_FOR_CHOICE = 8  # further pairs of rows looked at when stuck cells leave no match


@dataclass(frozen=True, eq=False)
class Defects:
    """What to avoid on one chip.

    Attributes
    ----------
    dead_rows, dead_columns : tuple of int
        Lines that are not used at all; with a row, the other one of its pair.
    stuck : (R, C) bool or None
        Cells that no weight may use. Where masks are known, a weight that they prune may sit there.
    """

    dead_rows: tuple[int, ...] = ()
    dead_columns: tuple[int, ...] = ()
    stuck: BoolArray | None = None


def pack(
    matrices: Sequence[MatrixShape],
    geometry: Geometry,
    *,
    chips: Sequence[int] = (0,),
    defects: Mapping[int, Defects] | None = None,
    masks: Mapping[str, Mask] | None = None,
    overlay: bool = False,
) -> Placement:
    """Place matrices on macros.

    Parameters
    ----------
    matrices : sequence of MatrixShape
        In the network's order.
    geometry : Geometry
        Of each macro.
    chips : sequence of int
        Sockets in the order in which they are filled.
    defects : mapping of int to Defects
        By chip.
    masks : mapping of str to Mask
        Of some or all matrices, if they do not depend on where these are placed: pairs of rows are
        then chosen so that equal gate patterns sit on different channels, and stuck cells where
        nothing is used.
    overlay : bool
        Let the matrices share cells, and the parts of one matrix where it does not fit otherwise.

    Raises
    ------
    PlacementError
        If they do not fit, with the number of cells missing.
    """
    known = masks or {}
    flaws = defects or {}
    macros = [_Macro.of(chip, geometry, flaws.get(chip, Defects())) for chip in chips]
    if not overlay:
        _refuse_too_many(matrices, macros)
    tiles: list[Tile] = []
    for together in [[matrix] for matrix in matrices] if overlay else [list(matrices)]:
        for macro in macros:
            macro.clear()
        tiles += _place(_parts(together, macros), macros, geometry, known, overlay)
    order = {matrix.name: number for number, matrix in enumerate(matrices)}
    tiles.sort(key=lambda tile: (order[tile.matrix], tile.first_output, tile.first_input))
    return Placement(geometry, tuple(matrices), tuple(tiles), overlay)


class _Part(NamedTuple):
    """A rectangle of a matrix that has no place yet."""

    matrix: str
    first_output: int
    outputs: int
    first_input: int
    inputs: int

    @property
    def cells(self) -> int:
        return 2 * self.outputs * self.inputs

    def cut(self, outputs: int, inputs: int) -> tuple[_Part, list[_Part]]:
        """The first outputs and inputs, and what is left."""
        piece = self._replace(outputs=outputs, inputs=inputs)
        beside = self._replace(
            outputs=outputs, first_input=self.first_input + inputs, inputs=self.inputs - inputs
        )
        below = self._replace(
            first_output=self.first_output + outputs, outputs=self.outputs - outputs
        )
        return piece, [part for part in (beside, below) if part.outputs and part.inputs]


@dataclass(eq=False)
class _Macro:
    """What is free on a macro: a grid of its live pairs of rows and live columns."""

    chip: int
    first_rows: Int64Array
    columns: Int64Array
    stuck: BoolArray  # (pairs, 2, columns)
    free: list[Region] = field(default_factory=list[Region])

    @classmethod
    def of(cls, chip: int, geometry: Geometry, defects: Defects) -> _Macro:
        live_rows = np.ones(geometry.rows // 2 * 2, dtype=np.bool_)
        live_rows[[row for row in defects.dead_rows if row < len(live_rows)]] = False
        live_columns = np.ones(geometry.columns, dtype=np.bool_)
        live_columns[list(defects.dead_columns)] = False
        first_rows = 2 * np.flatnonzero(live_rows.reshape(-1, 2).all(axis=1))
        columns = np.flatnonzero(live_columns)
        stuck = np.zeros((geometry.rows, geometry.columns), dtype=np.bool_)
        if defects.stuck is not None:
            stuck |= defects.stuck
        rows = first_rows[:, None] + np.arange(2)
        return cls(chip, first_rows, columns, stuck[rows][:, :, columns])

    def clear(self) -> None:
        """Make everything free."""
        self.free = [Region(0, len(self.first_rows), 0, len(self.columns))]

    def take(self, lines: Lines) -> None:
        """Take the rectangle that encloses the lines."""
        top, bottom = int(lines.pairs.min()), int(lines.pairs.max()) + 1
        left, right = int(lines.columns.min()), int(lines.columns.max()) + 1
        self.free = without(self.free, Region(top, bottom, left, right))

    @property
    def cells(self) -> int:
        return 2 * len(self.first_rows) * len(self.columns)


def _refuse_too_many(matrices: Iterable[MatrixShape], macros: Sequence[_Macro]) -> None:
    needed, there = sum(matrix.cells for matrix in matrices), sum(macro.cells for macro in macros)
    if needed > there:
        raise _does_not_fit(needed - there, needed, macros)


def _does_not_fit(missing: int, needed: int, macros: Sequence[_Macro]) -> PlacementError:
    there = sum(macro.cells for macro in macros)
    chips = "1 chip has" if len(macros) == 1 else f"{len(macros)} chips have"
    between = ", since stuck cells lie between them" if there >= needed else ""
    return PlacementError(
        f"The network needs {needed:,} cells, {chips} {there:,} on live lines: {missing:,} are "
        f"missing{between}.",
        "Name more chips, such as --chips 0-3, or let layers share cells with --overlay.",
    )


def _parts(matrices: Iterable[MatrixShape], macros: Sequence[_Macro]) -> list[_Part]:
    """Cut matrices where they exceed every macro."""
    height = max((len(macro.first_rows) for macro in macros), default=0)
    width = max((len(macro.columns) for macro in macros), default=0)
    wanted = list(matrices)
    if not height * width:
        cells = sum(matrix.cells for matrix in wanted)
        raise _does_not_fit(cells, cells, macros)
    return [
        _Part(
            matrix.name,
            output,
            min(height, matrix.outputs - output),
            line,
            min(width, matrix.inputs - line),
        )
        for matrix in wanted
        for output in range(0, matrix.outputs, height)
        for line in range(0, matrix.inputs, width)
    ]


def _place(
    parts: list[_Part],
    macros: Sequence[_Macro],
    geometry: Geometry,
    masks: Mapping[str, Mask],
    overlay: bool,
) -> list[Tile]:
    """Place parts, the largest first; with overlay, begin anew on what is full."""
    needed = sum(part.cells for part in parts)
    tiles: list[Tile] = []
    fresh = True
    while parts:
        part = max(parts, key=lambda part: (part.cells, part.inputs))
        parts.remove(part)
        tile = _placed_whole(part, macros, geometry, masks)
        if tile is None and overlay and not fresh:
            for macro in macros:
                macro.clear()
            tile = _placed_whole(part, macros, geometry, masks)
        if tile is None:
            piece = _largest_piece(part, macros)
            if piece is None:
                raise _does_not_fit(part.cells + sum(part.cells for part in parts), needed, macros)
            # the first piece now fits, and is the largest part or comes after those that fit too
            part, rest = part.cut(*piece)
            parts += [part, *rest]
            continue
        tiles.append(tile)
        fresh = False
    return tiles


def _placed_whole(
    part: _Part, macros: Sequence[_Macro], geometry: Geometry, masks: Mapping[str, Mask]
) -> Tile | None:
    mask = masks.get(part.matrix)
    for macro in macros:
        fitting = [
            region
            for region in macro.free
            if region.height >= part.outputs and region.width >= part.inputs
        ]
        # the region that the part fills best in one direction leaves the largest rests
        for region in sorted(
            fitting, key=lambda r: (min(r.height - part.outputs, r.width - part.inputs), r)
        ):
            tile = (
                _on_clean_lines(part, macro, region)
                if mask is None
                else _by_mask(part, macro, region, geometry, mask)
            )
            if tile is not None:
                return tile
    return None


def _on_clean_lines(part: _Part, macro: _Macro, region: Region) -> Tile | None:
    """Place a part where no cell is stuck; outputs in order."""
    stuck = _stuck_in(macro, region)
    found = first_clean_lines(stuck, part.outputs, part.inputs)
    if found is None:
        found = clean_grid(stuck)
        if len(found.pairs) < part.outputs or len(found.columns) < part.inputs:
            return None
    lines = Lines(
        found.pairs[: part.outputs] + region.top, found.columns[: part.inputs] + region.left
    )
    macro.take(lines)
    rows = macro.first_rows[lines.pairs][:, None] + np.arange(2)
    return _tile(part, macro, rows, lines.columns)


def _by_mask(
    part: _Part, macro: _Macro, region: Region, geometry: Geometry, mask: Mask
) -> Tile | None:
    """Place a part where no used cell is stuck; equal patterns on different channels."""
    outputs = slice(part.first_output, part.first_output + part.outputs)
    inputs = slice(part.first_input, part.first_input + part.inputs)
    used = mask.rows[outputs, :, inputs]
    _, pattern = np.unique(
        np.packbits(used, axis=2).reshape(2 * part.outputs, -1), axis=0, return_inverse=True
    )
    kinds = geometry.channels // 2
    kinds = kinds if kinds > 0 and kinds & (kinds - 1) == 0 else 1
    kind, swapped = spread_patterns(pattern.reshape(-1, 2).astype(np.int64), kinds)
    used = np.where(swapped[:, None, None], used[:, ::-1], used)
    columns = np.arange(region.left, region.left + part.inputs)
    for further in range(0, min(region.height - part.outputs, _ROOM_FOR_CHOICE) + 1):
        pairs = np.arange(region.top, region.top + part.outputs + further)
        chosen = _chosen_pairs(
            used,
            macro.stuck[pairs][:, :, columns],
            kind,
            macro.first_rows[pairs] % geometry.channels // 2 % kinds,
        )
        if chosen is not None:
            macro.take(Lines(pairs[chosen], columns))
            first = macro.first_rows[pairs[chosen]][:, None]
            rows = first + np.where(swapped[:, None], [1, 0], [0, 1])
            return _tile(part, macro, rows, columns)
    return _on_clean_lines(part, macro, region)


def _chosen_pairs(
    used: BoolArray, stuck: BoolArray, kind: Int64Array, kind_there: Int64Array
) -> Int64Array | None:
    """Pair of rows for each output: of its kind if there are enough, and not where it is stuck."""
    outputs, pairs = len(used), len(stuck)
    # float32: a matrix product of truths would run without the fast library
    needs = used.reshape(outputs, -1).astype(np.float32)
    allowed = needs @ stuck.reshape(pairs, -1).T.astype(np.float32) == 0
    # kinds are only names: the most frequent one goes where there is most room
    wanted_order = np.argsort(-np.bincount(kind, minlength=kind_there.max() + 1), kind="stable")
    there_order = np.argsort(-np.bincount(kind_there, minlength=kind.max() + 1), kind="stable")
    becomes = np.empty_like(wanted_order)
    becomes[wanted_order] = there_order[: len(wanted_order)]
    wanted = _preferred(becomes[kind], kind_there)
    own_kind = allowed & (kind_there[wanted][:, None] == kind_there)
    found = match(own_kind, wanted)
    return found if found is not None else match(allowed, wanted)


def _preferred(kind: Int64Array, kind_there: Int64Array) -> Int64Array:
    """A pair for each output, all different: of its kind, or of what is left over."""
    places = [list(np.flatnonzero(kind_there == one)[::-1]) for one in range(int(kind.max()) + 1)]
    found = np.full(len(kind), -1, dtype=np.int64)
    for output, one in enumerate(kind):
        if places[one]:
            found[output] = places[one].pop()
    homeless = np.flatnonzero(found < 0)
    left = np.setdiff1d(np.arange(len(kind_there)), found[found >= 0])
    found[homeless] = left[: len(homeless)]
    return found


def _tile(part: _Part, macro: _Macro, rows: Int64Array, columns: Int64Array) -> Tile:
    return Tile(
        matrix=part.matrix,
        chip=macro.chip,
        first_output=part.first_output,
        first_input=part.first_input,
        rows=rows.astype(np.int16),
        columns=macro.columns[columns].astype(np.int16),
    )


def _largest_piece(part: _Part, macros: Sequence[_Macro]) -> tuple[int, int] | None:
    """Outputs and inputs of the largest piece that some free rectangle takes."""
    best, best_score = None, 0.0
    for macro in macros:
        for region in macro.free:
            clean = clean_grid(_stuck_in(macro, region))
            outputs = min(len(clean.pairs), part.outputs)
            inputs = min(len(clean.columns), part.inputs)
            # a cut across inputs converts every row once more
            score = outputs * inputs * (1.0 if inputs == part.inputs else 0.5)
            if score > best_score:
                best, best_score = (outputs, inputs), score
    return best


def _stuck_in(macro: _Macro, region: Region) -> BoolArray:
    inside = macro.stuck[region.top : region.bottom, :, region.left : region.right]
    return inside[:, 0] | inside[:, 1]
