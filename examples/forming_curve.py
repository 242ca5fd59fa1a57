"""Measure the forming curve of a fresh simulated chip, beside the normal model.

The recipe `ladder` gives each of ten groups of rows another amplitude. The chip of the simulated
board with seed 41 is replaced by a fresh one each time this is run.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import rramhil
from rramhil.lab import Lab, default_root
from rramhil.programming import ladder, program
from rramhil.simulation import SimulatedBoardName, replace

BREAKDOWN_V = NormalDist(3.433, 0.114)
"""Measured: 400 cells of a sister chip, at the ladder's width (that width is assumed)."""


def main(lab_root: Path) -> None:
    """Put a fresh chip into the socket, program it, and print amplitude, fraction and model."""
    name = SimulatedBoardName(lab_root, seed=41)
    replace(name, 0)
    with rramhil.open(str(name), lab=lab_root) as board, Lab(lab_root) as lab:
        result = program(board, lab, 0, ladder(), reads=1)

    print(f"simulated chip {result.chip_serial}: {result.pulses:,} pulses, one a cell")
    print("amplitude V   cells  formed  model")
    for step in result.report.steps:
        formed = step.formed_fraction or 0.0
        model = BREAKDOWN_V.cdf(step.amplitude_v)
        print(f"{step.amplitude_v:11.2f} {step.cells:7,} {formed:7.3f} {model:6.3f}")


if __name__ == "__main__":
    main(default_root())
