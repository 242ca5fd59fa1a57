"""Quantisers: the integers that a layer's inputs become, and back.

Owns: asymmetric zero-point quantisation, how its range is observed while training, and its
gradient. Knows neither layers nor chips.

A code q of b bits stands for the value (q - zero point) * step, with the zero point a code: the
value 0 is exact, so zero padding is a code like any other. A tensor without negative values has
zero point 0.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

BITS_MAX = 8
"""The board's vectors have at most 8 planes."""

_SAMPLE = 2048
"""Values looked at in one observation, evenly spread over the tensor."""
_SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Shares of the full range among which an observation chooses the most accurate."""
_MEMORY = 20
"""Observations over which the range is averaged."""
_SMALLEST_SPAN = 1e-12
"""A range of zero width would have no step."""


class Quantiser(nn.Module):
    """Quantise tensors to `bits` bits, over a range that is observed while training.

    A layer shows it its inputs by `ready`. In training mode it then observes: of the shares of the
    tensor's full range, the one whose quantised values are nearest to the values themselves, in
    squares, enters a running mean. In evaluation mode, and once frozen, the range stays.

    Parameters
    ----------
    bits : int
        1 to 8.

    Attributes
    ----------
    range : (2,) float32
        Smallest and largest value, the first at most 0 and the second at least 0; NaN before the
        first observation.
    frozen : bool
        True once `freeze` was called: training no longer moves the range.

    Raises
    ------
    ValueError
        If `bits` is not 1 to 8.
    """

    range: Tensor
    observations: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        if not 1 <= bits <= BITS_MAX:
            raise ValueError(f"a quantiser has 1 to {BITS_MAX} bits, not {bits}")
        self.bits = bits
        self.frozen = False
        self._is_known = False
        self.register_buffer("range", torch.full((2,), torch.nan))
        self.register_buffer("observations", torch.zeros((), dtype=torch.int64))

    @property
    def top(self) -> int:
        """Largest code, 2^bits - 1."""
        return (1 << self.bits) - 1

    @property
    def step(self) -> Tensor:
        """Value of one code, () float32."""
        return _steps(self.range[0], self.range[1], self.top)

    @property
    def zero_point(self) -> Tensor:
        """Code of the value 0, () int32."""
        return _zero_points(self.range[0], self.step, self.top).to(torch.int32)

    def forward(self, values: Tensor) -> Tensor:
        """Round values (...) float32 to what their codes stand for.

        The gradient passes straight through where nothing is clipped. Before the first observation
        of a network in training, values pass as they are.

        Raises
        ------
        ValueError
            If the range is not known, and not in training.
        """
        if not self._known():
            if not self.training:
                raise _unknown()
            return values
        if values.is_cuda:
            return torch.fake_quantize_per_tensor_affine(
                values, self.step, self.zero_point, 0, self.top
            )
        zero_point = int(self.zero_point)
        return cast(
            Tensor, _Rounded.apply(values, float(self.step), -zero_point, self.top - zero_point)
        )

    def codes(self, values: Tensor) -> Tensor:
        """Codes (...) uint8, 0 to 2^bits - 1, of values (...) float32.

        Raises
        ------
        ValueError
            If the range is not known yet.
        """
        if not self._known():
            raise _unknown()
        # from the rounded values, so that both ways round alike to the last bit
        rounded = self(values.detach())
        return (torch.round(rounded / self.step) + self.zero_point).to(torch.uint8)

    @torch.no_grad()
    def power(self, values: Tensor) -> Tensor:
        """What the variance of a product of values (...) float32 is weighted with, (...) float32.

        Each plane is a conversion of its own: the sum of 4^b over the set bits b of a code, in
        squares of what the values are in.
        """
        codes = torch.arange(self.top + 1, device=values.device)
        planes = torch.arange(self.bits, device=values.device)
        of_code = ((codes[:, None] >> planes & 1) << 2 * planes).sum(dim=1).to(torch.float32)
        return of_code[self.codes(values).long()] * self.step.square()

    def values(self, codes: Tensor) -> Tensor:
        """Values (...) float32 that codes (...) stand for."""
        return (codes.to(torch.float32) - self.zero_point) * self.step

    def ready(self, values: Tensor) -> Tensor:
        """Observe the values (...) float32 if in training, and pass them on as they are.

        Raises
        ------
        ValueError
            If the range is not known, and not in training.
        """
        if self.training and not self.frozen:
            self.observe(values)
        elif not self._known():
            raise _unknown()
        return values

    @torch.no_grad()
    def observe(self, values: Tensor) -> None:
        """Let values (...) float32, at least one, move the range."""
        flat = values.detach().reshape(-1)
        sample = flat[:: max(1, len(flat) // _SAMPLE)]
        seen = _nearest_range(sample, self.top)
        self.observations += 1
        # a plain mean at first, so that the beginning does not linger
        part = 1 / self.observations.clamp(max=_MEMORY)
        before = torch.where(torch.isnan(self.range), seen, self.range)
        self.range.copy_(before + (seen - before) * part)
        self._is_known = True

    def freeze(self) -> None:
        """Keep the range from now on, in training mode too."""
        self.frozen = True

    def forget(self) -> None:
        """Begin again without a range, not frozen."""
        self.frozen = False
        self._is_known = False
        self.range.fill_(torch.nan)
        self.observations.zero_()

    def _known(self) -> bool:
        if not self._is_known:
            self._is_known = not bool(torch.isnan(self.range).any())
        return self._is_known


class _Rounded(torch.autograd.Function):
    """What torch's own operator does, in passes that a processor's vector units take: 5 x faster.

    Where it is on a GPU, its kernel is the faster way.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, step: float, lowest: int, highest: int) -> Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(values)
            # what rounds to a code is inside; half a step further is not
            ctx.ends = (lowest - 0.5) * step, (highest + 0.5) * step
        return torch.mul(values, 1 / step).round_().clamp_(lowest, highest).mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (values,) = ctx.saved_tensors
        inside = torch.ops.aten.hardtanh_backward(gradients[0], values, *ctx.ends)
        return inside, None, None, None


def _unknown() -> ValueError:
    return ValueError(
        "the range of a quantiser is not known: train the network, or call "
        "network.calibrate(inputs)"
    )


def _steps(low: Tensor, high: Tensor, top: int) -> Tensor:
    return (high - low).clamp(min=_SMALLEST_SPAN) / top


def _zero_points(low: Tensor, steps: Tensor, top: int) -> Tensor:
    return torch.round(-low / steps).clamp(0, top)


def _nearest_range(sample: Tensor, top: int) -> Tensor:
    """Range (2,) of the share whose quantised values are nearest to the sample (M,)."""
    low, high = torch.aminmax(sample)
    shrinks = torch.tensor(_SHRINKS, device=sample.device)
    lows, highs = low.clamp(max=0) * shrinks, high.clamp(min=0) * shrinks
    steps = _steps(lows, highs, top)[:, None]
    zeros = _zero_points(lows[:, None], steps, top)
    rounded = (torch.round(sample / steps + zeros).clamp(0, top) - zeros) * steps
    best = (rounded - sample).square().mean(dim=1).argmin()
    return torch.stack([lows[best], highs[best]])
