"""The integers of the kernels, derived once from a profile's exact decimals.

Decimal arithmetic, its logarithm included, is correctly rounded by specification, so every
machine derives the same integers; no float takes part. Owns all scales between the profile's
units and the kernels': microvolt, nanoampere, picosiemens, 1/65536 of a code.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import NamedTuple

import numpy as np

from sim_backend.profile import Profile
from sim_backend.tables import NORMAL_BITS, Int32Array

CODE_BITS = 16
"""Fraction bits of a code inside the read path."""
GAIN_BITS = 26
"""Fraction bits of a gain: a code of the finest range keeps 29 bits, and no product overflows."""
SLOPE_BITS = 16
"""Fraction bits of the breakdown voltage's slope and of its logarithm."""
CHANCE_BITS = 24
"""Fraction bits of a probability."""

CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN)
"""In which all decimals are reckoned, whatever the caller's own context is."""
Int64Array = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class FormingNumbers(NamedTuple):
    """Forming in integers."""

    breakdown_mean_uv: int
    breakdown_sd_uv: int
    slope_uv_per_octave: int
    """In 2^-16 uV."""
    reference_width_ns: int
    formed_log2_mean: int
    """Of the conductance in pS, in 2^-20, as the three below."""
    formed_log2_sd: int
    unformed_log2_mean: int
    unformed_log2_sd: int
    reference_compliance_na: int
    shorted_ps: int


class SwitchingNumbers(NamedTuple):
    """SET, RESET and endurance in integers; exponents are of conductances in pS, in 2^-20."""

    set_mean_uv: int
    set_sd_uv: int
    reset_mean_uv: int
    reset_sd_uv: int
    slope_uv_per_octave: int
    """In 2^-16 uV."""
    reference_width_ns: int
    reference_compliance_na: int
    on_log2_mean: int
    on_log2_devices: int
    """Standard deviation from cell to cell, as `off_log2_devices`."""
    on_log2_cycles: int
    """Standard deviation from pulse to pulse, as `off_log2_cycles`."""
    off_log2_mean: int
    off_log2_devices: int
    off_log2_cycles: int
    set_failure: int
    """Probability in 2^-24, as the one below and `sticks_on`."""
    reset_failure: int
    life_log2_mean: int
    """Of the cycles until a cell sticks, in 2^-20."""
    life_log2_sd: int
    sticks_on: int
    on_log2_worn: int
    """What a whole life adds to the exponent of the on level, in 2^-20."""
    off_log2_worn: int


class ReadNumbers(NamedTuple):
    """Read path of one board at one temperature, in integers; a code is 65536 here."""

    gain: Int64Array
    """(channels, ranges): code per pS at the board's own read voltage, in 2^-26."""
    offset: Int64Array
    """(channels, ranges): offset at the ADC's input."""
    noise: int
    """Of the conductance, relative, in 2^-20."""
    adc_noise: int
    pedestal: int
    """In whole codes, as `top`."""
    top: int
    limit: int
    """Of the amplifiers' output above that of no current."""
    transfer: Int32Array
    """(channels, bins): of the converters; see `frontend.quantised`."""


def forming_numbers(profile: Profile) -> FormingNumbers:
    """Integers of the forming kernel."""
    facts = profile.forming
    with localcontext(CONTEXT):
        formed = _log2_moments(facts.conductance_mean_uS.value, facts.conductance_sd_uS.value)
        unformed = _log2_moments(facts.unformed_mean_uS.value, facts.unformed_sd_uS.value)
        octave_v = facts.slope_v_per_decade.value * Decimal(2).log10()
    return FormingNumbers(
        breakdown_mean_uv=scaled(facts.breakdown_mean_v.value, 1_000_000),
        breakdown_sd_uv=scaled(facts.breakdown_sd_v.value, 1_000_000),
        slope_uv_per_octave=scaled(octave_v, 1_000_000 << SLOPE_BITS),
        reference_width_ns=facts.reference_width_ns.value,
        formed_log2_mean=formed[0],
        formed_log2_sd=formed[1],
        unformed_log2_mean=unformed[0],
        unformed_log2_sd=unformed[1],
        reference_compliance_na=scaled(facts.reference_compliance_a.value, 10**9),
        shorted_ps=scaled(facts.shorted_uS.value, 1_000_000),
    )


def switching_numbers(profile: Profile) -> SwitchingNumbers:
    """Integers of SET, RESET and endurance."""
    facts, life = profile.switching, profile.endurance
    with localcontext(CONTEXT):
        octave_v = facts.slope_v_per_decade.value * Decimal(2).log10()
        on = _log2_spreads(
            facts.on_mean_uS.value, facts.on_spread_devices.value, facts.on_spread_cycles.value
        )
        off = _log2_spreads(
            facts.off_mean_uS.value, facts.off_spread_devices.value, facts.off_spread_cycles.value
        )
        life_sd = log2_sd(life.spread_cycles.value)
        life_mean = _log2(Decimal(life.median_cycles.value))
        worn = [_log2(ratio.value) for ratio in (life.worn_on_ratio, life.worn_off_ratio)]
    return SwitchingNumbers(
        set_mean_uv=scaled(facts.set_voltage_mean_v.value, 1_000_000),
        set_sd_uv=scaled(facts.set_voltage_sd_v.value, 1_000_000),
        reset_mean_uv=scaled(facts.reset_voltage_mean_v.value, 1_000_000),
        reset_sd_uv=scaled(facts.reset_voltage_sd_v.value, 1_000_000),
        slope_uv_per_octave=scaled(octave_v, 1_000_000 << SLOPE_BITS),
        reference_width_ns=facts.reference_width_ns.value,
        reference_compliance_na=scaled(profile.forming.reference_compliance_a.value, 10**9),
        on_log2_mean=on[0],
        on_log2_devices=on[1],
        on_log2_cycles=on[2],
        off_log2_mean=off[0],
        off_log2_devices=off[1],
        off_log2_cycles=off[2],
        set_failure=scaled(facts.set_failure.value, 1 << CHANCE_BITS),
        reset_failure=scaled(facts.reset_failure.value, 1 << CHANCE_BITS),
        life_log2_mean=scaled(life_mean, 1 << NORMAL_BITS),
        life_log2_sd=scaled(life_sd, 1 << NORMAL_BITS),
        sticks_on=scaled(life.stuck_on_share.value, 1 << CHANCE_BITS),
        on_log2_worn=scaled(worn[0], 1 << NORMAL_BITS),
        off_log2_worn=scaled(worn[1], 1 << NORMAL_BITS),
    )


def noise(profile: Profile) -> int:
    """Read noise of a cell, relative to its conductance, in 2^-20."""
    return scaled(profile.reading.noise_relative.value, 1 << NORMAL_BITS)


def scaled(value: Decimal, units: int) -> int:
    """`value` in 1/units, rounded to the nearest integer (ties to even)."""
    with localcontext(CONTEXT):
        return int((value * units).to_integral_value())


def _log2_moments(mean_uS: Decimal, sd_uS: Decimal) -> tuple[int, int]:
    """Mean and sd of log2 of a lognormal conductance in pS, in 2^-20.

    A lognormal of mean m and sd s has var(ln) = ln(1 + s^2 / m^2) and mean(ln) = ln m - var / 2.
    """
    variance = (1 + (sd_uS / mean_uS) ** 2).ln()
    mean = (mean_uS * 10**6).ln() - variance / 2
    ln2 = Decimal(2).ln()
    return scaled(mean / ln2, 1 << NORMAL_BITS), scaled(variance.sqrt() / ln2, 1 << NORMAL_BITS)


def _log2_spreads(mean_uS: Decimal, devices: Decimal, cycles: Decimal) -> tuple[int, int, int]:
    """Mean, sd between cells and sd between pulses of log2 of a conductance in pS, in 2^-20.

    The two spreads are sd / mean of two lognormal factors; `mean_uS` is the mean of the product.
    """
    sds = log2_sd(devices), log2_sd(cycles)
    variance = (1 + devices**2).ln() + (1 + cycles**2).ln()
    mean = _log2(mean_uS * 10**6) - variance / 2 / Decimal(2).ln()
    low, high = (scaled(sd, 1 << NORMAL_BITS) for sd in sds)
    return scaled(mean, 1 << NORMAL_BITS), low, high


def log2_sd(spread: Decimal) -> Decimal:
    """Standard deviation of log2 of a lognormal whose sd / mean is `spread`."""
    return (1 + spread**2).ln().sqrt() / Decimal(2).ln()


def _log2(value: Decimal) -> Decimal:
    return value.ln() / Decimal(2).ln()
