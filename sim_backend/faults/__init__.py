"""Faults on request: on the link, on the board, on its chips.

`model` says what can be asked for and reads it from TOML, `refusal` what is wrong with a file;
`lanes` spoils frames; `supply` takes the power away; `switches` and `converters` say what is
measured through what is broken. Without faults none of them is in the way: the board and its server
hold None in their place.
"""

from sim_backend.faults.model import (
    BrownOut,
    Cut,
    DeadChannel,
    Delayed,
    DriftingTia,
    Faults,
    Flipped,
    Lost,
    Merged,
    Repeated,
    Slow,
    Split,
    StuckSwitch,
    load,
)
from sim_backend.faults.supply import PowerLost

__all__ = [
    "BrownOut",
    "Cut",
    "DeadChannel",
    "Delayed",
    "DriftingTia",
    "Faults",
    "Flipped",
    "Lost",
    "Merged",
    "PowerLost",
    "Repeated",
    "Slow",
    "Split",
    "StuckSwitch",
    "load",
]
