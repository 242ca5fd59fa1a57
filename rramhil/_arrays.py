"""Arrays with a head of plain values in one file, whole or not at all. Knows not what they are."""

from __future__ import annotations

import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil._atomic import write_whole
from rramhil.errors import RunError

Arrays = dict[str, npt.NDArray[Any]]
_HEAD = "_head"
# all that numpy and zipfile were seen to raise over bytes that are no such file
_DAMAGE = (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError)
_DAMAGE += (zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError)


def save_arrays(head: Mapping[str, Any], arrays: Arrays, path: Path) -> None:
    """Write a head, ready for JSON, and arrays by their names.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = io.BytesIO()
    whole: Any = {_HEAD: np.array(json.dumps(head)), **arrays}
    np.savez_compressed(content, **whole)
    write_whole(path, content.getvalue())


def load_arrays(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Read what `save_arrays` wrote.

    Raises
    ------
    RunError
        It is not there, or damaged.
    """
    try:
        # from memory: numpy leaves a file open that is none of its own
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(str(arrays.pop(_HEAD))), arrays
    except _DAMAGE as error:
        raise RunError(
            f"{path} cannot be read: it is damaged.", "Remove it, and give the command again."
        ) from error


def below(folder: str, arrays: Arrays) -> list[tuple[str, npt.NDArray[Any]]]:
    """Arrays whose names begin with `folder/`, by the rest of their names."""
    start = f"{folder}/"
    return [(key.removeprefix(start), a) for key, a in arrays.items() if key.startswith(start)]
