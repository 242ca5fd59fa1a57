"""`rramhil bench sim`: the simulated board's kernels, each beside a plain way to the same end.

Products stand beside float32 matrix products of the same shape, of torch where it is installed and
of numpy; all use the threads that they use by default. Pulses stand beside the same rule in numpy,
wires beside SciPy's sparse direct solver: both solve the same network of a `dense` map, and setting
it up counts for both; one thread each. Ours is compiled before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.messages import Operation
from rramhil.bench._cells import PlainCells
from rramhil.bench._network import DirectNetwork
from rramhil.bench._rounds import Figure, side_by_side
from rramhil.simulation.cells import CellsInMemory
from rramhil.simulation.multiply import array_product
from rramhil.simulation.wires import (
    Resistances,
    array_currents,
    default_resistances,
    effective_ps,
)

_LINES = 512
_VECTORS = 1024
_SAMPLED = 8
_SEED = 1
_MEAN_PS, _SD = 12.35e6, 0.15
_ONE_OHM = Resistances(bit_path=0.0, bit_segment=1.0, source_path=0.0, source_segment=1.0)
# in the order in which one leaves the cells as the next finds them
_AMPLITUDES_V = {Operation.FORM: 4.0, Operation.RESET: 2.0, Operation.SET: 2.0}
_REFERENCE = "scipy splu, same network"


def figures() -> Generator[Figure]:
    """Measure, one figure after the other."""
    yield from _products()
    yield from _pulses()
    yield from _wires()


def _pulses() -> Generator[Figure]:
    """A pulse at every cell, the state in memory."""
    ours = CellsInMemory(_SEED)
    plain = PlainCells(ours.cells, _SEED)
    for operation, amplitude_v in _AMPLITUDES_V.items():
        before = ours.snapshot()
        ours.fire(operation)  # compiles; what it did is undone below

        def ours_s(operation: Operation = operation, before: Any = before) -> float:
            ours.restore(before)
            return _seconds(lambda: ours.fire(operation))()

        def plain_s(operation: Operation = operation, volts: float = amplitude_v) -> float:
            plain.prepare(operation)
            return _seconds(lambda: plain.fire(operation, volts))()

        name = f"{operation.name} of a whole array, all spreads"
        reference = "numpy, as many draws"
        yield side_by_side(name, "pulses/s", ours.cells, ours_s, reference, plain_s, rounds=9)


def _products() -> Generator[Figure]:
    generator = np.random.default_rng(_SEED)
    effective_ps = _dense_ps(generator)
    bits = generator.integers(0, 256, (_VECTORS, _LINES // 8)).astype(np.uint8)
    left = np.unpackbits(bits, axis=1, bitorder="little").astype(np.float32)
    right = np.ascontiguousarray(effective_ps.T.astype(np.float32))
    shape = f"{_LINES} x {_LINES}, {_VECTORS:,} vectors of 1 bit"
    references = {"numpy float32 product": lambda: np.matmul(left, right)}
    if find_spec("torch"):
        import torch

        tensors = torch.from_numpy(left), torch.from_numpy(right)
        references["torch.mm float32"] = lambda: torch.mm(*tensors).numpy()
    for noisy in (False, True):
        product = array_product(effective_ps, noisy=noisy)
        for reference, theirs in references.items():
            product(bits)
            theirs()
            yield side_by_side(
                f"{'noisy' if noisy else 'noise-free'} product {shape}",
                "vectors/s",
                _VECTORS,
                _seconds(lambda product=product: product(bits)),
                reference,
                _seconds(theirs),
                rounds=31,
            )


def _dense_ps(generator: np.random.Generator) -> NDArray[np.uint32]:
    spread = np.exp(_SD * generator.standard_normal((_LINES, _LINES)))
    return (_MEAN_PS * spread).astype(np.uint32)


def _wires() -> Generator[Figure]:
    generator = np.random.default_rng(_SEED)
    conductance_ps = _dense_ps(generator)
    conductance_s = np.multiply(conductance_ps, 1e-12, dtype=np.float64)
    bit_v = np.full(_LINES, 0.2)
    groups = np.arange(_LINES).reshape(-1, _SAMPLED)
    wires = default_resistances()

    def macro() -> None:
        for rows in groups:
            effective_ps(conductance_ps, rows, wires)

    def macro_directly() -> None:
        for rows in groups:
            DirectNetwork(conductance_s[rows], wires, rows).effective_s()

    array_currents(conductance_ps, bit_v, _ONE_OHM)  # compiles, as the next line does
    effective_ps(conductance_ps, groups[0], wires)
    yield side_by_side(
        "full array 512 x 512, 1 ohm a segment",
        "solves/s",
        1,
        _seconds(lambda: array_currents(conductance_ps, bit_v, _ONE_OHM)),
        _REFERENCE,
        _seconds(lambda: DirectNetwork(conductance_s, _ONE_OHM).currents_a(bit_v)),
        rounds=3,
    )
    yield side_by_side(
        "effective conductances of 64 groups of 8 rows",
        "macros/s",
        1,
        _seconds(macro),
        _REFERENCE,
        _seconds(macro_directly),
    )


def _seconds(work: Callable[[], object]) -> Callable[[], float]:
    """A clock around work."""

    def measured() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return measured
