"""A user's own task: whatever its functions do, what is said of it names its file.

Owns: what the functions of a task may give, and the sentences about those that give or raise
something else. Numbers become floats, and data are let go of their gradients; all else that they
give is passed on as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rramhil.errors import RramhilError, TaskError
from rramhil.tasks._numbers import number_of
from rramhil.tasks._task import Examples, Splits, Task


def told_of(task: Task, file: Path) -> Task:
    """Make the same task, whose functions raise errors that a user can do something about."""

    def told(
        name: str, function: Callable[..., Any], check: _Check, take: _Take = _as_it_is
    ) -> Any:
        where = f"`{name}` of the task file {file}"

        def call(*given: Any) -> Any:
            with blamed(where):
                found = function(*given)
                fault = check(found, *given)
            if fault:
                raise TaskError(f"{where} gives {fault.told}.", fault.next_step)
            return take(found)

        return call

    def told_metric(name: str, metric: Callable[..., Any]) -> Any:
        where = f"`{name}` of the task file {file}"

        def call(*given: Any) -> float:
            with blamed(where):
                found = metric(*given)
            return number_of(where, found)

        return call

    return replace(
        task,
        model=told("model", task.model, _no_model),
        data=told("data", task.data, _no_splits, _detached_splits),
        loss=told("loss", task.loss, _no_loss),
        metric=told_metric("metric", task.metric),
        also={name: told_metric(f"also[{name!r}]", each) for name, each in task.also.items()},
        undivided=task.undivided and told("undivided", task.undivided, _no_examples, _detached),
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


class _Fault(NamedTuple):
    """What is wrong with what a function gave, and what to do about it."""

    told: str
    next_step: str = "Mend it there."


_Check = Callable[..., _Fault | None]
"""Of what a function gave, and of what it took: what is wrong; None if nothing is."""

_Take = Callable[[Any], Any]
"""Of what a function gave: as what it is taken."""


def _as_it_is(given: Any) -> Any:
    return given


def _no_model(given: Any, *took: Any) -> _Fault | None:
    from torch import nn

    if isinstance(given, nn.Module):
        return None
    return _Fault(f"{_kind(given)}, not a torch.nn.Module")


def _no_splits(given: Any, *took: Any) -> _Fault | None:
    if not isinstance(given, Splits):
        return _Fault(f"{_kind(given)}, not rramhil.tasks.Splits")
    for name, part in zip(given._fields, given, strict=True):
        fault = _no_examples(part)
        if fault:
            return fault._replace(told=f"Splits whose {name} part is {fault.told}")
    if len(given.train.inputs) == 1:
        return _Fault("Splits whose train part is of one sample, and a step takes two or more")
    return None


def _no_examples(given: Any, *took: Any) -> _Fault | None:
    import torch

    if not isinstance(given, Examples):
        return _Fault(f"{_kind(given)}, not rramhil.tasks.Examples")
    for name, each in zip(given._fields, given, strict=True):
        if not isinstance(each, torch.Tensor):
            return _no_tensor(name, each)
    if given.inputs.dtype != torch.float32:
        return _Fault(f"of {given.inputs.dtype}, not torch.float32")
    samples = [len(each) if each.dim() else 0 for each in given]
    if not samples[0] or samples[0] != samples[1]:
        return _Fault(f"of {samples[0]} inputs and {samples[1]} targets")
    if not all(bool(each.isfinite().all()) for each in given):
        return _Fault("not all finite numbers")
    return None


def _no_tensor(name: str, given: Any) -> _Fault:
    module = type(given).__module__
    kind = _kind(given) if module == "builtins" else f"{module}.{_kind(given)}"
    maker = "from_numpy" if kind == "numpy.ndarray" else "tensor"
    return _Fault(
        f"Examples whose {name} are of type {kind}, not torch.Tensor",
        f"Make them a tensor by torch.{maker}.",
    )


def _detached_splits(splits: Splits) -> Splits:
    return Splits(*map(_detached, splits))


def _detached(examples: Examples) -> Examples:
    # a step's gradients end at the data, and nobody learns them
    return Examples(*(each.detach() for each in examples))


def _no_loss(given: Any, outputs: Any, *took: Any) -> _Fault | None:
    import torch

    is_number = isinstance(given, torch.Tensor) and given.dim() == 0
    # of outputs that nothing is learnt from there is no gradient
    if is_number and given.requires_grad >= outputs.requires_grad:
        return None
    return _Fault(f"{_kind(given)}, not a torch.Tensor of one number with a gradient")


def _kind(given: Any) -> str:
    return type(given).__name__
