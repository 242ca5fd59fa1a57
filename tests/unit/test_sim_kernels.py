"""Kernels of the simulated board against a plain reference, bit for bit, and against batching.

The reference below is written from the rules, one cell and one conversion at a time, in Python
integers; it shares the committed table files with the kernels and nothing else.
"""

from __future__ import annotations

import threading
import time
from importlib import resources
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend import cells, readpath, tables
from sim_backend.cells import CellFlag, CellKeys, Cells, Progress, Pulses
from sim_backend.fixedpoint import forming_numbers, read_numbers
from sim_backend.profile import load
from sim_backend.randomness import board_key, child, children
from sim_backend.readpath import Lines, NoiseKeys

PROFILE = load("rram40_256k")
FORMING = forming_numbers(PROFILE)
READING = read_numbers(PROFILE, board_key(1))
TABLES = tables.load()
ROWS, COLUMNS = 8, 16
KEYS = CellKeys(np.uint64(child(9, 2)), np.uint64(child(9, 4)))
NOISE = NoiseKeys(children(child(9, 5), ROWS), children(child(9, 6), ROWS))


# --- the reference ---------------------------------------------------------------------------


def table(name: str) -> list[int]:
    data = (resources.files("sim_backend.tables") / f"{name}.i32").read_bytes()
    return np.frombuffer(data, "<i4").tolist()


NORMAL, TAIL, EXP2 = table("normal"), table("tail"), table("exp2")


def normal_at(first: int, fine: int) -> int:
    if first >= 65536 - 16:
        return TAIL[(first - (65536 - 16)) * 4096 + fine]
    if first < 16:
        return -TAIL[(15 - first) * 4096 + (4095 - fine)]
    return NORMAL[first]


def normal(bits: int) -> int:
    return normal_at(bits & 0xFFFF, bits >> 16 & 0xFFF)


def scaled(mean: int, sd: int, number: int) -> int:
    return mean + ((sd * number + 2**19) >> 20)


def lognormal_ps(bits: int) -> int:
    exponent = scaled(FORMING.formed_log2_mean, FORMING.formed_log2_sd, normal(bits))
    whole, index, rest = exponent >> 20, exponent >> 10 & 1023, exponent & 1023
    mantissa = (EXP2[index] << 10) + (EXP2[index + 1] - EXP2[index]) * rest
    shift = 39 - whole
    return (mantissa + (1 << shift >> 1)) >> shift


def log2(value: int) -> int:
    """floor(2^16 log2(value)) by the same squaring, truncated to 31 bits at each step."""
    whole = value.bit_length() - 1
    mantissa, result = value << (31 - whole), whole
    for _ in range(16):
        mantissa = mantissa * mantissa >> 31
        bit = mantissa >> 32
        mantissa >>= bit
        result = result << 1 | bit
    return result


def reference_form(state: Cells, pulses: Pulses) -> int:
    pulsed = 0
    for n, row in enumerate(pulses.row.tolist()):
        octaves = log2(int(pulses.width_ns[n])) - log2(FORMING.reference_width_ns)
        earlier_uv = FORMING.slope_uv_per_octave * octaves >> 32
        for column in range(COLUMNS):
            selected = bool(pulses.masks[n, column // 8] >> (column % 8) & 1)
            seen_uv = int((pulses.selected_uv if selected else pulses.inhibited_uv)[n])
            state.form_pulses[row, column] += selected
            pulsed += selected
            cell = row * COLUMNS + column
            spread = normal(child(int(KEYS.breakdown), cell))
            mean_uv = FORMING.breakdown_mean_uv - earlier_uv
            breaks = seen_uv >= scaled(mean_uv, FORMING.breakdown_sd_uv, spread)
            if seen_uv > 0 and breaks and state.flags[row, column] == 0:
                count = int(state.form_pulses[row, column])
                ratio = (int(pulses.compliance_na[n]) << 24) // FORMING.reference_compliance_na
                formed = lognormal_ps(child(int(KEYS.formed), cell, count)) * ratio >> 24
                state.conductance_ps[row, column] = min(formed, 2**32 - 1)
                state.flags[row, column] |= CellFlag.FORMED
    return pulsed


def reference_code(state: Cells, row: int, column: int, range_index: int, count: int) -> int:
    channel = row % 8
    current = int(state.conductance_ps[row, column]) * int(READING.gain[channel, range_index])
    current = 0 if state.flags[row, column] & CellFlag.OPEN else current + 2**25 >> 26
    own = current * READING.noise >> 20 if current <= 30_000 * 65536 else 0
    current = min(current, 30_000 * 65536)
    spread = int(np.sqrt(np.float64(own**2 + READING.adc_noise**2)))
    level = current + int(READING.offset[channel, range_index]) + (256 << 16) + 2**15
    first = child(int(NOISE.conversion[row]), count // 4) >> (16 * (count % 4)) & 0xFFFF
    number = normal_at(first, child(int(NOISE.tail[row]), count) >> 52)
    return min(max((level + (spread * number + 2**19 >> 20)) >> 16, 0), 16383)


# --- helpers ---------------------------------------------------------------------------------


def fresh(flags: np.ndarray | None = None) -> Cells:
    def zeros(dtype: type) -> np.ndarray:
        return np.zeros((ROWS, COLUMNS), dtype)

    state = Cells(zeros(np.uint32), zeros(np.uint8), *(zeros(np.uint32) for _ in range(3)))
    cells.fill_unformed(state.conductance_ps, np.uint64(child(9, 3)), FORMING, TABLES)
    if flags is not None:
        state.flags[:] = flags
    return state


def progress() -> Progress:
    return Progress(np.zeros(4, np.uint16), np.zeros(4, np.uint16), 1)


def lines_of(state: Cells, range_index: int) -> Lines:
    level = np.zeros((ROWS, COLUMNS), np.int32)
    lines = Lines(level, level.copy(), np.zeros(ROWS, np.int32), READING.adc_noise, READING.top)
    every = np.arange(ROWS)
    readpath.prepare(every, range_index, state.conductance_ps, state.flags, READING, lines)
    return lines


PULSE = st.tuples(
    st.integers(0, ROWS - 1),
    st.integers(-1_000_000, 5_000_000),
    st.integers(-1_000_000, 5_000_000),
    st.integers(1, 2**32 - 1),
    st.integers(1, 1_000_000),
    st.integers(0, 2**COLUMNS - 1),
)


def pulses_of(rows: list[tuple[int, int, int, int, int, int]]) -> Pulses:
    numbers = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    masks = np.array([list(int(mask).to_bytes(COLUMNS // 8, "little")) for mask in numbers[5]])
    return Pulses(*numbers[:5], masks=masks.astype(np.uint8))


def same(a: Cells, b: Cells) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --- promises --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(PULSE, min_size=1, max_size=12), st.integers(0, 2**32))
def test_forming_equals_the_reference_bit_for_bit(
    rows: list[tuple[int, int, int, int, int, int]], seed: int
):
    flags = np.random.default_rng(seed).choice([0, 0, 0, 2, 4, 8], (ROWS, COLUMNS))
    pulses = pulses_of(rows)
    compiled, expected = fresh(flags), fresh(flags)
    noted = progress()
    pulsed = cells.form(compiled, pulses, KEYS, FORMING, TABLES, noted)
    assert pulsed == reference_form(expected, pulses)
    assert same(compiled, expected)
    assert noted.started[1] == noted.finished[1] == len(rows)


@settings(deadline=None, max_examples=30)
@given(st.lists(PULSE, min_size=2, max_size=12), st.data())
def test_forming_does_not_depend_on_how_pulses_are_cut_into_frames(
    rows: list[tuple[int, int, int, int, int, int]], data: st.DataObject
):
    cut = data.draw(st.integers(1, len(rows) - 1))
    whole, parts = fresh(), fresh()
    cells.form(whole, pulses_of(rows), KEYS, FORMING, TABLES, progress())
    for part in (rows[:cut], rows[cut:]):
        cells.form(parts, pulses_of(part), KEYS, FORMING, TABLES, progress())
    assert same(whole, parts)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(ROWS)))
def test_forming_does_not_depend_on_the_order_of_different_rows(order: list[int]):
    ascending, shuffled = fresh(), fresh()
    for state, rows in ((ascending, range(ROWS)), (shuffled, order)):
        pulses = pulses_of([(row, 3_450_000, 0, 100_000, 100_000, 0xFFFF) for row in rows])
        cells.form(state, pulses, KEYS, FORMING, TABLES, progress())
    assert same(ascending, shuffled)


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
    state.conductance_ps[::2] = conductance
    state.flags[3] = CellFlag.OPEN
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

    dark = fresh(np.full((ROWS, COLUMNS), CellFlag.OPEN))
    sums = np.empty(ROWS, np.uint32)
    every = np.arange(ROWS)
    readpath.read_dark(every, 16, counts, lines, NOISE, TABLES.normal, sums)
    assert sums.tolist() == [
        sum(reference_code(dark, row, 0, 0, seen[row] + n) for n in range(16))
        for row in range(ROWS)
    ]


def test_progress_is_in_memory_while_the_kernel_runs():
    """What a kill would leave behind must be there at every moment, not when the loop ends."""
    count, columns = 65_000, 1024  # some tenths of a second
    state = Cells(*(np.zeros((1, columns), dtype) for dtype in ("<u4", "u1", "<u4", "<u4", "<u4")))
    below_uv = np.full(count, 2_000_000)
    pulses = Pulses(
        row=np.zeros(count, np.int64),
        selected_uv=below_uv,
        inhibited_uv=below_uv,
        width_ns=np.full(count, 100_000),
        compliance_na=np.full(count, 100_000),
        masks=np.zeros((count, columns // 8), np.uint8),
    )
    noted = progress()
    seen: set[int] = set()
    kernel = threading.Thread(target=cells.form, args=(state, pulses, KEYS, FORMING, TABLES, noted))
    kernel.start()
    while kernel.is_alive():
        seen.add(int(noted.finished[1]))
        time.sleep(0.002)
    kernel.join()
    assert len(seen - {0, count}) > 2
    assert noted.started[1] == noted.finished[1] == count
