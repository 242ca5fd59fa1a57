"""Inference: networks run on measured maps and on boards.

Owns executors that multiply integer vectors. Does not know how masks were trained.

    cells         the gated cells of each tile, from maps, masks and a placement
    conversions   what a board would convert: planes, noise, codes, accumulators
    readout       from accumulators to products; the same for the map and for a board
    ranges        the finest TIA range that does not saturate
    on_map        the executor on a measured map
    known_cells   a map, with measured gains and through the lines of a schedule's own steps
    front_end     gains and zeros of a board, measured once
    deploy        masks that a board is ready to multiply with
    on_board      the executor on a board
    verification  every gated row sum, measured and compared
"""

from rramhil.inference.cells import CellErrors, TileCells, cells_of, tile_cells
from rramhil.inference.conversions import Conversions, Converter, accumulate
from rramhil.inference.deploy import DeployedTile, Deployment, deploy
from rramhil.inference.front_end import FrontEnd, measured_front_end, measured_gains
from rramhil.inference.known_cells import (
    KnownCells,
    cells_in_steps,
    converter_of,
    known_cells,
    lines_of,
)
from rramhil.inference.on_board import Done, OnBoard, board_facts
from rramhil.inference.on_map import Expected, NoiseKind, OnMap
from rramhil.inference.ranges import RangeChoice, choose_ranges, recorded_codes
from rramhil.inference.readout import TileReadout, assemble, nominal_readout, row_sums_of
from rramhil.inference.verification import verify_deployment

__all__ = [
    "CellErrors",
    "Conversions",
    "Converter",
    "DeployedTile",
    "Deployment",
    "Done",
    "Expected",
    "FrontEnd",
    "KnownCells",
    "NoiseKind",
    "OnBoard",
    "OnMap",
    "RangeChoice",
    "TileCells",
    "TileReadout",
    "accumulate",
    "assemble",
    "board_facts",
    "cells_in_steps",
    "cells_of",
    "choose_ranges",
    "converter_of",
    "deploy",
    "known_cells",
    "lines_of",
    "measured_front_end",
    "measured_gains",
    "nominal_readout",
    "recorded_codes",
    "row_sums_of",
    "tile_cells",
    "verify_deployment",
]
