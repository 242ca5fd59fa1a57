"""Program a simulated chip through the Python API and look at its conductance map.

Run it twice: a cell gets one pulse, ever, so the second run fires none and reads the chip again.
The chip and its maps are kept in the lab folder that RRAMHIL_LAB names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import rramhil
from rramhil.lab import Lab, default_root
from rramhil.programming import FORMED_ABOVE_uS, program, sparse


def main(lab_root: Path) -> None:
    """Program chip 0 of the simulated board with seed 40, and print what it has become."""
    with rramhil.open("sim://?seed=40", lab=lab_root) as board, Lab(lab_root) as lab:
        result = program(board, lab, 0, sparse())
        corner_uS = board.chip(0).read(slice(0, 4), slice(0, 6), reads=8)
    conductance_uS = result.measured.conductance_uS
    formed = conductance_uS > FORMED_ABOVE_uS
    pairs_uS = conductance_uS[0::2] - conductance_uS[1::2]

    print(result.message)
    print(f"{formed.mean():.1%} of the simulated cells conduct more than {FORMED_ABOVE_uS:g} uS")
    for name, values in (("formed", conductance_uS[formed]), ("other", conductance_uS[~formed])):
        print(f"{name:>6}: mean {values.mean():6.3f} uS, sd {values.std():.3f} uS")
    print(f"differential pairs of rows: mean {pairs_uS.mean():+.3f} uS, sd {pairs_uS.std():.3f} uS")
    print("upper left corner, read again, in uS:")
    print(np.array2string(corner_uS, precision=2, suppress_small=True))
    print(f"map {result.map.id} with its picture: {result.map.heatmap}")


if __name__ == "__main__":
    main(default_root())
