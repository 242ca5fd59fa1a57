"""A map taken apart for a file: a header of JSON, and named arrays.

Owns: the order and form of both, the map's id over them, and putting a map together again from
parts that nobody vouches for. Knows no file format; HDF5 and npz share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from rramhil.lab.conductance_map import ARRAY_DTYPES, ConductanceMap, MapInfo

FORMAT = 1
ID_DIGITS = 12

# What a map may hold at most: 256 reads of the macro. Beyond is damage or malice.
MAX_ELEMENTS = 1 << 26


class NotAMapError(ValueError):
    """The parts are not those of a map; the text says why, as the second half of a sentence."""


_OPTIONAL = frozenset({"imported_uS", "off_uS", "own_uS"})
_AXES = {
    "codes": 3,
    "zero_sums": 1,
    "rows": 1,
    "cols": 1,
    "row_time_ns": 2,
    "valid": 2,
    "imported_uS": 2,
    "off_uS": 2,
    "own_uS": 2,
}


@checked(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Header:
    """All of a map that is no array."""

    format: int
    range_index: int
    per_code_uS: float
    zero_conversions: int
    read_voltage_v: float | None
    temperature_k: float | None
    calibration_id: str
    info: MapInfo


_HEADER = TypeAdapter(Header)


@dataclass(frozen=True, eq=False)
class MapParts:
    """A map in pieces: header as canonical JSON, arrays by name."""

    header: str
    arrays: Mapping[str, npt.NDArray[Any]]

    @property
    def content_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 over header and arrays."""
        digest = hashlib.sha256(self.header.encode())
        for name in ARRAY_DTYPES:
            array = self.arrays.get(name)
            if array is not None:
                digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:ID_DIGITS]


def take_apart(measured: ConductanceMap) -> MapParts:
    """Return a map's parts."""
    header = {
        "format": FORMAT,
        "range_index": measured.range_index,
        "per_code_uS": float(measured.per_code_uS),
        "zero_conversions": measured.zero_conversions,
        "read_voltage_v": measured.read_voltage_v,
        "temperature_k": measured.temperature_k,
        "calibration_id": measured.calibration_id,
        "info": asdict(measured.info),
    }
    arrays = {name: getattr(measured, name) for name in ARRAY_DTYPES}
    return MapParts(
        json.dumps(header, sort_keys=True, allow_nan=False),
        {name: array for name, array in arrays.items() if array is not None},
    )


def put_together(parts: MapParts, content_id: str) -> ConductanceMap:
    """Return the map of some parts.

    Raises
    ------
    NotAMapError
        If a part is missing or of the wrong type, or the id says that something was changed.
    """
    refuse_shapes({name: (a.shape, a.dtype) for name, a in parts.arrays.items()})
    found = parts.content_id
    if found != content_id:
        raise NotAMapError(f"its content has id {found}, it says {content_id}")
    header = read_header(parts.header)
    try:
        return ConductanceMap(
            range_index=header.range_index,
            per_code_uS=header.per_code_uS,
            zero_conversions=header.zero_conversions,
            read_voltage_v=header.read_voltage_v,
            temperature_k=header.temperature_k,
            calibration_id=header.calibration_id,
            info=header.info,
            **dict(parts.arrays),
        )
    except ValueError as error:
        raise NotAMapError(str(error)) from error


def read_header(text: str) -> Header:
    """Return the header in a JSON text.

    Raises
    ------
    NotAMapError
        If it is none, or a newer one.
    """
    try:
        said: object = json.loads(text)
        if isinstance(said, dict) and cast(dict[str, object], said).get("format") != FORMAT:
            raise NotAMapError("it has the format of another version of rramhil")
        return _HEADER.validate_json(text)
    except (ValidationError, json.JSONDecodeError, RecursionError) as error:
        raise NotAMapError("its metadata cannot be understood") from error


def refuse_shapes(described: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
    """Refuse, by NotAMapError, arrays that cannot be a map's, from their description alone."""
    missing = [name for name in ARRAY_DTYPES if name not in described and name not in _OPTIONAL]
    if missing:
        raise NotAMapError(f"it lacks {', '.join(missing)}")
    for name, (shape, dtype) in described.items():
        if dtype != ARRAY_DTYPES.get(name):
            raise NotAMapError(f"{name} is of type {dtype}")
        if len(shape) != _AXES[name]:
            raise NotAMapError(f"{name} has {len(shape)} axes, expected {_AXES[name]}")
        if int(np.prod([int(n) for n in shape], dtype=object)) > MAX_ELEMENTS:
            raise NotAMapError(f"{name} is too large, {shape}")
