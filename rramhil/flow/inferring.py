"""A run on the chip: masks applied, samples sent, answers beside what map and software say.

Owns: the comparison, and what is counted of it. How a chip multiplies is `inference`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rramhil.driver import Board, Identity
from rramhil.flow.chips import KnownChip
from rramhil.flow.pricing import ranges_of
from rramhil.inference import (
    Deployment,
    FrontEnd,
    KnownCells,
    OnBoard,
    OnMap,
    cells_in_steps,
    converter_of,
    deploy,
    lines_of,
)
from rramhil.network import Network, Run, Share, VectorExecutor
from rramhil.programming import Progress, Silent
from rramhil.switching import Mask, Placement
from rramhil.tasks import Examples, Task

_BATCH_VECTORS = 1 << 18
"""Of a layer, that are kept at once: samples of one batch have no more, unless one has."""
_BATCH = 180
_SEED = 1


@dataclass(frozen=True, eq=False)
class Inference:
    """What a chip made of some samples.

    Attributes
    ----------
    samples : int
    metric : str
        Name of the task's metric, which the values below are in.
    value, on_map_value, software_value : float
        On the chip; by the map, with all noise and all that may be off; by the map, exactly.
    also : mapping of str to dict
        The same three, by their names, of each of the task's further metrics.
    agreement : float or None
        Share of samples of the same class on the chip as by the map exactly; None where outputs
        are no classes.
    noise_ratio : float
        Rms difference of the chip's outputs from the exact ones, over that of the noisy map's: 1
        if the chip scatters as predicted.
    samples_per_s : float
        On the wall.
    board_time_s, conversions, saturated : float, int, int
        Of the samples, by the board; saturated conversions met an end of the scale.
    energy_j : float
        By the energy model.
    pulses : int
        Fired on the run's chips since before the masks were applied, by the board's counters.
    share : Share
        Part of the network on the chip.
    board : Identity
    chips : mapping of int to str
        Serial numbers, by socket.
    """

    samples: int
    metric: str
    value: float
    on_map_value: float
    software_value: float
    also: Mapping[str, dict[str, float]]
    agreement: float | None
    noise_ratio: float
    samples_per_s: float
    board_time_s: float
    conversions: int
    saturated: int
    energy_j: float
    pulses: int
    share: Share
    board: Identity
    chips: Mapping[int, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        said = {name: value for name, value in vars(self).items() if name != "share"}
        return said | {
            "chip_share": self.share.weights,
            "chip_share_multiplications": self.share.multiplications,
            "board": asdict(self.board),
            "chips": {str(number): serial for number, serial in self.chips.items()},
        }


class Applied(NamedTuple):
    """A run on a board.

    Attributes
    ----------
    deployment : Deployment
    pulses_before : int
        That the board had counted on the run's chips.
    began_ns : int
        Board clock before.
    """

    deployment: Deployment
    pulses_before: int
    began_ns: int

    @property
    def pulses(self) -> int:
        """Fired on the run's chips since; applying and running masks fires none."""
        return _pulses(self.deployment.board, self.deployment.placement) - self.pulses_before

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; asks the board for its clock and counts."""
        board, tiles = self.deployment.board, self.deployment.tiles
        chips = self.deployment.placement.chips
        return {
            "board": asdict(board.identity),
            "chips": {str(chip): board.counters(chip).chip_serial for chip in chips},
            "steps": sum(tile.schedule.steps for tile in tiles),
            "slots": self.deployment.slots,
            "pulses": self.pulses,
            "problems": list(self.deployment.problems),
            "board_time_s": (board.status().board_time_ns - self.began_ns) / 1e9,
        }


def apply_run(
    board: Board, run: Run, front_end: FrontEnd | None = None, *, gated: bool = True
) -> Applied:
    """Make a board ready to multiply with a run's masks; see `inference.deploy`. Fires nothing.

    Parameters
    ----------
    gated : bool
        False where RESET has pruned the cells: every gate is open, and rows share their steps.
    """
    pulses, began_ns = _pulses(board, run.placement), board.status().board_time_ns
    masks = dict(run.masks.masks) if gated else open_masks(run)
    deployment = deploy(board, run.placement, masks, ranges_of(run), front_end=front_end)
    return Applied(deployment, pulses, began_ns)


def open_masks(run: Run) -> dict[str, Mask]:
    """Masks of a run's shapes that let every cell through."""
    return {name: Mask.pair(np.ones(mask.shape)) for name, mask in run.masks.masks.items()}


def infer(
    applied: Applied,
    run: Run,
    network: Network,
    task: Task,
    examples: Examples,
    chips: Mapping[int, KnownChip],
    *,
    progress: Progress | None = None,
) -> Inference:
    """Run samples on the chip, and on its map.

    Parameters
    ----------
    network : Network
        Of the task, with the run's state.
    chips : mapping of int to KnownChip
        Every chip of the run's placement.

    Raises
    ------
    VerificationFailed
        A switch reads back wrong, or a channel is dead.
    """
    board = applied.deployment.board
    on_board = OnBoard(applied.deployment)
    watch = progress or Silent()
    watch.phase("inference", len(examples.inputs), "samples")
    began_s = time.perf_counter()
    outputs = _outputs(network, on_board, examples, lambda done: watch.advance(done, 0))
    wall_s = time.perf_counter() - began_s
    pulses = applied.pulses
    exact, noisy = (
        _outputs(network, on_map, examples)
        for on_map in predictions(applied.deployment, run, chips)
    )
    three = {"value": outputs, "on_map_value": noisy, "software_value": exact}
    measured = {name: task.measured(each, examples.targets) for name, each in three.items()}
    of_metric = {
        metric: {name: values[metric] for name, values in measured.items()}
        for metric in measured["value"]
    }
    first = of_metric.pop(task.metric_name)
    return Inference(
        samples=len(outputs),
        metric=task.metric_name,
        **first,
        also=of_metric,
        agreement=_agreement(outputs, exact, examples.targets),
        noise_ratio=_rms(outputs - exact) / max(1e-12, _rms(noisy - exact)),
        samples_per_s=len(outputs) / wall_s,
        board_time_s=on_board.total.board_time_s,
        conversions=on_board.total.conversions,
        saturated=on_board.total.saturated,
        energy_j=on_board.energy_j({n: chip.cells.own_uS for n, chip in chips.items()}),
        pulses=pulses,
        share=network.chip_share,
        board=board.identity,
        chips={number: chip.serial for number, chip in chips.items()},
    )


def predictions(
    deployment: Deployment, run: Run, chips: Mapping[int, KnownChip]
) -> tuple[OnMap, OnMap]:
    """The deployment on its maps: exactly, and with all noise and one draw of the map's errors."""
    description = deployment.board.description
    compiled = [each.compiled for each in deployment.tiles]
    random = np.random.default_rng(_SEED)
    known = {number: chip.cells for number, chip in chips.items()}
    drawn = {
        number: _with_errors(cells, description.channels, random) for number, cells in known.items()
    }
    exact, noisy = (
        cells_in_steps(compiled, deployment.masks, cells, lines_of(description))
        for cells in (known, drawn)
    )
    converter, ranges = converter_of(description), ranges_of(run)
    return (
        OnMap(exact, converter, ranges),
        OnMap(noisy, converter, ranges, noise="per_conversion", seed=_SEED),
    )


def _with_errors(known: KnownCells, channels: int, random: np.random.Generator) -> KnownCells:
    """Cells as they could be, if the map is off by as much as it may."""
    rows = len(known.own_uS)
    own = known.own_uS * (1 + known.cell_error * random.standard_normal(known.own_uS.shape))
    of_channel = 1 + known.channel_error * random.standard_normal(channels)
    own *= of_channel[np.arange(rows) % channels, None]
    own += known.offset_uS * random.standard_normal((rows, 1))
    return replace(known, own_uS=np.maximum(own, 0.0))


@torch.no_grad()
def _outputs(
    network: Network,
    executor: VectorExecutor,
    examples: Examples,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Tensor:
    network.use(executor).eval()
    parts: list[Tensor] = []
    most = max(matrix.vectors for matrix in network.matrices)
    for batch in examples.inputs.split(min(_BATCH, max(1, _BATCH_VECTORS // max(1, most)))):
        parts.append(network(batch))
        on_batch(len(batch))
    return torch.cat(parts)


def _pulses(board: Board, placement: Placement) -> int:
    counts = [board.counters(chip) for chip in placement.chips]
    return sum(each.form_pulses + each.set_pulses + each.reset_pulses for each in counts)


def _agreement(outputs: Tensor, exact: Tensor, targets: Tensor) -> float | None:
    if outputs.dim() != 2 or targets.dim() != 1 or targets.is_floating_point():
        return None
    return float((outputs.argmax(dim=1) == exact.argmax(dim=1)).float().mean())


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
