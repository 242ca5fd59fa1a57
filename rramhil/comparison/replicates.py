"""Replicates of a comparison: a network's cells on several chips, each with a seed of its own.

Owns: the choice of the chips of each replicate, and the file that keeps what their cells read. A
replicate's chips are those of the sockets asked for, then others that the lab has maps of; never
one chip twice, since a second training on it would say nothing of another chip. Where the network
lies on them has a file of its own, which comparisons of before do not have. Fires nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from rramhil._arrays import Arrays, below, load_arrays, save_arrays
from rramhil.driver import Board
from rramhil.errors import NotFound, UsageError
from rramhil.flow.chips import KnownChip, geometry_of, known_chips
from rramhil.flow.kept_gains import chips_with_gains
from rramhil.inference import known_cells
from rramhil.lab import Lab
from rramhil.network import Network, Pairs, plan, weights_of
from rramhil.switching import Placement


@dataclass(frozen=True, eq=False)
class Replicate:
    """The cells of a network on chips of their own, and a seed.

    Attributes
    ----------
    seed : int
    chips, maps : tuple of str
        Serial numbers, and the maps' ids.
    pairs : mapping of str to Pairs
        What the cells of every matrix read as, in uS, each row alone.
    noise : float
        Relative standard deviation of a read.
    placement : Placement or None
        Where the cells are, which says the steps that masks take; None where it was not kept.
    """

    seed: int
    chips: tuple[str, ...]
    maps: tuple[str, ...]
    pairs: Mapping[str, Pairs]
    noise: float
    placement: Placement | None = None

    def to(self, device: str) -> Replicate:
        """The same on another device."""
        pairs = {name: Pairs(*(cell.to(device) for cell in each)) for name, each in self.items()}
        return replace(self, pairs=pairs)

    def items(self) -> Iterator[tuple[str, Pairs]]:
        """Name and pairs of every matrix."""
        yield from self.pairs.items()

    def save(self, path: Path) -> None:
        """Write it as a file, whole or not at all, and its placement as another beside it."""
        self.save_placement(path)
        head = {name: getattr(self, name) for name in ("seed", "chips", "maps", "noise")}
        arrays: Arrays = {f"plus/{name}": pair.plus.numpy() for name, pair in self.items()}
        arrays |= {f"minus/{name}": pair.minus.numpy() for name, pair in self.items()}
        save_arrays(head, arrays, path)

    def save_placement(self, path: Path) -> None:
        """Write the placement, if there is one, beside the file `path` of the replicate."""
        if self.placement is not None:
            self.placement.save(path.with_suffix(".json"))

    @classmethod
    def load(cls, path: Path) -> Replicate:
        """Read what `save` wrote.

        Raises
        ------
        RunError, PlacementError
            It is damaged.
        """
        head, arrays = load_arrays(path)
        minus = dict(below("minus", arrays))
        pairs = {
            name: Pairs(torch.from_numpy(plus), torch.from_numpy(minus[name]))
            for name, plus in below("plus", arrays)
        }
        beside = path.with_suffix(".json")
        return cls(
            head["seed"],
            tuple(head["chips"]),
            tuple(head["maps"]),
            pairs,
            head["noise"],
            Placement.load(beside) if beside.is_file() else None,
        )


def kept_replicates(folder: Path, count: int) -> tuple[Replicate, ...]:
    """Read the replicates that a comparison's folder keeps.

    Raises
    ------
    RunError, PlacementError
        One is damaged.
    """
    return tuple(Replicate.load(path) for path in replicate_paths(folder, count))


def replicate_paths(folder: Path, count: int) -> list[Path]:
    """Where a comparison's folder keeps them."""
    return [folder / f"replicate-{number}.npz" for number in range(count)]


def replicates_of(
    board: Board,
    lab: Lab,
    sockets: Sequence[int],
    network: Network,
    *,
    count: int,
    seed: int = 0,
    overlay: bool = False,
) -> tuple[Replicate, ...]:
    """Place a network on the chips of each replicate, their maps corrected by measured gains.

    Parameters
    ----------
    sockets : sequence of int
        As many for each replicate as the network needs, replicate after replicate. If they are
        fewer than the replicates, each replicate has one chip, and further ones are chips that the
        lab has a map of, the newest first, with nominal gains.
    count : int
        Replicates, at least 1.
    seed : int
        Of the first replicate; the others' follow.

    Raises
    ------
    UsageError
        The sockets cannot be dealt out evenly.
    NotFound
        There are too few chips with a map.
    PlacementError
        The network does not fit on the chips of a replicate.
    """
    if len(sockets) > count and len(sockets) % count:
        raise UsageError(
            f"{len(sockets)} chips cannot be dealt out to {count} replicates evenly.",
            f"Name a multiple of {count} chips.",
        )
    known = known_chips(board, lab, sockets)  # before anything is measured
    others = _elsewhere(board, lab, {chip.serial for chip in known.values()})
    others = [chip() for chip, _ in zip(others, range(count - len(known)), strict=False)]
    found = len(known) + len(others)
    if found < count:
        raise NotFound(
            f"The lab has maps of {found} chip{'s'[: found != 1]}, and {count} replicates need "
            f"{count} different ones.",
            "Program further chips and name them with --chips, or ask for fewer --replicates.",
        )
    chips = [*chips_with_gains(board, lab, known).values(), *others]
    each = len(chips) // count
    return tuple(
        _placed(board, network, chips[number * each : (number + 1) * each], seed + number, overlay)
        for number in range(count)
    )


def _placed(
    board: Board, network: Network, chips: Sequence[KnownChip], seed: int, overlay: bool
) -> Replicate:
    description = board.description
    placement = plan(
        network,
        geometry_of(description),
        chips=range(len(chips)),
        defects={number: chip.defects for number, chip in enumerate(chips)},
        overlay=overlay,
    )
    used = [chips[number] for number in placement.chips]
    maps_uS = {number: chips[number].alone_uS(description) for number in placement.chips}
    return Replicate(
        seed,
        tuple(chip.serial for chip in used),
        tuple(chip.map_id for chip in used),
        {each.name: weights_of(maps_uS, placement, each) for each in network.matrices},
        mean(chip.cells.noise for chip in used),
        placement,
    )


def _elsewhere(board: Board, lab: Lab, taken: set[str]) -> Iterator[Callable[[], KnownChip]]:
    """Further chips that the lab has a whole map of since they were programmed, newest first."""
    whole = board.description.rows, board.description.columns
    seen = set(taken)
    for entry in lab.maps.list():
        serial = entry.info.chip_serial
        if entry.shape != whole or entry.info.kind != "readback" or not serial or serial in seen:
            continue
        seen.add(serial)

        def load(map_id: str = entry.id, serial: str = serial) -> KnownChip:
            measured = lab.maps.load(map_id)
            cells = known_cells(measured, board.description)
            return KnownChip(-1, serial, map_id, measured, cells)

        yield load
