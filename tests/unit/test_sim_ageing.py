"""Ageing in integers: clocks, steps, states at random access; the same bits however it is cut."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol.executor import FrameId
from firmware_protocol.layouts import STEP
from firmware_protocol.messages import Operation, Use
from sim_backend import ageing, readpath, relaxation, technology, telegraph
from sim_backend.board import LAST_NS, SimulatedBoard
from sim_backend.cells import FORMED, OFF, CellFlag
from sim_backend.errors import NoSuchTechnology, OutOfRange, ProfileError
from sim_backend.frontend import quantised
from sim_backend.macro import Macro
from sim_backend.multiply import Inputs, Matrices, Schedule
from sim_backend.profile import Fact
from sim_backend.randomness import Stream, child
from sim_backend.technology import Temperature
from sim_backend.thermal import FOREVER, ThermalClock
from tests.physics.test_forming import pulses
from tests.support.reference import normal

ALL = np.arange(512)
NS = 10**9
SLOT_US = 10_000
FACTS = technology.load("tech_b").temperature


# --- technologies ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", technology.names())
def test_every_technology_can_be_read_and_turned_into_integers(name: str):
    kind = technology.load(name)
    assert kind.name == name
    numbers = relaxation.numbers(kind.relaxation)
    # a quantile grows with its normal number, at every age and level
    assert (np.diff(numbers.change_ps, axis=2) >= 0).all()
    weights = numbers.weights.astype(float) / 2**20
    assert (weights**2).sum(axis=1) + (numbers.constant / 2**20) ** 2 == pytest.approx(1, abs=1e-5)


def test_a_technology_that_does_not_say_everything_is_refused():
    text = Path(technology.__file__).with_name("technologies").joinpath("rram40.toml").read_text()
    with pytest.raises(ProfileError, match="one number a time, level and normal"):
        technology.parse(text.replace("[-16.8, 15.2]", "[-16.8]"), "rram40")
    with pytest.raises(ProfileError, match="share"):
        technology.parse(text.replace("share = { value = 0.0", "share = { value = 1.5"), "rram40")
    with pytest.raises(ProfileError, match="not valid TOML"):
        technology.parse("=", "rram40")
    with pytest.raises(NoSuchTechnology, match="rram40, tech_a, tech_b, tech_c"):
        technology.load("tech_x")


def test_a_source_may_change_without_changing_a_chips_technology():
    kind = technology.load("tech_b")
    share = kind.telegraph.share
    other = Fact(value=share.value, source="measured", note="elsewhere")
    same = kind.model_copy(update={"telegraph": kind.telegraph.model_copy(update={"share": other})})
    assert same.digest == kind.digest
    changed = Fact(value=Decimal("0.1"), source=share.source)
    less = kind.model_copy(
        update={"telegraph": kind.telegraph.model_copy(update={"share": changed})}
    )
    assert less.digest != kind.digest


# --- the thermal clock ----------------------------------------------------------------------


def clock_of(facts: Temperature = FACTS) -> ThermalClock:
    arrays = {
        "thermal_active": np.zeros(1, np.uint64),
        **{f"thermal_{name}": np.zeros(2, np.uint64) for name in ("base_us", "since_ns", "mk")},
    }
    return ThermalClock(arrays, facts, SLOT_US)


def test_at_the_reference_temperature_the_clock_counts_board_time():
    clock = clock_of()
    assert [clock.slot(t) for t in (0, 9_999_999, 10_000_000, 10**15)] == [0, 0, 1, 10**8]
    assert clock.conductance_factor == 1 << 20


def test_heat_makes_the_clock_faster_by_arrhenius_law_and_cold_slower():
    for temperature_k, factor in ((358.15, 679.0), (398.15, 17_721.0), (273.15, 0.0283)):
        clock = clock_of()
        clock.set_temperature(0, round(temperature_k * 1000))
        assert clock.passed_s(10**12) / 1000 == pytest.approx(factor, rel=0.02)
    clock.set_temperature(0, 398_150)
    assert clock.conductance_factor / 2**20 == pytest.approx(0.95)


def test_a_new_temperature_does_not_change_what_has_passed():
    clock = clock_of()
    before = clock.slot(50 * NS)
    clock.set_temperature(50 * NS, 398_150)
    assert clock.slot(50 * NS) == before
    assert clock.slot(51 * NS) > before + 1_000_000
    hot = clock.slot(51 * NS)
    clock.set_temperature(51 * NS, 298_150)
    assert 0 <= clock.slot(51 * NS) - hot <= 1
    assert clock.slot(52 * NS) - clock.slot(51 * NS) == 100


@given(
    temperature_mk=st.integers(233_150, 423_150),
    start_ns=st.integers(0, 1 << 60),
    spans=st.lists(st.integers(0, 900_000_000), min_size=1, max_size=20),
)
def test_slots_of_many_moments_are_those_of_each(
    temperature_mk: int, start_ns: int, spans: list[int]
):
    clock = clock_of()
    clock.set_temperature(start_ns // 2, temperature_mk)
    times = np.array([start_ns + span for span in spans], dtype=np.int64)
    assert clock.slots(times).tolist() == [clock.slot(time) for time in times.tolist()]


@given(
    temperature_mk=st.integers(233_150, 423_150),
    since_ns=st.integers(0, 1 << 50),
    slots=st.integers(1, 1 << 20),
)
def test_a_slot_begins_when_the_clock_first_shows_it(
    temperature_mk: int, since_ns: int, slots: int
):
    clock = clock_of()
    clock.set_temperature(since_ns, temperature_mk)
    slot = clock.slot(since_ns) + slots
    begins_ns = clock.begins_ns(slot)
    if begins_ns < FOREVER:
        assert clock.slot(begins_ns) == slot or clock.slot(begins_ns - 1) < slot
        assert clock.slot(begins_ns) >= slot > clock.slot(begins_ns - 1)


# --- steps of age ---------------------------------------------------------------------------


@given(st.integers(1, 1 << 50))
def test_a_step_ends_when_the_next_one_begins(age: int):
    step, end = relaxation.step_of(age), relaxation.end_of_step(age)
    assert end > age
    assert relaxation.step_of(end - 1) == step < relaxation.step_of(end)


# --- telegraph states -----------------------------------------------------------------------


def test_a_state_at_random_access_is_that_of_the_chain_followed_slot_by_slot():
    key, redrawn, high = np.uint64(child(5, 7)), 1 << 28, 1 << 30
    state, chain = None, []
    for slot in range(3000):
        bits = child(int(key), slot)
        if bits >> 33 < redrawn or slot == 0:
            state = bits & (2**31 - 1) < high
        chain.append(state)
    order = np.random.default_rng(1).permutation(3000)
    assert [telegraph.is_high(key, int(n), redrawn, high) for n in order] == [
        chain[n] for n in order
    ]


def test_dwell_times_are_those_of_the_technology():
    facts = telegraph.numbers(technology.load("tech_a").telegraph)
    key = np.uint64(child(5, 8))
    states = np.array([telegraph.is_high(key, n, facts.redrawn, facts.high) for n in range(60_000)])
    ends = np.flatnonzero(np.diff(states)) + 1
    lengths, of = np.diff(ends), states[ends[:-1]]
    for mean_s, is_up in ((0.0555, False), (0.0505, True)):
        assert lengths[of == is_up].mean() * 0.0025 == pytest.approx(mean_s, rel=0.08)
    # geometric: as spread as long
    assert lengths.std() / lengths.mean() == pytest.approx(1, abs=0.1)


# --- factors --------------------------------------------------------------------------------


def board_of(folder: Path, kind: str, seed: int = 3) -> SimulatedBoard:
    """A board whose chip is of this technology, and whose first 32 rows have just formed."""
    board = SimulatedBoard(folder, seed, 1)
    board.replace_chip(0, technology=kind)
    board.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(ALL[:32], 4.0, 1_000_000))
    return board


def factor_by_hand(board: SimulatedBoard, row: int, column: int, time_ns: int) -> int:
    """Factor of one cell, from the rules, in Python's integers."""
    chip = board.chips[0]
    cells, facts = chip.cells, technology.load(chip.technology)
    numbers, trap = relaxation.numbers(facts.relaxation), telegraph.numbers(facts.telegraph)
    ps, cell = int(cells.conductance_ps[row, column]), row * 512 + column
    key = child(child(board.seed, 0), Stream.CHIP, 0, 1)
    factor = 1 << 20
    age = time_ns // (SLOT_US * 1000) - int(cells.changed_slot[row, column])
    if cells.flags[row, column] & FORMED and age >= numbers.first_age:
        octave = age.bit_length() - 1
        step = octave * 8 + ((age * 8 >> octave) - 8)
        step = min(step, len(numbers.change_ps) - 1)
        turn = 2 * int(cells.cycles[row, column]) + bool(cells.flags[row, column] & OFF)
        path = child(key, Stream.RELAXATION, cell, turn)
        knot, within = divmod(step, numbers.knot_steps)
        spread = numbers.constant * normal(child(path, 0))
        for n in range(2):
            spread += int(numbers.weights[within, n]) * normal(child(path, 1 + knot + n))
        place, rest = divmod((spread >> 20) + (6 << 20), 1 << 18)
        levels = numbers.levels_ps.tolist()
        level = max(n for n in range(len(levels) - 1) if ps >= levels[n])
        width = levels[level + 1] - levels[level]
        part = (min(ps, levels[level + 1]) - levels[level] << 16) // width
        ends = []
        for n in (level, level + 1):
            low, high = numbers.change_ps[step, n, place : place + 2].tolist()
            ends.append(low + ((high - low) * rest >> 18))
        aged_ps = max(ps + ends[0] + ((ends[1] - ends[0]) * part >> 16), 0)
        factor = (aged_ps << 20) // ps
    jump = int(chip.ageing.traps.step[row, column]) if chip.ageing.traps.step.size else 0
    if jump:
        slot, redrawn = time_ns // trap.slot_ns, int(chip.ageing.traps.redrawn[row, column])
        own = child(key, Stream.TELEGRAPH, cell)
        while slot > 0 and child(own, slot) >> 33 >= redrawn:
            slot -= 1
        up = child(own, slot) & (2**31 - 1) < trap.high
        share = (1 << 31) - trap.high if up else -trap.high
        factor += factor * (jump * share >> 31) >> 20
    return factor


@pytest.mark.parametrize("kind", ["rram40", "tech_a", "tech_b", "tech_c"])
def test_factors_equal_the_rules_by_hand(tmp_path: Path, kind: str):
    with board_of(tmp_path, kind) as board:
        board.pulse(FrameId(1, 2), 0, Operation.RESET, pulses(ALL[8:16], -2.0))
        rows = np.array([0, 9, 31, 40])
        for after_ns in (0, 10_000_000, 3 * NS, 7_777 * NS, 10**17, 10**18):
            time_ns = board.clock_ns + after_ns
            values = board.chips[0].ageing.factors(rows, time_ns).values
            for n, row in enumerate(rows.tolist()):
                for column in range(0, 512, 37):
                    expected = factor_by_hand(board, row, column, time_ns)
                    assert values[n, column] == expected, (after_ns, row, column)


def test_a_factor_depends_on_neither_order_nor_company_nor_moments_asked_before(tmp_path: Path):
    with board_of(tmp_path, "tech_b") as board:
        own = board.chips[0].ageing
        time_ns = board.clock_ns + 12 * NS
        whole = own.factors(ALL, time_ns)
        mixed = np.random.default_rng(2).permutation(512)
        assert (own.factors(mixed, time_ns).values == whole.values[mixed]).all()
        times = np.full((3, 512), time_ns - 9 * NS)
        times[:, 100:] = time_ns
        assert (own.factors(ALL[5:8], times).values[:, 100:] == whole.values[5:8, 100:]).all()
        # what was told to hold holds until then, and not beyond
        formed = whole.until_ns[:32]
        assert (own.factors(ALL, int(formed.min()) - 1).values == whole.values).all()
        assert (
            (own.factors(ALL, int(formed.max())).values[:32] != whole.values[:32]).any(axis=1).all()
        )
        assert (whole.until_ns[32:] == FOREVER).all()


def test_a_pulse_draws_the_path_of_a_cell_anew_only_if_it_changes_it(tmp_path: Path):
    with board_of(tmp_path, "tech_b") as board:
        board.advance(100 * NS)
        aged = board.chips[0].aged_ps(board.clock_ns)
        board.pulse(FrameId(1, 2), 0, Operation.FORM, pulses(ALL[:1], 2.0))
        assert (board.chips[0].aged_ps(board.clock_ns)[0] == aged[0]).all()
        board.pulse(FrameId(1, 3), 0, Operation.RESET, pulses(ALL[:1], -2.0))
        cells, fresh = board.chips[0].cells, board.chips[0].aged_ps(board.clock_ns)
        off = (cells.flags[0] & OFF) != 0
        assert off.sum() > 500
        assert (fresh[0, off] == cells.conductance_ps[0, off]).all()


def test_virgin_and_shorted_cells_do_not_age(tmp_path: Path):
    with board_of(tmp_path, "tech_c") as board:
        board.advance(10**6 * NS)
        chip = board.chips[0]
        untouched = (chip.cells.flags & CellFlag.FORMED) == 0
        assert (chip.aged_ps(board.clock_ns) == chip.cells.conductance_ps)[untouched].all()


def test_temperature_scales_every_conductance_and_comes_back(tmp_path: Path):
    with board_of(tmp_path, "rram40") as board:
        chip = board.chips[0]
        before = chip.aged_ps(board.clock_ns)
        board.advance(0, 348_150)
        warm = chip.aged_ps(board.clock_ns)
        assert warm / before == pytest.approx(0.975, abs=1e-4)
        board.advance(0, 298_150)
        assert (chip.aged_ps(board.clock_ns) == before).all()


# --- conversions ----------------------------------------------------------------------------


def without_noise(board: SimulatedBoard) -> SimulatedBoard:
    chip = board.chips[0]
    chip._noise = 0
    chip.read_through(board.front.read._replace(adc_noise=0))
    return board


def code_of(chip: Macro, row: int, range_index: int, aged_ps: int) -> int:
    """Code of a conversion without noise, of a current that the wires let through."""
    numbers = chip._read
    lines = readpath.Lines(
        level=np.zeros((512, 1), np.int32),
        spread=np.zeros((512, 1), np.int32),
        dark=np.zeros(512, np.int32),
        dark_spread=0,
        top=numbers.top,
        transfer=numbers.transfer,
    )
    readpath.prepare_dark(range_index, numbers, lines.dark)
    seen_ps = np.array([[aged_ps]], dtype=np.uint32)
    readpath.prepare(np.array([row]), range_index, seen_ps, numbers, lines)
    return int(quantised(lines.level[row, 0], 0, 0, numbers.transfer[row % 8]))


@pytest.mark.parametrize("kind", ["tech_a", "tech_b"])
def test_each_conversion_sees_its_cell_at_its_own_board_time(tmp_path: Path, kind: str):
    rows, columns = np.arange(3, 20), np.arange(4, 500, 3)
    with without_noise(board_of(tmp_path, kind)) as board:
        chip, start_ns = board.chips[0], board.clock_ns
        plan = board.timing.read(rows, len(columns), 1)
        effective_ps = chip.sampling(rows, columns, 1, start_ns, plan).effective_ps
        codes = np.concatenate([p.codes for p in board.read(0, rows, columns, 3, 1, 100)])
        moving = set()
        for n in range(0, len(codes), 41):
            line, at = divmod(n, len(columns))
            read, r = divmod(line, len(rows))
            time_ns = start_ns + int(plan.sampled_ns(read, np.array([r]))[0]) + at * plan.step_ns
            row, column = rows[r], columns[at]
            factor = factor_by_hand(board, int(row), int(column), time_ns)
            moving.add(factor)
            aged_ps = (int(effective_ps[r, column]) * factor + 2**19) >> 20
            assert codes[n] == code_of(chip, int(row), 1, aged_ps), (read, row, column)
        assert len(moving) > 10


@pytest.mark.parametrize("kind", ["tech_a", "tech_b"])
def test_codes_do_not_depend_on_the_size_of_chunks_while_cells_age(tmp_path: Path, kind: str):
    seen = []
    for n, words in enumerate((1_000, 7, 511, 1 << 19)):
        with board_of(tmp_path / str(n), kind) as board:
            parts = board.read(0, ALL[:20], ALL[5:69], 9, 0, words)
            codes = np.concatenate([part.codes for part in parts])
            whole = np.concatenate([p.codes for p in board.read(0, ALL, ALL, 1, 0, words * 100)])
            seen.append((codes.tobytes(), whole.tobytes(), board.clock_ns))
    assert len(set(seen)) == 1


@pytest.mark.parametrize("kind", ["tech_a", "tech_b"])
def test_single_cells_see_their_own_board_time_however_they_are_batched(tmp_path: Path, kind: str):
    rng = np.random.default_rng(4)
    rows, columns = rng.integers(0, 32, 3000), rng.integers(0, 512, 3000)
    seen = []
    for n, size in enumerate((3000, 1, 700)):
        with board_of(tmp_path / str(n), kind) as board:
            parts = [
                board.read_points(0, rows[k : k + size], columns[k : k + size], 1)
                for k in range(0, 3000, size)
            ]
            seen.append(np.concatenate(parts).tobytes())
    assert len(set(seen)) == 1


def test_time_passed_at_once_is_time_passed_in_parts(tmp_path: Path):
    aged = []
    for n, parts in enumerate(([10**14], [1, 10**14 - 1], [10**13] * 10)):
        with board_of(tmp_path / str(n), "tech_b") as board:
            board.advance(0, 358_150)
            for part_ns in parts:
                board.advance(part_ns)
            aged.append(board.chips[0].aged_ps(board.clock_ns).tobytes())
    assert len(set(aged)) == 1


def test_a_chip_remembers_technology_temperature_and_age(tmp_path: Path):
    with board_of(tmp_path, "tech_b") as board:
        board.advance(50 * NS, 358_150)
        aged = board.chips[0].aged_ps(board.clock_ns)
    with SimulatedBoard(tmp_path, 3, 1) as board:
        assert board.temperature_mk == 358_150
        assert board.chips[0].technology == "tech_b"
        assert (board.chips[0].aged_ps(board.clock_ns) == aged).all()


def test_a_kill_between_board_and_chip_is_made_good_when_the_board_is_opened(tmp_path: Path):
    with board_of(tmp_path, "tech_b") as board:
        board._temperature_mk[0] = 358_150
    with SimulatedBoard(tmp_path, 3, 1) as board:
        before = board.chips[0].ageing.passed_s(board.clock_ns)
        board.advance(NS)
        passed_s = board.chips[0].ageing.passed_s(board.clock_ns) - before
        assert passed_s == pytest.approx(679, rel=0.02)


@pytest.mark.parametrize(
    ("duration_ns", "temperature_mk", "word"),
    [(-1, None, "not by -1e-9 s"), (LAST_NS, None, "Board time"), (1, 500_000, "150.00 degC")],
)
def test_time_and_temperature_beyond_the_board_are_refused_and_nothing_is_done(
    tmp_path: Path, duration_ns: int, temperature_mk: int | None, word: str
):
    with board_of(tmp_path, "rram40") as board:
        before = board.clock_ns, board.temperature_mk
        with pytest.raises(OutOfRange, match=word):
            board.advance(duration_ns, temperature_mk)
        assert (board.clock_ns, board.temperature_mk) == before


@settings(max_examples=20)
@given(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 30))
def test_multiplied_rounds_and_never_overflows(ps: int, factor: int):
    out = ageing.multiplied(np.array([[ps]], np.uint32), np.array([[factor]], np.int64))
    assert out[0, 0] == min((ps * factor + 2**19) >> 20, 2**32 - 1)


# --- products -------------------------------------------------------------------------------


def gate_schedule(rows: np.ndarray) -> Schedule:
    steps = np.zeros(len(rows) // 8, dtype=STEP)
    steps["range"], steps["gate"] = 2, np.random.default_rng(3).integers(0, 256, 64)
    steps["samples"]["row"] = steps["samples"]["accumulator"] = rows.reshape(-1, 8)
    steps["samples"]["use"] = Use.ADD
    return Schedule.of(steps, len(rows), 512)


@pytest.mark.parametrize("kind", ["tech_a", "tech_b"])
def test_products_see_their_cells_age_vector_by_vector_however_they_are_cut(
    tmp_path: Path, kind: str
):
    rows, vectors = np.arange(32), 500
    schedule = gate_schedule(rows)
    planes = np.random.default_rng(4).integers(0, 256, (vectors, 3, 64)).astype(np.uint8)
    seen, folded = [], []
    for n, size in enumerate((vectors, 1, 7)):
        with board_of(tmp_path / str(n), kind) as board:
            board.measure_zeros(0, rows, 2)
            sums = []
            for at in range(0, vectors, size):
                if size == 1:
                    board.chips[0]._matrices = Matrices()  # nothing is kept, all is folded anew
                inputs = Inputs(planes[at : at + size], False)
                sums.append(board.multiply(0, schedule, inputs, 0, 512).sums)
            seen.append(np.concatenate(sums).tobytes())
            lines = board.chips[0]._lines
            folded.append(lines._aged_so_far)
    assert len(set(seen)) == 1
    assert min(folded) > 2 * len(schedule.groups)  # cells did age between the first and the last
