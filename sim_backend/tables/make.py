"""Make the committed tables; the only place where the random numbers meet floats.

Run as `python -m sim_backend.tables`. Needs scipy, which the simulated board itself does not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from scipy.special import ndtri, roots_legendre

from sim_backend.tables import (
    EXP2_BITS,
    EXP2_SCALE_BITS,
    FIRST_BITS,
    NORMAL_BITS,
    TAIL_BINS,
    TAIL_BITS,
    Files,
    Int32Array,
)


def write(folder: Path) -> None:
    """Write the tables and `tables.toml` into a folder."""
    lines = ["# SHA-256 of the tables, which are raw little-endian int32 (see __init__.py)."]
    for name, array in make()._asdict().items():
        data = array.astype("<i4").tobytes()
        (folder / f"{name}.i32").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'{name} = {{ entries = {len(array)}, sha256 = "{digest}" }}')
    (folder / "tables.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make() -> Files:
    """Compute the tables."""
    bins = 1 << FIRST_BITS
    upper = -bin_means(1 / bins, bins // 2)
    tail = -bin_means(1 / (bins << TAIL_BITS), TAIL_BINS << TAIL_BITS)
    exp2 = np.exp2(np.arange((1 << EXP2_BITS) + 1) / (1 << EXP2_BITS))
    return Files(
        normal=_fixed(np.concatenate([-upper, upper[::-1]]), NORMAL_BITS),
        tail=_fixed(tail[::-1], NORMAL_BITS),
        exp2=_fixed(exp2, EXP2_SCALE_BITS),
    )


def bin_means(width: float, count: int) -> np.ndarray:
    """Mean of the standard normal distribution in its `count` lowest bins of this probability.

    The mean of a bin, not its middle: then mean and symmetry are exact, and the variance lacks
    only what lies within the bins (1e-8 in all). It is the integral of the quantile over the
    bin; the lowest bin has no lower edge, and its integral is the density at its upper one.
    """
    nodes, weights = roots_legendre(16)
    edges = np.arange(1, count)[:, None] * width
    inner = (ndtri(edges + (nodes + 1) / 2 * width) * weights).sum(axis=1) / 2
    outermost = -np.exp(-(ndtri(width) ** 2) / 2) / np.sqrt(2 * np.pi) / width
    return np.concatenate([[outermost], inner])


def _fixed(values: np.ndarray, bits: int) -> Int32Array:
    return np.rint(values * (1 << bits)).astype(np.int32)
