"""Pulses against a plain reference, bit for bit: FORM, SET, RESET, failures, wear and sticking.

The reference below is written from the rules, one cell and one pulse at a time.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend import cells, tables
from sim_backend.cells import CellFlag, CellKeys, Cells, Progress, Pulses
from sim_backend.devices import devices
from sim_backend.fixedpoint import forming_numbers, switching_numbers
from sim_backend.profile import load
from sim_backend.pulsing import Rules, fire
from sim_backend.randomness import child
from tests.support.reference import log2, normal, power_of_two, scaled

PROFILE = load("rram40_256k")
FORMING = forming_numbers(PROFILE)
# failures and short lives often enough to be met by a few pulses on a few cells
NUMBERS = switching_numbers(PROFILE)._replace(
    set_failure=2**22, reset_failure=2**22, life_log2_mean=11 << 20
)
TABLES = tables.load()
ROWS, COLUMNS = 8, 16
KEYS = CellKeys(*(np.uint64(child(9, stream)) for stream in (2, 4, 9, 10, 11, 12, 13)))
RULES = Rules(
    KEYS, FORMING, NUMBERS, TABLES, devices((ROWS, COLUMNS), KEYS, FORMING, NUMBERS, TABLES)
)
OPERATIONS = ("form_pulses", "set_pulses", "reset_pulses")


# --- the reference ---------------------------------------------------------------------------


def earlier_uv(width_ns: int, numbers: object) -> int:
    octaves = log2(width_ns) - log2(numbers.reference_width_ns)  # type: ignore[attr-defined]
    return numbers.slope_uv_per_octave * octaves >> 32  # type: ignore[attr-defined]


def reference_fire(state: Cells, operation: str, pulses: Pulses) -> int:
    pulsed = 0
    for n, row in enumerate(pulses.row.tolist()):
        width_ns, compliance_na = int(pulses.width_ns[n]), int(pulses.compliance_na[n])
        for column in range(COLUMNS):
            selected = bool(pulses.masks[n, column // 8] >> (column % 8) & 1)
            getattr(state, operation)[row, column] += selected
            pulsed += selected
            seen_uv = int((pulses.selected_uv if selected else pulses.inhibited_uv)[n])
            reference_cell(state, row, column, seen_uv, width_ns, compliance_na)
    return pulsed


def reference_cell(
    state: Cells, row: int, column: int, seen_uv: int, width_ns: int, compliance_na: int
) -> None:
    at = row, column
    cell = row * COLUMNS + column
    flags = int(state.flags[at])
    thresholds = child(int(KEYS.threshold), cell)
    levels = child(int(KEYS.level), cell)
    life_bits = child(int(KEYS.lifetime), cell)
    life = power_of_two(scaled(NUMBERS.life_log2_mean, NUMBERS.life_log2_sd, normal(life_bits)))
    life = min(max(life, 1024), 2**31 - 1)
    sticks_on = life_bits >> 40 < NUMBERS.sticks_on
    worn = min((int(state.cycles[at]) * (2**40 // life)) >> 20, 2**20)
    ratio = (compliance_na << 24) // FORMING.reference_compliance_na
    if seen_uv > 0 and flags in (0, 32):
        spread = normal(child(int(KEYS.breakdown), cell))
        breakdown_uv = scaled(FORMING.breakdown_mean_uv, FORMING.breakdown_sd_uv, spread)
        if seen_uv >= breakdown_uv - earlier_uv(width_ns, FORMING):
            number = (int(state.form_pulses[at]) << 32) + cell
            draw = normal(child(int(KEYS.formed), number))
            formed = power_of_two(scaled(FORMING.formed_log2_mean, FORMING.formed_log2_sd, draw))
            state.conductance_ps[at] = min(formed * ratio >> 24, 2**32 - 1)
            state.flags[at] = flags | 1
    elif seen_uv > 0 and flags == 17:
        threshold_uv = scaled(NUMBERS.set_mean_uv, NUMBERS.set_sd_uv, normal(thresholds))
        count = int(state.form_pulses[at]) + int(state.set_pulses[at])
        bits = child(int(KEYS.set), (count << 32) + cell)
        succeeds = bits >> 40 >= NUMBERS.set_failure
        if seen_uv >= threshold_uv - earlier_uv(width_ns, NUMBERS) and succeeds:
            mean = scaled(NUMBERS.on_log2_mean, NUMBERS.on_log2_devices, normal(levels))
            mean += NUMBERS.on_log2_worn * worn >> 20
            level = power_of_two(scaled(mean, NUMBERS.on_log2_cycles, normal(bits)))
            state.conductance_ps[at] = min(level * ratio >> 24, 2**32 - 1)
            state.cycles[at] += 1
            state.flags[at] = 33 if state.cycles[at] >= life and sticks_on else 1
    elif seen_uv < 0 and flags == 1:
        threshold_uv = scaled(NUMBERS.reset_mean_uv, NUMBERS.reset_sd_uv, normal(thresholds >> 32))
        bits = child(int(KEYS.reset), (int(state.reset_pulses[at]) << 32) + cell)
        succeeds = bits >> 40 >= NUMBERS.reset_failure
        if -seen_uv >= threshold_uv - earlier_uv(width_ns, NUMBERS) and succeeds:
            mean = scaled(NUMBERS.off_log2_mean, NUMBERS.off_log2_devices, normal(levels >> 32))
            mean += NUMBERS.off_log2_worn * worn >> 20
            level = power_of_two(scaled(mean, NUMBERS.off_log2_cycles, normal(bits)))
            state.conductance_ps[at] = level
            state.flags[at] = 49 if state.cycles[at] >= life else 17


# --- helpers ---------------------------------------------------------------------------------


def fresh(flags: np.ndarray | None = None, cycles: np.ndarray | None = None) -> Cells:
    def zeros(dtype: type) -> np.ndarray:
        return np.zeros((ROWS, COLUMNS), dtype)

    state = Cells(
        zeros(np.uint32), zeros(np.uint8), *(zeros(np.uint32) for _ in range(4)), zeros(np.uint64)
    )
    cells.fill_unformed(state.conductance_ps, np.uint64(child(9, 3)), FORMING, TABLES)
    if flags is not None:
        state.flags[:] = flags
    if cycles is not None:
        state.cycles[:] = cycles
    return state


def progress() -> Progress:
    return Progress(np.zeros(4, np.uint16), np.zeros(4, np.uint16), 1)


Row = tuple[int, int, int, int, int, int]
VOLTAGE = st.integers(-3_000_000, 5_000_000)
PULSE = st.tuples(
    st.integers(0, ROWS - 1),
    VOLTAGE,
    VOLTAGE,
    st.integers(1, 2**32 - 1),
    st.integers(1, 1_000_000),
    st.integers(0, 2**COLUMNS - 1),
)
FRAME = st.tuples(st.sampled_from(OPERATIONS), st.lists(PULSE, min_size=1, max_size=6))


def pulses_of(rows: list[Row]) -> Pulses:
    numbers = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    masks = np.array([list(int(mask).to_bytes(COLUMNS // 8, "little")) for mask in numbers[5]])
    return Pulses(*numbers[:5], masks=masks.astype(np.uint8))


def fired(state: Cells, operation: str, rows: list[Row]) -> int:
    slots = np.zeros(len(rows), np.int64)
    return fire(state, getattr(state, operation), pulses_of(rows), slots, RULES, progress())


def same(a: Cells, b: Cells) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def every(row_uv: int) -> list[Row]:
    return [(row, row_uv, 0, 1_000_000, 100_000, 0xFFFF) for row in range(ROWS)]


# --- promises --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(st.lists(FRAME, min_size=1, max_size=6), st.integers(0, 2**32))
def test_pulses_equal_the_reference_bit_for_bit(frames: list[tuple[str, list[Row]]], seed: int):
    random = np.random.default_rng(seed)
    flags = random.choice([0, 0, 1, 1, 17, 17, 32, 33, 49, 2, 4, 8], (ROWS, COLUMNS))
    cycles = random.integers(0, 4096, (ROWS, COLUMNS))
    compiled, expected = fresh(flags, cycles), fresh(flags, cycles)
    for operation, rows in frames:
        pulses, noted = pulses_of(rows), progress()
        slots = np.zeros(len(pulses.row), np.int64)
        pulsed = fire(compiled, getattr(compiled, operation), pulses, slots, RULES, noted)
        assert pulsed == reference_fire(expected, operation, pulses)
        assert noted.started[1] == noted.finished[1] == len(rows)
    assert same(compiled, expected)


def test_forming_equals_the_reference_bit_for_bit():
    compiled, expected = fresh(), fresh()
    rows = [(row, 3_450_000, 0, 100_000, 90_000, 0xFFFF) for row in range(ROWS)]
    fired(compiled, "form_pulses", rows)
    reference_fire(expected, "form_pulses", pulses_of(rows))
    assert same(compiled, expected)
    assert 0.2 < ((compiled.flags & CellFlag.FORMED) != 0).mean() < 0.9


def test_hundreds_of_cycles_up_to_the_end_of_life_equal_the_reference():
    compiled, expected = fresh(), fresh()
    fired(compiled, "form_pulses", every(4_000_000))
    reference_fire(expected, "form_pulses", pulses_of(every(4_000_000)))
    for state in (compiled, expected):
        state.cycles[:] = RULES.devices.life - 12
    for _ in range(30):
        for operation, uv in (("reset_pulses", -2_000_000), ("set_pulses", 2_000_000)):
            fired(compiled, operation, every(uv))
            reference_fire(expected, operation, pulses_of(every(uv)))
    assert same(compiled, expected)
    assert ((compiled.flags & CellFlag.STUCK) != 0).mean() > 0.9


@settings(deadline=None, max_examples=20)
@given(
    masks=st.lists(st.integers(0, 2**COLUMNS - 1), min_size=2 * ROWS, max_size=2 * ROWS),
    left=st.integers(0, 3),
    compliance_na=st.sampled_from([FORMING.reference_compliance_na, 1, 99_999, 10_000_000]),
)
def test_rows_at_the_end_of_life_beside_rows_far_from_it_equal_the_reference(
    masks: list[int], left: int, compliance_na: int
):
    cycles = np.zeros((ROWS, COLUMNS), np.int64)
    cycles[1::3] = RULES.devices.life[1::3] - left
    shortest = int(RULES.devices.life[2].argmin())  # of its row the only one near the end
    cycles[2, shortest] = RULES.devices.life[2, shortest] - left
    masks = [mask | 1 << shortest for mask in masks]
    cycles[5] = 2**32 - 4  # as much as a counter holds
    on = np.full((ROWS, COLUMNS), CellFlag.FORMED)
    compiled, expected = fresh(on, cycles), fresh(on, cycles)
    for turn in range(3):
        for operation, uv in (("reset_pulses", -2_000_000), ("set_pulses", 2_000_000)):
            chosen = masks[turn : turn + ROWS]
            rows = [(n, uv, uv // 4, 100_000, compliance_na, chosen[n]) for n in range(ROWS)]
            fired(compiled, operation, rows)
            reference_fire(expected, operation, pulses_of(rows))
    assert same(compiled, expected)
    assert not (compiled.flags[0] & CellFlag.STUCK).any()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(OPERATIONS), st.lists(PULSE, min_size=2, max_size=12), st.data())
def test_pulses_do_not_depend_on_how_they_are_cut_into_frames(
    operation: str, rows: list[Row], data: st.DataObject
):
    cut = data.draw(st.integers(1, len(rows) - 1))
    flags = np.random.default_rng(1).choice([0, 1, 17], (ROWS, COLUMNS))
    whole, parts = fresh(flags), fresh(flags)
    fired(whole, operation, rows)
    for part in (rows[:cut], rows[cut:]):
        fired(parts, operation, part)
    assert same(whole, parts)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(ROWS)), st.sampled_from([3_450_000, 1_300_000, -1_100_000]))
def test_pulses_do_not_depend_on_the_order_of_different_rows(order: list[int], uv: int):
    flags = np.random.default_rng(2).choice([0, 1, 17], (ROWS, COLUMNS))
    ascending, shuffled = fresh(flags), fresh(flags)
    for state, rows in ((ascending, range(ROWS)), (shuffled, order)):
        fired(state, "set_pulses", [(row, uv, 0, 100_000, 100_000, 0xFFFF) for row in rows])
    assert same(ascending, shuffled)


@pytest.mark.parametrize("flag", [2, 4, 8, 33, 49])
def test_defects_and_stuck_cells_stay_as_they_are(flag: int):
    state, before = fresh(np.full((ROWS, COLUMNS), flag)), fresh(np.full((ROWS, COLUMNS), flag))
    for uv in (4_200_000, -2_500_000, 2_500_000):
        fired(state, "form_pulses", every(uv))
    assert np.array_equal(state.flags, before.flags)
    assert np.array_equal(state.conductance_ps, before.conductance_ps)


def test_a_virgin_cell_is_formed_by_its_breakdown_voltage_whatever_the_operation():
    state = fresh()
    fired(state, "set_pulses", every(2_500_000))
    fired(state, "reset_pulses", every(-4_200_000))
    assert not state.flags.any()
    fired(state, "set_pulses", every(4_200_000))
    assert (state.flags == CellFlag.FORMED).all()


def test_progress_is_in_memory_while_the_kernel_runs():
    """What a kill would leave behind must be there at every moment, not when the loop ends."""
    count, columns = 65_000, 4096  # some tenths of a second
    zeros = [
        np.zeros((1, columns), dtype) for dtype in ("<u4", "u1", "<u4", "<u4", "<u4", "<u4", "<u8")
    ]
    state = Cells(*zeros)
    wide = devices((1, columns), KEYS, FORMING, NUMBERS, TABLES)
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
    rules, slots = RULES._replace(devices=wide), np.zeros(count, np.int64)
    arguments = (state, state.form_pulses, pulses, slots, rules, noted)
    kernel = threading.Thread(target=fire, args=arguments)
    kernel.start()
    while kernel.is_alive():
        seen.add(int(noted.finished[1]))
        time.sleep(0.002)
    kernel.join()
    assert len(seen - {0, count}) > 2
    assert noted.started[1] == noted.finished[1] == count
