"""What the journal's pulse frames add up to: how often each cell certainly was pulsed, and where
nobody knows.

Owns: the meaning of a frame's fate for its cells. Computes only; reads no database and no board.
A cell in doubt is never counted as pulsed and never as untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.lab.pulses import MACRO_SHAPE, PulseRecord, PulseRows

BoolArray = npt.NDArray[np.bool_]
UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]

# Rows unpacked at a time, so that a long history needs megabytes, not gigabytes.
_BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Resolution:
    """What a measurement said about the cells of a doubtful frame.

    fired, unfired : (512, 512) bool
        Cells found pulsed, cells found untouched; the others stay in doubt.
    """

    fired: BoolArray
    unfired: BoolArray


@dataclass(frozen=True, eq=False)
class PulseLedger:
    """Pulses of a chip, cell by cell.

    Attributes
    ----------
    by_operation : mapping of Operation to (512, 512) uint16
        Pulses that certainly fired; counts stop at 65,535.
    doubt_by_operation : mapping of Operation to (512, 512) bool
        Cells that may have seen one more pulse of this kind.
    """

    by_operation: Mapping[Operation, UInt16Array]
    doubt_by_operation: Mapping[Operation, BoolArray]

    @cached_property
    def fired(self) -> UInt16Array:
        """Pulses of any kind that certainly fired, (512, 512) uint16."""
        total = np.zeros(MACRO_SHAPE, dtype=np.uint32)
        for counts in self.by_operation.values():
            total += counts
        return _saturated(total)

    @cached_property
    def in_doubt(self) -> BoolArray:
        """Cells in doubt for any kind of pulse, (512, 512) bool."""
        doubt = np.zeros(MACRO_SHAPE, dtype=np.bool_)
        for cells in self.doubt_by_operation.values():
            doubt |= cells
        return doubt


def add_up(records: Iterable[PulseRecord], resolutions: Mapping[int, Resolution]) -> PulseLedger:
    """Add up the frames of one chip.

    Parameters
    ----------
    records : iterable of PulseRecord
        All frames of the chip, in any order.
    resolutions : mapping of record id to Resolution
        What was measured of doubtful frames later.
    """
    counts = {operation: np.zeros(MACRO_SHAPE, dtype=np.uint32) for operation in Operation}
    doubt = {operation: np.zeros(MACRO_SHAPE, dtype=np.bool_) for operation in Operation}
    waiting: dict[Operation, list[PulseRows]] = {operation: [] for operation in Operation}
    for record in records:
        pending = waiting[record.operation]
        pending.append(record.fired_rows)
        if sum(map(len, pending)) >= _BATCH_ROWS:
            _count(np.concatenate(pending), counts[record.operation])
            pending.clear()
        if len(record.doubtful_rows):
            resolution = resolutions.get(record.id)
            doubt[record.operation] |= cells_in_doubt(record, resolution)
            if resolution is not None:
                counts[record.operation] += _doubtful_cells(record) & resolution.fired
    for operation, pending in waiting.items():
        if pending:
            _count(np.concatenate(pending), counts[operation])
    return PulseLedger({operation: _saturated(count) for operation, count in counts.items()}, doubt)


def cells_in_doubt(record: PulseRecord, resolution: Resolution | None) -> BoolArray:
    """Return the (512, 512) bool cells of a frame that still are in doubt."""
    cells = _doubtful_cells(record)
    if resolution is not None:
        cells &= ~(resolution.fired | resolution.unfired)
    return cells


def columns_of(rows: PulseRows) -> npt.NDArray[np.uint8]:
    """Return the column masks of (n,) PULSE_ROW items as (n, 512) uint8 of 0 and 1."""
    masks = np.ascontiguousarray(rows["column_mask"], dtype=np.uint8)
    return np.unpackbits(masks.reshape(len(rows), -1), axis=1, bitorder="little")


def _doubtful_cells(record: PulseRecord) -> BoolArray:
    # At most one pulse a cell: a measurement tells that a cell was pulsed, not how often.
    touched = np.zeros(MACRO_SHAPE, dtype=np.uint32)
    _count(record.doubtful_rows, touched)
    return touched > 0


def _count(rows: PulseRows, into: UInt32Array) -> None:
    """Add each operation's columns to its row; a row may come several times."""
    if not len(rows):
        return
    lines = rows["row"].astype(np.intp)
    order = np.argsort(lines, kind="stable")
    lines = lines[order]
    starts = np.flatnonzero(np.diff(lines, prepend=-1))
    sums = np.add.reduceat(columns_of(rows)[order], starts, axis=0, dtype=np.uint32)
    into[lines[starts]] += sums


def _saturated(counts: UInt32Array) -> UInt16Array:
    return np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16)
