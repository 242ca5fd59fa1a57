"""The model between a code of the ADC and the conductance of the cell that was read.

Owns: the linear read path of each range, its zero and its identity. May not touch a board; where
its gains come from, what a board says of itself or a measurement, is all the same to it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration._gains import Gains

Float64Array = npt.NDArray[np.float64]

_ID_DIGITS = 12


@dataclass(frozen=True)
class CodeModel:
    """Linear read path: one gain for each range, a pedestal, and zeros taken in the dark.

    Parameters
    ----------
    id : str
        What maps are marked with; the same parameters always have the same id.
    per_code_uS : tuple of float
        Conductance of one code, in uS, for each range; positive.
    zero_conversions : int
        Dark conversions summed in one zero; at least 1.
    pedestal : int
        Code of no current, as the board adds it.
    adc_bits : int
        Width of the ADC; codes run from 0 to 2**adc_bits - 1.
    gains : Gains, optional
        Measured gains; where they are given, codes become conductances by the gain of their row.

    Raises
    ------
    ValueError
        If a parameter is outside what is said above.
    """

    id: str
    per_code_uS: tuple[float, ...]
    zero_conversions: int
    pedestal: int
    adc_bits: int
    gains: Gains | None = None

    def __post_init__(self) -> None:
        if not self.per_code_uS:
            raise ValueError("a code model needs at least one range, got none")
        for index, gain in enumerate(self.per_code_uS):
            if not (math.isfinite(gain) and gain > 0):
                raise ValueError(f"range {index}: a code must be positive in uS, got {gain}")
        if self.zero_conversions < 1:
            raise ValueError(f"a zero needs 1 conversion or more, got {self.zero_conversions}")
        if not 1 <= self.adc_bits <= 16:
            raise ValueError(f"the ADC must have 1 to 16 bits, got {self.adc_bits}")
        if not 0 <= self.pedestal <= self.code_max:
            raise ValueError(f"the pedestal must be 0 to {self.code_max}, got {self.pedestal}")

    @property
    def code_max(self) -> int:
        """Highest code; a conversion that reads it was clipped."""
        return (1 << self.adc_bits) - 1

    def to_uS(
        self,
        codes: npt.ArrayLike,
        zero_sums: npt.ArrayLike,
        range_index: int,
        rows: npt.ArrayLike | None = None,
    ) -> Float64Array:
        """Turn codes into conductances.

        Parameters
        ----------
        codes : (..., R, C) array of integers or floats
            Codes, or means of codes, as they left the board.
        zero_sums : (R,) array of integers, or a scalar
            Sum of the dark conversions of each row, in codes. A vector runs along the second
            last axis of `codes`, the rows; a scalar holds for all.
        range_index : int
            Range that both were taken in.
        rows : (R,) array of int, optional
            Numbers of the rows on the chip; a model with measured gains needs them.

        Returns
        -------
        (..., R, C) float64
            Conductance in uS; noise can take an unformed cell below zero.

        Raises
        ------
        ValueError
            If the model has no such range, or needs rows and has none.
        """
        per_code_uS: npt.ArrayLike = self._per_code_uS(range_index)
        if self.gains is not None:
            if rows is None:
                raise ValueError("measured gains differ from row to row: say which rows these are")
            per_code_uS = self.gains.per_row_uS(rows, range_index)
        return siemens_from_codes(codes, zero_sums, self.zero_conversions, per_code_uS)

    def to_codes(self, conductance_uS: npt.ArrayLike, range_index: int) -> Float64Array:
        """Predict the code that a conductance reads at the nominal gain, before noise and rounding.

        Parameters
        ----------
        conductance_uS : (...) array of float
            Conductance in uS.
        range_index : int
            Range it would be read in.

        Returns
        -------
        (...) float64
            Expected code with the pedestal, neither rounded nor clipped: a value above
            `code_max` says that the range is too fine.

        Raises
        ------
        ValueError
            If the model has no such range.
        """
        conductance = np.asarray(conductance_uS, dtype=np.float64)
        return np.asarray(
            conductance / self._per_code_uS(range_index) + self.pedestal, dtype=np.float64
        )

    def _per_code_uS(self, range_index: int) -> float:
        if not 0 <= range_index < len(self.per_code_uS):
            raise ValueError(f"range must be 0 to {len(self.per_code_uS) - 1}, got {range_index}")
        return self.per_code_uS[range_index]


def nominal(
    *, per_code_uS: Sequence[float], zero_conversions: int, pedestal: int, adc_bits: int
) -> CodeModel:
    """Make the model of a board that is exactly what it says it is.

    Parameters
    ----------
    per_code_uS : sequence of float
        Conductance of one code, in uS, for each range.
    zero_conversions, pedestal, adc_bits : int
        As in `CodeModel`.

    Returns
    -------
    CodeModel
        Its id is "nominal-" and 12 hexadecimal digits over the parameters.

    Raises
    ------
    ValueError
        If a parameter makes no sense.
    """
    gains = tuple(float(gain) for gain in per_code_uS)
    said = json.dumps([gains, zero_conversions, pedestal, adc_bits])
    digits = hashlib.sha256(said.encode()).hexdigest()[:_ID_DIGITS]
    return CodeModel(f"nominal-{digits}", gains, zero_conversions, pedestal, adc_bits)


def calibrated(model: CodeModel, gains: Gains) -> CodeModel:
    """Make the same model with measured gains; its id is theirs.

    Raises
    ------
    ValueError
        They were measured in other ranges than the model has.
    """
    if gains.per_code_uS.shape[1] != len(model.per_code_uS):
        raise ValueError(
            f"gains of {gains.per_code_uS.shape[1]} ranges for {len(model.per_code_uS)} ranges"
        )
    return replace(model, id=gains.id, gains=gains)


def siemens_from_codes(
    codes: npt.ArrayLike,
    zero_sums: npt.ArrayLike,
    zero_conversions: int,
    per_code_uS: npt.ArrayLike,
) -> Float64Array:
    """Apply the linear read path: (codes - zero_sums / zero_conversions) * per_code_uS.

    Parameters
    ----------
    codes : (..., R, C) array
        Codes, or means of codes.
    zero_sums : (R,) array, or a scalar
        Sums of `zero_conversions` dark conversions, a row each; a scalar holds for all.
    zero_conversions : int
        Conversions in a sum; at least 1.
    per_code_uS : float, or (R,) array
        Conductance of one code, in uS: of all rows, or of each; `Gains.per_row_uS` gives those.

    Returns
    -------
    (..., R, C) float64
        Conductance in uS.
    """
    zeros = _along_rows(np.asarray(zero_sums, dtype=np.float64) / zero_conversions)
    return np.asarray(
        (np.asarray(codes, dtype=np.float64) - zeros) * _along_rows(per_code_uS), dtype=np.float64
    )


def _along_rows(values: npt.ArrayLike) -> Float64Array:
    """A scalar as it is, a vector along the second last axis."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 0 else array[..., np.newaxis]
