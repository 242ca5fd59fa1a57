"""`rramhil bench train`: an epoch of mask training beside one of the same network's own weights.

Two networks as FashionMNIST has them: the paper's convolutional one on 14 x 14 pixels, and
784-512-10, inputs of 4 bits. Images are random, batches of 64; the trainer is the same, with cell
gating on random conductances and their read noise, or with ordinary weights. Both use the threads
that torch uses by default. Figures are times: a ratio of 1.1 means that masks take 1.1 times as
long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import nn
from torch.nn import functional

from rramhil.bench._rounds import Figure, times_side_by_side
from rramhil.bench.infer import paper_network
from rramhil.network import Pairs, TrainedWeights, WeightExecutor, convert
from rramhil.pruning import SupermaskExecutor, TrainSettings, train
from rramhil.tasks import Examples, Splits, Task

_BITS, _BATCH = 4, 64
_MEAN_uS, _SD_uS, _NOISE = 12.35, 1.86, 0.02
_CNN_IMAGES, _MLP_IMAGES = 3200, 12800
_ROUNDS = 15
_SEED = 1


def figures(share: float = 1.0, rounds: int = _ROUNDS) -> Generator[Figure]:
    """Measure with this share of the images a round."""
    for name, model, shape, images in (
        ("CNN on 14 x 14 pixels", paper_network, (1, 14, 14), _CNN_IMAGES),
        ("MLP 784-512-10", _layers, (784,), _MLP_IMAGES),
    ):
        count = max(_BATCH, round(share * images))
        task, splits = _task(model, shape, count)
        ours = _epoch(task, splits, masked=True)
        theirs = _epoch(task, splits, masked=False)
        ours()
        theirs()
        yield times_side_by_side(
            f"{name}, {count:,} images, cell gating",
            "s an epoch",
            ours,
            "the time with ordinary weights",
            theirs,
            rounds,
        )


def _epoch(task: Task, splits: Splits, *, masked: bool) -> Callable[[], float]:
    """What trains one epoch from the start and gives its seconds, validation left out."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        network = convert(task.model(), _BITS, example_input=splits.train.inputs[:2])
    executor: WeightExecutor = TrainedWeights(network.first_weights)
    if masked:
        generator = torch.Generator().manual_seed(_SEED)
        pairs = {
            each.name: Pairs(
                *(
                    _MEAN_uS + _SD_uS * torch.randn(each.outputs, each.inputs, generator=generator)
                    for _ in range(2)
                )
            )
            for each in network.matrices
        }
        executor = SupermaskExecutor(pairs, "cell", noise=_NOISE, seed=_SEED)
        executor.prepare(network)
    settings = TrainSettings(1, batch=_BATCH, seed=_SEED)

    def seconds() -> float:
        return train(network, executor, task, splits, settings).history[0].seconds

    return seconds


def _task(
    model: Callable[[], nn.Module], shape: tuple[int, ...], images: int
) -> tuple[Task, Splits]:
    generator = torch.Generator().manual_seed(_SEED)
    inputs = torch.rand(images, *shape, generator=generator)
    classes = torch.randint(10, (images,), generator=generator)
    examples = Examples(inputs, classes)
    # validation is not what is measured
    few = Examples(inputs[:2], classes[:2])
    splits = Splits(examples, few, few)
    task = Task(
        name="bench",
        model=model,
        data=lambda root: splits,
        loss=functional.cross_entropy,
        metric=lambda outputs, targets: 0.0,
        metric_name="none",
        bits=_BITS,
        epochs=1,
    )
    return task, splits


def _layers() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
