"""Training with the chip in the loop: fresh conductances while masks are learnt.

Owns: the callables that a trainer asks for them, which knows no board. Where masks are gates, the
chip is read and nothing fired: a closed gate leaves the cell as it is. By RESET, the masks are
first pulsed into the cells, by `resetting`, with its journal and its reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from calibration import Gains
from calibration.wires import effective_uS
from rramhil.driver import Board
from rramhil.flow.allowance import Allowance, Fired, pulsed
from rramhil.flow.chips import KnownChip
from rramhil.flow.resetting import ResetPruned, prune_by_reset
from rramhil.flow.starts import Start
from rramhil.inference import known_cells, lines_of, measured_gains
from rramhil.lab import ConductanceMap, Lab
from rramhil.network import Network, Pairs, Run, RunConfig
from rramhil.programming import Progress, Silent
from rramhil.programming.readback import Origin, read_chip
from rramhil.pruning import Reread
from rramhil.switching import CellChanges, Mask, MaskSet

Values = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Bench:
    """A board, the lab and its chips, for trainings in the loop.

    Attributes
    ----------
    board : Board
    lab : Lab
    chips : mapping of int to KnownChip
        As the training began.
    watch : Progress
    """

    board: Board
    lab: Lab
    chips: Mapping[int, KnownChip]
    watch: Progress = field(default_factory=Silent)

    def reread(self, start: Start, network: Network) -> Reread | None:
        """What a request asks the trainer to do every so many steps; None if nothing."""
        request = start.request
        if request.in_the_loop is None:
            return None
        gains = measured_gains(self.board)

        def read(masks: Mapping[str, Mask]) -> Mapping[str, Pairs]:
            if request.by == "reset":
                done = self.write(start, network, masks)
                maps = {number: self.lab.maps.load(each.map_id) for number, each in done.items()}
            else:
                maps = {number: self._map_of(number) for number in start.placement.chips}
            return start.pairs(network, self._alone_uS(maps, gains))

        return Reread(request.in_the_loop, read)

    def write(
        self, start: Start, network: Network, masks: Mapping[str, Mask]
    ) -> Mapping[int, ResetPruned]:
        """Pulse masks into the chips, as far as the training's budgets let them.

        Raises
        ------
        UnfinishedJob, LimitRefused, BoardHeld, BoardError, LinkLost, Interrupted
            As `prune_by_reset`.
        """
        request = start.request
        config = RunConfig(
            task=request.which,
            bits=network.bits,
            gate=request.gate,
            epochs=start.epochs,
            seed=request.seed,
        )
        owned = MaskSet(masks, start.placement.id, start.map_ids)
        run = Run.of(network, config, start.placement, owned, {})
        used = {number: self.chips[number] for number in start.placement.chips}
        allowance = Allowance(request.pulse_budget, request.cell_pulses, start.pulsed)

        def within(changes: CellChanges, number: int) -> CellChanges:
            if not request.has_budget:
                return changes
            return allowance.within(changes, number, self._pulsed(start))

        return prune_by_reset(self.board, self.lab, run, used, self.watch, within)

    def fired(self, start: Start) -> Fired | None:
        """What a training has fired so far; None if it fires nothing."""
        return Fired.since(start.pulsed, self._pulsed(start)) if start.pulsed else None

    def _pulsed(self, start: Start) -> dict[int, Values]:
        return pulsed(self.lab, {number: self.chips[number].serial for number in start.pulsed})

    def _map_of(self, number: int) -> ConductanceMap:
        """Read a chip once; what was read is used and not kept."""
        origin = Origin("read", None, "while training", self.chips[number].map_id)
        with self.lab.lock(self.board.identity.serial):
            chip = self.board.chip(number)
            return read_chip(self.board, chip, 1, origin, Silent(), "reading")

    def _alone_uS(self, maps: Mapping[int, ConductanceMap], gains: Gains) -> dict[int, Values]:
        """What each cell reads as where its row is sampled alone, by socket."""
        facts = self.board.description
        return {
            number: effective_uS(known_cells(each, facts, gains).own_uS, lines_of(facts), 1)
            for number, each in maps.items()
        }
