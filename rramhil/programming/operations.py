"""One kind of pulse on chosen cells: the operations that a board executes, their codes and costs.

Owns: the line states of FORM, SET and RESET, the split of rows by the rail's current, and the
estimates of time and energy. Computes only; nothing is sent from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_protocol.layouts import PULSE_ROW
from firmware_protocol.messages import Operation, Rail
from rramhil.driver import Description
from rramhil.errors import LimitRefused

BoolArray = npt.NDArray[np.bool_]
PulseRows = npt.NDArray[np.void]

_ROUNDING = 1e-9
_MASK_BYTES = PULSE_ROW["column_mask"].shape[0]


@dataclass(frozen=True)
class Pulse:
    """One kind of pulse.

    Attributes
    ----------
    operation : Operation
        FORM and SET drive the source line, RESET the bit lines.
    amplitude_v : float
        Voltage across a selected cell, in volts, without its sign.
    width_ns : int
        Time the word line is high, in ns.
    compliance_a : float
        Compliance current of a cell, in amperes.
    """

    operation: Operation
    amplitude_v: float
    width_ns: int
    compliance_a: float


def refuse_outside_limits(pulse: Pulse, description: Description, name: str) -> None:
    """Refuse, in the caller's own terms; the driver checks the codes again.

    Parameters
    ----------
    name : str
        What people call this pulse, for the error.

    Raises
    ------
    LimitRefused
        The pulse lies outside the board's envelope.
    """
    kind = pulse.operation.name
    envelope = description.envelopes.get(pulse.operation)
    if envelope is None:
        raise LimitRefused(f"This board has no {kind} operation, by its own description.")
    for what, value, low, high, unit in (
        ("amplitude", pulse.amplitude_v, envelope.voltage_min_v, envelope.voltage_max_v, "V"),
        ("width", pulse.width_ns, envelope.width_min_ns, envelope.width_max_ns, "ns"),
        (
            "compliance",
            1e6 * pulse.compliance_a,
            1e6 * envelope.compliance_min_a,
            1e6 * envelope.compliance_max_a,
            "uA",
        ),
    ):
        # What decimals lose in binary is no reason to refuse.
        if not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING):
            raise LimitRefused(
                f"{name}: {what} {value:.12g} {unit} lies outside {low:.12g} to {high:.12g} "
                f"{unit}, the {kind} envelope in the board's own description.",
                "Change it; `rramhil board info` shows every limit.",
            )


def row_operations(pulse: Pulse, description: Description, cells: BoolArray) -> PulseRows:
    """Split rows by the rail's current and deal their cells to the parts.

    A row whose cells would together draw more than the driving rail delivers is split into the
    fewest operations that do not. Its cells are dealt to them in turn, so that each carries the
    same current to within a cell, spread along the whole line.

    Parameters
    ----------
    cells : (R, C) bool
        The cells that get the pulse.

    Returns
    -------
    (n,) PULSE_ROW
        In the order of rows.
    """
    in_row = cells.sum(axis=1)
    parts = -(-in_row // _cells_at_once(pulse, description))
    pulses = _operations(pulse, description, int(parts.sum()))
    pulses["row"] = np.repeat(np.arange(len(parts)), parts)
    rows, cols = np.nonzero(cells)
    first_cell = np.cumsum(in_row) - in_row
    first_operation = np.cumsum(parts) - parts
    place_in_row = np.arange(len(rows)) - first_cell[rows]
    selected = np.zeros((len(pulses), 8 * _MASK_BYTES), dtype=np.bool_)
    selected[first_operation[rows] + place_in_row % parts[rows], cols] = True
    pulses["column_mask"] = np.packbits(selected, axis=1, bitorder="little")
    return pulses


def cells_of(pulses: PulseRows) -> npt.NDArray[np.int64]:
    """How many cells each operation pulses, (n,) int64."""
    return np.bitwise_count(pulses["column_mask"]).sum(axis=1, dtype=np.int64)


def board_time_s(pulses: PulseRows, description: Description) -> float:
    """Estimate the board's time: switches, rails and pulse widths."""
    each_ns = description.switch_load_ns + description.dac_settle_ns
    return (len(pulses) * each_ns + int(pulses["width_ns"].sum(dtype=np.uint64))) / 1e9


def energy_j(pulses: PulseRows, description: Description) -> float:
    """Upper bound of the energy in the cells: amplitude x compliance x width."""
    source_v = pulses["source_code"] * description.voltage_v(Rail.SOURCE, 1)
    bit_v = pulses["bit_code"] * description.voltage_v(Rail.RAIL_A, 1)
    compliance_a = {
        int(code): description.compliance_a(int(code)) for code in np.unique(pulses["word_code"])
    }
    current_a: Any = np.array([compliance_a[int(code)] for code in pulses["word_code"]])
    width_s = pulses["width_ns"] * 1e-9
    return float((np.abs(source_v - bit_v) * current_a * width_s * cells_of(pulses)).sum())


def _operations(pulse: Pulse, description: Description, count: int) -> PulseRows:
    """Return operations with the pulse's codes, on row 0 and no column yet."""
    pulses = np.zeros(count, dtype=PULSE_ROW)
    pulses["word_code"] = description.word_code(pulse.compliance_a)
    pulses["width_ns"] = pulse.width_ns
    if pulse.operation == Operation.RESET:
        # source line and unselected bit lines at ground
        pulses["bit_code"] = description.dac_code(Rail.RAIL_A, pulse.amplitude_v)
    else:
        pulses["source_code"] = description.dac_code(Rail.SOURCE, pulse.amplitude_v)
        # Inhibited bit lines follow the source line, so that their cells see no voltage.
        pulses["inhibit_code"] = description.dac_code(Rail.RAIL_B, pulse.amplitude_v)
    return pulses


def _cells_at_once(pulse: Pulse, description: Description) -> int:
    """Cells that the rail can feed together, by the compliance that the DAC really gives."""
    compliance_a = description.compliance_a(description.word_code(pulse.compliance_a))
    if compliance_a == 0:
        return description.columns
    return max(1, int(description.driving_rail(pulse.operation).limit_a / compliance_a))
