"""`spoken-digits` and `spoken-digits-official`: the paper's recurrent network on spoken digits.

The inputs have 23 features (rows) at 20 times (columns). Both convolutions are of 3 features x 2
times with stride (2, 1), each followed by the maximum of 2 x 2: 23 x 20 becomes 11 x 19, 5 x 9,
2 x 8 and at last 1 x 4, which are four steps in time of 32 features each.

`spoken-digits` has the features that the paper's authors published, 10 mel bands and 13 cepstral
coefficients of 2,100 and 900 recordings, drawn at random; 300 of the 2,100, drawn by a fixed seed,
choose the epoch. `spoken-digits-official` has 23 mel bands made here from the recordings, split as
the data set's owners do: each speaker's takes 0 to 4 of a digit test, 5 to 9 choose the epoch, the
others train. In both, every speaker is in every part.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rramhil.datasets import mel_bands, read_fsdd, read_fsdd_features
from rramhil.tasks._metrics import accuracy
from rramhil.tasks._task import Examples, Splits, Task

_SEED = 7
_VALIDATION = 300
_TEST_TAKES, _VALIDATION_TAKES = 5, 10
"""Takes below the first test, those below the second choose the epoch."""


class SpokenDigitsNetwork(nn.Module):
    """Convolutions of 64 x 1 x 3 x 2 and 32 x 64 x 3 x 2, an RNN of 32-128, then 128-256-10."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = nn.Sequential(
            nn.Conv2d(1, 64, (3, 2), stride=(2, 1), bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 32, (3, 2), stride=(2, 1), bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(32),
        )
        self.followed = nn.RNN(32, 128, nonlinearity="relu", bias=False, batch_first=True)
        self.told = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, 10) of features (N, 1, 23, 20)."""
        steps = self.heard(features).squeeze(2).transpose(1, 2)
        states, _ = self.followed(steps)
        return self.told(states.mean(dim=1))


def data(root: Path) -> Splits:
    """The paper's features (N, 1, 23, 20) float32, 0 to 1, and digits (N,) int64."""
    read = read_fsdd_features(root)
    order = np.random.default_rng(_SEED).permutation(len(read.train_features))
    chosen, others = order[:_VALIDATION], order[_VALIDATION:]
    return Splits(
        train=_examples(read.train_features[others], read.train_digits[others]),
        validation=_examples(read.train_features[chosen], read.train_digits[chosen]),
        test=_examples(read.test_features, read.test_digits),
    )


def official_data(root: Path) -> Splits:
    """Mel bands (N, 1, 23, 20) float32, 0 to 1, and digits (N,) int64."""
    read = read_fsdd(root)
    features = mel_bands(read.waves)
    test = read.takes < _TEST_TAKES
    validation = ~test & (read.takes < _VALIDATION_TAKES)
    return Splits(
        *(
            _examples(features[part], read.digits[part])
            for part in (~test & ~validation, validation, test)
        )
    )


def _examples(features: np.ndarray, digits: np.ndarray) -> Examples:
    return Examples(torch.tensor(features)[:, None], torch.tensor(digits, dtype=torch.int64))


task = Task(
    name="spoken-digits",
    model=SpokenDigitsNetwork,
    data=data,
    loss=functional.cross_entropy,
    metric=accuracy,
    metric_name="accuracy",
    bits=3,
    epochs=80,
)

official_task = Task(
    name="spoken-digits-official",
    model=SpokenDigitsNetwork,
    data=official_data,
    loss=functional.cross_entropy,
    metric=accuracy,
    metric_name="accuracy",
    bits=3,
    epochs=40,
)
