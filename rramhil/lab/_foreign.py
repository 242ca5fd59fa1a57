"""What every foreign map file must be before it is believed.

Owns: the limits of size, the checks of a matrix of conductances, and the sentence of a refusal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil.errors import MapFileError, NotFound
from rramhil.lab.conductance_map import ConductanceMap, MapInfo
from rramhil.lab.pulses import MACRO_SHAPE

Float64Array = npt.NDArray[np.float64]

MIB = 1 << 20

# No cell conducts backwards. What read noise and zeros leave of an unformed one is far smaller.
LOWEST_uS = -0.5

# 1 S, a hundred thousand times what a cell in its low state conducts: a value of another unit.
HIGHEST_uS = 1e6


def refused(path: Path, why: str, next_step: str = "") -> MapFileError:
    """Make the one sentence for a file that is not taken."""
    return MapFileError(f"{path} cannot be imported: {why}.", next_step)


def check_file(path: Path, max_bytes: int) -> None:
    """Refuse what is no file, or a larger one than any map of its kind, before it is opened.

    Raises
    ------
    NotFound
        If there is no such file.
    MapFileError
        If it is no regular file, empty, or too large.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        raise refused(path, str(error.strerror)) from error
    if not path.is_file():
        raise refused(path, "it is not a regular file")
    if size == 0:
        raise refused(path, "it is empty")
    if size > max_bytes:
        raise refused(
            path, f"it has {size / MIB:.0f} MiB, a map of this kind at most {max_bytes // MIB}"
        )


def check_shape(path: Path, name: str, shape: tuple[int, ...]) -> None:
    """Refuse a matrix that no macro can hold, from its shape alone."""
    if len(shape) != 2:
        raise refused(path, f"{name} has {len(shape)} axes, a map has 2 (rows, columns)")
    if 0 in shape:
        raise refused(path, f"{name} is empty")
    if shape[0] > MACRO_SHAPE[0] or shape[1] > MACRO_SHAPE[1]:
        raise refused(
            path,
            f"{name} has {shape[0]} x {shape[1]} cells, a map at most "
            f"{MACRO_SHAPE[0]} x {MACRO_SHAPE[1]}",
        )


def check_conductance(path: Path, name: str, matrix: npt.NDArray[Any]) -> Float64Array:
    """Return a matrix as float64 conductances in uS, refusing what cannot be one."""
    check_shape(path, name, matrix.shape)
    if matrix.dtype.kind not in "iuf":
        raise refused(path, f"{name} holds {matrix.dtype}, not real numbers")
    with np.errstate(over="ignore"):  # a longer float than ours becomes inf, refused below
        conductance = np.ascontiguousarray(matrix, dtype=np.float64)
    for bad, what in (
        (~np.isfinite(conductance), "not finite"),
        (conductance < LOWEST_uS, "negative"),
        (conductance > HIGHEST_uS, f"above {HIGHEST_uS:g} uS"),
    ):
        if bad.any():
            row, col = (int(axis[0]) for axis in np.nonzero(bad))
            value = conductance[row, col]
            raise refused(path, f"{name}[{row}, {col}] is {what} ({value:g} uS)")
    return conductance


def imported_map(
    path: Path, conductance_uS: Float64Array, off_uS: Float64Array | None = None
) -> ConductanceMap:
    """Make the map of a foreign matrix; its first cell is row 0, column 0."""
    rows, cols = map(int, conductance_uS.shape)
    return ConductanceMap(
        codes=np.empty((0, rows, cols), dtype=np.uint16),
        zero_sums=np.zeros(rows, dtype=np.uint32),
        rows=np.arange(rows),
        cols=np.arange(cols),
        row_time_ns=np.empty((0, rows), dtype=np.uint64),
        valid=np.ones((rows, cols), dtype=np.bool_),
        range_index=0,
        per_code_uS=0.0,
        zero_conversions=1,
        read_voltage_v=None,
        temperature_k=None,
        calibration_id="",
        info=MapInfo(kind="imported", notes=f"imported from {path.name}"),
        imported_uS=conductance_uS,
        off_uS=off_uS,
    )
