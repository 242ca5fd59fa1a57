"""What a metric gives, as a number.

Owns: what counts as one number, and the look at every metric before a training begins.
"""

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any

from rramhil.errors import TaskError
from rramhil.tasks._task import Task

if TYPE_CHECKING:
    from torch import Tensor


def number_of(where: str, given: Any) -> float:
    """Take one number as a float, be it a number of Python, of numpy or of torch.

    Raises
    ------
    TaskError
        It is none, or there are several.
    """
    found = given
    if hasattr(given, "item"):
        try:
            found = given.item()
        except (TypeError, ValueError, RuntimeError):  # of several
            found = None
    if not isinstance(found, Real):
        raise TaskError(f"{where} gives {type(given).__name__}, not a number.", "Mend it there.")
    return float(found)


def refuse_metrics(task: Task, outputs: Tensor, targets: Tensor) -> None:
    """Refuse a metric that gives no number, before a training ends with it.

    Any number will do, and so will an error: an untrained network's outputs of a few samples may
    be such as a sound metric is not defined for.

    Raises
    ------
    TaskError
        One gives something else, with its name.
    """
    for name, metric in task.metrics.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # a metric may change what it gets
                given = metric(outputs.clone(), targets.clone())
        except TaskError as error:
            # one that the metric itself ended with has that as its cause
            if error.__cause__ is None:
                raise
            continue
        except Exception:  # a user's code may raise anything
            continue
        number_of(f"The metric {name} of the {task.told}", given)
