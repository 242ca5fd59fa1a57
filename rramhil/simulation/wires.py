"""The resistive network of a macro's lines, for study in Python.

What `sim_backend.wires` computes, under a name that code outside the simulated board may use.
"""

from sim_backend.profile import load
from sim_backend.wires import (
    ArrayCurrents,
    Resistances,
    array_currents,
    effective_ps,
    resistances,
    unrounded_ps,
)

__all__ = [
    "ArrayCurrents",
    "Resistances",
    "array_currents",
    "default_resistances",
    "effective_ps",
    "unrounded_ps",
]


def default_resistances() -> Resistances:
    """Resistances of the simulated board's default profile."""
    return resistances(load("rram40_256k"))
