"""LOAD_SCHEDULE and RUN_SCHEDULE: what the board refuses, keeps, counts and answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_protocol.executor import Refused
from firmware_protocol.layouts import STEP
from firmware_protocol.messages import (
    Command,
    DarkRequest,
    ErrorCode,
    LoadScheduleReply,
    LoadScheduleRequest,
    RunScheduleReply,
    RunScheduleRequest,
    Use,
)
from sim_backend.board import SimulatedBoard
from sim_backend.multiply.settings import ENGINE_VARIABLE, THREADS_VARIABLE
from tests.unit.test_sim_firmware import FULL, MAX_BODY, Bench, form_rows, switches


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SimulatedBoard(tmp_path, 3, 2) as board:
        yield Bench(board)


def every_row(count: int, range_index: int = 1) -> np.ndarray[Any, Any]:
    """Steps that sample rows 0 to 8 x count - 1 once, row r into accumulator r, all gates open."""
    steps = np.zeros(count, dtype=STEP)
    steps["range"] = range_index
    steps["gate"] = 255
    rows = np.arange(8 * count).reshape(count, 8)
    steps["samples"]["row"] = steps["samples"]["accumulator"] = rows
    steps["samples"]["use"] = Use.ADD
    return steps


def load(
    bench: Bench,
    steps: np.ndarray[Any, Any],
    accumulators: int = 512,
    *,
    slot: int = 0,
    total: int | None = None,
    first: int = 0,
    chip: int = 0,
) -> int:
    total = len(steps) if total is None else total
    head = LoadScheduleRequest(chip, 0, slot, accumulators, total, first, len(steps))
    answer = bench.answer(Command.LOAD_SCHEDULE, head.pack() + steps.tobytes())
    return LoadScheduleReply.unpack(answer.body).loaded


def run(
    bench: Bench,
    planes: np.ndarray[Any, Any],
    *,
    slot: int = 0,
    first: int = 0,
    columns: int = 512,
    is_signed: int = 0,
    max_body: int = MAX_BODY,
) -> tuple[RunScheduleReply, np.ndarray[Any, Any]]:
    vectors, bits, _ = planes.shape
    head = RunScheduleRequest(
        0, bits, slot, is_signed, 0, vectors, first, columns, planes.size
    ).pack()
    body = bench.answer(Command.RUN_SCHEDULE, head + planes.tobytes(), max_body).body
    reply = RunScheduleReply.unpack(body)
    sums = np.frombuffer(body, "<i4", offset=RunScheduleReply.SIZE)
    return reply, sums.reshape(reply.vectors, reply.accumulators)


def dark(bench: Bench, range_index: int = 1) -> None:
    bench.answer(Command.DARK, DarkRequest(0, range_index, 0, FULL).pack())


def ones(vectors: int = 1, bits: int = 1, columns: int = 512) -> np.ndarray[Any, Any]:
    return np.full((vectors, bits, -(-columns // 8)), 255, dtype=np.uint8)


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[ErrorCode, str, int]:
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    error = refused.value.error
    return ErrorCode(error.code), error.text, error.value


# --- loading ---------------------------------------------------------------------------------


def changed(field: str, value: Any, sample: int | None = None) -> np.ndarray[Any, Any]:
    steps = every_row(3)
    if sample is None:
        steps[field][1] = value
    else:
        steps["samples"][field][1, sample] = value
    return steps


@pytest.mark.parametrize(
    ("steps", "text", "value"),
    [
        (changed("range", 3), "step.range", 3),
        (changed("reserved", 1), "step.reserved", 1),
        (changed("row", 512 + 8, 0), "sample.row", 520),
        (changed("row", 9, 0), "channel of sample.row", 1),
        (changed("accumulator", 24, 7), "sample.accumulator", 24),
        (changed("use", 3, 2), "sample.use", 3),
        (changed("reserved", 9, 2), "sample.reserved", 9),
        (changed("samples", 0), "samples that are used", 0),
    ],
)
def test_a_step_that_the_board_does_not_have_is_refused(
    bench: Bench, steps: np.ndarray[Any, Any], text: str, value: int
):
    dark(bench)
    load(bench, every_row(2), 24)
    before = run(bench, ones())[1].shape
    assert refusal(load, bench, steps, 24) == (ErrorCode.BAD_FIELD, text, value)
    assert run(bench, ones())[1].shape == before  # the slot is as it was


@pytest.mark.parametrize(
    ("named", "text", "value"),
    [
        ({"slot": 64}, "slot", 64),
        ({"total": 4097}, "total", 4097),
        ({"accumulators": 4097}, "accumulators", 4097),
        ({"total": 2}, "first + steps", 3),
        ({"first": 3, "total": 9}, "first", 3),
    ],
)
def test_limits_of_a_schedule_are_those_of_describe(
    bench: Bench, named: dict[str, int], text: str, value: int
):
    assert refusal(load, bench, every_row(3), **named) == (ErrorCode.BAD_FIELD, text, value)


def test_no_accumulator_takes_more_samples_than_32_bits_hold(bench: Bench):
    steps = every_row(64)
    steps["samples"]["accumulator"] = 1
    assert load(bench, steps, 2) == 64  # 512 samples
    more = np.concatenate([steps, every_row(1)])
    more["samples"]["accumulator"] = 1
    more["samples"]["use"][64, 1:] = Use.UNUSED
    assert refusal(load, bench, more, 2) == (ErrorCode.BAD_FIELD, "samples of accumulator 1", 513)
    # no code and no weight takes such a sum beyond 2^31
    assert 512 * 16383 * 255 < 2**31


def test_a_schedule_comes_in_frames_without_gaps_and_is_ready_with_the_last(bench: Bench):
    dark(bench)
    steps = every_row(6)
    code, text, value = refusal(run, bench, ones())
    assert (code, text[:27], value) == (ErrorCode.NOT_READY, "there is no schedule in thi", 0)
    assert load(bench, steps[:2], total=6) == 2
    assert refusal(run, bench, ones())[0] == ErrorCode.NOT_READY
    wrong = {"total": 6, "first": 3}
    assert refusal(load, bench, steps[3:], **wrong) == (ErrorCode.BAD_FIELD, "first", 3)
    wrong = {"total": 7, "first": 2}
    assert refusal(load, bench, steps[2:], **wrong) == (ErrorCode.BAD_FIELD, "total", 7)
    assert load(bench, steps[2:5], total=6, first=2) == 5
    assert load(bench, steps[5:], total=6, first=5) == 6
    assert run(bench, ones())[0].conversions == 48
    assert refusal(load, bench, steps[5:], total=6, first=5)[1] == "first"  # it is complete
    load(bench, every_row(2), total=6)  # a first frame replaces it, and more must come
    assert refusal(run, bench, ones())[0] == ErrorCode.NOT_READY


def test_slots_and_chips_are_independent_and_lost_when_the_board_is_switched_off(tmp_path: Path):
    with SimulatedBoard(tmp_path, 3, 2) as board:
        bench = Bench(board)
        dark(bench)
        load(bench, every_row(1), 8)
        load(bench, every_row(2), 16, slot=63)
        load(bench, every_row(3), 24, chip=1)
        assert run(bench, ones())[1].shape == (1, 8)
        assert run(bench, ones(), slot=63)[1].shape == (1, 16)
    with SimulatedBoard(tmp_path, 3, 2) as board:
        assert refusal(run, Bench(board), ones())[0] == ErrorCode.NOT_READY


# --- running ---------------------------------------------------------------------------------


def test_a_zero_that_was_never_measured_is_named_and_nothing_is_done(bench: Bench):
    bench.answer(Command.DARK, DarkRequest(0, 1, 0, b"\xff" * 2 + bytes(62)).pack())
    load(bench, every_row(3))
    clock_ns, conversions = bench.board.clock_ns, bench.board.chips[0].conversions
    code, text, row = refusal(run, bench, ones())
    assert (code, row) == (ErrorCode.NOT_READY, 16)
    assert text == "no zero in range 1 of this row; send DARK"
    assert (bench.board.clock_ns, bench.board.chips[0].conversions) == (clock_ns, conversions)


@pytest.mark.parametrize(
    ("planes", "named", "text", "value"),
    [
        (ones(), {"first": 1}, "columns", 512),
        (ones(columns=8), {"first": 512, "columns": 8}, "first_column", 512),
        (ones(), {"columns": 504}, "plane_bytes", 64),
        (ones(), {"slot": 64}, "slot", 64),
        (ones(3), {"max_body": RunScheduleReply.SIZE + 4 * 512 * 2}, "vectors", 3),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    bench: Bench, planes: np.ndarray[Any, Any], named: dict[str, int], text: str, value: int
):
    dark(bench)
    load(bench, every_row(1))
    assert refusal(run, bench, planes, **named) == (ErrorCode.BAD_FIELD, text, value)


def test_a_run_counts_conversions_loads_time_and_leaves_its_last_pattern(bench: Bench):
    dark(bench, 0)
    dark(bench)
    steps = np.concatenate([every_row(2, 0), every_row(1, 1)])
    steps["samples"]["use"][1, 5] = Use.UNUSED
    steps["gate"][2] = 0x0F
    load(bench, steps, 16)
    chip = bench.board.chips[0]
    clock_ns, conversions, loads = bench.board.clock_ns, chip.conversions, chip.switch_loads
    planes = ones(vectors=5, bits=3, columns=20)
    planes[-1, -1] = [0b11, 0xFF, 0x03]
    reply, _ = run(bench, planes, first=8, columns=20)
    assert (reply.conversions, chip.conversions - conversions) == (5 * 3 * 23, 5 * 3 * 23)
    assert chip.switch_loads - loads == 5 * 3 * 3
    spent_ns = 5 * (6_400 + 3 * (2 * 25_000 + 22_000))
    assert reply.board_time_ns == bench.board.clock_ns == clock_ns + spent_ns
    driven = np.flatnonzero(switches(bench) == 2).tolist()
    assert driven == [8, 9, 16, 17, 18, 19, 24, 25]  # plane AND gate, moved by 8


def test_one_driven_column_reads_as_the_cell_does(bench: Bench):
    """READ_CELLS and RUN_SCHEDULE give the same code for the same conversion of a row."""
    bench.pulse(form_rows(16))
    codes = {}
    for kind in ("read", "run"):
        board = bench.board
        board.chips[0]._counts[:] = 1000  # the same noise in both
        dark(bench)
        if kind == "read":
            (part,) = board.read(0, np.arange(16), np.arange(512), 1, 1, 1 << 19)
            codes[kind] = part.codes.reshape(16, 512).astype(np.int64)
            continue
        load(bench, every_row(2), 16)
        planes = np.packbits(np.eye(512, dtype=np.uint8), axis=1, bitorder="little")[:, None]
        zeros = (board.chips[0].zeros(np.arange(16), 1).astype(np.int64) + 8) // 16
        codes[kind] = run(bench, planes)[1].T + zeros[:, None]
    assert np.array_equal(codes["read"], codes["run"])


def test_a_run_answers_the_same_in_batches_of_1_7_and_256_with_each_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    generator = np.random.default_rng(1)
    planes = generator.integers(0, 256, (300, 2, 64)).astype(np.uint8)
    results = []
    for n, (size, engine, threads) in enumerate(
        [(300, "tables", 1), (1, "tables", 2), (7, "digits", 1), (256, "digits", 2)]
    ):
        if engine == "digits":
            pytest.importorskip("torch")
        monkeypatch.setenv(ENGINE_VARIABLE, engine)
        monkeypatch.setenv(THREADS_VARIABLE, str(threads))
        with SimulatedBoard(tmp_path / str(n), 3, 1) as board:
            bench = Bench(board)
            bench.pulse(form_rows(32))
            dark(bench)
            load(bench, every_row(4), 32)
            parts = [run(bench, planes[at : at + size], is_signed=1) for at in range(0, 300, size)]
            sums = np.concatenate([part for _, part in parts])
            saturated = sum(reply.saturated for reply, _ in parts)
            results.append((sums.tobytes(), saturated, parts[-1][0].board_time_ns))
    assert results[1:] == results[:1] * 3


def test_a_pulse_is_seen_by_the_next_run(bench: Bench):
    dark(bench)
    load(bench, every_row(2), 16)
    before = run(bench, ones())[1][0]
    bench.pulse(form_rows(8))
    after = run(bench, ones())[1][0]
    assert (after[:8] - before[:8] > 1000).all()
    assert abs(after[8:] - before[8:]).max() < 200


def test_codes_at_either_end_are_counted(bench: Bench):
    bench.pulse(form_rows(8))
    dark(bench, 0)
    load(bench, every_row(1, 0), 8)
    reply, sums = run(bench, ones(2))
    assert reply.saturated == 16
    assert (sums > 16000).all()
