"""What the board says of itself: DESCRIBE and HELLO, from its profile.

Owns the conversion from the profile's units to those of the wire. The firmware checks its
limits against this description, so what it enforces is what it says.
"""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version

from firmware_protocol.executor import BoardFacts
from firmware_protocol.messages import (
    MAX_RANGES,
    DescribeReply,
    EnvelopeFacts,
    Feature,
    RailFacts,
    RangeFacts,
)
from sim_backend.fixedpoint import scaled
from sim_backend.frontend import rail_accuracy_v
from sim_backend.profile import Envelope, Profile, Rail


def describe(profile: Profile) -> DescribeReply:
    """Answer to DESCRIBE."""
    converters, rails, envelopes = profile.converters, profile.rails, profile.envelopes
    references, wires = profile.references, profile.wires
    ranges = tuple(
        RangeFacts(
            _micro(r.per_code_uS.value), r.settle_ns.value, scaled(r.reference_uS.value, 1000)
        )
        for r in converters.ranges
    )
    return DescribeReply(
        rows=profile.array.rows.value,
        columns=profile.array.columns.value,
        adc_channels=converters.channels.value,
        adc_bits=converters.adc_bits.value,
        dac_bits=converters.dac_bits.value,
        zero_conversions=converters.zero_conversions.value,
        code_pedestal=converters.pedestal.value,
        max_pulse_rows=profile.limits.pulse_rows.value,
        max_points=profile.limits.points.value,
        reserved=0,
        read_voltage_uv=_micro(profile.reading.voltage_v.value),
        conversion_ns=converters.conversion_ns.value,
        switch_load_ns=profile.switches.load_ns.value,
        dac_settle_ns=converters.dac_settle_ns.value,
        word_threshold_uv=_micro(profile.word_lines.threshold_v.value),
        compliance_per_volt_na=_nano(profile.word_lines.compliance_a_per_v.value),
        inhibit_tolerance_uv=_micro(profile.limits.inhibit_tolerance_v.value),
        rail_accuracy_uv=_micro(rail_accuracy_v(profile)),
        adc_span_uv=_micro(converters.adc_span_v.value),
        reference_voltage_uv=_micro(references.voltage_v.value),
        divider_ppm=_micro(references.divider.value),
        resistor_max_uv=_micro(references.resistor_max_v.value),
        voltage_tolerance_ppm=_micro(references.voltage_tolerance.value),
        divider_tolerance_ppm=_micro(references.divider_tolerance.value),
        resistor_tolerance_ppm=_micro(references.resistor_tolerance.value),
        reserved2=0,
        bit_path_mohm=1000 * profile.switches.path_ohm.value,
        bit_segment_mohm=scaled(wires.bit_segment_ohm.value, 1000),
        source_segment_mohm=scaled(wires.source_segment_ohm.value, 1000),
        source_path_mohm=scaled(wires.source_path_ohm.value, 1000),
        rails=(_rail(rails.SOURCE), _rail(rails.WORD), _rail(rails.RAIL_A), _rail(rails.RAIL_B)),
        ranges=(*ranges, *[RangeFacts(0, 0, 0)] * MAX_RANGES)[:MAX_RANGES],  # type: ignore[arg-type]
        envelopes=(
            _envelope(envelopes.FORM),
            _envelope(envelopes.SET),
            _envelope(envelopes.RESET),
        ),
        schedule_slots=profile.limits.schedule_slots.value,
        schedule_steps=profile.limits.schedule_steps.value,
        schedule_accumulators=profile.limits.schedule_accumulators.value,
        reserved3=0,
    )


def board_facts(profile: Profile, serial: str, chips: int) -> BoardFacts:
    """Identity of a board, for HELLO."""
    firmware = f"sim {version('rramhil')}"
    return BoardFacts(profile.board, serial, firmware, Feature.SIMULATED, chips)


def _rail(rail: Rail) -> RailFacts:
    return RailFacts(_micro(rail.full_scale_v.value), _micro(rail.limit_a.value))


def _envelope(envelope: Envelope) -> EnvelopeFacts:
    return EnvelopeFacts(
        voltage_min_uv=_micro(envelope.voltage_min_v.value),
        voltage_max_uv=_micro(envelope.voltage_max_v.value),
        width_min_ns=envelope.width_min_ns.value,
        width_max_ns=envelope.width_max_ns.value,
        compliance_min_na=_nano(envelope.compliance_min_a.value),
        compliance_max_na=_nano(envelope.compliance_max_a.value),
    )


def _micro(value: Decimal) -> int:
    return scaled(value, 10**6)


def _nano(value: Decimal) -> int:
    return scaled(value, 10**9)
