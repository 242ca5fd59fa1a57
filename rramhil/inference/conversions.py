"""What a board converts, in torch: planes of integer vectors, currents, noise, codes, accumulators.

Owns the board's arithmetic as far as a prediction needs it: the same steps in the same order, in
floats, so that codes agree with a noiseless board's but for those on the edge of rounding. Knows
no executor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rramhil.inference.cells import TileCells
from rramhil.switching import Noise


@dataclass(frozen=True)
class Converter:
    """Converters of a board, as it describes them.

    Attributes
    ----------
    per_code_uS : tuple of float
        Conductance of one code of each range, finest first.
    pedestal : int
        Code of no current.
    code_max : int
    noise : Noise
        Of conversions and zeros; its cell noise is not used here, cells bring their own.
    nonlinearity_codes : float
        Standard deviation of the bends of the converters, which do not scatter.
    """

    per_code_uS: tuple[float, ...]
    pedestal: int
    code_max: int
    noise: Noise
    nonlinearity_codes: float = 0.0


class Conversions(NamedTuple):
    """What a tile's conversions came to.

    Attributes
    ----------
    accumulators : (N, 2 outputs) int32
    saturated : int
        Codes at either end of the scale.
    """

    accumulators: Tensor
    saturated: int


def accumulate(
    cells: TileCells,
    codes: Tensor,
    bits: int,
    converter: Converter,
    range_index: int,
    zeros: Tensor,
    draw: Callable[[torch.Size], Tensor] | None = None,
) -> Conversions:
    """Convert every plane of every vector in every sampled row, and add up.

    accumulator = sum over planes p of (code - zero) 2^p, where code is the rounded and clipped sum
    of the open cells whose input has bit p, plus pedestal and noise.

    Parameters
    ----------
    codes : (N, inputs of the tile) uint8
    bits : int
        Planes of the codes.
    zeros : (2 outputs,) int32
        Zero of each row.
    draw : callable, optional
        Gives standard normal numbers of a shape; left out, nothing scatters.
    """
    per_code = converter.per_code_uS[range_index]
    level = cells.mean_uS.T / per_code
    variance = (cells.sd_uS.T / per_code).square()
    sums = torch.zeros((len(codes), level.shape[1]), dtype=torch.int32, device=codes.device)
    saturated = 0
    for plane in range(bits):
        driven = ((codes >> plane) & 1).to(torch.float32)
        reading = driven @ level + converter.pedestal
        if draw is not None:
            spread = (driven @ variance + converter.noise.converter_codes**2).sqrt()
            reading += spread * draw(reading.shape)
        code = torch.floor(reading + 0.5).clamp(0, converter.code_max).to(torch.int32)
        ends = (code == 0) | (code == converter.code_max)
        saturated += int((ends & cells.sampled).sum())
        sums += (code - zeros) << plane
    return Conversions(sums * cells.sampled, saturated)
