"""Safe operating area, enforced before a byte leaves: the host's half of a rule the board has too.

Owns: the comparison of pulses with the envelope in DESCRIBE. The board checks the same again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol.messages import Operation, Rail
from rramhil.driver.description import Description
from rramhil.errors import LimitRefused

_HALF_CODE = 0.5
"""A voltage on the limit stays legal after it is rounded to a DAC code."""


def check(description: Description, operation: Operation, pulses: NDArray[Any]) -> None:
    """Refuse pulses that leave the board's envelope, or have lines in other states than theirs.

    FORM and SET: amplitude is source line over bit line, and the inhibited bit lines follow the
    source line. RESET: bit line over source line, which is at ground as the other bit lines are.

    Parameters
    ----------
    description : Description
        What the board says of itself.
    operation : Operation
        Kind of pulse.
    pulses : (n,) PULSE_ROW
        Operations as they would be sent.

    Raises
    ------
    LimitRefused
        Names the first value outside, the limit and where the limit comes from.
    """
    envelope = description.envelopes.get(operation)
    if envelope is None:
        raise LimitRefused(f"This board has no {operation.name} operation, by its description.")
    _within(pulses["row"], 0, description.rows - 1, "row", "", operation)
    resets = operation == Operation.RESET
    source_v = _volts(description, Rail.SOURCE, pulses["source_code"])
    bit_v = _volts(description, Rail.RAIL_A, pulses["bit_code"])
    inhibit_v = _volts(description, Rail.RAIL_B, pulses["inhibit_code"])
    tolerance_v = description.inhibit_tolerance_v
    step_v = _HALF_CODE * description.rails[Rail.SOURCE].full_scale_v / (1 << description.dac_bits)
    _within(
        bit_v - source_v if resets else source_v - bit_v,
        envelope.voltage_min_v - step_v,
        envelope.voltage_max_v + step_v,
        "amplitude",
        "V",
        operation,
    )
    if resets:
        _within(
            source_v, 0.0, tolerance_v, "source line, which is to be at ground,", "V", operation
        )
    _within(
        inhibit_v - source_v,
        -tolerance_v,
        tolerance_v,
        "voltage between source line and inhibited bit lines",
        "V",
        operation,
    )
    _within(
        pulses["width_ns"], envelope.width_min_ns, envelope.width_max_ns, "width", "ns", operation
    )
    compliance_a = _compliance(description, pulses["word_code"])
    step_a = (
        _HALF_CODE
        * description.rails[Rail.WORD].full_scale_v
        / (1 << description.dac_bits)
        * description.compliance_a_per_v
    )
    _within(
        1e6 * compliance_a,
        1e6 * (envelope.compliance_min_a - step_a),
        1e6 * (envelope.compliance_max_a + step_a),
        "compliance",
        "uA",
        operation,
    )
    cells = np.bitwise_count(pulses["column_mask"]).sum(axis=1)
    _within(
        1e3 * cells * compliance_a,
        0.0,
        1e3 * description.driving_rail(operation).limit_a,
        "current of the selected cells",
        "mA",
        operation,
    )


def check_resistor(description: Description, dac_code: int) -> None:
    """Refuse a code of RAIL_A that puts more on a reference resistor than the board allows.

    Raises
    ------
    LimitRefused
        Names voltage and limit.
    """
    at_v, most_v = (
        description.voltage_v(Rail.RAIL_A, dac_code),
        description.references.resistor_max_v,
    )
    if at_v > most_v + 5e-7:  # as the board does, which rounds to microvolt
        raise LimitRefused(
            f"{at_v:g} V on the reference resistor lies above {most_v:g} V, "
            "the limit in the board's own description.",
            "Take a lower code of RAIL_A.",
        )


def _within(
    values: NDArray[Any], low: float, high: float, what: str, unit: str, operation: Operation
) -> None:
    outside = (values < low) | (values > high)
    if outside.any():
        value = values[outside.argmax()]
        raise LimitRefused(
            f"{operation.name} {what} of {value:g} {unit} lies outside "
            f"{low:g} to {high:g} {unit}, the limit in the board's own description.",
            "Change it; `rramhil board info` shows every limit.",
        )


def _volts(description: Description, rail: Rail, codes: NDArray[Any]) -> NDArray[np.float64]:
    scale = description.rails[rail].full_scale_v / (1 << description.dac_bits)
    return codes.astype(np.float64) * scale


def _compliance(description: Description, codes: NDArray[Any]) -> NDArray[np.float64]:
    above_v = _volts(description, Rail.WORD, codes) - description.word_threshold_v
    return np.maximum(0.0, above_v * description.compliance_a_per_v)
