"""The conductance map as a value: raw codes, what is needed to understand them, and the result.

Owns: which arrays and facts make a map, and how codes become a reading. Knows no file, and not how
lines' resistances are taken out of a reading: who knows it brings the cells' own conductance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from calibration import siemens_from_codes
from rramhil.lab._clock import utc_now

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]

MapKind = Literal["virgin", "readback", "imported", "read"]


def software_version() -> str:
    """Name this software and its version, as maps carry it."""
    try:
        return f"rramhil {version('rramhil')}"
    except PackageNotFoundError:
        return "rramhil (not installed)"


@dataclass(frozen=True)
class MapInfo:
    """Where a map comes from.

    Attributes
    ----------
    kind : "virgin", "readback", "imported" or "read"
        Before the first pulse, after programming, from a foreign file, or on request.
    chip_serial, board_serial, board_name, firmware : str
        Empty where they are unknown, as for imported maps.
    simulated : bool
        Whether the board was a simulated one.
    software : str
        Program and version that made the map.
    created : str
        UTC, ISO 8601.
    recipe : str or None
        JSON of the recipe that programmed the chip.
    notes : str
        Free text.
    parent : str or None
        Id of the map that this one follows, such as the virgin map of a read-back.
    """

    kind: MapKind
    chip_serial: str = ""
    board_serial: str = ""
    board_name: str = ""
    simulated: bool = False
    firmware: str = ""
    software: str = field(default_factory=software_version)
    created: str = field(default_factory=utc_now)
    recipe: str | None = None
    notes: str = ""
    parent: str | None = None

    def __post_init__(self) -> None:
        # What a terminal could not decode arrives as lone surrogates, which no file can hold.
        for name, value in vars(self).items():
            if isinstance(value, str):
                object.__setattr__(self, name, value.encode("utf-8", "replace").decode())


@dataclass(frozen=True, eq=False, kw_only=True)
class ConductanceMap:
    """Conductances of the cells where `rows` and `cols` cross. Arrays are copied views, read-only.

    Attributes
    ----------
    codes : (N, R, C) uint16
        Raw codes of N reads; N is 0 for an imported map.
    zero_sums : (R,) uint32
        Sum of `zero_conversions` dark conversions of each row, in codes.
    rows, cols : (R,), (C,) int64
        Line numbers on the macro, ascending.
    row_time_ns : (N, R) uint64
        Board clock at which each row of each read was taken.
    valid : (R, C) bool
        False where a cell is not to be believed: dead, shorted, clipped.
    range_index : int
        Range the codes were taken in.
    per_code_uS : float
        Conductance of one code, in uS; 0 where there are no codes.
    zero_conversions : int
        Dark conversions in a zero sum; at least 1.
    read_voltage_v, temperature_k : float or None
        None where they are unknown.
    calibration_id : str
        Model that gave `per_code_uS`; empty where there are no codes.
    info : MapInfo
        Where the map comes from.
    imported_uS : (R, C) float64 or None
        Conductance in uS of a map without codes.
    off_uS : (R, C) float64 or None
        Conductance in uS of the off state, where one was imported beside it.
    own_uS : (R, C) float64 or None
        Conductance in uS of the cells themselves, the resistance of the lines taken out of what
        was read; None where it is not known.

    Raises
    ------
    ValueError
        If shapes, types or values do not fit together.
    """

    codes: UInt16Array
    zero_sums: UInt32Array
    rows: Int64Array
    cols: Int64Array
    row_time_ns: UInt64Array
    valid: BoolArray
    range_index: int
    per_code_uS: float
    zero_conversions: int
    read_voltage_v: float | None
    temperature_k: float | None
    calibration_id: str
    info: MapInfo
    imported_uS: Float64Array | None = None
    off_uS: Float64Array | None = None
    own_uS: Float64Array | None = None

    def __post_init__(self) -> None:
        for name, dtype in ARRAY_DTYPES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _frozen(name, value, dtype))
        self._check_lines("rows", self.rows)
        self._check_lines("cols", self.cols)
        reads = len(self.codes)
        for name, shape in {
            "codes": (reads, *self.shape),
            "zero_sums": self.shape[:1],
            "row_time_ns": (reads, self.shape[0]),
            "valid": self.shape,
            "imported_uS": self.shape,
            "off_uS": self.shape,
            "own_uS": self.shape,
        }.items():
            self._check_array(name, shape)
        if (reads == 0) == (self.imported_uS is None):
            raise ValueError(f"a map has either codes or imported_uS, got {reads} reads")
        if self.own_uS is not None and not reads:
            raise ValueError("a map without codes has no own_uS: imported_uS is what it knows")
        self._check_numbers()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return len(self.rows), len(self.cols)

    @property
    def reads(self) -> int:
        """Reads that the map averages; 0 for an imported one."""
        return len(self.codes)

    @property
    def conductance_uS(self) -> Float64Array:
        """Conductance of the cells in uS, (R, C) float64: their own, or as read if unknown."""
        return self.read_uS if self.own_uS is None else self.own_uS

    @cached_property
    def read_uS(self) -> Float64Array:
        """What was read, in uS, (R, C) float64: mean over the reads; zeros are subtracted.

        An imported map's is what was imported.
        """
        if self.imported_uS is not None:
            return self.imported_uS
        mean = self.codes.sum(axis=0, dtype=np.uint64) / self.reads
        conductance = siemens_from_codes(
            mean, self.zero_sums, self.zero_conversions, self.per_code_uS
        )
        conductance.flags.writeable = False
        return conductance

    @cached_property
    def sd_uS(self) -> Float64Array:
        """Standard deviation of one read in uS, (R, C) float64; NaN with fewer than two reads.

        It is that of `read_uS`; the lines' resistance is not taken out.
        """
        if self.reads < 2:
            return np.full(self.shape, np.nan)
        # In integers: sums of squares of 14-bit codes are exact, whatever the number of reads.
        total = np.zeros(self.shape, dtype=np.uint64)
        squares = np.zeros(self.shape, dtype=np.uint64)
        for read in self.codes:
            wide = read.astype(np.uint64)
            total += wide
            squares += wide * wide
        variance = (self.reads * squares - total * total) / (self.reads * (self.reads - 1))
        return np.sqrt(variance) * self.per_code_uS

    def _check_lines(self, name: str, lines: Int64Array) -> None:
        if lines.ndim != 1 or not lines.size:
            raise ValueError(f"{name} must be a vector of line numbers, got shape {lines.shape}")
        if lines[0] < 0 or np.any(np.diff(lines) <= 0):
            raise ValueError(f"{name} must be ascending line numbers from 0, got {lines}")

    def _check_array(self, name: str, shape: tuple[int, ...]) -> None:
        array = getattr(self, name)
        if array is None:
            return
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite")

    def _check_numbers(self) -> None:
        if self.zero_conversions < 1 or self.range_index < 0:
            raise ValueError(
                f"zero_conversions must be 1 or more and range_index 0 or more, "
                f"got {self.zero_conversions} and {self.range_index}"
            )
        for name in ("per_code_uS", "read_voltage_v", "temperature_k"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")


ARRAY_DTYPES: dict[str, np.dtype[Any]] = {
    "codes": np.dtype("<u2"),
    "zero_sums": np.dtype("<u4"),
    "rows": np.dtype("<i8"),
    "cols": np.dtype("<i8"),
    "row_time_ns": np.dtype("<u8"),
    "valid": np.dtype("?"),
    "imported_uS": np.dtype("<f8"),
    "off_uS": np.dtype("<f8"),
    "own_uS": np.dtype("<f8"),
}
"""The arrays of a map in the order they are hashed, each with its type."""


def _frozen(name: str, value: npt.ArrayLike, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got {given.dtype}")
    array = np.ascontiguousarray(given.astype(dtype, copy=False))
    if given.dtype != dtype and given.dtype.kind in "iu" and not np.array_equal(given, array):
        raise ValueError(f"{name} must fit {dtype}, got {given.dtype} out of its bounds")
    view = array.view()
    view.flags.writeable = False
    return view
