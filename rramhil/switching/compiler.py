"""The gate compiler: masks and a placement become gate schedules.

Owns: which rows share a step, and the proof of how good that is. Rows sampled at once share one
gate pattern and sit on different channels, so a pattern takes as many steps as the most of its
rows that sit on one channel; the compiler takes exactly those. Rows that use no cell take no step.

Accumulators 2 o and 2 o + 1 of a tile belong to the plus and the minus row of its output o. Both
add: the two rows sit on different channels, whose gains differ, so that they are subtracted only
after each was multiplied by its own gain, on the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil.errors import MaskError
from rramhil.switching.masks import Mask
from rramhil.switching.placement import Geometry, Placement, Tile
from rramhil.switching.schedule import UNUSED, Schedule

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bounds:
    """How many steps there are, and could be.

    Attributes
    ----------
    steps : int
        Of the schedule.
    placement : int
        The fewest for this placement: for each pattern the most of its rows on one channel.
    absolute : int
        The fewest for any placement: for each pattern its rows by the channels, rounded up.
    dense : int
        Of the same tile without a mask.
    """

    steps: int
    placement: int
    absolute: int
    dense: int

    def __add__(self, other: Bounds) -> Bounds:
        return Bounds(
            self.steps + other.steps,
            self.placement + other.placement,
            self.absolute + other.absolute,
            self.dense + other.dense,
        )

    def as_dict(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self)


NO_STEPS = Bounds(0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class CompiledTile:
    """A tile and its schedule; accumulators 2 o and 2 o + 1 are the rows of the tile's output o."""

    tile: Tile
    schedule: Schedule
    bounds: Bounds


def compile_masks(
    placement: Placement, masks: Mapping[str, Mask], ranges: int | Mapping[str, int]
) -> tuple[CompiledTile, ...]:
    """Compile every tile of a placement.

    Parameters
    ----------
    masks : mapping of str to Mask
        For each matrix of the placement.
    ranges : int or mapping of str to int
        TIA range of every matrix, or of each.

    Raises
    ------
    MaskError
        If a matrix has no mask, or one of another shape.
    """
    for matrix in placement.matrices:
        mask = masks.get(matrix.name)
        if mask is None or mask.shape != (matrix.outputs, matrix.inputs):
            has = "no mask" if mask is None else f"a mask of {mask.shape[0]} x {mask.shape[1]}"
            raise MaskError(
                f"Matrix {matrix.name} of {matrix.outputs} x {matrix.inputs} weights has {has}.",
                "Train masks for this placement.",
            )
    return tuple(
        compile_tile(
            tile,
            masks[tile.matrix],
            placement.geometry,
            ranges if isinstance(ranges, int) else ranges[tile.matrix],
        )
        for tile in placement.tiles
    )


def compile_tile(tile: Tile, mask: Mask, geometry: Geometry, range_index: int) -> CompiledTile:
    """Compile one tile.

    Parameters
    ----------
    mask : Mask
        Of the whole matrix that the tile is a part of.
    """
    cells = mask.rows[tile.outputs, :, tile.inputs].reshape(-1, len(tile.columns))
    rows = tile.rows.ravel().astype(np.int64)
    channel = rows % geometry.channels
    pattern, first_row = _patterns(cells)
    step = _steps(pattern, channel, geometry.channels)
    steps = int(step.max(initial=-1)) + 1
    sampled = np.flatnonzero(step >= 0)
    at = step[sampled], channel[sampled]

    gates = np.zeros((steps, geometry.columns), dtype=np.bool_)
    pattern_of_step = np.zeros(steps, dtype=np.int64)
    pattern_of_step[step[sampled]] = pattern[sampled]
    gates[:, tile.columns] = cells[first_row[pattern_of_step]]
    shape = (steps, geometry.channels)
    row_at, accumulator_at = (np.full(shape, UNUSED, dtype=np.int32) for _ in range(2))
    signs = np.zeros(shape, dtype=np.int8)
    row_at[at], accumulator_at[at], signs[at] = rows[sampled], sampled, 1
    schedule = Schedule(
        ranges=np.full(steps, range_index, dtype=np.uint8),
        gates=gates,
        rows=row_at.astype(np.int16),
        accumulators=accumulator_at,
        signs=signs,
        accumulator_count=len(rows),
    )
    return CompiledTile(tile, schedule, _bounds(steps, pattern, channel, geometry.channels))


def total_bounds(compiled: Iterable[CompiledTile]) -> Bounds:
    """Sum the steps of several tiles."""
    return sum((part.bounds for part in compiled), NO_STEPS)


def _patterns(cells: BoolArray) -> tuple[Int64Array, Int64Array]:
    """Number equal rows alike in the order of their first; -1 for rows that use no cell.

    Returns
    -------
    pattern : (rows,) int64
    first_row : (patterns,) int64
        A row of each pattern.
    """
    used = np.flatnonzero(cells.any(axis=1))
    pattern = np.full(len(cells), -1, dtype=np.int64)
    bits = np.ascontiguousarray(np.packbits(cells[used], axis=1))
    whole = bits.view(np.dtype((np.void, bits.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    pattern[used] = rank[inverse]
    return pattern, used[first[order]]


def _steps(pattern: Int64Array, channel: Int64Array, channels: int) -> Int64Array:
    """Step of each row, -1 for none: the n-th row of a pattern on a channel is in its n-th step."""
    step = np.full(len(pattern), -1, dtype=np.int64)
    used = np.flatnonzero(pattern >= 0)
    place = pattern[used] * channels + channel[used]
    order = np.argsort(place, kind="stable")
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    lengths = np.diff(begins, append=len(order))
    nth = np.empty_like(place)
    nth[order] = np.arange(len(order)) - np.repeat(begins, lengths)
    # steps in the order pattern, n
    _, step[used] = np.unique(pattern[used] * len(pattern) + nth, return_inverse=True)
    return step


def _bounds(steps: int, pattern: Int64Array, channel: Int64Array, channels: int) -> Bounds:
    used = pattern >= 0
    counts = np.zeros((int(pattern.max(initial=-1)) + 1, channels), dtype=np.int64)
    np.add.at(counts, (pattern[used], channel[used]), 1)
    return Bounds(
        steps=steps,
        placement=int(counts.max(axis=1).sum()) if counts.size else 0,
        absolute=int((-(-counts.sum(axis=1) // channels)).sum()),
        dense=int(np.bincount(channel, minlength=channels).max()),
    )
