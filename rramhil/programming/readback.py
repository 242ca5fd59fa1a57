"""Reading a whole chip into a conductance map.

Owns: the measurement (zeros, then N reads) and which of its cells can be believed on the
evidence of the codes alone. Judges nothing else: what the map says of the chip is the report's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration import CodeModel, nominal
from rramhil.driver import Board, Chip, CodeBlock, Description
from rramhil.errors import UsageError
from rramhil.lab import ConductanceMap, MapInfo, MapKind
from rramhil.programming._wires import with_own_conductance
from rramhil.programming.progress import Progress

BoolArray = npt.NDArray[np.bool_]

FORMED_ABOVE_uS = 2.0
"""A cell that conducts more than this has formed, in uS.

Source: assumed, between two facts. The lowest of 1,232 formed cells of a sister chip reads 7.6 uS
(measured); unformed ones read about 0.1 uS (assumed).
"""

MOST_CODES = 1 << 29
"""Codes that one reading may hold: 1 GiB of memory."""

FINEST_RANGE = 0
"""Range of all reads here: one cell fits it, and nothing resolves an unformed cell better."""


@dataclass(frozen=True)
class Origin:
    """Where a map comes from, as far as the reader knows it before it reads."""

    kind: MapKind
    recipe: str | None = None
    notes: str = ""
    parent: str | None = None


def read_chip(
    board: Board, chip: Chip, reads: int, origin: Origin, progress: Progress, phase: str
) -> ConductanceMap:
    """Measure zeros, then all cells `reads` times, in the finest range.

    Read by read rather than in one go, so that a caller who is interrupted, or whose progress bar
    fails, does not leave a long stream behind.

    Returns
    -------
    ConductanceMap
        As of `map_of`, and with the cells' own conductance: the nominal resistance of the lines
        is taken out, unless no cells behind such lines can read so.

    Raises
    ------
    BoardError, LinkLost
        If the board fails; reading disturbs nothing.
    """
    description = board.description
    progress.phase(phase, reads * description.rows * description.columns, "cells")
    everything = slice(None)
    chip.dark(everything, FINEST_RANGE)
    blocks: list[CodeBlock] = []
    for _ in range(reads):
        block = chip.read_codes(everything, everything, 1, FINEST_RANGE)
        blocks.append(block)
        progress.advance(block.codes.size, block.stop_ns)
    return with_own_conductance(map_of(board, chip, blocks, origin), description)


def map_of(board: Board, chip: Chip, blocks: list[CodeBlock], origin: Origin) -> ConductanceMap:
    """Put blocks of the same cells, read one after the other, together as a map.

    Invalid are the cells that met an end of the ADC's scale in any read: their mean is a bound,
    not a value.
    """
    model = code_model(board.description)
    first = blocks[0]
    codes = np.concatenate([block.codes for block in blocks])
    clipped = ((codes == 0) | (codes == model.code_max)).any(axis=0)
    return ConductanceMap(
        codes=codes,
        zero_sums=first.zero_sums,
        rows=first.rows,
        cols=first.columns,
        row_time_ns=np.concatenate([block.row_time_ns for block in blocks]),
        valid=~clipped,
        range_index=first.range_index,
        per_code_uS=model.per_code_uS[first.range_index],
        zero_conversions=model.zero_conversions,
        read_voltage_v=board.description.read_voltage_v,
        temperature_k=board.status().temperature_mk / 1000,
        calibration_id=model.id,
        info=MapInfo(
            kind=origin.kind,
            chip_serial=chip.serial,
            board_serial=board.identity.serial,
            board_name=board.identity.name,
            simulated=board.identity.simulated,
            firmware=board.identity.firmware,
            recipe=origin.recipe,
            notes=origin.notes,
            parent=origin.parent,
        ),
    )


def check_reads(reads: int, cells: int) -> None:
    """Refuse more reads than their codes leave room for in memory.

    Raises
    ------
    UsageError
        Fewer than one read, or codes beyond `MOST_CODES`.
    """
    most = min(0xFFFF, MOST_CODES // max(1, cells))
    if not 1 <= reads <= most:
        raise UsageError(
            f"{cells:,} cells can be read 1 to {most:,} times at once, not {reads:,} times.",
            "Ask for fewer reads, or read several times.",
        )


def reading_time_s(description: Description, reads: int) -> float:
    """Estimate the board's time to measure the zeros once and all cells `reads` times."""
    sweeps = -(-description.rows // description.channels)
    one_ns = description.ranges[FINEST_RANGE].settle_ns + description.conversion_ns
    zeros_ns = description.switch_load_ns + description.zero_conversions * one_ns
    read_ns = description.switch_load_ns + description.columns * one_ns
    return sweeps * (zeros_ns + reads * read_ns) / 1e9


def code_model(description: Description) -> CodeModel:
    """Return the nominal model of codes of a board that describes itself so."""
    return nominal(
        per_code_uS=[facts.per_code_uS for facts in description.ranges],
        zero_conversions=description.zero_conversions,
        pedestal=description.pedestal,
        adc_bits=description.adc_bits,
    )


def invalidate(measured: ConductanceMap, cells: BoolArray) -> ConductanceMap:
    """Return the map with some more cells marked as not to be believed."""
    return replace(measured, valid=measured.valid & ~cells)
