"""Inference: networks run on measured maps, as the chip would do it.

Owns executors that multiply integer vectors. Does not know how masks were trained.

    cells         the gated cells of each tile, from maps, masks and a placement
    conversions   what a board would convert: planes, noise, codes, accumulators
    readout       from accumulators to products; the same for the map and for a board
    ranges        the finest TIA range that does not saturate
    on_map        the executor on a measured map
"""

from rramhil.inference.cells import TileCells, cells_of, tile_cells
from rramhil.inference.conversions import Conversions, Converter, accumulate
from rramhil.inference.on_map import NoiseKind, OnMap
from rramhil.inference.ranges import RangeChoice, choose_ranges, recorded_codes
from rramhil.inference.readout import TileReadout, assemble, nominal_readout, row_sums_of

__all__ = [
    "Conversions",
    "Converter",
    "NoiseKind",
    "OnMap",
    "RangeChoice",
    "TileCells",
    "TileReadout",
    "accumulate",
    "assemble",
    "cells_of",
    "choose_ranges",
    "nominal_readout",
    "recorded_codes",
    "row_sums_of",
    "tile_cells",
]
