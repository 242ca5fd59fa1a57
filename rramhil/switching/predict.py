"""What a schedule should answer, from a conductance map: means and standard deviations.

Owns: the arithmetic of a gate schedule, written down a second time in plain sums, without a board,
and what noise does to it. Shares no code with the simulated board.

Two sources of scatter are kept apart. What is drawn anew in every conversion (read noise of each
cell, converter noise, rounding) adds up by variances, weighted by 4^plane. The error of a row's
zero is the same in each of its conversions, so that it adds up by itself, weighted by the planes'
sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.switching.schedule import Schedule

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_ROUNDING_VARIANCE = 1 / 12


@dataclass(frozen=True)
class Noise:
    """Scatter of a conversion.

    Attributes
    ----------
    cell_relative : float
        Standard deviation of a cell's conductance from conversion to conversion, over the value.
    converter_codes : float
        Standard deviation of the converter, in codes.
    zero_conversions : int
        Dark conversions whose mean, rounded to a code, is the zero.
    """

    cell_relative: float
    converter_codes: float
    zero_conversions: int


class Prediction(NamedTuple):
    """Expected accumulators, and their standard deviations by source.

    Attributes
    ----------
    mean : (N, accumulators) float64
    sd_conversions : (N, accumulators) float64
        Of what is drawn anew in every conversion.
    sd_zeros : (N, accumulators) float64
        Of what stays until zeros are measured again.
    """

    mean: Float64Array
    sd_conversions: Float64Array
    sd_zeros: Float64Array

    @property
    def sd(self) -> Float64Array:
        """Standard deviation of one run."""
        return self.sd_of_mean(1)

    def sd_of_mean(self, runs: int) -> Float64Array:
        """Standard deviation of the mean of several runs under the same zeros."""
        return np.hypot(self.sd_conversions / math.sqrt(runs), self.sd_zeros)


def expected(
    schedule: Schedule,
    codes: Float64Array,
    inputs: npt.NDArray[np.integer],
    bits: int,
    signed: bool,
    noise: Noise,
) -> Prediction:
    """Predict the accumulators of a schedule from what each cell of the macro adds.

    Parameters
    ----------
    schedule : Schedule
    codes : (R, C) float64
        Conductance of each cell in codes of the schedule's range, gains included.
    inputs, bits, signed, noise
        As `expected_of_samples`.

    Raises
    ------
    ValueError
        If shapes or inputs do not fit.
    """
    cells = codes[schedule.samples.row]
    return expected_of_samples(schedule, cells, inputs, bits, signed, noise)


def expected_of_samples(
    schedule: Schedule,
    cells: Float64Array,
    inputs: npt.NDArray[np.integer],
    bits: int,
    signed: bool,
    noise: Noise,
) -> Prediction:
    """Predict the accumulators where cells depend on which rows are sampled together, by wires.

    Parameters
    ----------
    schedule : Schedule
    cells : (M, C) float64
        Conductance of the cells of each sample's row, in codes.
    inputs : (N, C) integers
        On the bit lines; 0 to 2^bits - 1, or -2^(bits-1) to 2^(bits-1) - 1 if signed.
    bits : int
        1 to 8.
    signed : bool
        Whether the top plane subtracts.

    Raises
    ------
    ValueError
        If shapes or inputs do not fit.
    """
    samples = schedule.samples
    values = _checked(schedule, inputs, bits, signed)
    if cells.shape != (len(samples.row), schedule.columns):
        raise ValueError(f"cells must be {len(samples.row), schedule.columns}, not {cells.shape}")
    gated = cells * schedule.gates[samples.step]
    drive, squares = _drives(values, bits)
    mean = (gated @ drive.T) * samples.sign[:, None]
    in_cells = (gated * noise.cell_relative) ** 2 @ squares.T
    in_conversions = (noise.converter_codes**2 + _ROUNDING_VARIANCE) * (4**bits - 1) / 3
    in_zero = noise.converter_codes**2 / noise.zero_conversions + _ROUNDING_VARIANCE
    all_planes = -1 if signed else (1 << bits) - 1
    zeros = _summed_zeros(schedule, all_planes * math.sqrt(in_zero))
    sd_conversions = np.sqrt(_summed(schedule, in_cells + in_conversions)).T
    sd_zeros = np.broadcast_to(np.sqrt(zeros), sd_conversions.shape)
    return Prediction(_summed(schedule, mean).T, sd_conversions, sd_zeros)


def _checked(
    schedule: Schedule, inputs: npt.NDArray[np.integer], bits: int, signed: bool
) -> Int64Array:
    if not 1 <= bits <= 8:
        raise ValueError(f"inputs have 1 to 8 bits, not {bits}")
    values = np.asarray(inputs, dtype=np.int64)
    if values.ndim != 2 or values.shape[1] != schedule.columns:
        raise ValueError(f"inputs must be (N, {schedule.columns}), not {values.shape}")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if values.size and not low <= values.min() <= values.max() <= high:
        raise ValueError(f"inputs of {bits} bits must lie in {low} to {high}")
    return values


def _drives(values: Int64Array, bits: int) -> tuple[Float64Array, Float64Array]:
    """Inputs as they act on means, and the sum of 4^plane of their planes, as on variances."""
    planes = (values[None] >> np.arange(bits)[:, None, None]) & 1
    squares = np.tensordot(4.0 ** np.arange(bits), planes.astype(np.float64), axes=1)
    return values.astype(np.float64), squares


def _summed(schedule: Schedule, of_samples: Float64Array) -> Float64Array:
    total = np.zeros((schedule.accumulator_count, of_samples.shape[1]))
    np.add.at(total, schedule.samples.accumulator, of_samples)
    return total


def _summed_zeros(schedule: Schedule, one_error: float) -> Float64Array:
    """Variance that zeros cause: all samples of a row share its error."""
    samples = schedule.samples
    pairs = np.stack([samples.accumulator, samples.row], axis=1)
    whose, inverse = np.unique(pairs, axis=0, return_inverse=True)
    times = np.zeros(len(whose))
    np.add.at(times, inverse.ravel(), samples.sign)
    variance = np.zeros(schedule.accumulator_count)
    np.add.at(variance, whose[:, 0], (times * one_error) ** 2)
    return variance
