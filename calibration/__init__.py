"""Read paths between ADC codes and physical units: nominal, or measured against references.

`calibration.wires` models what the lines' resistances do to a reading. Knows neither the driver nor
the simulated board: what it needs arrives as plain numbers, or through a protocol that it states.
"""

from calibration._code_model import CodeModel, calibrated, nominal, siemens_from_codes
from calibration._gains import Gains, ReferenceBoard, measure_gains

__all__ = [
    "CodeModel",
    "Gains",
    "ReferenceBoard",
    "calibrated",
    "measure_gains",
    "nominal",
    "siemens_from_codes",
]
