"""Data of a last training: nothing is held back, since everything was chosen before.

Owns: how the parts of a task's training data become one again. Chooses nothing itself.
"""

from __future__ import annotations

from pathlib import Path

from rramhil.errors import TaskError
from rramhil.tasks._task import Examples, Splits, Task

_SHOWN = 128


def final_splits(task: Task, splits: Splits, root: Path) -> Splits:
    """Give the training part what was held back of it; the test part stays.

    Parameters
    ----------
    splits : Splits
        As `task.data(root)` gives them.
    root : Path
        Folder of data sets.

    Returns
    -------
    Splits
        Its validation part is the first samples of the training part, and is to choose nothing.

    Raises
    ------
    TaskError
        The parts are of different kinds, and the task does not say how they become one.
    """
    whole = _joined(task, splits) if task.undivided is None else task.undivided(root)
    return Splits(whole, Examples(*(each[:_SHOWN] for each in whole)), splits.test)


def _joined(task: Task, splits: Splits) -> Examples:
    import torch  # importing the package loads no torch

    joined: list[torch.Tensor] = []
    for one, other in zip(splits.train, splits.validation, strict=True):
        if one.shape[1:] != other.shape[1:]:
            raise TaskError(
                f"Validation data of {task.name} cannot be trained on as they are: "
                f"{tuple(other.shape[1:])} each, where training data are {tuple(one.shape[1:])}.",
                "Let the task say in `undivided` what all training data are.",
            )
        joined.append(torch.cat([one, other]))
    return Examples(*joined)
