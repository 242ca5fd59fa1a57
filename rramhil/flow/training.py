"""A task and the maps of chips become a run.

Owns: the order of things from a task to what is kept, and the choice of each matrix's TIA range,
which is made once, on validation data, and kept with the run. Touches no board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import mean

import torch

from rramhil.driver import Description
from rramhil.errors import UsageError
from rramhil.flow.chips import KnownChip, geometry_of
from rramhil.inference import OnMap, cells_of, choose_ranges, converter_of, recorded_codes
from rramhil.network import Network, Run, RunConfig, Share, convert, plan, weights_of
from rramhil.pruning import EpochRecord, FitResult, TrainSettings, fit
from rramhil.switching import GateKind, MaskSet
from rramhil.tasks import Splits, Task

_CALIBRATION_SAMPLES = 128


@dataclass(frozen=True)
class TrainRequest:
    """How to train.

    Attributes
    ----------
    which : str
        The task, as `rramhil.tasks.load` takes it.
    gate : "pair" or "cell"
    epochs : int or None
        None for the task's own.
    density : float
        Share of gates that are open, above 0 and up to 1.
    seed : int
    overlay : bool
        Let matrices share cells under different gates.
    allow_digital : bool
        Leave modules with weights that no matrix stands for as they are.
    """

    which: str
    gate: GateKind = "cell"
    epochs: int | None = None
    density: float = 0.5
    seed: int = 0
    overlay: bool = False
    allow_digital: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise UsageError(f"A density is above 0 and at most 1, not {self.density:g}.")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"{self.epochs} epochs train nothing.")


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A trained run, not yet kept.

    Attributes
    ----------
    run : Run
    result : FitResult
    share : Share
        Part of the network on the chip.
    """

    run: Run
    result: FitResult
    share: Share


def new_network(
    task: Task, splits: Splits, *, seed: int = 0, allow_digital: bool = False
) -> Network:
    """Make and convert a task's model; its first weights follow from the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = task.model()
    example = splits.train.inputs[:2]
    return convert(model, task.bits, example_input=example, allow_digital=allow_digital)


def train_run(
    request: TrainRequest,
    task: Task,
    splits: Splits,
    chips: Mapping[int, KnownChip],
    description: Description,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> TrainedRun:
    """Place a task's network on chips and learn which of their cells to use.

    Parameters
    ----------
    chips : mapping of int to KnownChip
        By socket, in the order in which they are filled.

    Raises
    ------
    PlacementError
        It does not fit, with the number of cells missing.
    ModelRefused
        The model has weights that no chip can hold.
    """
    network = new_network(task, splits, seed=request.seed, allow_digital=request.allow_digital)
    placement = plan(
        network,
        geometry_of(description),
        chips=tuple(chips),
        defects={number: chip.defects for number, chip in chips.items()},
        overlay=request.overlay,
    )
    maps_uS = {number: chips[number].alone_uS(description) for number in placement.chips}
    noise = mean(chips[number].cells.noise for number in placement.chips)
    settings = TrainSettings(request.epochs or task.epochs, seed=request.seed)
    result = fit(
        network,
        task,
        splits,
        {each.name: weights_of(maps_uS, placement, each) for each in network.matrices},
        gate=request.gate,
        settings=settings,
        density=request.density,
        noise=noise,
        on_epoch=on_epoch,
    )
    cells = cells_of(placement, result.masks, maps_uS, noise)
    converter = converter_of(description)
    on_map = OnMap(cells, converter, {each.name: 0 for each in network.matrices})
    inputs = splits.validation.inputs[:_CALIBRATION_SAMPLES]
    codes = recorded_codes(network, on_map, [inputs])
    choices = choose_ranges(cells, codes, converter, task.bits)
    config = RunConfig(
        task=request.which,
        bits=task.bits,
        gate=request.gate,
        epochs=settings.epochs,
        seed=request.seed,
        density=request.density,
        noise=noise,
        allow_digital=request.allow_digital,
        settings={"batch": settings.batch, "rate": settings.rate},
        ranges={name: choice.range_index for name, choice in choices.items()},
    )
    run = Run.of(
        network,
        config,
        placement,
        MaskSet(result.masks, placement.id, {each: chips[each].map_id for each in placement.chips}),
        {"validation": result.validation, "test": result.test, "epoch_s": result.epoch_s},
    )
    return TrainedRun(run, result, network.chip_share)
