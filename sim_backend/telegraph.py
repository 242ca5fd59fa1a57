"""Telegraph noise: cells whose conductance jumps between two levels.

Owns which cells jump, by how much and how often, drawn once for each chip, and the state of such
a cell in any slot of board time. The state is an exact two-state Markov chain at random access:
in each slot the cell's key says whether the state is drawn anew, and as what; a state holds since
the last slot in which it was drawn.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np

from sim_backend._jit import Integer, Word, kernel
from sim_backend.devices import Int32Array
from sim_backend.distributions import exp2_place, place, power_of_two, scaled
from sim_backend.fixedpoint import CONTEXT, log2_sd
from sim_backend.fixedpoint import scaled as fixed
from sim_backend.randomness import derive
from sim_backend.tables import NORMAL_BITS, Tables
from sim_backend.technology import Telegraph

CHANCE_BITS = 31
_SCALE_LOG2 = 30 << NORMAL_BITS
"""Exponent of one in `power_of_two`, which rounds to integers."""
_LONGEST = 64
"""How many mean intervals between two draws are looked back; longer ones come once in e^64."""


class TelegraphNumbers(NamedTuple):
    """Telegraph noise in integers."""

    slot_ns: int
    share: int
    """Probability in 2^-31, as the next two."""
    redrawn: int
    """That a state is drawn anew in a slot, in the median cell."""
    high: int
    """That it is then the higher level."""
    step: int
    """Between the levels, of the median cell, relative to the mean, in 2^-20."""
    step_log2_sd: int
    dwell_log2_sd: int


class Traps(NamedTuple):
    """What jumps, each array (rows, columns) int32; empty if no cell does.

    Attributes
    ----------
    step : int32
        Between the levels, relative to the mean, in 2^-20; 0 if the cell does not jump.
    redrawn : int32
        Probability in 2^-31 that the state is drawn anew in a slot.
    """

    step: Int32Array
    redrawn: Int32Array


def numbers(facts: Telegraph) -> TelegraphNumbers:
    """Integers of a technology's telegraph noise.

    A chain that is drawn anew with probability r a slot, high with probability p, leaves the low
    level with probability r p and the high one with r (1 - p).
    """
    slot_s = facts.slot_s.value
    with localcontext(CONTEXT):
        leaves_low, leaves_high = (
            min(slot_s / mean.value, Decimal("0.5"))
            for mean in (facts.dwell_low_s, facts.dwell_high_s)
        )
        redrawn = leaves_low + leaves_high
        high = leaves_low / redrawn
        spreads = [log2_sd(spread.value) for spread in (facts.step_spread, facts.dwell_spread)]
    return TelegraphNumbers(
        slot_ns=fixed(slot_s, 10**9),
        share=fixed(facts.share.value, 1 << CHANCE_BITS),
        redrawn=fixed(redrawn, 1 << CHANCE_BITS),
        high=fixed(high, 1 << CHANCE_BITS),
        step=fixed(facts.step_relative.value, 1 << NORMAL_BITS),
        step_log2_sd=fixed(spreads[0], 1 << NORMAL_BITS),
        dwell_log2_sd=fixed(spreads[1], 1 << NORMAL_BITS),
    )


def traps(shape: tuple[int, int], key: Word, facts: TelegraphNumbers, tables: Tables) -> Traps:
    """Draw which cells of a chip jump, and how."""
    if facts.share == 0:
        none = np.zeros((0, 0), dtype=np.int32)
        return Traps(none, none)
    drawn = Traps(np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32))
    _draw(key, facts, tables, Traps(*(array.reshape(-1) for array in drawn)))
    return drawn


@kernel
def _draw(key: Word, facts: TelegraphNumbers, tables: Tables, out: Traps) -> None:
    normal, exp2 = tables.normal, tables.exp2
    for cell in range(out.step.size):
        bits = derive(key, np.uint64(cell))
        if np.int64(bits >> np.uint64(64 - CHANCE_BITS)) >= facts.share:
            continue
        bits = derive(bits, np.uint64(0))
        exponent = scaled(_SCALE_LOG2, facts.step_log2_sd, normal[place(bits)])
        at = exp2_place(exponent)
        larger = power_of_two(exponent, exp2[at], exp2[at + 1])
        exponent = scaled(_SCALE_LOG2, facts.dwell_log2_sd, normal[place(bits >> np.uint64(32))])
        at = exp2_place(exponent)
        sooner = power_of_two(exponent, exp2[at], exp2[at + 1])
        most = 1 << NORMAL_BITS
        out.step[cell] = min((facts.step * np.int64(larger)) >> 30, most)
        redrawn = (facts.redrawn * (np.int64(sooner) >> 8)) >> 22
        out.redrawn[cell] = min(max(redrawn, 1 << 15), (1 << CHANCE_BITS) - 1)


@kernel
def is_high(key: Word, slot: Integer, redrawn: Integer, high: Integer) -> bool:
    """State of the cell with this key in a slot."""
    earliest = slot - (_LONGEST << CHANCE_BITS) // redrawn
    bits = derive(key, np.uint64(slot))
    while np.int64(bits >> np.uint64(64 - CHANCE_BITS)) >= redrawn and slot > max(earliest, 0):
        slot -= 1
        bits = derive(key, np.uint64(slot))
    return np.int64(bits & np.uint64((1 << CHANCE_BITS) - 1)) < high
