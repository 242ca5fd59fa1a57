"""Relaxation in integers: how far a cell has drifted, at a quantised age.

Owns the scales of ages and normal numbers, and the table that the kernel looks up, derived once
from a technology in exact decimals. An age is counted in slots and seen in steps, eight to an
octave: a change comes when a step begins, so that what was computed holds until the next one.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, kernel
from sim_backend.devices import Int32Array
from sim_backend.fixedpoint import CONTEXT, Int64Array, scaled
from sim_backend.tables import NORMAL_BITS
from sim_backend.technology import Relaxation

STEP_BITS = 3
"""Steps to an octave of age, as a power of two."""
GRID_BITS = 18
"""A quarter of a standard deviation in 2^-20: the table's grid of normal numbers."""
MOST_NORMAL = 6 << NORMAL_BITS
"""The table ends here on either side; no normal number reaches it."""
_GRID = 2 * (MOST_NORMAL >> GRID_BITS) + 1
_WEIGHT_BITS = 20


class RelaxationNumbers(NamedTuple):
    """Relaxation in integers.

    Attributes
    ----------
    first_age : int
        Age in slots at which the first change comes; FOREVER-like if none ever comes.
    levels_ps : (levels,) int64
    change_ps : (steps, levels, 49) int32
        Change by step of age, level and normal number; the last step holds from then on.
    knot_steps : int
        Steps from one knot of a cell's path to the next.
    constant : int
        Weight of the number that a cell keeps for all times, in 2^-20.
    weights : (knot_steps, 2) int64
        Weights of the numbers of the knots before and after, in 2^-20.
    """

    first_age: int
    levels_ps: Int64Array
    change_ps: Int32Array
    knot_steps: int
    constant: int
    weights: Int64Array


@cache
def numbers(facts: Relaxation) -> RelaxationNumbers:
    """Integers of a technology's relaxation."""
    slot_s = facts.slot_s.value
    knot_steps = facts.knot_octaves.value << STEP_BITS
    with localcontext(CONTEXT):
        first_age = int((facts.times_s.value[0] / slot_s).to_integral_value())
        constant = facts.constant_share.value.sqrt()
        weights = [
            _weights(Decimal(n) / knot_steps, 1 - facts.constant_share.value)
            for n in range(knot_steps)
        ]
        # in rram40 and tech_a the first time stands for "nothing yet"
        table = _table(facts, int(step_of(int(facts.held_after_s.value / slot_s))))
    return RelaxationNumbers(
        first_age=first_age,
        levels_ps=np.array([scaled(g, 10**6) for g in facts.levels_uS.value], dtype=np.int64),
        change_ps=table,
        knot_steps=knot_steps,
        constant=scaled(constant, 1 << NORMAL_BITS),
        weights=np.array(weights, dtype=np.int64),
    )


@kernel
def step_of(age: Integer) -> Integer:
    """Step of an age of at least one slot."""
    octave = 0
    while age >> (octave + 1) != 0:
        octave += 1
    mantissa = age >> (octave - STEP_BITS) if octave >= STEP_BITS else age << (STEP_BITS - octave)
    return (octave << STEP_BITS) + (mantissa & ((1 << STEP_BITS) - 1))


@kernel
def end_of_step(age: Integer) -> Integer:
    """First age, in slots, of the step after that of an age of at least one slot."""
    octave = 0
    while age >> (octave + 1) != 0:
        octave += 1
    shift = max(octave - STEP_BITS, 0)
    return ((age >> shift) + 1) << shift


def _weights(part: Decimal, variance: Decimal) -> tuple[int, int]:
    """Weights of two independent numbers, one fading into the other at constant variance."""
    before, after = 1 - part, part
    length = (before * before + after * after).sqrt() / variance.sqrt()
    return scaled(before / length, 1 << NORMAL_BITS), scaled(after / length, 1 << NORMAL_BITS)


def _table(facts: Relaxation, last_step: int) -> Int32Array:
    """Change in pS for every step, level and grid point, by interpolation over the times."""
    times, slot_s = facts.times_s.value, facts.slot_s.value
    at_times = np.array([[_on_grid(facts, row) for row in rows] for rows in facts.change_uS.value])
    extended_from = times.index(facts.extended_from_s.value)
    table = np.zeros((last_step + 1, *at_times.shape[1:]), dtype=np.int32)
    for step in range(last_step + 1):
        octave, eighths = divmod(step, 1 << STEP_BITS)
        time_s = slot_s * (1 << octave) * (8 + eighths) / 8
        if time_s < times[0]:
            continue
        before = max(n for n, knot_s in enumerate(times) if knot_s <= time_s)
        low, high = before, before + 1
        if high == len(times):
            low, high = extended_from, before
        ratio = (times[high] / times[low]).ln()
        weight = scaled((time_s / times[before]).ln() / ratio, 1 << _WEIGHT_BITS)
        slope = at_times[high] - at_times[low]
        table[step] = at_times[before] + ((slope * weight) >> _WEIGHT_BITS)
    return table


def _on_grid(facts: Relaxation, quantiles: tuple[Decimal, ...]) -> list[int]:
    """Quantiles in pS on the table's grid, by straight lines between and beyond their normals."""
    normals = facts.normals.value
    values = []
    for n in range(_GRID):
        at = Decimal((n << GRID_BITS) - MOST_NORMAL) / (1 << NORMAL_BITS)
        k = min(max(sum(normal <= at for normal in normals) - 1, 0), len(normals) - 2)
        part = (at - normals[k]) / (normals[k + 1] - normals[k])
        values.append(scaled(quantiles[k] + part * (quantiles[k + 1] - quantiles[k]), 10**6))
    return values
