"""What a run is worth on a chip that ages: time passes for a simulated board, samples are sent.

Owns: the order of a study of ageing. The masks stay; what may be done about it is to read the map
again and estimate batch norm for the cells as they have become (*re-read*), which fires nothing.
For simulated boards only: time of a real one cannot be moved.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rramhil.driver import Board
from rramhil.flow import new_network
from rramhil.flow.chips import known_chips
from rramhil.flow.inferring import apply_run
from rramhil.inference import OnBoard, measured_gains
from rramhil.lab import Lab
from rramhil.network import Network, Run, weights_of
from rramhil.programming import Silent
from rramhil.programming.readback import Origin, read_chip
from rramhil.pruning import FixedWeights, masked_weights, outputs_of, reestimate_batch_norm
from rramhil.simulation import SimulatedBoardName, advance
from rramhil.tasks import Examples, Splits, Task

_READS = 4


class AgePoint(NamedTuple):
    """A run on the chip at an age.

    Attributes
    ----------
    run : str
        Its name in the study.
    asked_s, age_s : float
        Board time since the study began: as was asked for, and when the first sample was sent.
        Between them the front end was measured, and the map if it was read again.
    temperature_k : float
    is_reread : bool
        Whether the map was read again and batch norm estimated anew.
    value : float
        The task's metric.
    """

    run: str
    asked_s: float
    age_s: float
    temperature_k: float
    is_reread: bool
    value: float


@dataclass(frozen=True, eq=False)
class AgeingStudy:
    """What is followed.

    Attributes
    ----------
    name : SimulatedBoardName
        A board that nobody else uses, with the chips that the runs were trained on.
    runs : mapping of str to Run
        By their names in the study.
    task : Task
    splits : Splits
        Batch norm is estimated on the training data.
    examples : Examples
        What is sent.
    """

    name: SimulatedBoardName
    runs: Mapping[str, Run]
    task: Task
    splits: Splits
    examples: Examples

    def follow(self, ages_s: Sequence[float], temperature_k: float) -> Iterator[AgePoint]:
        """Measure the runs at each age, from now on at a temperature.

        Each time on a copy of the board: what is sent takes board time too, and would age the chip
        for what follows.

        Parameters
        ----------
        ages_s : sequence of float
            Board time from now, in s.
        temperature_k : float
            In K; maps were read at the temperature of before.

        Yields
        ------
        AgePoint
            Without and with reading again, for every run.
        """
        for age_s in ages_s:
            for run in self.runs:
                with tempfile.TemporaryDirectory() as folder:
                    copy = replace(self.name, lab_root=Path(folder) / "lab")
                    shutil.copytree(self.name.lab_root, copy.lab_root)
                    yield from self._measured(copy, run, age_s, temperature_k)

    def _measured(
        self, name: SimulatedBoardName, which: str, age_s: float, temperature_k: float
    ) -> Iterator[AgePoint]:
        began_s = advance(name, 0.0, temperature_k).board_time_s
        advance(name, age_s)
        run = self.runs[which]
        with Board.open(str(name), lab_root=name.lab_root) as board, Lab(name.lab_root) as lab:
            for is_reread in (False, True):
                network = run.restore(new_network(self.task, self.splits))
                if is_reread:
                    self._read_again(run, board, lab)
                    self._refit(network, run, board, lab)
                # the front end is measured each time: reading a map measures zeros of its own
                on_board = OnBoard(apply_run(board, run).deployment)
                now_s = board.status().board_time_ns / 1e9
                outputs = outputs_of(network.use(on_board), self.examples)
                value = self.task.metric(outputs, self.examples.targets)
                yield AgePoint(which, age_s, now_s - began_s, temperature_k, is_reread, value)

    def _read_again(self, run: Run, board: Board, lab: Lab) -> None:
        for number, chip in known_chips(board, lab, run.placement.chips).items():
            origin = Origin("read", None, "of a chip that aged", chip.map_id)
            with lab.lock(board.identity.serial):
                measured = read_chip(board, board.chip(number), _READS, origin, Silent(), "reading")
            lab.maps.save(measured)

    def _refit(self, network: Network, run: Run, board: Board, lab: Lab) -> None:
        """Estimate batch norm for the cells as they are now."""
        chips = known_chips(board, lab, run.placement.chips, measured_gains(board))
        maps_uS = {number: chip.alone_uS(board.description) for number, chip in chips.items()}
        pairs = {each.name: weights_of(maps_uS, run.placement, each) for each in network.matrices}
        network.use(FixedWeights(masked_weights(pairs, run.masks.masks)))
        reestimate_batch_norm(network, self.splits.train)
