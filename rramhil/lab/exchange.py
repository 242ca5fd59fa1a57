"""Maps from and to the files that other people use: csv, npz, and the published tensors.

Owns: what these files hold. Imports only read, so a refusal leaves nothing behind; exports are
whole or not there. Conductances are in uS everywhere.

=========  ===================================================================================
csv        comma-separated numbers, a line a row; 0 is a cell that was not formed
npz        as `export_npz` writes it (restores the very map, id included), an array
           `conductance_uS` alone, or any single 2-D array
.pt, .pth  {"set": tensor, "reset": tensor}, 2-D of one shape: conductance in the on state and in
           the off state, the form in which the paper's code reads its chips
=========  ===================================================================================

A matrix smaller than the macro keeps its shape. Values between -0.5 uS and 0 are read noise
around an unformed cell and stay as they are; below that, and above 1e6 uS, a file is refused.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rramhil._atomic import replacing
from rramhil.errors import UsageError
from rramhil.lab import _tensors
from rramhil.lab._foreign import (
    MIB,
    check_conductance,
    check_file,
    check_shape,
    imported_map,
    refused,
)
from rramhil.lab._map_parts import MapParts, NotAMapError, put_together, take_apart
from rramhil.lab._npz import MAX_BYTES, read_archive
from rramhil.lab.conductance_map import ARRAY_DTYPES, ConductanceMap

_T = TypeVar("_T")

# The macro in the longest form a float64 takes, and a matrix of them in a tensor file.
_MAX_CSV_BYTES = 16 * MIB
_MAX_TENSOR_BYTES = 16 * MIB


def import_map(path: Path) -> ConductanceMap:
    """Read a foreign map, by the ending of its name.

    Raises
    ------
    NotFound
        If there is no such file.
    MapFileError
        If it is truncated, oversized, of the wrong type, or not a map.
    UsageError
        If nothing is known of such an ending.
    """
    return _by_ending(path, _IMPORTS)(path)


def export_map(measured: ConductanceMap, path: Path) -> None:
    """Write a map in the form that the ending of the name says.

    Raises
    ------
    UsageError
        If nothing is known of such an ending, or the file cannot be written.
    """
    _by_ending(path, _EXPORTS)(measured, path)


def import_csv(path: Path) -> ConductanceMap:
    """Read comma-separated conductances in uS; errors as `import_map`.

    A file that was cut at the end of a line cannot be told from a smaller map.
    """
    check_file(path, _MAX_CSV_BYTES)
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise refused(path, "it is not text") from error
    widths = [line.count(",") + 1 for line in lines]
    # Empty lines separate blocks in three-dimensional csv; skipping them would pile these up.
    if not all(line.strip() for line in lines):
        raise refused(path, "it has an empty line, so it is not one table")
    if len(set(widths)) > 1:
        line = next(n for n, width in enumerate(widths) if width != widths[0])
        raise refused(path, f"line {line + 1} has {widths[line]} values, line 1 has {widths[0]}")
    check_shape(path, "the table", (len(lines), widths[0]))
    try:
        table = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise refused(path, f"a value is not a number ({error})") from error
    return imported_map(path, check_conductance(path, "the table", table))


def export_csv(measured: ConductanceMap, path: Path) -> None:
    """Write the conductances in uS, a line a row, each number so that it reads back exactly.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    lines = [",".join(map(repr, row)) for row in measured.conductance_uS.tolist()]
    with _writing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def import_npz(path: Path) -> ConductanceMap:
    """Read an npz archive; errors as `import_map`.

    What `export_npz` wrote gives the map that it was given, with the same id.
    """
    check_file(path, MAX_BYTES)
    arrays = read_archive(path)
    if "metadata" in arrays:
        return _restored(path, arrays)
    name, *others = arrays or ("",)
    if not name:
        raise refused(path, "it holds no array")
    if others:
        raise refused(
            path,
            f"it holds {', '.join(arrays)}, and no metadata to say what they are",
            "Keep a single 2-D array in it, or use a file that `rramhil map export` wrote.",
        )
    return imported_map(path, check_conductance(path, name, arrays[name]))


def export_npz(measured: ConductanceMap, path: Path) -> None:
    """Write all of a map as an npz archive.

    Keys: `conductance_uS`, `read_uS` (R, C) float64; `codes` (N, R, C) uint16; `zero_sums`,
    `rows`, `cols`, `row_time_ns`, `valid` as in `ConductanceMap`; `per_code_uS`, `range_index`,
    `calibration_id`; `metadata` (JSON of the rest) and `content_id`; `imported_uS`, `off_uS`
    and `own_uS` where the map has them. The same map always gives the same bytes.

    Raises
    ------
    UsageError
        If the file cannot be written, or `import_npz` would refuse it for its size.
    """
    parts = take_apart(measured)
    arrays: dict[str, npt.ArrayLike] = {
        "conductance_uS": measured.conductance_uS,
        "read_uS": measured.read_uS,
        **parts.arrays,
        "per_code_uS": measured.per_code_uS,
        "range_index": measured.range_index,
        "calibration_id": measured.calibration_id,
        "metadata": parts.header,
        "content_id": parts.content_id,
    }
    size = sum(np.asarray(array).nbytes for array in arrays.values())
    if size + MIB > MAX_BYTES:
        raise UsageError(
            f"The map has {size // MIB} MiB, an npz export at most {MAX_BYTES // MIB}."
        )
    with _writing(path) as temporary, temporary.open("xb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def import_tensors(path: Path) -> ConductanceMap:
    """Read the published form, {"set": tensor, "reset": tensor}; errors as `import_map`.

    Only tensors are ever unpickled (`weights_only`). The on state becomes the map's conductance,
    the off state its `off_uS`. Needs torch.
    """
    check_file(path, _MAX_TENSOR_BYTES)
    _check_tensor_archive(path)
    on, off = (
        check_conductance(path, name, matrix)
        for name, matrix in _tensors.load(path, ("set", "reset")).items()
    )
    if on.shape != off.shape:
        raise refused(path, f'"set" has shape {on.shape}, "reset" has {off.shape}')
    return imported_map(path, on, off)


def export_tensors(measured: ConductanceMap, path: Path) -> None:
    """Write the published form, {"set": tensor, "reset": tensor}, float64 in uS. Needs torch.

    "set" is the map's `conductance_uS` as it is, unformed cells included. "reset" is its `off_uS`
    where it has one, else zeros: nobody has measured the off state then.

    Raises
    ------
    UsageError
        If the file cannot be written, or torch is not installed.
    """
    on = measured.conductance_uS
    off = np.zeros_like(on) if measured.off_uS is None else measured.off_uS
    content = io.BytesIO()
    _tensors.save(content, {"set": on, "reset": off})
    with _writing(path) as temporary:
        temporary.write_bytes(content.getvalue())


_IMPORTS: dict[str, Callable[[Path], ConductanceMap]] = {
    ".csv": import_csv,
    ".npz": import_npz,
    ".pt": import_tensors,
    ".pth": import_tensors,
}
_EXPORTS: dict[str, Callable[[ConductanceMap, Path], None]] = {
    ".csv": export_csv,
    ".npz": export_npz,
    ".pt": export_tensors,
    ".pth": export_tensors,
}


def _by_ending(path: Path, known: dict[str, _T]) -> _T:
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{path} has the ending {path.suffix!r}; maps are exchanged as {', '.join(known)}.",
            "Name the file accordingly.",
        ) from None


def _restored(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> ConductanceMap:
    """Put together the map of our own export, and refuse one that was changed since."""
    missing = [name for name in ("conductance_uS", "content_id") if name not in arrays]
    if missing:
        raise refused(path, f"it lacks {', '.join(missing)}")
    parts = MapParts(
        str(arrays["metadata"]),
        {name: array for name, array in arrays.items() if name in ARRAY_DTYPES},
    )
    try:
        restored = put_together(parts, str(arrays["content_id"]))
    except NotAMapError as error:
        raise refused(path, str(error)) from error
    check_shape(path, "conductance_uS", restored.shape)
    derived = {"conductance_uS": restored.conductance_uS, "read_uS": restored.read_uS}
    for name, values in derived.items():
        # Exports of the version before have no read_uS.
        if name in arrays and not np.array_equal(arrays[name], values):
            raise refused(
                path,
                f"{name} was changed since the export and disagrees with the rest of it",
                f"Save the changed {name} alone to import it.",
            )
    return restored


def _check_tensor_archive(path: Path) -> None:
    """Refuse an archive that would inflate beyond the limit; torch itself does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise refused(
            path,
            "it is truncated, or not a tensor file of torch 1.6 or later",
            "Load it with the torch that wrote it and save it again with a current one.",
        ) from error
    if inflated > _MAX_TENSOR_BYTES:
        raise refused(
            path,
            f"it would inflate to {inflated // MIB} MiB, the limit is {_MAX_TENSOR_BYTES // MIB}",
        )


@contextmanager
def _writing(path: Path) -> Generator[Path]:
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}.", "Choose another place."
        ) from error
