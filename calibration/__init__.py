"""Read paths between ADC codes and physical units: nominal now, fitted later.

Knows neither the driver nor the simulated board: what it needs arrives as plain numbers.
"""

from calibration._code_model import CodeModel, nominal, siemens_from_codes

__all__ = ["CodeModel", "nominal", "siemens_from_codes"]
