"""A converted model is run on an example, in both modes, before anything is made of it.

Owns: how often each matrix and each digital module is used, which layers are not, and what is said
of a model that cannot be run. The runs are of copies, and random numbers are given back: nothing is
left of them but the counts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from rramhil.errors import ModelRefused, RramhilError
from rramhil.network.layers import ChipLayer, batch_norms_of

if TYPE_CHECKING:
    from rramhil.network.network import Network

Example = tuple[Tensor, ...]

_TRIES = 16
"""Runs in training mode until a layer counts as not called: some are passed over by chance."""


def probe(network: Network, plain: nn.Module, answered: Example, learnt: Example) -> None:
    """Write down how often each matrix and digital module is used for a sample.

    Parameters
    ----------
    network : Network
        With ordinary weights as its executor.
    plain : nn.Module
        The model that it was made of, to tell what the conversion broke from what never ran.
    answered, learnt : tuple of Tensor
        What is run in evaluation mode, which is counted, and in training mode.

    Raises
    ------
    ModelRefused
        It cannot be run, or a layer is not called in both modes.
    """
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        counted = _answering(network, plain, answered)
        learning = _learning(network, plain, learnt)
    _refuse_idle(_not_called(counted), _not_called(counted if learning is None else learning))
    network.digital = counted.digital
    for product, its_copy in zip(network.products(), counted.products(), strict=True):
        product.matrices = its_copy.matrices


def _answering(network: Network, plain: nn.Module, example: Example) -> Network:
    """A copy that was run in evaluation mode, with its counts."""
    copied = copy.deepcopy(network)
    _count(copied, max(1, len(example[0])))
    try:
        copied.calibrate([example])
    except RramhilError:
        raise
    except Exception as error:  # a user's model may raise anything
        raise (
            _misfit(plain, error)
            if _fails(plain, example, in_training=False)
            else _broken(copied, plain, error, "evaluation")
        ) from error
    return copied


def _learning(network: Network, plain: nn.Module, example: Example) -> Network | None:
    """A copy that was run in training mode; None if the model itself cannot be, and is not to."""
    copied = copy.deepcopy(network)
    _to_training(copied)
    try:
        for _ in range(_TRIES):
            copied(*example)
            if not _not_called(copied):
                break
    except RramhilError:
        raise
    except Exception as error:  # a user's model may raise anything
        if _fails(plain, example, in_training=True):
            return None
        raise _broken(copied, plain, error, "training") from error
    return copied


def _to_training(model: nn.Module) -> None:
    """Set training mode; not of batch norm, since a single sample has no variance."""
    model.train()
    for norm in batch_norms_of(model):
        norm.eval()


@torch.no_grad()
def _fails(plain: nn.Module, example: Example, *, in_training: bool) -> bool:
    """Whether the model that was converted does not run either."""
    copied = copy.deepcopy(plain).eval()
    if in_training:
        _to_training(copied)
    try:
        copied(*example)
    except Exception:  # a user's model may raise anything
        return True
    return False


def _misfit(plain: nn.Module, error: Exception) -> ModelRefused:
    """What to say of a model that does not run."""
    return ModelRefused(
        f"The model {type(plain).__name__} cannot be run on the example input: it ends with "
        f"{type(error).__name__}: {error}",
        "Give an example that it takes.",
    )


def _broken(network: Network, plain: nn.Module, error: Exception, mode: str) -> ModelRefused:
    """What to say of a model that runs, but not with its layers on the chip."""
    kind = type(plain).__name__
    for name, layer in _named_layers(network):
        if isinstance(error, AttributeError) and error.obj is layer:
            return ModelRefused(
                f"Layer {name} of the model {kind} cannot be on the chip: its `{error.name}` is "
                "read, and on the chip it can only be called.",
                "Let the model call the layer, or replace the module that reads it.",
            )
    return ModelRefused(
        f"The model {kind} cannot be run with its layers on the chip: in {mode} mode it ends with "
        f"{type(error).__name__}: {error}",
        "Let it call its layers, and use nothing else of them.",
    )


def _refuse_idle(answering: Sequence[str], learning: Sequence[str]) -> None:
    """Refuse layers that are not called in evaluation mode, not in training mode, or in neither."""
    never = [name for name in answering if name in learning]
    for names, what, step in (
        (never, "never called: it would take cells for nothing", "Remove it from the model."),
        (
            answering,
            "called in training only: a chip would not use it",
            "Remove it, or call it in both.",
        ),
        (learning, "called in evaluation only: it would learn nothing", "Call it in both."),
    ):
        if names:
            layers = (
                f"Layer {names[0]}" if len(names) == 1 else f"Each of the layers {', '.join(names)}"
            )
            raise ModelRefused(f"{layers} of the model is {what}.", step)


def _not_called(network: Network) -> list[str]:
    """Names of the layers whose inputs were never seen."""
    return [
        name
        for name, layer in _named_layers(network)
        if not any(product.quantiser.observations for product in layer.products())
    ]


def _named_layers(network: Network) -> list[tuple[str, ChipLayer]]:
    names = {module: name for name, module in network.model.named_modules()}
    return [(names[cast(nn.Module, layer)], layer) for layer in network.layers()]


def _count(network: Network, samples: int) -> None:
    """Let the layers and the digital modules count how often they are used for a sample."""
    for layer in network.layers():
        _tell(cast(nn.Module, layer), _counting(layer, samples))
    for number, module in enumerate(network.digital):

        def count(_: Tensor, output: Any, number: int = number) -> None:
            digital = list(network.digital)
            counted = digital[number]
            used = _positions(output) // samples * counted.weights
            digital[number] = replace(counted, multiplications=counted.multiplications + used)
            network.digital = tuple(digital)

        _tell(network.model.get_submodule(module.name), count)


def _tell(module: nn.Module, count: Callable[[Any, Any], None]) -> None:
    """Let something be told the first input and the output of each call of a module."""
    forward = module.forward

    def told(*inputs: Any, **more: Any) -> Any:
        output = forward(*inputs, **more)
        count(inputs[0] if inputs else None, output)
        return output

    # no hook: torch's own modules take other paths where there are any
    module.forward = told


def _counting(layer: ChipLayer, samples: int) -> Callable[[Tensor, Any], None]:
    def count(inputs: Tensor, output: Any) -> None:
        vectors = layer.vectors(inputs, output)
        for product, number in zip(layer.products(), vectors, strict=True):
            product.matrices = tuple(
                # what is multiplied once for all samples is multiplied for one as well
                replace(matrix, vectors=matrix.vectors + -(-number // samples))
                for matrix in product.matrices
            )

    return count


def _positions(output: Any) -> int:
    """Positions of a batch of outputs: pixels if they are images, else sets of features."""
    first = output[0] if isinstance(output, tuple) else output
    if not isinstance(first, Tensor) or first.dim() < 2:
        return 0
    features = first.shape[1] if first.dim() > 3 else first.shape[-1]
    return first.numel() // max(1, features)
