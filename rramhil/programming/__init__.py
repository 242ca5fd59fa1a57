"""One-shot programming: recipes, one pulse a cell, the read-back and what it says.

`program` does it, `preview` only says what it would do; `pulse_cells` sets or resets cells. They
use the driver and the lab, draw no bars and print nothing: whoever wants to watch passes a
`Progress`.
"""

from rramhil.programming.oneshot import READS, preview, program
from rramhil.programming.operations import Pulse
from rramhil.programming.plan import PulsePlan, plan
from rramhil.programming.plots import describe, save_picture, terminal_map
from rramhil.programming.progress import Progress, Silent
from rramhil.programming.pulse_cells import (
    PulsedCells,
    PulsePreview,
    preview_pulse,
    pulse_cells,
    pulse_mask,
    pulse_of,
)
from rramhil.programming.readback import FORMED_ABOVE_uS
from rramhil.programming.recipes import (
    BUILT_IN,
    Recipe,
    Step,
    dense,
    find_recipe,
    ladder,
    load_recipe,
    sparse,
)
from rramhil.programming.reference import Reference, load_reference
from rramhil.programming.report import Report
from rramhil.programming.result import Preview, ProgramResult
from rramhil.programming.settle import Settled

__all__ = [
    "BUILT_IN",
    "READS",
    "FORMED_ABOVE_uS",
    "Preview",
    "ProgramResult",
    "Progress",
    "Pulse",
    "PulsePlan",
    "PulsePreview",
    "PulsedCells",
    "Recipe",
    "Reference",
    "Report",
    "Settled",
    "Silent",
    "Step",
    "dense",
    "describe",
    "find_recipe",
    "ladder",
    "load_recipe",
    "load_reference",
    "plan",
    "preview",
    "preview_pulse",
    "program",
    "pulse_cells",
    "pulse_mask",
    "pulse_of",
    "save_picture",
    "sparse",
    "terminal_map",
]
