"""Kernels of the read path against a plain reference, bit for bit, and against batching.

The reference below is written from the rules, one conversion at a time, in Python integers.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend import cells, readpath, tables
from sim_backend.fixedpoint import forming_numbers
from sim_backend.frontend import REFERENCE_MK, converters, front_end, transitions
from sim_backend.profile import load
from sim_backend.randomness import board_key, child, children
from sim_backend.readpath import Lines, NoiseKeys
from tests.support.reference import normal_at

PROFILE = load("rram40_256k")
FORMING = forming_numbers(PROFILE)
READING = front_end(PROFILE, 1, REFERENCE_MK).read
TRANSITIONS = [
    transitions(converter).tolist() for converter in converters(PROFILE, board_key(1), REFERENCE_MK)
]
TABLES = tables.load()
ROWS, COLUMNS = 8, 16
NOISE = NoiseKeys(children(child(9, 5), ROWS), children(child(9, 6), ROWS))


# --- the reference ---------------------------------------------------------------------------


def reference_code(
    effective_ps: np.ndarray, row: int, column: int, range_index: int, count: int
) -> int:
    channel = row % 8
    gain = int(READING.gain[channel, range_index])
    units = int(effective_ps[row, column]) + 2 >> 2
    current = units * 4 * gain + 2**25 >> 26
    output = current + int(READING.offset[channel, range_index])
    own = min(((units * READING.noise >> 20) ** 2 + 2**11) >> 12, 2**32 - 1)
    own = 0 if output > READING.limit else own
    square = (own * ((gain * gain + 2**31) >> 32) + 8 >> 4) + READING.adc_noise**2
    spread = int(np.sqrt(np.float64(square)))
    level = min(output, READING.limit) + (256 << 16) + 2**15
    first = child(int(NOISE.conversion[row]), count // 4) >> (16 * (count % 4)) & 0xFFFF
    number = normal_at(first, child(int(NOISE.tail[row]), count) >> 52)
    return bisect_right(TRANSITIONS[channel], level + (spread * number + 2**19 >> 20))


# --- helpers ---------------------------------------------------------------------------------


def fresh() -> np.ndarray:
    """What the amplifiers see of unformed cells, were there no wires."""
    effective_ps = np.zeros((ROWS, COLUMNS), np.uint32)
    cells.fill_unformed(effective_ps, np.uint64(child(9, 3)), FORMING, TABLES)
    return effective_ps


def lines_of(effective_ps: np.ndarray, range_index: int) -> Lines:
    level = np.zeros((ROWS, COLUMNS), np.int32)
    dark = np.zeros(ROWS, np.int32)
    lines = Lines(level, level.copy(), dark, READING.adc_noise, READING.top, READING.transfer)
    readpath.prepare_dark(range_index, READING, lines.dark)
    readpath.prepare(np.arange(ROWS), range_index, effective_ps, READING, lines)
    return lines


# --- promises --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    conductance=st.integers(0, 2**32 - 1),
    range_index=st.integers(0, 2),
    count=st.integers(0, 2**40),
    reads=st.integers(1, 3),
    rows=st.sets(st.integers(0, ROWS - 1), min_size=1),
    columns=st.sets(st.integers(0, COLUMNS - 1), min_size=1),
    cuts=st.sets(st.integers(1, 200), max_size=4),
)
def test_reading_equals_the_reference_however_it_is_cut(
    conductance: int,
    range_index: int,
    count: int,
    reads: int,
    rows: set[int],
    columns: set[int],
    cuts: set[int],
):
    state = fresh()
    state[::2] = conductance
    state[3] = 0
    counts = (np.arange(ROWS) * 1001 + count).astype(np.uint64)
    row, column = np.array(sorted(rows)), np.array(sorted(columns))
    block = readpath.block(row, column, counts, lines_of(state, range_index))
    total = reads * len(row) * len(column)
    edges = [0, *sorted(c for c in cuts if c < total), total]
    codes = np.empty(total, np.uint16)
    saturated = 0
    for start, stop in pairwise(edges):
        part = codes[start:stop]
        saturated += readpath.read(start, stop, block, NOISE, TABLES.normal, part)
    expected = [
        reference_code(state, r, c, range_index, int(counts[r]) + n * len(column) + k)
        for n in range(reads)
        for r in row.tolist()
        for k, c in enumerate(column.tolist())
    ]
    assert codes.tolist() == expected
    assert saturated == sum(code in (0, 16383) for code in expected)


def test_extreme_draws_take_the_finer_table():
    """2^-11 of all conversions do; a long read at one cell meets a few hundred of them."""
    state = fresh()
    lines = lines_of(state, 0)
    counts = np.zeros(ROWS, np.uint64)
    block = readpath.block(np.array([5]), np.arange(COLUMNS), counts, lines)
    codes = np.empty(20_000, np.uint16)
    readpath.read(0, len(codes), block, NOISE, TABLES.normal, codes)
    first = np.array(
        [child(int(NOISE.conversion[5]), n // 4) >> (16 * (n % 4)) for n in range(20_000)],
        dtype=object,
    )
    extreme = [n for n, bits in enumerate(first) if (bits + 16) % 65536 < 32]
    assert len(extreme) > 3
    expected = [reference_code(state, 5, n % COLUMNS, 0, n) for n in extreme]
    assert codes[extreme].tolist() == expected


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1)), min_size=1))
def test_single_cells_and_zeros_follow_the_same_sequence_of_conversions(
    points: list[tuple[int, int]],
):
    state = fresh()
    lines = lines_of(state, 0)
    counts = np.arange(ROWS).astype(np.uint64)
    rows, columns = (np.array(axis) for axis in zip(*points, strict=True))
    codes = np.empty(len(points), np.uint16)
    readpath.read_points(rows, columns, counts, lines, NOISE, TABLES.normal, codes)
    seen = list(range(ROWS))
    for code, (row, column) in zip(codes, points, strict=True):
        assert code == reference_code(state, row, column, 0, seen[row])
        seen[row] += 1
    assert counts.tolist() == seen

    dark = np.zeros((ROWS, COLUMNS), np.uint32)
    sums = np.empty(ROWS, np.uint32)
    every = np.arange(ROWS)
    readpath.read_dark(every, 16, counts, lines, NOISE, TABLES.normal, sums)
    assert sums.tolist() == [
        sum(reference_code(dark, row, 0, 0, seen[row] + n) for n in range(16))
        for row in range(ROWS)
    ]
