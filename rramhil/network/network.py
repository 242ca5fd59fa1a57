"""The conversion of a torch model: its layers with weights become matrices for an executor.

Owns: which layers there are and which are refused, the copy of the model that runs on matrices,
and its ranges. Knows no map, no placement and no board.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from rramhil.errors import ModelRefused
from rramhil.network.executors import Executor, Route, TrainedWeights
from rramhil.network.layers import (
    BATCH_NORMS,
    ChipConv2d,
    ChipConvTranspose2d,
    ChipLayer,
    ChipLinear,
    ChipRNN,
    Product,
)
from rramhil.network.matrix import DigitalModule, Matrix, Share, share_of
from rramhil.network.probe import probe
from rramhil.network.quantiser import BITS_MAX

Inputs = Tensor | tuple[Tensor, ...]

DIGITAL = (*BATCH_NORMS, nn.PReLU)
"""Modules that have parameters and are digital by design."""


class Network(nn.Module):
    """A converted model: called like it, computed by the executor in use.

    Made by `convert`. Its parameters are what stays digital: gains, biases, batch norm.

    Attributes
    ----------
    model : nn.Module
        A copy of the user's model with its layers replaced.
    bits : int
    matrices : tuple of Matrix
        In the order of the model's modules.
    digital : tuple of DigitalModule
        Modules with weights that stay digital because that was allowed.
    first_weights : dict of str to (outputs, inputs) float32
        The model's own weights at conversion, by the matrix's name.
    """

    def __init__(
        self,
        model: nn.Module,
        bits: int,
        route: Route,
        first_weights: Mapping[str, Tensor],
        digital: Sequence[DigitalModule],
    ) -> None:
        super().__init__()
        self.model = model
        self.bits = bits
        self.digital = tuple(digital)
        self.first_weights = dict(first_weights)
        self._route = route

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Every matrix, in the order of the model's modules."""
        return tuple(matrix for product in self.products() for matrix in product.matrices)

    @property
    def chip_share(self) -> Share:
        """Share of its weights, and of its multiplications, that are on the chip."""
        return share_of(self.matrices, self.digital)

    def layers(self) -> Iterator[ChipLayer]:
        """Every layer on matrices, in the order of the model's modules."""
        return _layers(self.model)

    def products(self) -> Iterator[Product]:
        """Every product, in the order of the model's modules."""
        for layer in self.layers():
            yield from layer.products()

    def use(self, executor: Executor) -> Network:
        """Let an executor do the multiplications from now on; returns the network itself.

        Parameters of the executor are not the network's: an optimiser takes both.
        """
        self._route.use(executor)
        return self

    def forward(self, *inputs: Any, **more: Any) -> Any:
        """Call the model."""
        return self.model(*inputs, **more)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Inputs]) -> Network:
        """Observe the ranges of all quantisers, without training anything.

        Parameters
        ----------
        batches : iterable of Tensor or tuple of Tensor
            Inputs of the model.
        """
        with self._only_observing():
            for batch in batches:
                self(*_as_tuple(batch))
        return self

    def freeze(self) -> Network:
        """Keep all ranges from now on."""
        for product in self.products():
            product.quantiser.freeze()
        return self

    @contextmanager
    def _only_observing(self) -> Iterator[None]:
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        for product in self.products():
            product.quantiser.train()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def convert(
    model: nn.Module,
    bits: int,
    *,
    example_input: Inputs,
    training_input: Inputs | None = None,
    allow_digital: bool = False,
) -> Network:
    """Convert a model: its weights become matrices whose inputs are integers of `bits` bits.

    Linear, Conv2d with zero padding, ConvTranspose2d, and RNN of one layer and one direction
    become matrices. Batch norm, bias and activations stay as they are. The model itself is not
    changed. The converted network computes with the model's own weights until it is told to
    `use` another executor; its ranges are unknown until it is trained or calibrated.

    Parameters
    ----------
    bits : int
        1 to 8.
    example_input : Tensor or tuple of Tensor
        A batch of inputs, samples first; its values do not matter. The model is run on it to count
        multiplications, and to see that every layer is called.
    training_input : Tensor or tuple of Tensor, optional
        The same for training mode, where that takes others; left out, the example is taken.
    allow_digital : bool
        Leave other modules with weights as they are, instead of refusing them.

    Raises
    ------
    ModelRefused
        If a module with weights has no matrix, the model cannot be run on the example, reads the
        weights of a layer instead of calling it, or does not call it in training and evaluation;
        or its batch norm remembers nothing.
    ValueError
        If `bits` is not 1 to 8.
    """
    if not 1 <= bits <= BITS_MAX:
        raise ValueError(f"inputs have 1 to {BITS_MAX} bits, not {bits}")
    whole = nn.ModuleDict({"model": copy.deepcopy(model)})  # so that the model may be one layer
    refused = list(_refused(whole["model"]))
    if refused and not allow_digital:
        raise ModelRefused(
            f"The model has weights that cannot be on the chip: {_listed(refused)}.",
            "Replace them, or allow them to stay digital (--allow-digital).",
        )
    _refuse_forgetful(whole["model"])
    route = Route()
    first_weights: dict[str, Tensor] = {}
    _replace(whole, bits, route, first_weights)
    digital = [
        DigitalModule(name, kind, _weights_of(whole["model"].get_submodule(name)))
        for name, kind, _ in refused
    ]
    network = Network(whole["model"], bits, route, first_weights, digital)
    network.use(TrainedWeights(first_weights))
    learnt = example_input if training_input is None else training_input
    probe(network, model, _as_tuple(example_input), _as_tuple(learnt))
    network.train(model.training)
    return network


@dataclass(frozen=True)
class _Kind:
    """How a layer is converted: its replacement, and the matrices (outputs, inputs) it had."""

    layer: Callable[[str, Any, int, Route], nn.Module]
    weights: Callable[[Any], list[Tensor]]


def _conv_weights(layer: nn.Conv2d) -> list[Tensor]:
    # in the order of a patch: row, column, channel
    return list(layer.weight.permute(0, 2, 3, 1).flatten(1).chunk(layer.groups))


def _transposed_weights(layer: nn.ConvTranspose2d) -> list[Tensor]:
    return [group.flatten(1).T.contiguous() for group in layer.weight.chunk(layer.groups)]


_KINDS: dict[type[nn.Module], _Kind] = {
    nn.Linear: _Kind(ChipLinear, lambda layer: [layer.weight]),
    nn.Conv2d: _Kind(ChipConv2d, _conv_weights),
    nn.ConvTranspose2d: _Kind(ChipConvTranspose2d, _transposed_weights),
    nn.RNN: _Kind(ChipRNN, lambda layer: [layer.weight_ih_l0, layer.weight_hh_l0]),
}


def _refused(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Name, class and reason of each module whose weights have no matrix."""
    for name, module in model.named_modules():
        kind = type(module)
        if kind in _KINDS:
            reason = _not_supported(module)
        elif kind in DIGITAL or not list(module.parameters(recurse=False)):
            continue
        else:
            reason = "no layer that a matrix stands for"
        if reason:
            yield name, kind.__name__, reason


def _refuse_forgetful(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, BATCH_NORMS) and not module.track_running_stats:
            raise ModelRefused(
                f"{name} of the model, a {type(module).__name__}, has track_running_stats=False: "
                "what it gives for a sample depends on the others.",
                "Leave that out: then it uses what training data show.",
            )


def _not_supported(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.padding_mode != "zeros":
        return f"padding with {layer.padding_mode}"
    if isinstance(layer, nn.RNN) and (layer.num_layers > 1 or layer.bidirectional):
        return "more than one layer or direction"
    return ""


def _listed(refused: Sequence[tuple[str, str, str]]) -> str:
    return ", ".join(f"{name or 'itself'} ({kind}: {why})" for name, kind, why in refused)


def _replace(whole: nn.Module, bits: int, route: Route, first_weights: dict[str, Tensor]) -> None:
    """Put layers on matrices in place of the model's; one used twice stays one."""
    done: dict[nn.Module, nn.Module] = {}
    for parent in list(whole.modules()):
        # not named_children, which leaves out the second name of a layer
        for child_name, child in list(parent._modules.items()):
            kind = None if child is None else _KINDS.get(type(child))
            if child is None or kind is None or _not_supported(child):
                continue
            if child not in done:
                name = _path(whole, child)
                done[child] = _on_matrices(name, child, kind, bits, route, first_weights)
            setattr(parent, child_name, done[child])


def _on_matrices(
    name: str,
    layer: nn.Module,
    kind: _Kind,
    bits: int,
    route: Route,
    first_weights: dict[str, Tensor],
) -> nn.Module:
    made = kind.layer(name, layer, bits, route)
    matrices = [
        matrix for product in cast(ChipLayer, made).products() for matrix in product.matrices
    ]
    for matrix, weight in zip(matrices, kind.weights(layer), strict=True):
        first_weights[matrix.name] = weight.detach().clone()
    return made.to(next(layer.parameters()).device)


def _path(whole: nn.Module, wanted: nn.Module) -> str:
    """Path of a module in the model; "model" if it is the model itself."""
    name = next(name for name, module in whole.named_modules() if module is wanted)
    return name.removeprefix("model.")


def _weights_of(module: nn.Module) -> int:
    """Its parameters but for biases, which are digital by design."""
    own = module.named_parameters(recurse=False)
    return sum(value.numel() for name, value in own if "bias" not in name)


def _layers(model: nn.Module) -> Iterator[ChipLayer]:
    layers = (ChipLinear, ChipConv2d, ChipConvTranspose2d, ChipRNN)
    return (module for module in model.modules() if isinstance(module, layers))


def _as_tuple(inputs: Inputs) -> tuple[Tensor, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)
