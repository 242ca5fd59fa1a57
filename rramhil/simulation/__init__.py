"""What people do to simulated boards from outside: serve one, look inside, put in a fresh
chip, let time pass.

Beside the simulated transport the one place that imports `sim_backend`. Its errors end here: they
become those of `rramhil.errors`.
"""

from rramhil.simulation._advance import Advanced, advance
from rramhil.simulation._chips import inspect, replace
from rramhil.simulation._serve import Endpoint, ServedBoard, parse_endpoint
from rramhil.simulation._which import SimulatedBoardName, kept_by, named_by

__all__ = [
    "Advanced",
    "Endpoint",
    "ServedBoard",
    "SimulatedBoardName",
    "advance",
    "inspect",
    "kept_by",
    "named_by",
    "parse_endpoint",
    "replace",
]
