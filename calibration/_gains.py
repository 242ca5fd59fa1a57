"""Gains of every channel and range, measured against the board's reference resistors.

Owns the procedure and what comes of it. States, as a protocol, the one call it makes of a board.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import MeasureSource

Float64Array = npt.NDArray[np.float64]

REPEATS = 8
"""Times that each mean is taken, so that its spread is seen."""
CONVERSIONS = 256
"""Conversions of a mean: with a converter's noise of 0.75 codes it is known to 0.05."""
_ID_DIGITS = 12


class Codes(Protocol):
    """Mean codes of all channels."""

    @property
    def codes(self) -> Float64Array:
        """(channels,) float64."""
        ...

    @property
    def temperature_k(self) -> float:
        """Of the board."""
        ...


class ReferenceBoard(Protocol):
    """A board that can switch references to its channels; see the command MEASURE."""

    def measure(
        self,
        source: MeasureSource,
        *,
        range_index: int = 0,
        dac_code: int = 0,
        conversions: int = 16,
    ) -> Codes:
        """Sum conversions of every channel."""
        ...


@dataclass(frozen=True, eq=False)
class Gains:
    """Read path of every channel and range, as measured.

    Attributes
    ----------
    per_code_uS : (channels, ranges) float64
        Conductance of one code at the board's read voltage, in uS.
    per_code_sd_uS : (channels, ranges) float64
        Standard deviation of it by the noise of the measurement, in uS.
    zero_codes, zero_sd_codes : (channels, ranges) float64
        Code of no current, and its standard deviation.
    tolerance : float
        Relative; by as much the resistor of a range, and with it all gains of that range together,
        may be off. Ratios of channels do not know it.
    temperature_k : float
        Of the board, when the last of it was measured.
    dead : (channels, ranges) bool
        Channels that do not react to their reference, whose gains are nominal.
    """

    per_code_uS: Float64Array
    per_code_sd_uS: Float64Array
    zero_codes: Float64Array
    zero_sd_codes: Float64Array
    tolerance: float
    temperature_k: float
    dead: npt.NDArray[np.bool_]

    @property
    def id(self) -> str:
        """Name of these gains: "gains-" and 12 hexadecimal digits over the values."""
        said = np.concatenate([self.per_code_uS.ravel(), self.zero_codes.ravel()])
        digits = hashlib.sha256(said.astype("<f8").tobytes()).hexdigest()
        return f"gains-{digits[:_ID_DIGITS]}"

    def per_row_uS(self, rows: npt.ArrayLike, range_index: int) -> Float64Array:
        """Conductance of one code on these rows: channel b serves the rows r mod channels = b.

        Parameters
        ----------
        rows : (R,) array of int
        range_index : int

        Returns
        -------
        (R,) float64
            In uS.

        Raises
        ------
        ValueError
            The range was not measured.
        """
        channels, ranges = self.per_code_uS.shape
        if not 0 <= range_index < ranges:
            raise ValueError(f"range must be 0 to {ranges - 1}, got {range_index}")
        return self.per_code_uS[np.asarray(rows) % channels, range_index]


def measure_gains(
    board: ReferenceBoard,
    *,
    reference_uS: Sequence[float],
    tolerance: float,
    read_code: int,
    nominal_uS: Sequence[float] | None = None,
) -> Gains:
    """Measure the zero and the gain of every channel and range.

    The resistor is measured at the voltage that cells are read at, less what the channel reads
    with nothing at its input; so the read voltage's own error is in the gains, as in readings.

    Parameters
    ----------
    board : ReferenceBoard
        An open board of the driver is one.
    reference_uS : sequence of float
        Conductance of each range's reference resistor, as the board states it, in uS.
    tolerance : float
        Relative tolerance of the resistors, as the board states it.
    read_code : int
        DAC code of RAIL_A at the read voltage.
    nominal_uS : sequence of float, optional
        Conductance of a code of each range, for channels that do not react to their reference.
        Without it, such a channel is an error.

    Returns
    -------
    Gains

    Raises
    ------
    ValueError
        A channel does not react to its reference, and no nominal gain is given for it.
    """
    temperature_k = 0.0

    def means(source: MeasureSource, **switched: Any) -> tuple[Float64Array, float]:
        nonlocal temperature_k
        parts: list[Float64Array] = []
        for _ in range(REPEATS):
            taken = board.measure(source, conversions=CONVERSIONS, **switched)
            parts.append(taken.codes)
            temperature_k = taken.temperature_k
        codes = np.array(parts)
        sd = np.sqrt(codes.var(axis=0, ddof=1).mean() / REPEATS)  # one converter is like the other
        return codes.mean(axis=0), float(sd)

    zeros, zero_sds, gains, gain_sds = [], [], [], []
    dead: list[npt.NDArray[np.bool_]] = []
    for index, uS in enumerate(reference_uS):
        zero, zero_sd = means(MeasureSource.OPEN, range_index=index)
        full, full_sd = means(MeasureSource.RESISTOR, range_index=index, dac_code=read_code)
        rise = full - zero
        dead.append(rise <= 1)
        if dead[-1].any():
            if nominal_uS is None:
                channels = np.flatnonzero(dead[-1]).tolist()
                raise ValueError(
                    f"channels {channels} do not react to the reference of range {index}"
                )
            rise[dead[-1]] = uS / nominal_uS[index]
        zeros.append(zero)
        zero_sds.append(np.full_like(zero, zero_sd))
        gains.append(uS / rise)
        gain_sds.append(uS / rise**2 * np.hypot(zero_sd, full_sd))
    columns = (_column(values) for values in (gains, gain_sds, zeros, zero_sds))
    is_dead = np.stack(dead, axis=1)
    is_dead.flags.writeable = False
    return Gains(*columns, tolerance=tolerance, temperature_k=temperature_k, dead=is_dead)


def _column(values: list[Float64Array]) -> Float64Array:
    """One array of a list by range, which nobody can change: (channels, ranges)."""
    stacked = np.stack(values, axis=1)
    stacked.flags.writeable = False
    return stacked
