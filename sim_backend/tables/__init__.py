"""Committed integer tables: quantiles of the normal distribution and powers of two.

Owns reading and checking them (`tables.toml` has the SHA-256 of each file); `python -m
sim_backend.tables` makes them anew. They are data and not computed at start because a
logarithm or exponential may differ in its last bit from machine to machine.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from sim_backend.errors import ProfileError

Int32Array = np.ndarray[tuple[int, ...], np.dtype[np.int32]]
UInt64Array = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

NORMAL_BITS = 20
"""Fraction bits of the normal tables: 2^20 is one standard deviation."""
FIRST_BITS = 16
"""Bits that choose a bin of the first table."""
TAIL_BINS = 16
"""Bins at each end of the first table which the second one refines."""
TAIL_BITS = 12
"""Bits that choose an entry of the second table within such a bin."""
EXP2_BITS = 10
"""Bits of the fraction that choose an entry of the exp2 table; the rest interpolates."""
EXP2_SCALE_BITS = 29
"""Fraction bits of the entries of the exp2 table."""


class Files(NamedTuple):
    """The committed files.

    Attributes
    ----------
    normal : (65536,) int32
        Mean of the standard normal distribution in each of 65,536 equally probable bins,
        ascending, in 2^-20.
    tail : (16 x 4096,) int32
        The same for the 16 uppermost bins, each cut into 4,096; the lowest bins mirror them.
    exp2 : (1025,) int32
        2^(i / 1024) in 2^-29.
    """

    normal: Int32Array
    tail: Int32Array
    exp2: Int32Array


class Tables(NamedTuple):
    """What the kernels look up.

    Attributes
    ----------
    normal : (3 x 65536,) int32
        The bins of `Files.normal`, then the fine entries of the uppermost 16 and of the
        lowest 16 of them; `distributions.place` says where a number lies.
    exp2 : (1025,) int32
        As `Files.exp2`.
    exp2_pairs : (1024,) uint64
        Each entry of `exp2` and the next as the two int32 that lie in its memory: one look-up
        for both.
    """

    normal: Int32Array
    exp2: Int32Array
    exp2_pairs: UInt64Array


@cache
def load() -> Tables:
    """Read the committed tables.

    Raises
    ------
    ProfileError
        A file is missing or does not have its SHA-256.
    """
    files = Files(*(_read(name) for name in Files._fields))
    normal = np.concatenate([files.normal, files.tail, -files.tail[::-1]])
    pairs = np.stack([files.exp2[:-1], files.exp2[1:]], axis=1).view(np.uint64).reshape(-1)
    return Tables(normal, files.exp2, pairs)


def _read(name: str) -> Int32Array:
    file = resources.files("sim_backend.tables") / f"{name}.i32"
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != _digests()[name]:
        raise ProfileError(f"The table {name}.i32 of the simulated board is damaged.")
    return np.frombuffer(bytearray(data), dtype="<i4").astype(np.int32, copy=False)


def _digests() -> dict[str, str]:
    """SHA-256 of each file, by name."""
    file = resources.files("sim_backend.tables") / "tables.toml"
    facts = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: fact["sha256"] for name, fact in facts.items()}
