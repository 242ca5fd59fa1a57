"""Files of a comparison: a training or a measurement that is there is not done again.

Owns: what is in them, and that they are whole. Knows no rows and no order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from rramhil._arrays import Arrays, below, load_arrays, save_arrays
from rramhil.comparison.rows import Measured, Trained
from rramhil.switching import Mask


def save_trained(trained: Trained, path: Path) -> None:
    """Write a training as a file, whole or not at all."""
    head = {
        "best_epoch": trained.best_epoch,
        "validation": trained.validation,
        "seconds": trained.seconds,
        "kinds": {name: mask.kind for name, mask in trained.masks.items()},
    }
    arrays: Arrays = {f"state/{name}": value.numpy() for name, value in trained.state.items()}
    arrays |= {f"weight/{name}": value.numpy() for name, value in trained.weights.items()}
    for name, mask in trained.masks.items():
        arrays |= {f"plus/{name}": mask.plus, f"minus/{name}": mask.minus}
    save_arrays(head, arrays, path)


def load_trained(path: Path) -> Trained:
    """Read what `save_trained` wrote.

    Raises
    ------
    RunError
        It is damaged.
    """
    head, arrays = load_arrays(path)
    return Trained(
        {name: torch.from_numpy(each) for name, each in below("state", arrays)},
        {name: torch.from_numpy(each) for name, each in below("weight", arrays)},
        {
            name: Mask(kind, arrays[f"plus/{name}"], arrays[f"minus/{name}"])
            for name, kind in head["kinds"].items()
        },
        head["best_epoch"],
        head["validation"],
        head["seconds"],
    )


def save_measured(measured: Mapping[str, Measured], path: Path) -> None:
    """Write measurements by their names as a file, whole or not at all."""
    values = {name: [each.value, each.also] for name, each in measured.items()}
    save_arrays(values, {name: each.of_units for name, each in measured.items()}, path)


def load_measured(path: Path) -> dict[str, Measured]:
    """Read what `save_measured` wrote.

    Raises
    ------
    RunError
        It is damaged.
    """
    values, arrays = load_arrays(path)
    return {name: Measured(value, arrays[name], also) for name, (value, also) in values.items()}
