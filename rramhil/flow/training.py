"""A task and the maps of chips become a run.

Owns: the order of things from a task to what is kept, and the choice of each matrix's TIA range,
which is made once, on validation data, and kept with the run. Touches a board only by the `Bench`
of a training in the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from rramhil.driver import Description
from rramhil.errors import UsageError
from rramhil.flow._threads import torch_threads
from rramhil.flow.chips import KnownChip
from rramhil.flow.in_the_loop import Bench
from rramhil.flow.requests import TrainRequest
from rramhil.flow.resetting import ResetPruned
from rramhil.flow.starts import Start, new_network, started
from rramhil.inference import OnMap, cells_of, choose_ranges, converter_of, recorded_codes
from rramhil.network import Network, Run, RunConfig, Share
from rramhil.pruning import EpochRecord, FitResult, TrainSettings, TrainState, fit, held_epochs
from rramhil.switching import Mask, MaskSet, Placement, deal_steps, tile_rows
from rramhil.tasks import Splits, Task

Float64Array = npt.NDArray[np.float64]

_CALIBRATION_SAMPLES = 128

STEPS = 1.25
"""Steps of a sample by codebook, unless told otherwise, relative to what it takes without masks."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A trained run, not yet kept.

    Attributes
    ----------
    run : Run
    result : FitResult
    share : Share
        Part of the network on the chip.
    written : mapping of int to ResetPruned
        What the best masks took at the end, by socket, where they are written in the loop.
    """

    run: Run
    result: FitResult
    share: Share
    written: Mapping[int, ResetPruned] = field(default_factory=dict[int, ResetPruned])


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
    start = started(request, task, splits, network, chips, description)
    return continue_run(start, network, task, splits, description, on_epoch=on_epoch)


def continue_run(
    start: Start,
    network: Network,
    task: Task,
    splits: Splits,
    description: Description,
    *,
    state: TrainState | None = None,
    bench: Bench | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_state: Callable[[TrainState], None] = lambda state: None,
) -> TrainedRun:
    """Train from where a training starts, or from where it stands.

    Parameters
    ----------
    network : Network
        As `new_network` makes it.
    state : TrainState, optional
        Of a training with the same start.
    bench : Bench, optional
        Needed in the loop.
    on_epoch, on_state : callable
        As of `rramhil.pruning.train`.

    Raises
    ------
    UsageError
        There is no such device, or no bench for a training in the loop.
    """
    request = start.request
    settings = TrainSettings(
        start.epochs,
        batch=task.batch,
        seed=request.seed,
        rate=request.rate,
        chooses=not request.final,
        # its masks are in the cells: to go back to those of an earlier epoch would take more pulses
        keeps_last=request.is_pulsed and request.has_budget,
        held=held_epochs(start.epochs) if request.robust else 0,
    )
    if request.in_the_loop is not None and bench is None:
        raise UsageError("A training in the loop needs its board.")
    network.to(usable_device(request.device))
    reread = None if bench is None else bench.reread(start, network)
    gate = request.gate
    if gate == "codebook":
        vectors = {each.name: each.vectors for each in network.matrices}
        gate = deal_steps(tile_rows(start.placement), vectors, request.steps or STEPS)
    # sums are in the order that so many threads add up in
    with torch_threads(start.threads):
        result = fit(
            network,
            task,
            splits,
            start.pairs(network),
            gate=gate,
            settings=settings,
            density=request.density,
            noise=start.spread(network),
            reads=start.reads(network),
            per_conversion=request.noise == "conversions",
            economy=request.economy,
            start=state,
            reread=reread,
            on_epoch=on_epoch,
            on_state=on_state,
        )
    network.cpu()
    written: Mapping[int, ResetPruned] = {}
    if bench is not None and request.by == "reset" and request.in_the_loop is not None:
        written = bench.write(start, network, result.masks)
    ranges = ranges_on(
        start.placement, result.masks, start.maps_uS, start.noise, network, splits, description
    )
    return TrainedRun(
        _run(start, network, settings, result, ranges), result, network.chip_share, written
    )


def ranges_on(
    placement: Placement,
    masks: Mapping[str, Mask],
    maps_uS: Mapping[int, Float64Array],
    noise: float,
    network: Network,
    splits: Splits,
    description: Description,
) -> dict[str, int]:
    """Choose the TIA range of each matrix, by its name, on validation data.

    Parameters
    ----------
    maps_uS : mapping of int to (R, C) float64
        What the cells of each chip read as.
    noise : float
        Relative standard deviation of a read.
    network : Network
        In evaluation mode, with the state that it is to run with.
    """
    cells = cells_of(placement, masks, maps_uS, noise)
    converter = converter_of(description)
    on_map = OnMap(cells, converter, {each.name: 0 for each in network.matrices})
    inputs = splits.validation.inputs[:_CALIBRATION_SAMPLES]
    codes = recorded_codes(network, on_map, [inputs])
    choices = choose_ranges(cells, codes, converter, network.bits)
    return {name: choice.range_index for name, choice in choices.items()}


def _run(
    start: Start,
    network: Network,
    settings: TrainSettings,
    result: FitResult,
    ranges: dict[str, int],
) -> Run:
    request = start.request
    config = RunConfig(
        task=request.which,
        bits=network.bits,
        gate=request.gate,
        epochs=start.epochs,
        seed=request.seed,
        density=request.density,
        noise=start.noise,
        allow_digital=request.allow_digital,
        settings={
            "batch": settings.batch,
            "digital_rate": settings.digital_rate,
            "held": settings.held,
            "threads": start.threads,
            "torch": torch.__version__,
            "task_digest": start.digest,
            # `noise` of a run is how much there is, that of a request where it is taken from
            "noise_source": request.noise,
            "noise_drawn": start.drawn_noise,
            **{
                name: value
                for name, value in request.as_dict().items()
                if name not in RunConfig.model_fields and name != "which"
            },
        },
        ranges=ranges,
    )
    metrics = {"test": result.test, "epoch_s": result.epoch_s}
    metrics |= {f"test {name}": value for name, value in result.test_also.items()}
    if result.validation is not None:
        metrics["validation"] = result.validation
    if result.written is not None:
        metrics |= {name: float(value) for name, value in result.written._asdict().items()}
    return Run.of(
        network,
        config,
        start.placement,
        MaskSet(result.masks, start.placement.id, start.map_ids),
        metrics,
        [record.as_dict() for record in result.history],
    )


def usable_device(name: str) -> torch.device:
    """Where torch computes.

    Raises
    ------
    UsageError
        There is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no CUDA device here.", "Leave out --device.")
    return torch.device(name)
