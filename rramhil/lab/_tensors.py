"""Tensor files: the one place that speaks to torch, which is optional and loaded on demand.

Owns: loading without ever running what a file says, and what to say where torch is missing.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from rramhil.errors import UsageError
from rramhil.lab._foreign import check_shape, refused


def load(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Read named matrices from a tensor file, as float64 and in the order asked for.

    Raises
    ------
    MapFileError
        If it cannot be loaded, lacks a name, or holds something else than real 2-D tensors.
    UsageError
        If torch is not installed.
    """
    torch = _torch()
    _refuse_damage(path)
    try:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch documents no types for what a damaged file raises
        raise refused(path, "torch finds it damaged, or holding more than tensors") from error
    if not isinstance(loaded, dict):
        raise refused(path, f"it holds a {type(loaded).__name__}, not {_wanted(names)}")
    content = cast(dict[object, object], loaded)
    missing = [name for name in names if name not in content]
    if missing:
        raise refused(path, f"it lacks {_wanted(missing)}")
    return {name: _matrix(torch, path, name, content[name]) for name in names}


def save(stream: BinaryIO, matrices: Mapping[str, npt.NDArray[np.float64]]) -> None:
    """Write named matrices as a tensor file.

    Raises
    ------
    UsageError
        If torch is not installed.
    """
    torch = _torch()
    torch.save({name: torch.tensor(matrix) for name, matrix in matrices.items()}, stream)


def _refuse_damage(path: Path) -> None:
    """Compare the checksums inside the file, which torch does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile raises of every kind, depending on what is damaged
        raise refused(path, "it is no whole tensor file") from error
    if damaged is not None:
        raise refused(path, f"its part {damaged} is damaged")


def _matrix(torch: Any, path: Path, name: str, value: Any) -> npt.NDArray[np.float64]:
    if not isinstance(value, torch.Tensor):
        raise refused(path, f'"{name}" is a {type(value).__name__}, not a tensor')
    # Before anything is made of it: a few bytes can claim a tensor of any shape.
    check_shape(path, f'"{name}"', tuple(value.shape))
    if value.layout != torch.strided or not value.dtype.is_floating_point:
        raise refused(path, f'"{name}" is a tensor of {value.dtype}, not of plain floats')
    try:
        return value.detach().to("cpu", torch.float64).contiguous().numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise refused(path, f'"{name}" has no values that can be read') from error


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise UsageError(
            "Tensor files need torch, which is not installed.",
            'Install it with `pip install "rramhil[train]"`, or exchange the map as npz or csv.',
        ) from None


def _wanted(names: Sequence[str]) -> str:
    return " and ".join(f'"{name}"' for name in names)
