"""The matrices of a network on other hardware: in 8-bit integers on this host, and on a GPU.

Owns: the comparison that stands beside the price of a chip. The host's time is measured, with
random weights and inputs; its power, and all of the GPU, come from the constants of energy. What
is digital on either side, such as activations, is left out as it is for the chip.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from rramhil.flow._threads import torch_threads
from rramhil.network import Int8, Matrix, MatrixRecord
from rramhil.switching import energy_model

_SAMPLES = 256
_MOST_VECTORS = 1024
"""Of a matrix, in one product; beyond that, time grows as their number does."""
_ROUNDS = 5
_SEED = 1


class Elsewhere(NamedTuple):
    """What one sample takes on other hardware.

    Attributes
    ----------
    where : str
    time_s, energy_j : float
    basis : str
        Where these numbers come from.
    """

    where: str
    time_s: float
    energy_j: float
    basis: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return self._asdict()


def elsewhere(matrices: Sequence[Matrix | MatrixRecord]) -> tuple[Elsewhere, ...]:
    """Measure matrices on one core of this host, in tenths of a second, and reckon a GPU."""
    model = energy_model()
    # products this small take longer in several threads, and never twice the same
    with torch_threads(1):
        host_s = sum(_measured_s(each) for each in matrices)
    core_w = model.host["core_power_w"].value
    operations = 2 * sum(each.outputs * each.inputs * each.vectors for each in matrices)
    gpu = {name: constant.value for name, constant in model.gpu.items()}
    gpu_s = operations / (gpu["operations_s"] * gpu["used"])
    return (
        Elsewhere(
            "this host, int8",
            host_s,
            host_s * core_w,
            f"time measured with one thread, the best of {_ROUNDS} rounds; {core_w:g} W a core "
            "assumed",
        ),
        Elsewhere(
            f"{model.gpu_name}, int8",
            gpu_s,
            gpu_s * gpu["power_w"],
            f"by its data sheet, {gpu['operations_s'] / 1e12:g} T operations/s and "
            f"{gpu['power_w']:g} W; {gpu['used']:.0%} of the peak assumed",
        ),
    )


@torch.no_grad()
def _measured_s(matrix: Matrix | MatrixRecord) -> float:
    """Seconds that the vectors of one sample take, the best of some rounds."""
    random = torch.Generator().manual_seed(_SEED)
    count = min(_MOST_VECTORS, _SAMPLES * matrix.vectors)
    weights = torch.rand(matrix.outputs, matrix.inputs, generator=random)
    codes = torch.randint(
        0, 1 << min(matrix.bits, 7), (count, matrix.inputs), dtype=torch.uint8, generator=random
    )
    host = Int8({matrix.name: weights})
    one = Matrix(matrix.name, matrix.outputs, matrix.inputs, matrix.bits, matrix.vectors)
    times: list[float] = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        host.multiply(one, codes)
        times.append(time.perf_counter() - began_s)
    return min(times) / count * matrix.vectors
