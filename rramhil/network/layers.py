"""Layers whose products an executor computes; everything else about them stays in torch.

Owns: how Linear, Conv2d, ConvTranspose2d and RNN become products of matrices and integer vectors,
and how a product becomes the layer's output: zero point, digital scale, bias. Does not know who
multiplies.

    weights:  y = scale * W quantised(x) + bias
    vectors:  y = scale * step * (W codes(x) - zero point * row sums of W) + bias

A convolution's vectors are its patches, padded with the code of zero; their channels are
neighbours (row, column, channel of a patch), since patches are cut many times faster so. A
transposed convolution multiplies each input pixel once and adds the overlapping outputs digitally.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rramhil.network.executors import NoisyExecutor, Route
from rramhil.network.matrix import Matrix
from rramhil.network.quantiser import Quantiser

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Size = tuple[int, int]


def batch_norms_of(model: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]:
    """Every batch norm of a model, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, BATCH_NORMS)]


class Product(nn.Module):
    """Products with one matrix, or with the matrices of a layer's groups, which share all else.

    Attributes
    ----------
    matrices : tuple of Matrix
        One a group.
    quantiser : Quantiser
        Of its inputs.
    unit : () float32
        What a weight of 1 in the executor's unit is worth before training; set by the executor.
    gain : () float32
        Trained factor of the unit: the digital scale is their product.
    """

    unit: Tensor

    def __init__(self, matrices: Sequence[Matrix], route: Route) -> None:
        super().__init__()
        self.matrices = tuple(matrices)
        self.route = route
        self.quantiser = Quantiser(self.matrices[0].bits)
        self.register_buffer("unit", torch.ones(()))
        self.gain = nn.Parameter(torch.ones(()))

    @property
    def scale(self) -> Tensor:
        """Digital scale, () float32."""
        return self.unit * self.gain

    @property
    def is_on_vectors(self) -> bool:
        """Whether the executor in use multiplies vectors."""
        return self.route.vectors is not None

    def weight(self) -> Tensor:
        """Weights without scale, the groups' one below the other: (all outputs, inputs) float32."""
        executor = self.route.weights
        if executor is None:
            raise RuntimeError("the executor in use gives no weights")
        parts = [executor.weight(matrix) for matrix in self.matrices]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def variance(self) -> Tensor | None:
        """Variance of one conversion of each weight, in the order of `weight`; None for none."""
        executor = self.route.weights
        if not isinstance(executor, NoisyExecutor):
            return None
        parts = [executor.variance(matrix) for matrix in self.matrices]
        found = [part for part in parts if part is not None]
        return torch.cat(found) if found else None

    def multiply(self, codes: Sequence[Tensor]) -> Tensor:
        """Multiply vectors (N, inputs) uint8 of each group: (N, all outputs) float32, scaled."""
        executor = self.route.vectors
        if executor is None:
            raise RuntimeError("the executor in use multiplies no vectors")
        zero_point, step = self.quantiser.zero_point, self.quantiser.step
        parts = [
            executor.multiply(matrix, group) - zero_point * executor.row_sums(matrix)
            for matrix, group in zip(self.matrices, codes, strict=True)
        ]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)) * (step * self.scale)


@runtime_checkable
class ChipLayer(Protocol):
    """What the layers below have in common."""

    def products(self) -> tuple[Product, ...]:
        """Its products, in the order of their matrices."""
        ...

    def vectors(self, inputs: Tensor, output: Any) -> tuple[int, ...]:
        """How many vectors the matrices of each product multiplied for a batch."""
        ...


class ChipLinear(nn.Module):
    """`nn.Linear` on a chip."""

    def __init__(self, name: str, layer: nn.Linear, bits: int, route: Route) -> None:
        super().__init__()
        self.matrix = Product([Matrix(name, layer.out_features, layer.in_features, bits)], route)
        self.bias = layer.bias

    def products(self) -> tuple[Product, ...]:
        """Its one product."""
        return (self.matrix,)

    def vectors(self, inputs: Tensor, output: Tensor) -> tuple[int, ...]:
        """One vector for each set of features."""
        return (inputs.numel() // inputs.shape[-1],)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (..., out_features) of inputs (..., in_features), float32."""
        return applied(self.matrix, self.bias)(self.matrix.quantiser.ready(inputs))


def _of_groups(
    name: str, groups: int, outputs: int, inputs: int, bits: int, route: Route
) -> Product:
    """Product of a convolution, with a matrix for each of its groups."""
    names = group_names(name, groups)
    return Product([Matrix(each, outputs, inputs, bits) for each in names], route)


class ChipConv2d(nn.Module):
    """`nn.Conv2d` with zero padding on a chip."""

    def __init__(self, name: str, layer: nn.Conv2d, bits: int, route: Route) -> None:
        super().__init__()
        self.kernel_size = cast(Size, layer.kernel_size)
        self.stride = cast(Size, layer.stride)
        self.dilation = cast(Size, layer.dilation)
        self.groups = layer.groups
        # left, right, top, bottom; torch has worked out what "same" means
        self.padding: list[int] = list(layer._reversed_padding_repeated_twice)
        inputs = layer.in_channels // layer.groups * self.kernel_size[0] * self.kernel_size[1]
        outputs = layer.out_channels // layer.groups
        self.matrix = _of_groups(name, layer.groups, outputs, inputs, bits, route)
        self.bias = layer.bias

    def products(self) -> tuple[Product, ...]:
        """Its one product, with a matrix for each group."""
        return (self.matrix,)

    def vectors(self, inputs: Tensor, output: Tensor) -> tuple[int, ...]:
        """One vector for each pixel of the output."""
        return (output.numel() // output.shape[-3],)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N, out_channels, H', W') of inputs (N, in_channels, H, W), float32."""
        product = self.matrix
        quantiser = product.quantiser
        quantiser.ready(inputs)
        if not product.is_on_vectors:
            weight = (product.weight() * product.scale).unflatten(1, (*self.kernel_size, -1))
            padded = functional.pad(quantiser(inputs), self.padding)
            shape = self.stride, 0, self.dilation, self.groups
            outputs = functional.conv2d(padded, weight.permute(0, 3, 1, 2), self.bias, *shape)
            variance = product.variance()
            if variance is None:
                return outputs
            kernel = variance.unflatten(1, (*self.kernel_size, -1)).permute(0, 3, 1, 2)
            border = float(quantiser.power(inputs.new_zeros(())))
            power = functional.pad(quantiser.power(inputs), self.padding, value=border)
            return outputs + _drawn(functional.conv2d(power, kernel, None, *shape)) * product.scale
        batch = inputs if inputs.dim() == 4 else inputs[None]
        pixels = quantiser.codes(batch).permute(0, 2, 3, 1)
        padded = _padded(pixels, self.padding, quantiser.zero_point)
        patches = [
            _patches(group, self.kernel_size, self.stride, self.dilation)
            for group in padded.chunk(self.groups, dim=3)
        ]
        outputs = _biased(product.multiply([group.flatten(0, 2) for group in patches]), self.bias)
        images = outputs.unflatten(0, patches[0].shape[:3]).permute(0, 3, 1, 2)
        return images if inputs.dim() == 4 else images[0]


class ChipConvTranspose2d(nn.Module):
    """`nn.ConvTranspose2d` on a chip; its outputs are those of every kernel position."""

    def __init__(self, name: str, layer: nn.ConvTranspose2d, bits: int, route: Route) -> None:
        super().__init__()
        self.kernel_size = cast(Size, layer.kernel_size)
        self.stride = cast(Size, layer.stride)
        self.padding = cast(Size, layer.padding)
        self.output_padding = cast(Size, layer.output_padding)
        self.dilation = cast(Size, layer.dilation)
        self.groups = layer.groups
        outputs = layer.out_channels // layer.groups * self.kernel_size[0] * self.kernel_size[1]
        inputs = layer.in_channels // layer.groups
        self.matrix = _of_groups(name, layer.groups, outputs, inputs, bits, route)
        self.bias = layer.bias

    def products(self) -> tuple[Product, ...]:
        """Its one product, with a matrix for each group."""
        return (self.matrix,)

    def vectors(self, inputs: Tensor, output: Tensor) -> tuple[int, ...]:
        """One vector for each pixel of the input."""
        return (inputs.numel() // inputs.shape[-3],)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N, out_channels, H', W') of inputs (N, in_channels, H, W), float32."""
        product = self.matrix
        product.quantiser.ready(inputs)
        if not product.is_on_vectors:
            shape = (self.groups, -1, *self.kernel_size, product.matrices[0].inputs)
            more = self.stride, self.padding, self.output_padding, self.groups, self.dilation
            kernels = (product.weight() * product.scale).reshape(shape)
            outputs = functional.conv_transpose2d(
                product.quantiser(inputs),
                kernels.permute(0, 4, 1, 2, 3).flatten(0, 1),
                self.bias,
                *more,
            )
            variance = product.variance()
            if variance is None:
                return outputs
            kernels = variance.reshape(shape).permute(0, 4, 1, 2, 3).flatten(0, 1)
            spread = functional.conv_transpose2d(
                product.quantiser.power(inputs), kernels, None, *more
            )
            return outputs + _drawn(spread) * product.scale
        batch = inputs if inputs.dim() == 4 else inputs[None]
        vectors = product.quantiser.codes(batch).permute(0, 2, 3, 1).flatten(0, 2)
        outputs = product.multiply(vectors.chunk(self.groups, dim=1))
        columns = outputs.reshape(len(batch), -1, outputs.shape[1]).transpose(1, 2)
        images = functional.fold(
            columns,
            self._output_size(batch),
            self.kernel_size,
            self.dilation,
            self.padding,
            self.stride,
        )
        images = images if self.bias is None else images + self.bias[:, None, None]
        return images if inputs.dim() == 4 else images[0]

    def _output_size(self, batch: Tensor) -> Size:
        high, wide = (
            (batch.shape[2 + axis] - 1) * self.stride[axis]
            - 2 * self.padding[axis]
            + self.dilation[axis] * (self.kernel_size[axis] - 1)
            + self.output_padding[axis]
            + 1
            for axis in range(2)
        )
        return high, wide


class ChipRNN(nn.Module):
    """`nn.RNN` of one layer and one direction on a chip; each hidden state is quantised."""

    def __init__(self, name: str, layer: nn.RNN, bits: int, route: Route) -> None:
        super().__init__()
        self.batch_first = layer.batch_first
        self.hidden_size = layer.hidden_size
        self.activation = torch.relu if layer.nonlinearity == "relu" else torch.tanh
        hidden = self.hidden_size
        self.input = Product([Matrix(f"{name}.input", hidden, layer.input_size, bits)], route)
        self.hidden = Product([Matrix(f"{name}.hidden", hidden, hidden, bits)], route)
        self.input_bias = cast(Tensor | None, layer.bias_ih_l0 if layer.bias else None)
        self.hidden_bias = cast(Tensor | None, layer.bias_hh_l0 if layer.bias else None)

    def products(self) -> tuple[Product, ...]:
        """Of the input and of the hidden state."""
        return self.input, self.hidden

    def vectors(self, inputs: Tensor, output: tuple[Tensor, Tensor]) -> tuple[int, ...]:
        """One vector for each step; a hidden state of zeros is not multiplied."""
        steps = inputs.numel() // inputs.shape[-1]
        return steps, steps - output[1].numel() // self.hidden_size

    def forward(self, inputs: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `nn.RNN`: all hidden states, and the last one.

        Parameters
        ----------
        inputs : (T, N, input_size), (N, T, input_size) if `batch_first`, or (T, input_size) float32
        first : (1, N, hidden_size), or (1, hidden_size) float32, optional
        """
        is_batch = inputs.dim() == 3
        steps = inputs if is_batch else inputs[:, None]
        steps = steps.transpose(0, 1) if self.batch_first and is_batch else steps
        state = first if first is None or not is_batch else first[0]
        driven = applied(self.input, self.input_bias)(self.input.quantiser.ready(steps))
        states = self._run(driven, state)
        outputs, last = torch.stack(states), states[-1]
        if not is_batch:
            return outputs[:, 0], last
        return outputs.transpose(0, 1) if self.batch_first else outputs, last[None]

    def _run(self, driven: Tensor, state: Tensor | None) -> list[Tensor]:
        """Hidden states after each step."""
        recur = applied(self.hidden, self.hidden_bias)
        states: list[Tensor] = []
        multiplied: list[Tensor] = []
        for drive in driven:
            if state is not None:
                multiplied.append(state)
                drive = drive + recur(state)
            elif self.hidden_bias is not None:
                drive = drive + self.hidden_bias
            state = self.activation(drive)
            states.append(state)
        # once for all steps, whose ranges differ
        if multiplied:
            self.hidden.quantiser.ready(torch.stack(multiplied))
        return states


def applied(product: Product, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """What takes inputs (..., inputs) to outputs (..., outputs); its weights are asked for once."""
    quantiser = product.quantiser
    if not product.is_on_vectors:
        weight, scale = product.weight(), product.scale
        variance = product.variance()

        def product_of(inputs: Tensor) -> Tensor:
            outputs = functional.linear(quantiser(inputs), weight)
            if variance is not None:
                outputs = outputs + _drawn(functional.linear(quantiser.power(inputs), variance))
            # outputs are scaled, not weights: there are far fewer of them than weights
            return _biased(outputs * scale, bias)

        return product_of

    def multiply(inputs: Tensor) -> Tensor:
        vectors = quantiser.codes(inputs).reshape(-1, inputs.shape[-1])
        return _biased(product.multiply([vectors]), bias).reshape(*inputs.shape[:-1], -1)

    return multiply


def group_names(name: str, groups: int) -> list[str]:
    """Names of the matrices of a convolution."""
    return [name] if groups == 1 else [f"{name}.group{number}" for number in range(groups)]


def _drawn(variance: Tensor) -> Tensor:
    """Normal numbers (...) float32 of a variance (...)."""
    return torch.randn_like(variance) * variance.sqrt()


def _biased(outputs: Tensor, bias: Tensor | None) -> Tensor:
    return outputs if bias is None else outputs + bias


def _padded(pixels: Tensor, padding: list[int], zero_point: Tensor) -> Tensor:
    """Images of codes (N, H, W, C) with a border of the code of zero."""
    if not any(padding):
        return pixels.contiguous()
    left, right, top, bottom = padding
    count, high, wide, channels = pixels.shape
    padded = zero_point.to(torch.uint8).repeat(
        count, high + top + bottom, wide + left + right, channels
    )
    padded[:, top : top + high, left : left + wide] = pixels
    return padded


def _patches(pixels: Tensor, kernel: Size, stride: Size, dilation: Size) -> Tensor:
    """Patches (N, H', W', kh kw C) of images (N, H, W, C) under each position of a kernel."""
    high, wide = (dilation[axis] * (kernel[axis] - 1) + 1 for axis in range(2))
    windows = pixels.unfold(1, high, stride[0]).unfold(2, wide, stride[1])
    return windows[..., :: dilation[0], :: dilation[1]].permute(0, 1, 2, 4, 5, 3).flatten(3)
