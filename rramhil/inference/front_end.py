"""What a board's read path really is: gains of its channels and zeros of its rows, as measured.

Owns: measuring them once, and what is known of a board at its temperature. Several deployments
share one `FrontEnd`: measuring a zero again would change the register that others rely on, so what
is known is never measured twice. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration import Gains, measure_gains
from firmware_protocol.messages import Rail
from rramhil.driver import Board

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

WITHIN_K = 1.0
"""Change of the board's temperature from which on gains and zeros are measured again."""


class Zeros(NamedTuple):
    """Zeros of a chip's rows in one range.

    Attributes
    ----------
    sums : (R,) int64
        Of `zero_conversions` dark codes of each row, as the board's registers hold them; -1 where
        they were not measured.
    conversions : int
        Codes in a sum.
    """

    sums: Int64Array
    conversions: int

    def rest(self, rows: Int64Array) -> Float64Array:
        """Zero of each row less the whole code that the board subtracts, (n,) float64."""
        sums = self.sums[rows]
        whole = (sums + self.conversions // 2) // self.conversions
        return sums / self.conversions - whole


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """Gains of a board's channels, and zeros of its chips' rows.

    Attributes
    ----------
    board_serial : str
    gains : Gains
        Of every channel and range; nominal for a channel that does not react to its reference.
    zeros : mapping of (chip, range) to Zeros
    """

    board_serial: str
    gains: Gains
    zeros: Mapping[tuple[int, int], Zeros]

    @property
    def dead_channels(self) -> tuple[int, ...]:
        """ADC channels that do not react to a reference."""
        return tuple(int(channel) for channel in np.flatnonzero(self.gains.dead.any(axis=1)))


class RowsInRange(NamedTuple):
    """Rows of a chip that are to be converted in a range."""

    chip: int
    range_index: int
    rows: Int64Array


def measured_front_end(
    board: Board, needs: Iterable[RowsInRange], known: FrontEnd | None = None
) -> FrontEnd:
    """Measure what is needed and not known yet.

    Parameters
    ----------
    board : Board
    needs : iterable of RowsInRange
    known : FrontEnd, optional
        What was measured before in this session. Of another board, or at a temperature that is
        `WITHIN_K` away, it counts for nothing.

    Raises
    ------
    BoardError, LinkLost
        See the driver.
    """
    if known is not None and not _still_holds(board, known):
        known = None
    gains = measured_gains(board) if known is None else known.gains
    zeros = {} if known is None else dict(known.zeros)
    for chip, range_index, rows in needs:
        zeros[chip, range_index] = _with_zeros(board, chip, range_index, rows, zeros)
    return FrontEnd(board.identity.serial, gains, zeros)


def measured_gains(board: Board) -> Gains:
    """Measure the gains of all channels and ranges against the board's references."""
    facts = board.description
    return measure_gains(
        board,
        reference_uS=[each.reference_uS for each in facts.ranges],
        tolerance=facts.references.resistor_tolerance,
        read_code=facts.dac_code(Rail.RAIL_A, facts.read_voltage_v),
        nominal_uS=[each.per_code_uS for each in facts.ranges],
    )


def _still_holds(board: Board, known: FrontEnd) -> bool:
    temperature_k = board.status().temperature_mk / 1000
    is_same = known.board_serial == board.identity.serial
    return is_same and abs(temperature_k - known.gains.temperature_k) < WITHIN_K


def _with_zeros(
    board: Board,
    chip: int,
    range_index: int,
    rows: Int64Array,
    known: Mapping[tuple[int, int], Zeros],
) -> Zeros:
    facts = board.description
    have = known.get((chip, range_index))
    sums = np.full(facts.rows, -1, dtype=np.int64) if have is None else have.sums.copy()
    missing = np.unique(rows[sums[rows] < 0])
    if missing.size:
        sums[missing] = board.chip(chip).dark(missing, range_index)
    sums.flags.writeable = False
    return Zeros(sums, facts.zero_conversions)
