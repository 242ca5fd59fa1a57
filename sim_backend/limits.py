"""Limits of the board, checked by the board whatever the host sends.

Owns the rules a pulse must obey and the order in which they are checked; a frame's operations
are checked together. DAC codes are turned into microvolt and nanoampere here. What is checked is
what a code stands for: the board does not know its own DACs' errors, and its limits leave room for
the accuracy that it states. A value that is over a limit by no more than a step of its DAC is not
over it: no code lies nearer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from firmware_protocol.messages import DescribeReply, Error, ErrorCode, Operation, Rail
from sim_backend.cells import Pulses
from sim_backend.fixedpoint import Int64Array


class PulseRows(NamedTuple):
    """The operations of a pulse frame, in the board's units; each array (n,) int64.

    `reserved` and the lower part of `pulses` come from the frame as they are.
    """

    pulses: Pulses
    source_uv: Int64Array
    inhibit_uv: Int64Array
    selected: Int64Array
    reserved: Int64Array


class _Rule(NamedTuple):
    """One limit: the value of each operation, its range, and how far a DAC step may exceed it."""

    code: ErrorCode
    text: str
    value: Int64Array
    low: Int64Array | int
    high: Int64Array | int
    slack: Int64Array | int = 0

    def broken(self) -> np.ndarray:
        """Which operations break it, (n,) bool."""
        return (self.value < self.low - self.slack) | (self.value > self.high + self.slack)


Volts = Callable[[np.ndarray, Rail], Int64Array]
"""Voltages of a rail, in uV, for its DAC codes."""


def decode_rows(items: np.ndarray, facts: DescribeReply, volts: Volts) -> PulseRows:
    """Turn a frame's operations, (n,) of `layouts.PULSE_ROW`, into microvolt and nanoampere."""
    source_uv, bit_uv, inhibit_uv, word_uv = (
        volts(items[name], rail)
        for name, rail in (
            ("source_code", Rail.SOURCE),
            ("bit_code", Rail.RAIL_A),
            ("inhibit_code", Rail.RAIL_B),
            ("word_code", Rail.WORD),
        )
    )
    above_uv = np.maximum(word_uv - facts.word_threshold_uv, 0)
    masks = items["column_mask"].copy()  # contiguous and writable: one type for the kernel
    pulses = Pulses(
        row=items["row"].astype(np.int64),
        selected_uv=source_uv - bit_uv,
        inhibited_uv=source_uv - inhibit_uv,
        width_ns=items["width_ns"].astype(np.int64),
        compliance_na=above_uv * facts.compliance_per_volt_na // 1_000_000,
        masks=masks,
    )
    selected = np.bitwise_count(masks).sum(axis=1, dtype=np.int64)
    return PulseRows(pulses, source_uv, inhibit_uv, selected, items["reserved"].astype(np.int64))


def first_refused(rows: PulseRows, kind: Operation, facts: DescribeReply) -> Error | None:
    """Find the first operation that breaks a rule, and the first rule that it breaks.

    FORM and SET drive the source line and inhibit the other bit lines by its voltage; RESET
    drives the selected bit lines and has the source line, and the other bit lines, at ground.

    Returns
    -------
    Error or None
        With `operation` set and `sequence` 0.
    """
    rules = _rules(rows, kind, facts)
    broken = np.array([rule.broken() for rule in rules])
    operations = np.flatnonzero(np.any(broken, axis=0))
    if len(operations) == 0:
        return None
    n = int(operations[0])
    rule = rules[int(broken[:, n].argmax())]
    low, high = (int(np.broadcast_to(edge, len(rule.value))[n]) for edge in (rule.low, rule.high))
    return Error(rule.code, n, 0, int(rule.value[n]), low, high, rule.text)


def _rules(rows: PulseRows, kind: Operation, facts: DescribeReply) -> list[_Rule]:
    pulses, envelope = rows.pulses, facts.envelopes[kind - 1]
    resets = kind == Operation.RESET
    step_uv = max(-(-rail.full_scale_uv >> facts.dac_bits) for rail in facts.rails)
    step_na = -(-step_uv * facts.compliance_per_volt_na // 1_000_000)
    driving = Rail.RAIL_A if resets else Rail.SOURCE
    limit_na = 1000 * facts.rails[driving].current_limit_ua
    current_na = rows.selected * pulses.compliance_na
    tolerance_uv = facts.inhibit_tolerance_uv
    lowest_uv, highest_uv = envelope.voltage_min_uv, envelope.voltage_max_uv
    lowest_na, highest_na = envelope.compliance_min_na, envelope.compliance_max_na
    highest_source_uv = tolerance_uv if resets else facts.rails[Rail.SOURCE].full_scale_uv
    return [
        _Rule(ErrorCode.BAD_FIELD, "reserved", rows.reserved, 0, 0),
        _Rule(ErrorCode.BAD_FIELD, "row", pulses.row, 0, facts.rows - 1),
        _Rule(ErrorCode.BAD_FIELD, "column_mask", rows.selected, 1, facts.columns),
        _Rule(
            ErrorCode.LIMIT_VOLTAGE,
            "bit_code - source_code" if resets else "source_code - bit_code",
            -pulses.selected_uv if resets else pulses.selected_uv,
            lowest_uv,
            highest_uv,
            step_uv,
        ),
        _Rule(ErrorCode.LIMIT_VOLTAGE, "source_code", rows.source_uv, 0, highest_source_uv),
        _Rule(
            ErrorCode.LIMIT_WIDTH,
            "width_ns",
            pulses.width_ns,
            envelope.width_min_ns,
            envelope.width_max_ns,
        ),
        _Rule(
            ErrorCode.LIMIT_COMPLIANCE,
            "word_code",
            pulses.compliance_na,
            lowest_na,
            highest_na,
            step_na,
        ),
        _Rule(
            ErrorCode.LIMIT_CURRENT,
            "selected cells x compliance",
            current_na,
            0,
            limit_na,
            rows.selected * step_na,
        ),
        _Rule(
            ErrorCode.LIMIT_INHIBIT,
            "inhibit_code",
            rows.inhibit_uv,
            rows.source_uv - tolerance_uv,
            rows.source_uv + tolerance_uv,
        ),
    ]


def stated_volts(facts: DescribeReply) -> Volts:
    """Return what DAC codes stand for, rounded to the nearest microvolt."""

    def volts(codes: np.ndarray, rail: Rail) -> Int64Array:
        product = codes.astype(np.int64) * facts.rails[rail].full_scale_uv
        return (product + (1 << (facts.dac_bits - 1))) >> facts.dac_bits

    return volts
