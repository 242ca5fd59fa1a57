"""The clock of ageing: how much time has passed for a chip, as if it had stood at one temperature.

Owns Arrhenius' law and the accumulated time, which is non-volatile: a new temperature changes how
fast the clock goes from then on and never what has passed. Integers; rates are in 2^-32. Knows
no cell.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from sim_backend.fixedpoint import CONTEXT, Int64Array, scaled
from sim_backend.state import Arrays, ArraySpec, Layout
from sim_backend.tables import NORMAL_BITS
from sim_backend.technology import Temperature

LAYOUT: Layout = {
    "thermal_active": ArraySpec("<u8", (1,)),
    "thermal_base_us": ArraySpec("<u8", (2,)),
    "thermal_since_ns": ArraySpec("<u8", (2,)),
    "thermal_mk": ArraySpec("<u8", (2,)),
}
"""Two records and which of them holds, so that a kill in between changes nothing."""

FOREVER_BITS = 62
FOREVER = 1 << FOREVER_BITS
"""A time, and a slot, that never comes."""
_RATE_BITS = 32
_BOLTZMANN_EV_PER_K = Decimal("8.617333262e-5")


class ThermalClock:
    """Clock of one chip, in slots.

    Parameters
    ----------
    arrays : dict
        `LAYOUT` in the chip's state file.
    facts : Temperature
    slot_us : int
        Length of a slot at the reference temperature.
    """

    def __init__(self, arrays: Arrays, facts: Temperature, slot_us: int) -> None:
        self._arrays = arrays
        self._facts = facts
        self._slot = slot_us * 1000 << _RATE_BITS
        self._follow()

    @property
    def conductance_factor(self) -> int:
        """What the present temperature does to every conductance, in 2^-20."""
        return self._factor

    def slot(self, time_ns: int) -> int:
        """Slot of a moment of board time, not before the last change of temperature."""
        return self._passed(time_ns) // self._slot

    def slots(self, times_ns: Int64Array) -> Int64Array:
        """Slots of moments of board time, an array of any shape."""
        first_ns = int(times_ns.min())
        first, last = self.slot(first_ns), self.slot(int(times_ns.max()))
        if first == last:
            return np.full(times_ns.shape, first, dtype=np.int64)
        after_ns = times_ns - first_ns
        if int(after_ns.max()) >> (FOREVER_BITS - _RATE_BITS):
            return np.vectorize(self.slot, otypes=[np.int64])(times_ns)
        # the product of a time and the rate in two halves, so that neither overflows
        whole, rest = divmod(self._passed(first_ns), self._slot)
        faster, slower = divmod(self._rate, 1 << _RATE_BITS)
        rest_ns, fraction = divmod(rest, 1 << _RATE_BITS)
        passed_ns = rest_ns + after_ns * faster + ((fraction + after_ns * slower) >> _RATE_BITS)
        return whole + passed_ns // (self._slot >> _RATE_BITS)

    def begins_ns(self, slot: int) -> int:
        """Board time at which a slot begins, if the temperature stays; at most `FOREVER`."""
        if slot >= FOREVER:
            return FOREVER
        return min(self._since_ns - (self._base - slot * self._slot) // self._rate, FOREVER)

    def passed_s(self, time_ns: int) -> float:
        """Seconds at the reference temperature that the time until then amounts to."""
        return (self._passed(time_ns) >> _RATE_BITS) / 1e9

    def set_temperature(self, clock_ns: int, temperature_mk: int) -> None:
        """Let the clock go as it does at this temperature from now on."""
        if temperature_mk == self._temperature_mk:
            return
        arrays, spare = self._arrays, 1 - int(self._arrays["thermal_active"][0])
        passed_us = (self._passed(clock_ns) >> _RATE_BITS) // 1000
        arrays["thermal_base_us"][spare] = min(passed_us, FOREVER)
        arrays["thermal_since_ns"][spare] = clock_ns
        arrays["thermal_mk"][spare] = temperature_mk
        arrays["thermal_active"][0] = spare
        self._follow()

    def _passed(self, time_ns: int) -> int:
        """Time that has passed, in 2^-32 ns."""
        return self._base + (time_ns - self._since_ns) * self._rate

    def _follow(self) -> None:
        active = int(self._arrays["thermal_active"][0])
        self._base = int(self._arrays["thermal_base_us"][active]) * 1000 << _RATE_BITS
        self._since_ns = int(self._arrays["thermal_since_ns"][active])
        reference_mk = scaled(self._facts.reference_k.value, 1000)
        # a file begins with zeros: at the reference temperature, nothing passed
        self._temperature_mk = int(self._arrays["thermal_mk"][active]) or reference_mk
        self._rate = _rate(self._facts, self._temperature_mk)
        self._factor = _conductance_factor(self._facts, self._temperature_mk)


def _rate(facts: Temperature, temperature_mk: int) -> int:
    """How much faster than at the reference temperature cells relax, in 2^-32; at least that."""
    with localcontext(CONTEXT):
        inverse_k = 1 / facts.reference_k.value - 1000 / Decimal(temperature_mk)
        factor = (facts.activation_ev.value / _BOLTZMANN_EV_PER_K * inverse_k).exp()
    return max(1, scaled(factor, 1 << _RATE_BITS))


def _conductance_factor(facts: Temperature, temperature_mk: int) -> int:
    with localcontext(CONTEXT):
        above_k = Decimal(temperature_mk) / 1000 - facts.reference_k.value
        factor = 1 + facts.coefficient_per_k.value * above_k
    return max(0, scaled(factor, 1 << NORMAL_BITS))
