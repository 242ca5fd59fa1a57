"""What a training starts from, fixed before its first step: cells, noise, task and threads.

Owns: gathering that from chips, and the digest by which another task is told apart. A training that
is continued takes all of it from its checkpoint: gains are measured with noise, and maps are
replaced by newer ones, so chips would not say the same twice. Fires nothing, keeps nothing.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rramhil.driver import Description
from rramhil.errors import ModelRefused, RramhilError, TaskError
from rramhil.flow.chips import KnownChip, geometry_of
from rramhil.flow.requests import TrainRequest
from rramhil.lab import ConductanceMap
from rramhil.network import Network, Pairs, convert, plan, weights_of
from rramhil.pruning import robust_noise
from rramhil.switching import Placement
from rramhil.tasks import Splits, Task, refuse_metrics

Values = npt.NDArray[Any]

_SHOWN = 2
"""Samples that a model is tried on; batch norm may take no single one."""


@dataclass(frozen=True, eq=False)
class Start:
    """All that a training follows from, beside its task.

    Attributes
    ----------
    request : TrainRequest
        With the number of epochs.
    placement : Placement
    maps_uS : mapping of int to (R, C) float64
        What each cell reads as where its row is sampled alone, by socket.
    spreads_uS : mapping of int to (R, C) float64 or (reads, R, C) float32
        What `request.noise` needs beside: standard deviations of a read, or recorded reads.
    noise : float
        Relative standard deviation of a read, mean over the chips.
    map_ids : mapping of int to str
        Maps of the chips by socket; empty if the masks are for any chip.
    digest : str
        Of the task: file, data and first network.
    threads : int
        Of torch: sums, and so masks, depend on how many there are.
    pulsed : mapping of int to (2, R, C) int32
        RESET and SET pulses that each cell had got before, by socket, where this fires more.
    """

    request: TrainRequest
    placement: Placement
    maps_uS: Mapping[int, Values]
    spreads_uS: Mapping[int, Values]
    noise: float
    map_ids: Mapping[int, str]
    digest: str
    threads: int
    pulsed: Mapping[int, Values] = field(default_factory=dict[int, Values])

    @property
    def epochs(self) -> int:
        """Passes over the data."""
        return self.request.epochs or 1

    def pairs(
        self, network: Network, maps_uS: Mapping[int, Values] | None = None
    ) -> dict[str, Pairs]:
        """Conductances in uS of every matrix, of these maps or those of the start."""
        chosen = self.maps_uS if maps_uS is None else maps_uS
        return {each.name: weights_of(chosen, self.placement, each) for each in network.matrices}

    def reads(self, network: Network) -> dict[str, Pairs] | None:
        """Recorded reads of every matrix in uS, (reads, outputs, inputs) each; None if not used."""
        if self.request.noise != "reads":
            return None
        count = min(len(each) for each in self.spreads_uS.values())
        one = [
            self.pairs(network, {chip: each[read] for chip, each in self.spreads_uS.items()})
            for read in range(count)
        ]
        return {
            name: Pairs(
                *(torch.stack(side) for side in zip(*(each[name] for each in one), strict=True))
            )
            for name in one[0]
        }

    def spread(self, network: Network) -> float | dict[str, Pairs]:
        """Standard deviation of a read while training: relative, or in uS cell by cell."""
        if self.drawn_noise is not None:
            return self.drawn_noise
        # recorded reads have their own
        return self.pairs(network, self.spreads_uS) if self.request.noise == "cells" else 0.0

    @property
    def drawn_noise(self) -> float | None:
        """Relative noise that is drawn while training; None where each cell has its own."""
        if self.request.noise in ("cells", "reads"):
            return None
        if self.request.noise_level is not None:
            return self.request.noise_level
        return robust_noise(self.noise) if self.request.robust else self.noise


def started(
    request: TrainRequest,
    task: Task,
    splits: Splits,
    network: Network,
    chips: Mapping[int, KnownChip],
    description: Description,
) -> Start:
    """Place a task's network on chips, and gather what training needs of their cells.

    Parameters
    ----------
    chips : mapping of int to KnownChip
        By socket, in the order in which they are filled.

    Raises
    ------
    PlacementError
        It does not fit, with the number of cells missing.
    """
    flat = request.map == "flat"
    placement = plan(
        network,
        geometry_of(description),
        chips=tuple(chips),
        # which cells are sound is a matter of one chip
        defects={} if flat else {number: chip.defects for number, chip in chips.items()},
        overlay=request.overlay,
    )
    used = {number: chips[number] for number in placement.chips}
    maps_uS: dict[int, Values] = {
        number: chip.alone_uS(description) for number, chip in used.items()
    }
    if flat:
        middle = mean(float(np.median(each)) for each in maps_uS.values())
        maps_uS = {number: np.full(each.shape, middle) for number, each in maps_uS.items()}
    spreads: dict[int, Values] = {}
    if request.noise == "cells":
        spreads = {number: np.nan_to_num(chip.measured.sd_uS) for number, chip in used.items()}
    elif request.noise == "reads":
        spreads = {
            number: recorded_uS(chip.measured, maps_uS[number]) for number, chip in used.items()
        }
    return Start(
        request=TrainRequest.from_dict(
            {**request.as_dict(), "epochs": request.epochs or task.epochs}
        ),
        placement=placement,
        maps_uS=maps_uS,
        spreads_uS=spreads,
        noise=mean(chip.cells.noise for chip in used.values()),
        map_ids={} if flat else {number: chip.map_id for number, chip in used.items()},
        digest=digest_of(request.which, splits, network),
        threads=torch.get_num_threads(),
    )


def new_network(
    task: Task, splits: Splits, *, seed: int = 0, allow_digital: bool = False
) -> Network:
    """Make and convert a task's model; its first weights follow from the seed.

    What is counted for a sample is counted for one of the test data, which a chip is to answer:
    training may be on parts of them.

    Raises
    ------
    ModelRefused
        As of `convert`, or nothing of it would be on the chip.
    TaskError
        The model does not take the data, the loss not the targets, or a metric is no number.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = task.model()
        _refuse_misfits(task, model, splits)
    network = convert(
        model,
        task.bits,
        example_input=splits.test.inputs[:_SHOWN],
        training_input=splits.train.inputs[:_SHOWN],
        allow_digital=allow_digital,
    )
    if not network.matrices:
        raise ModelRefused(
            f"The model of the {task.told} has no Linear, Conv2d, ConvTranspose2d or RNN: nothing "
            "of it would be on the chip.",
            "Give it a layer of these.",
        )
    _refuse_single_steps(task, network)
    return network


def _refuse_single_steps(task: Task, network: Network) -> None:
    """Refuse an RNN whose hidden state is never multiplied."""
    for matrix in network.matrices:
        if not matrix.vectors:
            raise ModelRefused(
                f"The sequences of the {task.told} have one step: {matrix.name} of its model "
                "multiplies nothing, and would take cells.",
                "Put a Linear layer in the place of the RNN.",
            )


@torch.no_grad()
def _refuse_misfits(task: Task, model: nn.Module, splits: Splits) -> None:
    """Refuse data that the plain model does not take, and outputs that loss or metrics do not."""
    was_training = model.training
    model.eval()
    answers: dict[torch.Size, torch.Tensor] = {}
    for name, (inputs, targets) in zip(splits._fields, splits, strict=True):
        with _told_of_data(task, name, inputs):
            shape = inputs.shape[1:]
            if shape not in answers:
                answers[shape] = _outputs(task, model, inputs)
            # the same answer to all samples: a class that there is not fails with any
            first = answers[shape][0]
            task.loss(first.expand(len(targets), *first.shape), targets)
    model.train(was_training)
    with _told_of_data(task, "train", splits.train.inputs):
        # of a copy, since batch norm remembers what it sees in training
        _outputs(task, copy.deepcopy(model).train(), splits.train.inputs)
    outputs, targets = answers[splits.test.inputs.shape[1:]], splits.test.targets[:_SHOWN]
    refuse_metrics(task, outputs[: len(targets)], targets[: len(outputs)])


def _outputs(task: Task, model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What a model gives for the first samples, if that is a tensor."""
    outputs: Any = model(inputs[:_SHOWN])
    if isinstance(outputs, torch.Tensor):
        return outputs
    raise TaskError(
        f"The model of the {task.told} returns a {type(outputs).__name__}, not a torch.Tensor, in "
        f"{'training' if model.training else 'evaluation'} mode.",
        "Let its `forward` return nothing but the tensor that loss and metric take.",
    )


@contextmanager
def _told_of_data(task: Task, name: str, inputs: torch.Tensor) -> Generator[None]:
    """Say of a user's model which part of the data it does not take."""
    try:
        yield
    except RramhilError:
        raise
    except Exception as error:  # a user's code may raise anything
        raise TaskError(
            f"The model of the {task.told} ends with {type(error).__name__} on its {name} "
            f"data, whose samples are {tuple(inputs.shape[1:])}: {error}",
            "Make the two fit.",
        ) from error


def digest_of(which: str, splits: Splits, network: Network) -> str:
    """First 16 hexadecimal digits of a SHA-256 over a task's file, data and first network."""
    digest = hashlib.sha256(which.encode())
    file = Path(which.partition(":")[0])
    if file.suffix == ".py" and file.is_file():
        digest.update(file.read_bytes())
    for matrix in network.matrices:
        digest.update(repr(matrix).encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    for examples in splits:
        for values in examples:
            digest.update(repr(values.shape).encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def recorded_uS(measured: ConductanceMap, mean_uS: Values) -> Values:
    """What each of a map's reads gave, (reads, R, C) float32 in uS, around the cells' own mean."""
    if not measured.reads:
        return mean_uS[None].astype(np.float32)
    off = measured.codes.astype(np.float32) - measured.codes.mean(axis=0)
    return (mean_uS + off * measured.per_code_uS).astype(np.float32)
