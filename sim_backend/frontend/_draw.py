"""What is wrong with one board's converters, amplifiers and references, drawn from its key.

Owns which error is drawn from which stream, uniformly within the profile's bounds, and what of
it holds at a temperature. Voltages are in nV, relative errors in 10^-9, a code is 65,536.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from sim_backend.fixedpoint import CODE_BITS, scaled
from sim_backend.frontend._adc import Converter
from sim_backend.frontend._curves import drifted, uniform
from sim_backend.frontend._dac import RailDac
from sim_backend.profile import Profile
from sim_backend.randomness import Stream, child

_BILLION = 10**9
_GAIN, _OFFSET, _BOW, _SWAY, _GAIN_DRIFT, _OFFSET_DRIFT = range(6)
_VOLTAGE, _DIVIDER, _RESISTOR = range(3)


class Amplifier(NamedTuple):
    """One channel's amplifier in one range: its gain's error, and its offset at the converter."""

    gain_ppb: int
    offset: int


class References(NamedTuple):
    """What the board's references really are, relative to what it says of them.

    Attributes
    ----------
    voltage_ppb, divider_ppb : int
    resistor_ppb : tuple of int
        Of the conductance, by range.
    """

    voltage_ppb: int
    divider_ppb: int
    resistor_ppb: tuple[int, ...]


def rails(profile: Profile, key: int, temperature_mk: int) -> tuple[RailDac, ...]:
    """DAC channels in the order of `Rail`, as they are at a temperature."""
    facts, facts_rails = profile.errors.dac, profile.rails
    codes = 1 << profile.converters.dac_bits.value
    reference_ppb = _drawn(key, facts.reference_drift_per_k.value, _BILLION, Stream.DAC_REFERENCE)
    result: list[RailDac] = []
    for n, rail in enumerate(
        (facts_rails.SOURCE, facts_rails.WORD, facts_rails.RAIL_A, facts_rails.RAIL_B)
    ):
        place = (Stream.DAC, n)
        inl_nv = facts.inl_codes.value * rail.full_scale_v.value / codes / 2
        gain = _drawn(key, facts.gain_relative.value, _BILLION, *place, _GAIN)
        gain_drift = _drawn(key, facts.gain_drift_per_k.value, _BILLION, *place, _GAIN_DRIFT)
        offset = _drawn(key, facts.offset_v.value, _BILLION, *place, _OFFSET)
        drift = _drawn(key, facts.offset_drift_v_per_k.value, _BILLION, *place, _OFFSET_DRIFT)
        result.append(
            RailDac(
                full_scale_nv=scaled(rail.full_scale_v.value, _BILLION),
                bits=profile.converters.dac_bits.value,
                offset_nv=drifted(offset, drift, temperature_mk),
                gain_ppb=drifted(gain, gain_drift + reference_ppb, temperature_mk),
                bow_nv=_drawn(key, inl_nv, _BILLION, *place, _BOW),
                sway_nv=_drawn(key, inl_nv, _BILLION, *place, _SWAY),
            )
        )
    return tuple(result)


def converters(profile: Profile, key: int, temperature_mk: int) -> tuple[Converter, ...]:
    """Every channel's converter, as it is at a temperature."""
    facts, unit = profile.errors.adc, 1 << CODE_BITS
    reference_ppb = _drawn(key, facts.reference_drift_per_k.value, _BILLION, Stream.ADC_REFERENCE)
    result: list[Converter] = []
    for channel in range(profile.converters.channels.value):
        place = (Stream.ADC, channel)
        gain = _drawn(key, facts.gain_relative.value, _BILLION, *place, _GAIN)
        gain_drift = _drawn(key, facts.gain_drift_per_k.value, _BILLION, *place, _GAIN_DRIFT)
        offset = _drawn(key, facts.offset_codes.value, unit, *place, _OFFSET)
        drift = _drawn(key, facts.offset_drift_codes_per_k.value, unit, *place, _OFFSET_DRIFT)
        result.append(
            Converter(
                bits=profile.converters.adc_bits.value,
                offset=drifted(offset, drift, temperature_mk),
                gain_ppb=drifted(gain, gain_drift + reference_ppb, temperature_mk),
                bow=_drawn(key, facts.inl_codes.value / 2, unit, *place, _BOW),
                sway=_drawn(key, facts.inl_codes.value / 2, unit, *place, _SWAY),
                jitter=scaled(facts.dnl_codes.value / 2, unit),
                key=child(key, Stream.ADC_TRANSITION, channel),
            )
        )
    return tuple(result)


def amplifiers(
    profile: Profile, key: int, temperature_mk: int
) -> tuple[tuple[Amplifier, ...], ...]:
    """Amplifiers by channel and range, as they are at a temperature."""
    facts, base = profile.errors.amplifier, profile.converters
    per_volt = (1 << (base.adc_bits.value + CODE_BITS)) / base.adc_span_v.value
    most, most_drift = base.tia_offset_v.value * per_volt, facts.offset_drift_v_per_k.value

    def one(channel: int, range_index: int) -> Amplifier:
        place = (Stream.AMPLIFIER, channel, range_index)
        gain = _drawn(key, facts.gain_relative.value, _BILLION, *place, _GAIN)
        gain_drift = _drawn(key, facts.gain_drift_per_k.value, _BILLION, *place, _GAIN_DRIFT)
        offset = _drawn(key, most, 1, Stream.TIA_OFFSET, channel, range_index)
        drift = _drawn(key, most_drift * per_volt, 1, *place, _OFFSET_DRIFT)
        return Amplifier(
            drifted(gain, gain_drift, temperature_mk), drifted(offset, drift, temperature_mk)
        )

    return tuple(
        tuple(one(channel, range_index) for range_index in range(len(base.ranges)))
        for channel in range(base.channels.value)
    )


def references(profile: Profile, key: int, temperature_mk: int) -> References:
    """References, as they are at a temperature."""
    facts = profile.references

    def one(tolerance: Decimal, *place: int) -> int:
        error = _drawn(key, tolerance, _BILLION, Stream.REFERENCE, *place, _GAIN)
        drift = facts.drift_per_k.value
        return drifted(
            error,
            _drawn(key, drift, _BILLION, Stream.REFERENCE, *place, _GAIN_DRIFT),
            temperature_mk,
        )

    tolerance = facts.resistor_tolerance.value
    return References(
        voltage_ppb=one(facts.voltage_tolerance.value, _VOLTAGE, 0),
        divider_ppb=one(facts.divider_tolerance.value, _DIVIDER, 0),
        resistor_ppb=tuple(
            one(tolerance, _RESISTOR, n) for n in range(len(profile.converters.ranges))
        ),
    )


def _drawn(key: int, most: Decimal, units: int, *place: int) -> int:
    """Integer number of 1/units within +-most."""
    return uniform(child(key, *place), scaled(most, units))
