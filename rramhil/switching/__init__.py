"""Masks on the chip without a pulse: placement, gate schedules, their price and their proof.

Computes only; nothing here talks to a board. `placement` and `packer` say where weights sit,
`masks` which of them are let through, `compiler` in which steps the board does it, `cost` at what
price, `predict` what it should answer, `verify` whether it does; `budget` deals steps to masks that
are still to be learnt; `reset` is the alternative.
"""

from rramhil.switching.budget import (
    TileRows,
    TileSteps,
    deal_steps,
    sample_steps,
    tile_rows,
)
from rramhil.switching.compiler import (
    Bounds,
    CompiledTile,
    compile_masks,
    compile_tile,
    total_bounds,
)
from rramhil.switching.cost import (
    BoardFacts,
    CostReport,
    LayerCost,
    Price,
    Work,
    price_masks,
    table_text,
)
from rramhil.switching.energy import EnergyModel, energy_model
from rramhil.switching.masks import GateKind, Mask, MaskSet
from rramhil.switching.packer import Defects, pack
from rramhil.switching.placement import Geometry, MatrixShape, Placement, Tile
from rramhil.switching.predict import Noise, Prediction, expected, expected_of_samples
from rramhil.switching.reset import (
    CellChanges,
    PulseFacts,
    ResetPrice,
    RowOperations,
    off_cells,
    reset_plan,
    reset_price,
)
from rramhil.switching.schedule import UNUSED, Sample, Samples, Schedule, Step, row_schedule
from rramhil.switching.verify import FALSE_ALARM, Finding, Verification, row_sums, verify

__all__ = [
    "FALSE_ALARM",
    "UNUSED",
    "BoardFacts",
    "Bounds",
    "CellChanges",
    "CompiledTile",
    "CostReport",
    "Defects",
    "EnergyModel",
    "Finding",
    "GateKind",
    "Geometry",
    "LayerCost",
    "Mask",
    "MaskSet",
    "MatrixShape",
    "Noise",
    "Placement",
    "Prediction",
    "Price",
    "PulseFacts",
    "ResetPrice",
    "RowOperations",
    "Sample",
    "Samples",
    "Schedule",
    "Step",
    "Tile",
    "TileRows",
    "TileSteps",
    "Verification",
    "Work",
    "compile_masks",
    "compile_tile",
    "deal_steps",
    "energy_model",
    "expected",
    "expected_of_samples",
    "off_cells",
    "pack",
    "price_masks",
    "reset_plan",
    "reset_price",
    "row_schedule",
    "row_sums",
    "sample_steps",
    "table_text",
    "tile_rows",
    "total_bounds",
    "verify",
]
