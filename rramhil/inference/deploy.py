"""Deployments: masks that a board is ready to multiply with.

Owns: which tile is in which slot of which chip, and all that has to be measured and loaded before.
Applying a mask fires no pulse. A board keeps several deployments at once, on the same cells too: a
swap is another slot. Knows neither maps nor what the matrices are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rramhil.driver import Board, Chip, RunningSchedule, RunResult
from rramhil.errors import UsageError
from rramhil.inference.front_end import FrontEnd, RowsInRange, measured_front_end
from rramhil.inference.readout import TileReadout
from rramhil.switching import CompiledTile, Mask, Placement, Schedule, Tile, compile_masks

BoolArray = npt.NDArray[np.bool_]

_DRIVEN = 2
"""State of a bit line at the read voltage, as SWITCHES gives it: RAIL_A."""


@dataclass(frozen=True, eq=False)
class DeployedTile:
    """A tile on a chip.

    Attributes
    ----------
    compiled : CompiledTile
        The tile and its schedule.
    slot : int
        Of its chip; tiles share one where a board has fewer slots than a network tiles.
    range_index : int
    readout : TileReadout
        What its accumulators are worth.
    """

    compiled: CompiledTile
    slot: int
    range_index: int
    readout: TileReadout

    @property
    def tile(self) -> Tile:
        """Where it is."""
        return self.compiled.tile

    @property
    def schedule(self) -> Schedule:
        """What the board runs; without steps where the mask closes every gate."""
        return self.compiled.schedule

    @property
    def first_column(self) -> int:
        """Lowest of its bit lines."""
        return int(self.tile.columns.min())

    def on_lines(self, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Inputs of the tile (N, inputs) on bit lines from `first_column` on, (N, lines)."""
        places = self.tile.columns - self.first_column
        if (places == np.arange(len(places))).all():
            return inputs
        lines = np.zeros((len(inputs), int(places.max()) + 1), dtype=inputs.dtype)
        lines[:, places] = inputs
        return lines


@dataclass(frozen=True, eq=False)
class Deployment:
    """A network's matrices on a board.

    Attributes
    ----------
    board : Board
        Open, and ours.
    placement : Placement
    masks : mapping of str to Mask
    tiles : tuple of DeployedTile
        In the placement's order.
    front_end : FrontEnd
        What was measured; give it to the next `deploy` on the same board.
    problems : tuple of str
        Sentences on channels that are dead and switches that read back wrong; none on a sound
        board.
    """

    board: Board
    placement: Placement
    masks: Mapping[str, Mask]
    tiles: tuple[DeployedTile, ...]
    front_end: FrontEnd
    problems: tuple[str, ...] = ()
    _chips: dict[int, Chip] = field(default_factory=dict[int, Chip], repr=False)
    _resident: dict[tuple[int, int], DeployedTile] = field(
        default_factory=dict[tuple[int, int], DeployedTile], repr=False
    )

    @property
    def slots(self) -> int:
        """Slots in use, of the chip that uses most, counted from 0: the next one is free."""
        return max((tile.slot + 1 for tile in self.tiles), default=0)

    def tiles_of(self, name: str) -> tuple[DeployedTile, ...]:
        """Tiles of a matrix."""
        return tuple(each for each in self.tiles if each.tile.matrix == name)

    def start(self, tile: DeployedTile, lines: npt.NDArray[Any], bits: int) -> RunningSchedule:
        """Begin to multiply on one tile, whose schedule has steps; it is loaded where it is not.

        Parameters
        ----------
        lines : (N, lines) integer
            As `DeployedTile.on_lines` gives them; unsigned, at least one.
        """
        chip = self._load(tile)
        return chip.start_schedule(tile.slot, lines, bits, first_column=tile.first_column)

    def run(self, tile: DeployedTile, lines: npt.NDArray[Any], bits: int) -> RunResult:
        """As `start`, and wait for the result."""
        return self.start(tile, lines, bits).result()

    def _load(self, tile: DeployedTile) -> Chip:
        number = tile.tile.chip
        if number not in self._chips:
            self._chips[number] = self.board.chip(number)
        chip = self._chips[number]
        if self._resident.get((number, tile.slot)) is not tile:
            chip.load_schedule(tile.slot, tile.schedule)
            self._resident[number, tile.slot] = tile
        return chip


def deploy(
    board: Board,
    placement: Placement,
    masks: Mapping[str, Mask],
    ranges: int | Mapping[str, int],
    *,
    front_end: FrontEnd | None = None,
    first_slot: int = 0,
    slots: int | None = None,
) -> Deployment:
    """Make a board ready to multiply with masked matrices; no pulse is fired.

    Measures gains and zeros, compiles and loads the schedules, and reads the switches back after
    a probe of each.

    Parameters
    ----------
    board : Board
        Open. Its sockets are those that the placement names.
    masks : mapping of str to Mask
        Of every matrix.
    ranges : int or mapping of str to int
        TIA range of every matrix, or of each.
    front_end : FrontEnd, optional
        That of an earlier deployment of this session: nothing is measured twice, and the earlier
        one stays as good as it was.
    first_slot : int
        First slot to use; those of other deployments are `Deployment.slots` below it.
    slots : int, optional
        How many to use; all that the board has from `first_slot` on. With fewer slots than tiles,
        schedules are loaded as they are needed.

    Raises
    ------
    UsageError
        The board has no such slots.
    MaskError
        Masks do not fit the placement.
    NotFound
        The board lacks a socket.
    BoardError, LinkLost
        See the driver.
    """
    available = board.description.schedule_slots - first_slot
    count = available if slots is None else slots
    if first_slot < 0 or not 1 <= count <= available:
        raise UsageError(
            f"A board of {board.description.schedule_slots} slots has no {count} from slot "
            f"{first_slot} on.",
            "Use lower slots; those of a deployment that is not needed any more are free.",
        )
    compiled = compile_masks(placement, masks, ranges)
    known = measured_front_end(board, _needs(compiled), front_end)
    taken: dict[int, int] = {}
    tiles: list[DeployedTile] = []
    for part in compiled:
        chip = part.tile.chip
        slot = first_slot + taken.get(chip, 0) % count
        if part.schedule.steps:
            taken[chip] = taken.get(chip, 0) + 1
        index = ranges if isinstance(ranges, int) else ranges[part.tile.matrix]
        tiles.append(DeployedTile(part, slot, index, _readout(part, index, known)))
    dead = tuple(
        f"ADC channel {channel} does not react to its reference: it is dead."
        for channel in known.dead_channels
    )
    deployment = Deployment(board, placement, masks, tuple(tiles), known, dead)
    wrong = tuple(sentence for tile in tiles for sentence in _probe(deployment, tile))
    object.__setattr__(deployment, "problems", dead + wrong)
    return deployment


def _needs(compiled: Sequence[CompiledTile]) -> list[RowsInRange]:
    """Rows that are sampled, by chip and range."""
    rows: dict[tuple[int, int], list[npt.NDArray[np.int64]]] = {}
    for part in compiled:
        samples = part.schedule.samples
        of_step = part.schedule.ranges[samples.step]
        for index in np.unique(of_step).tolist():
            key = part.tile.chip, int(index)
            rows.setdefault(key, []).append(samples.row[of_step == index])
    return [
        RowsInRange(chip, index, np.unique(np.concatenate(parts)))
        for (chip, index), parts in rows.items()
    ]


def _readout(part: CompiledTile, range_index: int, known: FrontEnd) -> TileReadout:
    rows = part.tile.rows.ravel().astype(np.int64)
    rest = np.zeros(len(rows))
    sampled = part.schedule.samples.accumulator
    if sampled.size:
        rest[sampled] = known.zeros[part.tile.chip, range_index].rest(rows[sampled])
    per_code = known.gains.per_row_uS(rows, range_index)
    return TileReadout(
        part.tile, torch.from_numpy(np.array(per_code, np.float64)), torch.from_numpy(rest)
    )


def _probe(deployment: Deployment, tile: DeployedTile) -> list[str]:
    """Drive all lines once; say which switches are not as the last step's gate has them."""
    if not tile.schedule.steps:
        return []
    ones = np.ones((1, len(tile.tile.columns)), dtype=np.uint8)
    deployment.run(tile, tile.on_lines(ones), 1)
    bits = np.frombuffer(deployment.board.switches(tile.tile.chip), np.uint8)
    states = (bits[:, None] >> np.arange(0, 8, 2, dtype=np.uint8)) & 3
    is_driven = states.ravel()[: tile.schedule.columns] == _DRIVEN
    wrong = np.flatnonzero(is_driven != tile.schedule.gates[-1])
    return [
        f"Bit line {line} of chip {tile.tile.chip} reads back "
        f"{'driven' if is_driven[line] else 'at ground'} against its gate: its switch register "
        "is wrong."
        for line in wrong.tolist()
    ]
