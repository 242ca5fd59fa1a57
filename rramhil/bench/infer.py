"""`rramhil bench infer`: a convolutional network on the simulated board, over TCP.

The network of the paper's FashionMNIST experiment (two convolutions, two layers, 14 x 14 images,
inputs of 4 bits) with random masks of half of the cells of a programmed chip, and random images.
Beside it the same network on this computer: plain torch in float32, and its masked matrices in
8-bit integers. The board is served by another process; all use the threads that they use by
default.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rramhil.bench._peers import served_board
from rramhil.bench._rounds import Figure, side_by_side
from rramhil.driver import Board
from rramhil.inference import OnBoard, deploy
from rramhil.lab import Lab
from rramhil.network import Int8, Network, VectorExecutor, convert, plan, weights_of
from rramhil.programming import program
from rramhil.pruning import SupermaskExecutor
from rramhil.switching import Geometry
from rramhil.tasks import fashion_mnist

_IMAGES = 1000
_ROUNDS = 3
_BITS = 4
_SEED = 1
_BATCH = 500
"""Images that go through the network together."""
_WARM_UP = 200
"""Images before the clock runs."""


class MaskedCnn(NamedTuple):
    """The network of the benchmark on a board.

    Attributes
    ----------
    model : nn.Module
        As torch has it.
    network : Network
        The same, converted, its ranges known.
    masked : mapping of str to Tensor
        Its masked matrices by name, (outputs, inputs) float32 in uS.
    on_board : OnBoard
    """

    model: nn.Module
    network: Network
    masked: Mapping[str, Tensor]
    on_board: OnBoard


def figures(images: int = _IMAGES, rounds: int = _ROUNDS) -> Generator[Figure]:
    """Measure with so many images a round."""
    generator = torch.Generator().manual_seed(_SEED)
    inputs = torch.rand(images, 1, 14, 14, generator=generator)
    with _programmed_board() as (board, map_uS):
        cnn = masked_cnn(board, map_uS, inputs)
        in_integers = Int8(cnn.masked)

        def through(executor: VectorExecutor) -> Callable[[Tensor], Tensor]:
            return lambda batch: cnn.network.use(executor)(batch)

        ours = through(cnn.on_board)
        for reference, theirs in (
            ("plain torch, float32", cnn.model),
            ("its matrices in int8", through(in_integers)),
        ):
            outputs_of(ours, inputs[:_WARM_UP])
            outputs_of(theirs, inputs[:_WARM_UP])
            name = f"{images:,} images of 14 x 14 through a masked CNN, tcp://"
            yield side_by_side(
                name,
                "images/s",
                images,
                _clocked(lambda: outputs_of(ours, inputs)),
                reference,
                _clocked(lambda theirs=theirs: outputs_of(theirs, inputs)),
                rounds,
            )


def masked_cnn(board: Board, map_uS: np.ndarray[Any, Any], inputs: Tensor) -> MaskedCnn:
    """Put the paper's network on chip 0 of a board, with random masks of half of its cells.

    Parameters
    ----------
    map_uS : (R, C) float64
        Of the chip.
    inputs : (N, 1, 14, 14) float32
        The first 200 give the ranges of the network's inputs.
    """
    model = paper_network().eval()
    network = convert(model, _BITS, example_input=inputs[:2])
    facts = board.description
    placement = plan(network, Geometry(facts.rows, facts.columns, facts.channels))
    pairs = {each.name: weights_of({0: map_uS}, placement, each) for each in network.matrices}
    masks_of = SupermaskExecutor(pairs, "cell", seed=_SEED)  # untrained: its masks are random
    masks_of.prepare(network)
    network.use(masks_of.eval()).calibrate([inputs[:200]]).freeze().eval()
    masked = {each.name: masks_of.weight(each).detach() for each in network.matrices}
    deployment = deploy(board, placement, masks_of.masks(), len(facts.ranges) - 1)
    return MaskedCnn(model, network, masked, OnBoard(deployment))


@torch.no_grad()
def outputs_of(network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """What a network says of all inputs, a batch at a time."""
    return torch.cat([network(batch) for batch in inputs.split(_BATCH)])


def paper_network() -> nn.Module:
    """Make the network of the task fashion-mnist, with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        return fashion_mnist.model()


@contextmanager
def _programmed_board() -> Generator[tuple[Board, np.ndarray[Any, Any]]]:
    """A board in another process, and the map of its chip in uS."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served_board(Path(folder)) as address,
        Board.open(address, lab_root=Path(folder)) as board,
        Lab(Path(folder)) as lab,
    ):
        yield board, program(board, lab, 0).measured.conductance_uS


def _clocked(work: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return seconds
