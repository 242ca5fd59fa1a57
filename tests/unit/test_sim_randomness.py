"""Keyed random numbers and the committed tables of the simulated board."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend import tables
from sim_backend.distributions import exp2_place, power_of_two
from sim_backend.errors import ProfileError
from sim_backend.randomness import Stream, board_key, child, children, derive
from sim_backend.tables import make
from tests.support import reference

WORDS = st.integers(0, 2**64 - 1)


@settings(deadline=None)  # the first call compiles
@given(WORDS, WORDS)
def test_compiled_and_python_keys_are_the_same(key: int, number: int):
    assert int(derive(np.uint64(key), np.uint64(number))) == child(key, number)


def test_keys_never_change():
    """Stored chips and published maps depend on these very numbers."""
    key = child(board_key(1), Stream.CHIP, 0, 0)
    assert board_key(0) == 0xE220A8397B1DCDAF  # first number of SplitMix64 with seed 0
    assert hashlib.sha256(children(key, 1000).tobytes()).hexdigest()[:16] == "46a66e2b44933277"


def test_numbering_of_streams_is_part_of_the_bits():
    assert {s.name: s.value for s in Stream} == {
        "CHIP": 1,
        "BREAKDOWN": 2,
        "UNFORMED": 3,
        "FORMED": 4,
        "CONVERSION": 5,
        "CONVERSION_TAIL": 6,
        "DEFECT": 7,
        "TIA_OFFSET": 8,
        "THRESHOLD": 9,
        "LEVEL": 10,
        "LIFETIME": 11,
        "SET": 12,
        "RESET": 13,
        "RELAXATION": 14,
        "TRAP": 15,
        "TELEGRAPH": 16,
        "DAC": 20,
        "DAC_REFERENCE": 21,
        "ADC": 22,
        "ADC_TRANSITION": 23,
        "ADC_REFERENCE": 24,
        "AMPLIFIER": 25,
        "REFERENCE": 26,
        "MEASUREMENT": 27,
        "MEASUREMENT_TAIL": 28,
        "LINK_FAULT": 30,
    }


@pytest.mark.parametrize("argument", ["key", "number"])
def test_every_input_bit_flips_every_output_bit_half_of_the_time(argument: str):
    base = children(board_key(5), 2000)
    for bit in range(64):
        flip = np.uint64(1 << bit)
        if argument == "key":
            pairs = [(int(k), int(k ^ flip), 7, 7) for k in base[:400]]
        else:
            pairs = [(11, 11, int(k), int(k ^ flip)) for k in base[:400]]
        changed = np.array([child(a, n) ^ child(b, m) for a, b, n, m in pairs], dtype=np.uint64)
        flips = np.unpackbits(changed.view(np.uint8)).mean()
        assert abs(flips - 0.5) < 0.02


def test_neighbouring_cells_and_counts_draw_unrelated_numbers():
    grid = np.array(
        [[child(3, Stream.FORMED, cell, count) for count in range(64)] for cell in range(64)],
        dtype=np.uint64,
    )
    values = (grid >> np.uint64(11)).astype(np.float64) / 2**53 - 0.5
    for a, b in ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / math.sqrt(a.size)


def test_the_committed_tables_are_what_the_generator_makes():
    committed = tables.load()
    made = make.make()
    assert np.array_equal(committed.normal[:65536], made.normal)
    assert np.array_equal(committed.normal[65536 : 2 * 65536], made.tail)
    assert np.array_equal(committed.normal[2 * 65536 :], -made.tail[::-1])
    assert np.array_equal(committed.exp2, made.exp2)


def test_a_table_with_a_changed_byte_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "_digests", lambda: {"normal": "0" * 64})
    with pytest.raises(ProfileError, match=r"normal\.i32 .* damaged"):
        tables._read("normal")


@settings(deadline=None)
@given(st.integers(0, 32 * 2**20 - 1))
def test_powers_of_two_are_right_to_a_ten_millionth(exponent: int):
    exp2 = tables.load().exp2
    at = exp2_place(exponent)
    exact = 2.0 ** (exponent / 2**20)
    value = power_of_two(exponent, int(exp2[at]), int(exp2[at + 1]))
    assert abs(value - exact) <= 0.5 + 1e-7 * exact


@settings(deadline=None)
@given(st.integers(-(2**25), 2**26))
def test_powers_of_two_equal_the_reference_and_are_clipped_where_it_clips(exponent: int):
    exp2 = tables.load().exp2
    at = exp2_place(exponent)
    value = power_of_two(exponent, int(exp2[at]), int(exp2[at + 1]))
    assert value == reference.power_of_two(exponent)


def test_pairs_of_powers_are_each_power_and_the_next():
    pairs = tables.load().exp2_pairs.view(np.int32).reshape(-1, 2)
    exp2 = tables.load().exp2
    assert np.array_equal(pairs, np.stack([exp2[:-1], exp2[1:]], axis=1))
