"""The board's analogue front end: DACs, amplifiers, converters and references, with their errors.

Owns what differs from board to board and with temperature: drawn from the board's key, derived
for a temperature, integers throughout. The host knows none of it; DESCRIBE states nominal values.
"""

from sim_backend.frontend._adc import (
    Converter,
    bin_of,
    code_of,
    dead_transfer,
    quantised,
    seen_by,
    transfers,
    transitions,
)
from sim_backend.frontend._curves import REFERENCE_MK
from sim_backend.frontend._dac import RailDac, rail_nv
from sim_backend.frontend._draw import converters
from sim_backend.frontend._numbers import FrontEnd, front_end, rail_accuracy_v

__all__ = [
    "REFERENCE_MK",
    "Converter",
    "FrontEnd",
    "RailDac",
    "bin_of",
    "code_of",
    "converters",
    "dead_transfer",
    "front_end",
    "quantised",
    "rail_accuracy_v",
    "rail_nv",
    "seen_by",
    "transfers",
    "transitions",
]
