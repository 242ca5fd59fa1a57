"""The folder of data sets: one for all labs where RRAMHIL_DATA names it, else one in the lab."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "RRAMHIL_DATA"
_IN_LAB = "data"


def data_root(lab_root: Path) -> Path:
    """Return the folder of data sets: RRAMHIL_DATA if it is set, else `data` in the lab."""
    named = os.environ.get(ENVIRONMENT, "")
    return Path(named).expanduser().absolute() if named else lab_root / _IN_LAB
