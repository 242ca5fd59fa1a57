"""The front end of one board at one temperature, as the integers that kernels use.

Owns how errors of several parts come together in a reading, and what stands at the converters
when a reference is switched to them. Derived anew for every temperature; nothing is carried over.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import numpy as np

from firmware_protocol.messages import Rail
from sim_backend.errors import ProfileError
from sim_backend.fixedpoint import CODE_BITS, GAIN_BITS, Int64Array, ReadNumbers, noise, scaled
from sim_backend.frontend import _draw
from sim_backend.frontend._adc import transfers
from sim_backend.frontend._curves import changed
from sim_backend.frontend._dac import RailDac, rail_nv
from sim_backend.frontend._draw import Amplifier, References
from sim_backend.profile import Profile
from sim_backend.randomness import board_key

_BILLION = 10**9
_CODE_HALF = 1 << (CODE_BITS - 1)
_MOST_LIMIT = 30_000
"""Codes: nearly twice the converter's scale, and what an int32 of 2^-16 codes holds."""
_STATED_SPAN_K = 60
"""Rails keep their stated accuracy as far as this from 25 C."""


class FrontEnd(NamedTuple):
    """Everything between DAC codes, cells and ADC codes that is the board's own.

    Attributes
    ----------
    read : ReadNumbers
        What the kernels of the read path need.
    rails : tuple of RailDac
        By `Rail`.
    amplifiers : tuple of tuple of Amplifier
        By channel and range.
    references : References
    profile : Profile
    """

    read: ReadNumbers
    rails: tuple[RailDac, ...]
    amplifiers: tuple[tuple[Amplifier, ...], ...]
    references: References
    profile: Profile

    def rail_uv(self, codes: np.ndarray, rail: Rail) -> Int64Array:
        """Voltage of a rail for its DAC codes; (n,) int64 in uV."""
        return (rail_nv(codes, self.rails[rail]) + 500) // 1000

    # --- what stands at the converters, by channel, with the half code that rounds -------------

    def ground(self) -> Int64Array:
        """Ground straight at every converter; (channels,) int64, 65536 a code."""
        zero = (self.read.pedestal << CODE_BITS) + _CODE_HALF
        return np.full(len(self.amplifiers), zero, dtype=np.int64)

    def voltage(self) -> Int64Array:
        """The reference voltage straight at every converter, as `ground`."""
        nominal_nv = scaled(self.profile.references.voltage_v.value, _BILLION)
        return self.ground() + self._level(changed(nominal_nv, self.references.voltage_ppb))

    def rail(self, rail: Rail, code: int) -> Int64Array:
        """A rail through the divider at every converter, as `ground`."""
        ratio = scaled(self.profile.references.divider.value, _BILLION)
        ratio = changed(ratio, self.references.divider_ppb)
        return self.ground() + self._level(self._rail_nv(rail, code) * ratio // _BILLION)

    def open_inputs(self, range_index: int) -> Int64Array:
        """Every amplifier with nothing at its input, as `ground`."""
        return self.ground() + np.array([own[range_index].offset for own in self.amplifiers])

    def resistor(self, range_index: int, code: int) -> Int64Array:
        """A range's reference resistor between RAIL_A and the amplifiers, as `ground`."""
        nominal_ps = scaled(self.profile.converters.ranges[range_index].reference_uS.value, 10**6)
        own_ps = changed(nominal_ps, self.references.resistor_ppb[range_index])
        at_nv = self._rail_nv(Rail.RAIL_A, code)
        levels = [
            own[range_index].offset
            + _current(self.profile, own[range_index], range_index, own_ps * at_nv, CODE_BITS)
            for own in self.amplifiers
        ]
        return self.ground() + np.minimum(np.array(levels), self.read.limit)

    def _rail_nv(self, rail: Rail, code: int) -> int:
        return int(rail_nv(np.array([code]), self.rails[rail])[0])

    def _level(self, nv: int) -> int:
        span_nv = scaled(self.profile.converters.adc_span_v.value, _BILLION)
        return (nv << (self.profile.converters.adc_bits.value + CODE_BITS)) // span_nv


def front_end(profile: Profile, seed: int, temperature_mk: int) -> FrontEnd:
    """Front end of a board at a temperature.

    Raises
    ------
    ProfileError
        The profile's errors are larger than this front end can represent.
    """
    key = board_key(seed)
    rails = _draw.rails(profile, key, temperature_mk)
    amplifiers = _draw.amplifiers(profile, key, temperature_mk)
    code = _read_code(profile)
    read_nv = int(rail_nv(np.array([code]), rails[Rail.RAIL_A])[0])
    gain = [
        [_current(profile, one, n, read_nv, CODE_BITS + GAIN_BITS) for n, one in enumerate(own)]
        for own in amplifiers
    ]
    facts, tia = profile.converters, profile.errors.amplifier
    limit = tia.limit_v.value / facts.adc_span_v.value * (1 << facts.adc_bits.value)
    if not limit < _MOST_LIMIT:
        raise ProfileError(f"An amplifier's output limit must be below {_MOST_LIMIT} codes.")
    read = ReadNumbers(
        gain=np.array(gain, dtype=np.int64),
        offset=np.array([[one.offset for one in own] for own in amplifiers], dtype=np.int64),
        noise=noise(profile),
        adc_noise=scaled(facts.adc_noise_codes.value, 1 << CODE_BITS),
        pedestal=facts.pedestal.value,
        top=(1 << facts.adc_bits.value) - 1,
        limit=scaled(limit, 1 << CODE_BITS),
        transfer=transfers(_draw.converters(profile, key, temperature_mk)),
    )
    references = _draw.references(profile, key, temperature_mk)
    return FrontEnd(read, rails, amplifiers, references, profile)


def _read_code(profile: Profile) -> int:
    """DAC code of RAIL_A nearest to the read voltage."""
    full_scale_v = profile.rails.RAIL_A.full_scale_v.value
    codes = 1 << profile.converters.dac_bits.value
    return scaled(profile.reading.voltage_v.value / full_scale_v, codes)


def rail_accuracy_v(profile: Profile) -> Decimal:
    """The most by which any rail may differ from its code, within 60 K of 25 C, in V."""
    facts, rails = profile.errors.dac, profile.rails
    full_scale_v = max(
        rail.full_scale_v.value for rail in (rails.SOURCE, rails.WORD, rails.RAIL_A, rails.RAIL_B)
    )
    drift = facts.gain_drift_per_k.value + facts.reference_drift_per_k.value
    relative = facts.gain_relative.value + _STATED_SPAN_K * drift
    offset_v = facts.offset_v.value + _STATED_SPAN_K * facts.offset_drift_v_per_k.value
    inl = facts.inl_codes.value / (1 << profile.converters.dac_bits.value)
    return offset_v + full_scale_v * (relative + inl)


def _current(
    profile: Profile, amplifier: Amplifier, range_index: int, ps_nv: int, bits: int
) -> int:
    """Codes, in 2^-bits, of a conductance times a voltage, in pS nV, rounded to the nearest."""
    per_code_ps = scaled(profile.converters.ranges[range_index].per_code_uS.value, 10**6)
    nominal_nv = scaled(profile.reading.voltage_v.value, _BILLION)
    numerator = (ps_nv << bits) * (_BILLION + amplifier.gain_ppb)
    denominator = per_code_ps * nominal_nv * _BILLION
    return (2 * numerator + denominator) // (2 * denominator)
