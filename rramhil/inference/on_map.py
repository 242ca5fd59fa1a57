"""The executor on a measured map: what the chip will say, without a chip.

Owns: the three degrees to which noise is looked at, and the noise that a product is predicted to
have. What is digital on a board is digital here, by the same functions (`readout`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rramhil.inference.cells import TileCells
from rramhil.inference.conversions import Converter, accumulate
from rramhil.inference.readout import TileReadout, assemble, nominal_readout, row_sums_of
from rramhil.network import Matrix

NoiseKind = Literal["none", "per_weight", "per_conversion"]

_ROUNDING_VARIANCE = 1 / 12
_CHUNK = 1 << 22
"""Numbers of an intermediate result, at most."""


class Expected(NamedTuple):
    """Products that a board should give, and their standard deviations, (N, outputs) float32."""

    mean: Tensor
    sd: Tensor


class OnMap:
    """Vector executor on the gated cells of a map; products are in uS times code.

    Parameters
    ----------
    cells : mapping of str to sequence of TileCells
        Tiles of every matrix, such as `cells_of` gives.
    converter : Converter
    ranges : mapping of str to int
        TIA range of every matrix.
    noise : "none", "per_weight" or "per_conversion"
        "none": the exact masked product. "per_weight": the same with cells that were read once, by
        a read drawn when this is made or by `redraw`. "per_conversion": every plane and row is
        converted, as the board does it, with read noise, converter noise, rounding and clipping,
        and zeros that were measured, by draws of their own.
    seed : int
        Of the noise.

    Attributes
    ----------
    saturated, conversions : Counter of str
        Codes at an end of the scale, and conversions, by matrix; only "per_conversion" counts.
    """

    def __init__(
        self,
        cells: Mapping[str, Sequence[TileCells]],
        converter: Converter,
        ranges: Mapping[str, int],
        *,
        noise: NoiseKind = "none",
        seed: int = 0,
    ) -> None:
        self.noise: NoiseKind = noise
        self.saturated: Counter[str] = Counter()
        self.conversions: Counter[str] = Counter()
        self._cells = {name: tuple(tiles) for name, tiles in cells.items()}
        self._converter = converter
        self._ranges = dict(ranges)
        device = next(iter(self._cells.values()))[0].mean_uS.device
        self._random = torch.Generator(device).manual_seed(seed)
        self._exact = {name: self._read(tiles, False) for name, tiles in self._cells.items()}
        self.redraw()

    def redraw(self) -> None:
        """Read the cells and measure the zeros anew, where noise says so."""
        self._weights = {
            name: self._read(tiles, self.noise == "per_weight")
            for name, tiles in self._cells.items()
        }
        self._zeros = {
            name: [self._measured_zero(cells, self._per_code(name)) for cells in tiles]
            for name, tiles in self._cells.items()
        }

    def multiply(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Products of vectors (N, inputs) uint8: (N, outputs) float32 in uS times code."""
        widest = max(matrix.inputs, *(len(cells.mean_uS) for cells in self._cells[matrix.name]))
        of_chunk = self._converted if self.noise == "per_conversion" else self._multiplied
        chunks = codes.split(max(1, _CHUNK // widest))
        return torch.cat([of_chunk(matrix, chunk) for chunk in chunks])

    def row_sums(self, matrix: Matrix) -> Tensor:
        """Sum of each output's weights in uS, (outputs,) float32, as the map has them."""
        return row_sums_of(matrix, self._cells[matrix.name])

    def predict(self, matrix: Matrix, codes: Tensor) -> Expected:
        """What a board should multiply, and how far it may be off.

        Parameters
        ----------
        codes : (N, inputs) uint8
        """
        exact = self._exact[matrix.name]
        return Expected(codes.to(torch.float32) @ exact.T, self.predicted_sd(matrix, codes))

    def predicted_sd(self, matrix: Matrix, codes: Tensor) -> Tensor:
        """Standard deviation of what a board multiplies, from what the map says.

        Read noise of every cell, converter noise, bends and rounding of every conversion, the noise
        of the measured zeros, which is the same in all planes, and the errors of the map.

        Parameters
        ----------
        codes : (N, inputs) uint8

        Returns
        -------
        (N, outputs) float32
        """
        noise = self._converter.noise
        planes = (1 << matrix.bits) - 1
        squares = _sums_of_squares(matrix.bits).to(codes.device)[codes.long()]
        bends = self._converter.nonlinearity_codes
        in_codes = noise.converter_codes**2 + bends**2 + _ROUNDING_VARIANCE
        in_codes *= (4**matrix.bits - 1) / 3
        in_codes += (planes * noise.converter_codes) ** 2 / noise.zero_conversions
        own = in_codes * self._per_code(matrix.name) ** 2
        total = squares.new_zeros(len(codes), matrix.outputs)
        for cells in self._cells[matrix.name]:
            rows = squares[:, cells.tile.inputs] @ cells.sd_uS.square().T + own * cells.sampled
            rows = rows + _map_variance(cells, codes[:, cells.tile.inputs].to(torch.float32))
            total[:, cells.tile.outputs] += rows[:, 0::2] + rows[:, 1::2]
        return total.sqrt()

    def _multiplied(self, matrix: Matrix, codes: Tensor) -> Tensor:
        return codes.to(torch.float32) @ self._weights[matrix.name].T

    def _converted(self, matrix: Matrix, codes: Tensor) -> Tensor:
        parts: list[tuple[TileReadout, Tensor]] = []
        index = self._ranges[matrix.name]
        for cells, (zeros, readout) in zip(
            self._cells[matrix.name], self._zeros[matrix.name], strict=True
        ):
            inputs = codes[:, cells.tile.inputs]
            done = accumulate(cells, inputs, matrix.bits, self._converter, index, zeros, self._draw)
            self.saturated[matrix.name] += done.saturated
            self.conversions[matrix.name] += len(codes) * matrix.bits * int(cells.sampled.sum())
            parts.append((readout, done.accumulators))
        return assemble(matrix, parts, len(codes))

    def _read(self, tiles: Sequence[TileCells], noisy: bool) -> Tensor:
        """Weights (outputs, inputs) float32 in uS, exact or as one noisy read shows them."""
        outputs = max(cells.tile.outputs.stop for cells in tiles)
        inputs = max(cells.tile.inputs.stop for cells in tiles)
        weights = tiles[0].mean_uS.new_zeros(outputs, inputs)
        for cells in tiles:
            rows = cells.mean_uS
            if noisy:
                rows = rows + cells.sd_uS * self._draw(rows.shape)
            weights[cells.tile.outputs, cells.tile.inputs] = rows[0::2] - rows[1::2]
        return weights

    def _measured_zero(self, cells: TileCells, per_code_uS: float) -> tuple[Tensor, TileReadout]:
        """Zeros (2 outputs,) int32 that are subtracted, and a readout that knows their rest."""
        readout = nominal_readout(cells.tile, per_code_uS)
        noise = self._converter.noise
        device = cells.mean_uS.device
        measured = torch.full((len(cells.mean_uS),), float(self._converter.pedestal), device=device)
        if self.noise == "per_conversion":
            spread = noise.converter_codes / noise.zero_conversions**0.5
            measured = measured + spread * self._draw(measured.shape)
        zeros = torch.round(measured)
        rest = (measured - zeros).to(torch.float64) * cells.sampled
        return zeros.to(torch.int32), readout._replace(
            per_code_uS=readout.per_code_uS.to(device), zero_rest=rest
        )

    def _per_code(self, name: str) -> float:
        return self._converter.per_code_uS[self._ranges[name]]

    def _draw(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self._random, device=self._random.device)


def _map_variance(cells: TileCells, codes: Tensor) -> Tensor:
    """Variance of each row's sum by the errors of the map, (N, 2 outputs), in uS^2."""
    errors = cells.errors
    own = codes.square() @ (errors.cell * cells.mean_uS).square().T
    together = (errors.channel * (codes @ cells.mean_uS.T)).square()
    is_open = (cells.mean_uS != 0).to(codes.dtype)
    return own + together + (errors.offset_uS * (codes @ is_open.T)).square()


def _sums_of_squares(bits: int) -> Tensor:
    """For each code, the sum of 4^plane of its planes, (2^bits,) float32."""
    codes = torch.arange(1 << bits)
    parts = [((codes >> plane) & 1) * 4**plane for plane in range(bits)]
    return torch.stack(parts).sum(dim=0).to(torch.float32)
