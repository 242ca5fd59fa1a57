"""A user's own task: whatever its functions do, what is said of it names its file.

Owns: what the functions of a task may give, and the sentences about those that give or raise
something else. Changes nothing that they give.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from rramhil.errors import RramhilError, TaskError
from rramhil.tasks._task import Examples, Splits, Task


def told_of(task: Task, file: Path) -> Task:
    """Make the same task, whose functions raise errors that a user can do something about."""

    def told(name: str, function: Callable[..., Any], check: _Check = lambda *given: "") -> Any:
        where = f"`{name}` of the task file {file}"

        def call(*given: Any) -> Any:
            with blamed(where):
                found = function(*given)
                fault = check(found, *given)
            if fault:
                raise TaskError(f"{where} gives {fault}.", "Mend it there.")
            return found

        return call

    return replace(
        task,
        model=told("model", task.model, _no_model),
        data=told("data", task.data, _no_splits),
        loss=told("loss", task.loss, _no_loss),
        metric=told("metric", task.metric, _no_number),
        also={name: told("also", metric, _no_number) for name, metric in task.also.items()},
        undivided=task.undivided and told("undivided", task.undivided, _no_examples),
        file=file,
    )


@contextmanager
def blamed(what: str) -> Generator[None]:
    """Say of a user's code by which error it ended; what it prints goes to stderr.

    Standard output is the commands' own: with `--json` it has one object and nothing else.

    Raises
    ------
    TaskError
        It raised something, or would end Python.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except RramhilError:
        raise
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise TaskError(
            f"{what} ends with {type(error).__name__}: {error}", "Run it with Python to see where."
        ) from error


_Check = Callable[..., str]
"""Of what a function gave, and of what it took: what is wrong; empty if nothing is."""


def _no_model(given: Any, *took: Any) -> str:
    from torch import nn

    return "" if isinstance(given, nn.Module) else f"{_kind(given)}, not a torch.nn.Module"


def _no_splits(given: Any, *took: Any) -> str:
    if not isinstance(given, Splits):
        return f"{_kind(given)}, not rramhil.tasks.Splits"
    for name, part in zip(given._fields, given, strict=True):
        fault = _no_examples(part)
        if fault:
            return f"Splits whose {name} part is {fault}"
    one = "Splits whose train part is of one sample, and a step takes two or more"
    return one if len(given.train.inputs) == 1 else ""


def _no_examples(given: Any, *took: Any) -> str:
    import torch

    if not isinstance(given, Examples) or not all(isinstance(each, torch.Tensor) for each in given):
        return f"{_kind(given)}, not rramhil.tasks.Examples of two tensors"
    if given.inputs.dtype != torch.float32:
        return f"of {given.inputs.dtype}, not torch.float32"
    samples = [len(each) if each.dim() else 0 for each in given]
    if not samples[0] or samples[0] != samples[1]:
        return f"of {samples[0]} inputs and {samples[1]} targets"
    if not all(bool(each.isfinite().all()) for each in given):
        return "not all finite numbers"
    return ""


def _no_loss(given: Any, outputs: Any, *took: Any) -> str:
    import torch

    is_number = isinstance(given, torch.Tensor) and given.dim() == 0
    # of outputs that nothing is learnt from there is no gradient
    if is_number and given.requires_grad >= outputs.requires_grad:
        return ""
    return f"{_kind(given)}, not a torch.Tensor of one number with a gradient"


def _no_number(given: Any, *took: Any) -> str:
    return "" if isinstance(given, Real) else f"{_kind(given)}, not a number"


def _kind(given: Any) -> str:
    return type(given).__name__
