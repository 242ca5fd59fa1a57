"""Multiplying against a plain reference, bit for bit: engines, threads, batches, wide sums.

The reference follows the order of the contract, vector, step, plane, one conversion at a time, in
Python integers; it shares with the code the tables of the normal distribution and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol.layouts import STEP
from sim_backend import tables
from sim_backend.board import SimulatedBoard
from sim_backend.errors import BadSetting
from sim_backend.fixedpoint import ReadNumbers
from sim_backend.frontend import REFERENCE_MK, converters, front_end, transitions
from sim_backend.multiply import Inputs, Products, Rows, Schedule, multiply
from sim_backend.multiply.matrix import Matrix, fold
from sim_backend.multiply.settings import ENGINE_VARIABLE, THREADS_VARIABLE
from sim_backend.profile import load
from sim_backend.randomness import board_key, child, children
from sim_backend.readpath import NoiseKeys
from tests.support.reference import normal_at

PROFILE = load("rram40_256k")
NUMBERS = front_end(PROFILE, 1, REFERENCE_MK).read
TRANSITIONS = [
    transitions(converter).tolist() for converter in converters(PROFILE, board_key(1), REFERENCE_MK)
]
QUIET = NUMBERS._replace(noise=0, adc_noise=0)
NORMAL = tables.load().normal
ROWS, COLUMNS = 24, 40
KEYS = NoiseKeys(children(child(9, 5), ROWS), children(child(9, 6), ROWS))


class Case:
    """A schedule, the state of its rows, and the inputs."""

    def __init__(self, seed: int, steps: int, accumulators: int, numbers: ReadNumbers) -> None:
        self.numbers = numbers
        self.generator = np.random.default_rng(seed)
        self.items = self._steps(steps, accumulators)
        self.schedule = Schedule.of(self.items, accumulators, COLUMNS)
        # a group's solution; that it is one of wires does not matter here
        self.effective_ps = {
            group: self.generator.lognormal(16, 1, (len(group), COLUMNS)).astype(np.uint32)
            for group in self.schedule.groups
        }
        self.rows = Rows(
            dark=self.generator.integers(2**23, 2**25, (3, ROWS)),
            zero=self.generator.integers(100, 400, (3, ROWS), dtype=np.int32),
            counts=self.generator.integers(0, 2**40, ROWS, dtype=np.uint64),
        )

    def _steps(self, steps: int, accumulators: int) -> np.ndarray[Any, Any]:
        g = self.generator
        items = np.zeros(steps, dtype=STEP)
        items["range"] = g.integers(0, 3, steps)
        items["gate"] = g.integers(0, 256, (steps, 64))
        samples = items["samples"]
        samples["row"] = 8 * g.integers(0, ROWS // 8, (steps, 8)) + np.arange(8)
        samples["accumulator"] = g.integers(0, accumulators, (steps, 8))
        samples["use"] = g.integers(0, 3, (steps, 8))
        samples["use"][:, 3] = 1  # one at least
        return items

    def inputs(self, vectors: int, bits: int, columns: int, is_signed: bool) -> Inputs:
        shape = vectors, bits, -(-columns // 8)
        return Inputs(self.generator.integers(0, 256, shape).astype(np.uint8), is_signed)

    def matrix_of(self, first: int, columns: int) -> Any:
        def folded(start: int, stop: int) -> Matrix:
            schedule, part = self.schedule, slice(start, stop)
            pairs = zip(schedule.step[part], schedule.place[part], strict=True)
            window = slice(first, first + columns)
            rows = [self.effective_ps[schedule.groups[s]][place, window] for s, place in pairs]
            gates = schedule.gates[schedule.step[part], window]
            return fold(np.stack(rows), gates, self.numbers.noise)

        return folded

    def run(self, inputs: Inputs, first: int, columns: int, rows: Rows | None = None) -> Products:
        matrix_of = self.matrix_of(first, columns)
        rows = self.rows if rows is None else rows
        return multiply(self.schedule, matrix_of, inputs, rows, KEYS, self.numbers, NORMAL)

    def run_split(self, inputs: Inputs, first: int, columns: int, size: int) -> Products:
        counts = self.rows.counts.copy()
        sums, saturated = [], 0
        for at in range(0, len(inputs.planes), size):
            planes = inputs.planes[at : at + size]
            part = self.run(
                Inputs(planes, inputs.is_signed), first, columns, self.rows._replace(counts=counts)
            )
            counts += self.schedule.conversions(ROWS) * np.uint64(planes.shape[0] * planes.shape[1])
            sums.append(part.sums)
            saturated += part.saturated
        return Products(np.concatenate(sums), saturated)


# --- the reference ---------------------------------------------------------------------------


def reference(case: Case, inputs: Inputs, first: int, columns: int) -> tuple[list[list[int]], int]:
    counts = [int(count) for count in case.rows.counts]
    bits = np.unpackbits(inputs.planes, axis=2, bitorder="little")[:, :, :columns]
    saturated, results = 0, []
    for vector in bits:
        sums = [0] * case.schedule.accumulators
        for item in case.items:
            gate = np.unpackbits(item["gate"], bitorder="little")
            used = [sample for sample in item["samples"] if sample["use"]]
            group = tuple(sorted(int(sample["row"]) for sample in used))
            for plane, plane_bits in enumerate(vector):
                driven = [first + c for c in range(columns) if plane_bits[c] and gate[first + c]]
                top = inputs.is_signed and plane == len(vector) - 1
                for sample in used:
                    row, r = int(sample["row"]), int(item["range"])
                    cells = case.effective_ps[group][group.index(row)]
                    code = reference_code(case, row, r, [int(cells[c]) for c in driven], counts)
                    saturated += code in (0, 16383)
                    sign = (1 if sample["use"] == 1 else -1) * (-1 if top else 1)
                    part = sign * (code - int(case.rows.zero[r, row])) << plane
                    sums[sample["accumulator"]] += part
        results.append(sums)
    # the board counts by row: the planes of a step follow each other, as in the code above
    return results, saturated


def reference_code(case: Case, row: int, r: int, driven: list[int], counts: list[int]) -> int:
    numbers = case.numbers
    gain = int(numbers.gain[row % 8, r])
    units = [ps + 2 >> 2 for ps in driven]
    current = sum(units) * 4 * gain + 2**25 >> 26
    own = [min(((u * numbers.noise >> 20) ** 2 + 2**11) >> 12, 2**32 - 1) for u in units]
    ceiling = (256 << 16) + 2**15 + numbers.limit
    level = current + int(case.rows.dark[r, row])
    variance = sum(own) if level <= ceiling else 0
    square = (variance * ((gain * gain + 2**31) >> 32) + 8 >> 4) + numbers.adc_noise**2
    count = counts[row]
    counts[row] += 1
    first = child(int(KEYS.conversion[row]), count // 4) >> (16 * (count % 4)) & 0xFFFF
    number = normal_at(first, child(int(KEYS.tail[row]), count) >> 52)
    noise = int(np.sqrt(np.float64(square))) * number + 2**19 >> 20
    return bisect_right(TRANSITIONS[row % 8], min(level, ceiling) + noise)


# --- promises --------------------------------------------------------------------------------

cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "steps": st.integers(1, 6),
        "accumulators": st.integers(1, 9),
        "bits": st.integers(1, 8),
        "vectors": st.integers(1, 5),
        "first": st.integers(0, COLUMNS - 1),
        "columns": st.integers(1, COLUMNS),
        "is_signed": st.booleans(),
        "quiet": st.booleans(),
    }
)


@settings(deadline=None, max_examples=60)
@given(facts=cases, engine=st.sampled_from(["tables", "digits"]), split=st.integers(1, 5))
def test_any_run_equals_the_reference_however_it_is_computed_and_cut(
    facts: dict[str, Any], engine: str, split: int
):
    case = Case(
        facts["seed"], facts["steps"], facts["accumulators"], QUIET if facts["quiet"] else NUMBERS
    )
    first, columns = facts["first"], min(facts["columns"], COLUMNS - facts["first"])
    inputs = case.inputs(facts["vectors"], facts["bits"], columns, facts["is_signed"])
    with pytest.MonkeyPatch.context() as patch:
        use(patch, engine, 1)
        whole = case.run(inputs, first, columns)
        parts = case.run_split(inputs, first, columns, split)
    expected, saturated = reference(case, inputs, first, columns)
    assert whole.sums.tolist() == expected
    assert whole.saturated == saturated
    assert np.array_equal(parts.sums, whole.sums)
    assert parts.saturated == saturated


def use(patch: pytest.MonkeyPatch, engine: str, threads: int) -> None:
    if engine == "digits":
        pytest.importorskip("torch")
    patch.setenv(ENGINE_VARIABLE, engine)
    patch.setenv(THREADS_VARIABLE, str(threads))


@pytest.mark.parametrize("numbers", [NUMBERS, QUIET], ids=["noisy", "quiet"])
def test_engines_threads_and_batches_of_1_7_and_256_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, numbers: ReadNumbers
):
    case = Case(5, 200, 300, numbers)  # more samples than a block
    inputs = case.inputs(300, 2, COLUMNS, True)
    use(monkeypatch, "tables", 1)
    whole = case.run(inputs, 0, COLUMNS)
    for engine, threads in (("tables", 2), ("tables", 5), ("digits", 1), ("digits", 2)):
        use(monkeypatch, engine, threads)
        again = case.run(inputs, 0, COLUMNS)
        assert np.array_equal(again.sums, whole.sums)
        assert again.saturated == whole.saturated
    use(monkeypatch, "tables", 2)
    for size in (1, 7, 256):
        parts = case.run_split(inputs, 0, COLUMNS, size)
        assert np.array_equal(parts.sums, whole.sums)
        assert parts.saturated == whole.saturated


@pytest.mark.parametrize("engine", ["tables", "digits"])
def test_cells_of_any_size_keep_the_bits(monkeypatch: pytest.MonkeyPatch, engine: str):
    """Shorts, and cells far beyond: sums and variances that 32 bits do not hold."""
    use(monkeypatch, engine, 1)
    for largest in (4e8, 1.7e9, 4294967295):
        case = Case(7, 6, 5, NUMBERS)
        for cells in case.effective_ps.values():
            cells[:, ::3] = np.uint32(largest)
        matrix = case.matrix_of(0, COLUMNS)(0, len(case.schedule.row))
        inputs = case.inputs(3, 3, COLUMNS, False)
        expected, saturated = reference(case, inputs, 0, COLUMNS)
        products = case.run(inputs, 0, COLUMNS)
        assert (products.sums.tolist(), products.saturated) == (expected, saturated)
    assert matrix.wide_sum
    assert matrix.wide_variance


def test_extreme_draws_take_the_finer_table():
    """2^-11 of all draws; many vectors of one row meet some of them, in and out of phase."""
    case = Case(11, 3, 3, NUMBERS)
    inputs = case.inputs(600, 1, COLUMNS, False)
    expected, _ = reference(case, inputs, 0, COLUMNS)
    assert case.run(inputs, 0, COLUMNS).sums.tolist() == expected
    even = case.rows._replace(counts=case.rows.counts & ~np.uint64(3))
    case.rows = even
    expected, _ = reference(case, inputs, 0, COLUMNS)
    assert case.run(inputs, 0, COLUMNS).sums.tolist() == expected


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        (ENGINE_VARIABLE, "abacus", "'abacus', not 'tables' or 'digits'"),
        (THREADS_VARIABLE, "0", "'0', not a number of threads"),
        (THREADS_VARIABLE, "many", "'many', not a number of threads"),
    ],
)
def test_a_board_does_not_open_with_settings_that_mean_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, why: str
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting, match=why):
        SimulatedBoard(tmp_path, 1, 1)
    monkeypatch.delenv(variable)
    SimulatedBoard(tmp_path, 1, 1).close()
