"""What a board says of itself, in volts, amperes, nanoseconds and microsiemens.

Owns: the conversion of DESCRIBE's integers. The host believes these values and has none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_protocol.messages import (
    DescribeReply,
    EnvelopeFacts,
    Operation,
    Rail,
)


@dataclass(frozen=True)
class RailDescription:
    """One voltage rail: its DAC spans 0 to `full_scale_v`, and it delivers `limit_a` at most."""

    full_scale_v: float
    limit_a: float


@dataclass(frozen=True)
class RangeDescription:
    """One TIA range: conductance of a code at the read voltage, settling time, and reference."""

    per_code_uS: float
    settle_ns: int
    reference_uS: float


@dataclass(frozen=True)
class Envelope:
    """Safe envelope of one kind of pulse; all bounds are inclusive."""

    voltage_min_v: float
    voltage_max_v: float
    width_min_ns: int
    width_max_ns: int
    compliance_min_a: float
    compliance_max_a: float


@dataclass(frozen=True)
class References:
    """What a board carries to be calibrated by; the resistors' conductances are in its ranges.

    Tolerances are relative, either way.
    """

    voltage_v: float
    voltage_tolerance: float
    divider: float
    divider_tolerance: float
    resistor_tolerance: float
    resistor_max_v: float


@dataclass(frozen=True)
class LineResistances:
    """Nominal resistances of every bit line and every source line, in ohm.

    A path leads from a line's end to its driver or amplifier, a segment from one cell to the next.
    """

    bit_path_ohm: float
    bit_segment_ohm: float
    source_segment_ohm: float
    source_path_ohm: float


@dataclass(frozen=True)
class Description:
    """A board's geometry, converters, rails, ranges, timing and limits."""

    rows: int
    columns: int
    channels: int
    adc_bits: int
    dac_bits: int
    pedestal: int
    zero_conversions: int
    max_pulse_rows: int
    max_points: int
    schedule_slots: int
    schedule_steps: int
    schedule_accumulators: int
    read_voltage_v: float
    conversion_ns: int
    switch_load_ns: int
    dac_settle_ns: int
    word_threshold_v: float
    compliance_a_per_v: float
    inhibit_tolerance_v: float
    rail_accuracy_v: float
    adc_span_v: float
    references: References
    lines: LineResistances
    rails: dict[Rail, RailDescription]
    ranges: tuple[RangeDescription, ...]
    envelopes: dict[Operation, Envelope]

    @classmethod
    def from_reply(cls, reply: DescribeReply) -> Description:
        """Convert what DESCRIBE answered."""
        return cls(
            rows=reply.rows,
            columns=reply.columns,
            channels=reply.adc_channels,
            adc_bits=reply.adc_bits,
            dac_bits=reply.dac_bits,
            pedestal=reply.code_pedestal,
            zero_conversions=reply.zero_conversions,
            max_pulse_rows=reply.max_pulse_rows,
            max_points=reply.max_points,
            schedule_slots=reply.schedule_slots,
            schedule_steps=reply.schedule_steps,
            schedule_accumulators=reply.schedule_accumulators,
            read_voltage_v=reply.read_voltage_uv / 1e6,
            conversion_ns=reply.conversion_ns,
            switch_load_ns=reply.switch_load_ns,
            dac_settle_ns=reply.dac_settle_ns,
            word_threshold_v=reply.word_threshold_uv / 1e6,
            compliance_a_per_v=reply.compliance_per_volt_na / 1e9,
            inhibit_tolerance_v=reply.inhibit_tolerance_uv / 1e6,
            rail_accuracy_v=reply.rail_accuracy_uv / 1e6,
            adc_span_v=reply.adc_span_uv / 1e6,
            references=References(
                voltage_v=reply.reference_voltage_uv / 1e6,
                voltage_tolerance=reply.voltage_tolerance_ppm / 1e6,
                divider=reply.divider_ppm / 1e6,
                divider_tolerance=reply.divider_tolerance_ppm / 1e6,
                resistor_tolerance=reply.resistor_tolerance_ppm / 1e6,
                resistor_max_v=reply.resistor_max_uv / 1e6,
            ),
            lines=LineResistances(
                bit_path_ohm=reply.bit_path_mohm / 1e3,
                bit_segment_ohm=reply.bit_segment_mohm / 1e3,
                source_segment_ohm=reply.source_segment_mohm / 1e3,
                source_path_ohm=reply.source_path_mohm / 1e3,
            ),
            rails={
                rail: RailDescription(facts.full_scale_uv / 1e6, facts.current_limit_ua / 1e6)
                for rail, facts in zip(Rail, reply.rails, strict=True)
            },
            ranges=tuple(
                RangeDescription(facts.per_code_pS / 1e6, facts.settle_ns, facts.reference_nS / 1e3)
                for facts in reply.ranges
                if facts.per_code_pS
            ),
            envelopes={
                operation: _envelope(facts)
                for operation, facts in zip(Operation, reply.envelopes, strict=True)
                if facts.voltage_max_uv
            },
        )

    def driving_rail(self, operation: Operation) -> RailDescription:
        """The rail that carries the current of the selected cells."""
        return self.rails[Rail.RAIL_A if operation == Operation.RESET else Rail.SOURCE]

    def dac_code(self, rail: Rail, voltage_v: float) -> int:
        """DAC code nearest to a voltage, in V; ValueError outside the rail's span."""
        codes = 1 << self.dac_bits
        code = round(voltage_v / self.rails[rail].full_scale_v * codes)
        if not 0 <= code < codes:
            raise ValueError(
                f"{voltage_v:g} V lies outside 0 to {self.rails[rail].full_scale_v:g} V, "
                f"the span of rail {rail.name}"
            )
        return code

    def voltage_v(self, rail: Rail, code: int) -> float:
        """Voltage of a DAC code, in V."""
        return code * self.rails[rail].full_scale_v / (1 << self.dac_bits)

    def word_code(self, compliance_a: float) -> int:
        """DAC code of the word line whose compliance current is nearest to `compliance_a`, in A."""
        voltage_v = self.word_threshold_v + compliance_a / self.compliance_a_per_v
        return self.dac_code(Rail.WORD, voltage_v)

    def compliance_a(self, word_code: int) -> float:
        """Compliance current of a word-line code, in A; 0 below the threshold."""
        above_v = self.voltage_v(Rail.WORD, word_code) - self.word_threshold_v
        return max(0.0, above_v * self.compliance_a_per_v)


def _envelope(facts: EnvelopeFacts) -> Envelope:
    return Envelope(
        facts.voltage_min_uv / 1e6,
        facts.voltage_max_uv / 1e6,
        facts.width_min_ns,
        facts.width_max_ns,
        facts.compliance_min_na / 1e9,
        facts.compliance_max_na / 1e9,
    )
