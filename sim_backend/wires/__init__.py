"""Wires and paths: what the resistance of the lines does to the currents of the cells.

Owns the resistive network between the drivers of the bit lines and the virtual grounds of the
amplifiers. Knows no gate, no range, no noise, no time and no file, and keeps nothing: who calls
decides what to remember. Conductances are integers in pS, resistances in ohm.

    driver --path-- o --segment-- o -- ...      one bit line a column, row 0 next to the driver
                    |             |
                   cell          cell           (r, c) joins bit line c and source line r
                    |             |
    ... --segment-- o --segment-- o --path-- virtual ground, after the last column of row r

Every node of a line is one segment from the one before it, the first from the path. Inside,
only + - x / in float64, in the order of the source: the same bits on every machine and in any
number of threads. The derivations stand in docs/physics.md.
"""

from sim_backend.wires._array import ArrayCurrents, array_currents
from sim_backend.wires._lines import Resistances, resistances
from sim_backend.wires._sampled import effective_ps, unrounded_ps

__all__ = [
    "ArrayCurrents",
    "Resistances",
    "array_currents",
    "effective_ps",
    "resistances",
    "unrounded_ps",
]
