"""The journal: intents, outcomes, and what they add up to."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_protocol.layouts import PULSE_ROW
from rramhil.errors import NotFound, UnfinishedJob
from rramhil.lab import Conclusion, JobState, Journal, Lab, Operation, PulseFate

CHIP = "chip-1"
SHAPE = (512, 512)


@pytest.fixture
def journal(lab_root: Path) -> Iterator[Journal]:
    with Lab(lab_root) as lab:
        yield lab.journal


def pulses(*operations: tuple[int, list[int]]) -> bytes:
    rows = np.zeros(len(operations), dtype=PULSE_ROW)
    for item, (row, columns) in zip(rows, operations, strict=True):
        item["row"] = row
        for c in columns:
            item["column_mask"][c // 8] |= 1 << (c % 8)
    return rows.tobytes()


def cells(*where: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    for row, column in where:
        mask[row, column] = True
    return mask


def places(mask: np.ndarray) -> list[tuple[int, int]]:
    return [(int(r), int(c)) for r, c in np.argwhere(mask)]


def intend(journal: Journal, rows: bytes, operation: Operation = Operation.FORM) -> int:
    return journal.intend(None, CHIP, operation, [(1, 1, rows)])[0]


# --- jobs -------------------------------------------------------------------------------------


def test_an_unfinished_job_is_found_again_with_its_cells_and_recipe(lab_root: Path):
    wanted = np.random.default_rng(1).random(SHAPE) < 0.5
    with Lab(lab_root) as lab:
        job = lab.journal.open_job(CHIP, '{"name": "dense"}', wanted)
    with Lab(lab_root) as lab:
        found = lab.journal.unfinished_job(CHIP)
        assert found is not None
        assert (found.id, found.recipe_json, found.state) == (job.id, '{"name": "dense"}', "open")
        assert np.array_equal(found.cells, wanted)
        assert lab.journal.unfinished_job("chip-2") is None


def test_an_interrupted_job_stays_to_be_resumed_and_a_done_one_does_not(journal: Journal):
    job = journal.open_job(CHIP, "{}", cells((0, 0)))
    job = journal.close_job(job, JobState.INTERRUPTED)
    assert job.closed is not None
    assert journal.unfinished_job(CHIP).state is JobState.INTERRUPTED
    assert journal.close_job(job, "done").state is JobState.DONE
    assert journal.unfinished_job(CHIP) is None


def test_a_chip_with_an_unfinished_job_takes_no_second_one(journal: Journal):
    job = journal.open_job(CHIP, "{}", cells((0, 0)))
    with pytest.raises(UnfinishedJob, match=f"Job {job.id} on chip {CHIP}") as refusal:
        journal.open_job(CHIP, "{}", cells((0, 0)))
    assert "--resume" in refusal.value.next_step
    journal.open_job("chip-2", "{}", cells((0, 0)))
    journal.close_job(job, JobState.ABANDONED)
    journal.open_job(CHIP, "{}", cells((0, 0)))


def test_a_job_of_another_shape_or_state_is_refused(journal: Journal):
    with pytest.raises(ValueError, match="must have shape"):
        journal.open_job(CHIP, "{}", np.ones((8, 8), dtype=np.bool_))
    job = journal.open_job(CHIP, "{}", cells((0, 0)))
    with pytest.raises(ValueError, match="finished"):
        journal.close_job(job, "finished")
    with pytest.raises(NotFound, match="job 99"):
        journal.job(99)


# --- frames -----------------------------------------------------------------------------------


def test_an_intent_without_an_outcome_is_open_and_its_cells_are_in_doubt(journal: Journal):
    job = journal.open_job(CHIP, "{}", cells((3, 0), (3, 511), (4, 7)))
    rows = [pulses((3, [0, 511])), pulses((4, [7]))]
    first, second = journal.intend(job.id, CHIP, Operation.FORM, [(5, 1, rows[0]), (5, 2, rows[1])])
    opened = journal.open_intents(CHIP)
    assert [(p.id, p.job_id, p.session, p.sequence, p.rows) for p in opened] == [
        (first, job.id, 5, 1, rows[0]),
        (second, job.id, 5, 2, rows[1]),
    ]
    ledger = journal.pulsed(CHIP)
    assert not ledger.fired.any()
    assert places(ledger.in_doubt) == [(3, 0), (3, 511), (4, 7)]
    journal.conclude(first, "fired", statuses=b"\0")
    assert [p.id for p in journal.open_intents(CHIP)] == [second]
    assert journal.open_intents("chip-2") == []


@pytest.mark.parametrize(
    ("fate", "done", "fired", "in_doubt"),
    [
        ("fired", None, [0, 1, 2], []),
        ("fired", 3, [0, 1, 2], []),
        ("not_fired", None, [], []),
        ("partial", 0, [], []),
        ("partial", 2, [0, 1], []),
        ("partial", 3, [0, 1, 2], []),
        ("in_doubt", 0, [], [0]),
        ("in_doubt", 2, [0, 1], [2]),
        ("unknown", None, [], [0, 1, 2]),
    ],
)
def test_each_fate_leaves_the_right_cells_fired_and_in_doubt(
    journal: Journal, fate: str, done: int | None, fired: list[int], in_doubt: list[int]
):
    pulse = intend(journal, pulses((10, [0]), (11, [1]), (12, [2])))
    journal.conclude(pulse, fate, done, b"\0\0\0")
    ledger = journal.pulsed(CHIP)
    assert places(ledger.fired) == [(10 + n, n) for n in fired]
    assert places(ledger.in_doubt) == [(10 + n, n) for n in in_doubt]
    assert journal.open_intents(CHIP) == []


def test_pulses_are_counted_by_operation_and_in_total(journal: Journal):
    row = pulses((1, [2]), (1, [2, 3]))
    for operation, times in {Operation.FORM: 1, Operation.SET: 2, Operation.RESET: 3}.items():
        for _ in range(times):
            journal.conclude(intend(journal, row, operation), PulseFate.FIRED)
    intend(journal, pulses((9, [9])), Operation.SET)
    ledger = journal.pulsed(CHIP)
    assert [int(ledger.by_operation[kind][1, 2]) for kind in Operation] == [2, 4, 6]
    assert (int(ledger.fired[1, 2]), int(ledger.fired[1, 3])) == (12, 6)
    assert ledger.fired.dtype == np.uint16
    assert ledger.fired.sum() == 18
    assert places(ledger.doubt_by_operation[Operation.SET]) == [(9, 9)]
    assert not ledger.doubt_by_operation[Operation.FORM].any()


def test_a_count_stops_at_its_end_and_never_wraps(journal: Journal):
    many = np.zeros(70_000, dtype=PULSE_ROW)
    many["column_mask"][:, 0] = 1
    journal.conclude(intend(journal, many.tobytes(), Operation.RESET), "fired")
    assert journal.pulsed(CHIP).fired[0, 0] == 65_535


def test_what_is_certain_may_be_repeated_and_not_contradicted(journal: Journal):
    pulse = intend(journal, pulses((0, [0]), (1, [1])))
    journal.conclude(pulse, "fired", 2, b"\0\0")
    journal.conclude(pulse, "fired")
    assert journal.frames_in_doubt(CHIP) == []
    for fate, done in [("not_fired", 0), ("partial", 1), ("unknown", None), ("in_doubt", 1)]:
        with pytest.raises(ValueError, match="known to be fired"):
            journal.conclude(pulse, fate, done)
    assert journal.pulsed(CHIP).fired.sum() == 2


def test_what_was_in_doubt_may_become_certain_and_not_less_known(journal: Journal):
    pulse = intend(journal, pulses((0, [0]), (1, [1]), (2, [2])))
    journal.conclude(pulse, "unknown")
    journal.conclude(pulse, "in_doubt", 1)
    journal.conclude(pulse, "unknown")  # tells nothing new
    assert places(journal.pulsed(CHIP).in_doubt) == [(1, 1)]
    journal.conclude(pulse, "partial", 2)
    assert places(journal.pulsed(CHIP).fired) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("fate", "done", "statuses"),
    [
        ("partial", None, b""),
        ("partial", -1, b""),
        ("partial", 3, b""),
        ("in_doubt", 2, b""),
        ("in_doubt", None, b""),
        ("fired", 1, b""),
        ("fired", None, b"\0"),
        ("lost", None, b""),
    ],
)
def test_a_conclusion_that_does_not_fit_records_nothing(
    journal: Journal, fate: str, done: int | None, statuses: bytes
):
    good = intend(journal, pulses((5, [5])))
    pulse = intend(journal, pulses((0, [0]), (1, [1])))
    with pytest.raises(ValueError, match=r"done must be|statuses|not a valid"):
        journal.conclude_all(
            [
                Conclusion(good, PulseFate.FIRED),
                Conclusion(pulse, PulseFate(fate), done, statuses),
            ]
        )
    assert [p.id for p in journal.open_intents(CHIP)] == [good, pulse]


def test_a_frame_the_journal_does_not_know_is_not_found(journal: Journal):
    with pytest.raises(NotFound, match="frame 7"):
        journal.conclude(7, "fired")
    with pytest.raises(NotFound, match="frame 7"):
        journal.resolve_cells(7, cells(), cells())


@pytest.mark.parametrize("rows", [b"", b"\0" * 79, b"\0" * 81])
def test_rows_that_are_not_whole_items_are_refused_and_none_is_recorded(
    journal: Journal, rows: bytes
):
    with pytest.raises(ValueError, match="whole items of 80 bytes"):
        journal.intend(None, CHIP, Operation.FORM, [(1, 1, pulses((0, [0]))), (1, 2, rows)])
    with pytest.raises(ValueError, match="row must be 0 to 511, got 512"):
        intend(journal, pulses((512, [0])))
    assert journal.open_intents(CHIP) == []


def test_an_intent_of_a_job_that_does_not_exist_is_refused(journal: Journal):
    with pytest.raises(sqlite3.IntegrityError):
        journal.intend(12, CHIP, Operation.FORM, [(1, 1, pulses((0, [0])))])


# --- measuring what nobody knows --------------------------------------------------------------


def test_a_measurement_settles_cells_and_leaves_the_others_in_doubt(journal: Journal):
    pulse = intend(journal, pulses((0, [0, 1, 2]), (1, [0])))
    journal.conclude(pulse, "unknown")
    journal.resolve_cells(pulse, cells((0, 0), (400, 400)), cells((0, 1), (401, 401)))
    ledger = journal.pulsed(CHIP)
    assert places(ledger.fired) == [(0, 0)]
    assert places(ledger.in_doubt) == [(0, 2), (1, 0)]
    [(record, doubtful)] = journal.frames_in_doubt(CHIP)
    assert record.id == pulse
    assert places(doubtful) == [(0, 2), (1, 0)]
    journal.resolve_cells(pulse, cells((0, 2)), cells((1, 0)))
    assert places(journal.pulsed(CHIP).fired) == [(0, 0), (0, 2)]
    assert journal.frames_in_doubt(CHIP) == []


def test_of_two_measurements_that_disagree_the_one_that_saw_a_pulse_holds(journal: Journal):
    pulse = intend(journal, pulses((0, [0, 1])))
    journal.resolve_cells(pulse, cells((0, 0)), cells((0, 1)))
    journal.resolve_cells(pulse, cells((0, 1)), cells((0, 0)))
    assert places(journal.pulsed(CHIP).fired) == [(0, 0), (0, 1)]


def test_a_measurement_does_not_touch_what_is_certain(journal: Journal):
    pulse = intend(journal, pulses((0, [0]), (0, [0]), (1, [1])))
    journal.conclude(pulse, "in_doubt", 2)
    journal.resolve_cells(pulse, cells((0, 0), (1, 1)), cells((2, 2)))
    fired = journal.pulsed(CHIP).fired
    assert (int(fired[0, 0]), int(fired[1, 1]), int(fired[2, 2])) == (2, 1, 0)
    journal.conclude(pulse, "fired")
    assert journal.pulsed(CHIP).fired.sum() == 3


def test_a_cell_cannot_be_measured_both_ways_at_once(journal: Journal):
    pulse = intend(journal, pulses((0, [0])))
    with pytest.raises(ValueError, match="both fired and unfired"):
        journal.resolve_cells(pulse, cells((0, 0)), cells((0, 0)))
    with pytest.raises(ValueError, match="fired must have shape"):
        journal.resolve_cells(pulse, np.zeros((2, 2), np.bool_), cells())


# --- against a slow reference -----------------------------------------------------------------

operation_lists = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 511), max_size=4)),
    min_size=1,
    max_size=4,
)
frames = st.tuples(
    st.sampled_from(list(Operation)),
    operation_lists,
    st.sampled_from([None, *PulseFate]),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 1 << 32),
)


def slow_add_up(history: list[tuple]) -> tuple[dict, dict]:
    """One cell of one operation at a time, from what the fates mean in words."""
    count: dict = {}
    doubt: dict = {}
    for kind, operations, fate, done, (found, untouched) in history:
        maybe = set()
        for n, (row, columns) in enumerate(operations):
            for cell in {(row, column) for column in columns}:
                certainly = fate == "fired" or (fate in ("partial", "in_doubt") and n < done)
                perhaps = fate in (None, "unknown") or (fate == "in_doubt" and n == done)
                if certainly:
                    count[kind, cell] = count.get((kind, cell), 0) + 1
                elif perhaps:
                    maybe.add(cell)
        for cell in maybe:
            if found[cell]:
                count[kind, cell] = count.get((kind, cell), 0) + 1
            elif not untouched[cell]:
                doubt[kind, cell] = True
    return count, doubt


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(frames, max_size=6))
def test_the_ledger_agrees_with_a_slow_one(tmp_path_factory, history: list[tuple]):
    told = []
    with Lab(tmp_path_factory.mktemp("ledger")) as lab:
        for kind, operations, fate, done, measured, seed in history:
            pulse = intend(lab.journal, pulses(*operations), kind)
            done = min(done, len(operations) - (fate == "in_doubt"))
            if fate is not None:
                lab.journal.conclude(pulse, fate, done if fate in ("partial", "in_doubt") else None)
            found = untouched = cells()
            if measured:
                dice = np.random.default_rng(seed).integers(0, 3, SHAPE)
                found, untouched = dice == 0, dice == 1
                lab.journal.resolve_cells(pulse, found, untouched)
            told.append((kind, operations, fate, done, (found, untouched)))
        ledger = lab.journal.pulsed(CHIP)
    count, doubt = slow_add_up(told)
    for kind in Operation:
        assert {
            (kind, cell): int(ledger.by_operation[kind][cell])
            for cell in places(ledger.by_operation[kind])
        } == {key: n for key, n in count.items() if key[0] is kind}
        assert {(kind, cell) for cell in places(ledger.doubt_by_operation[kind])} == {
            key for key in doubt if key[0] is kind
        }


# --- kill -9 ----------------------------------------------------------------------------------

DOOMED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from firmware_protocol.layouts import PULSE_ROW
from rramhil.lab import Lab, Operation

step = sys.argv[2]
lab = Lab(Path(sys.argv[1]))
rows = np.zeros(2, dtype=PULSE_ROW)
rows["row"] = [3, 4]
rows["column_mask"][:, 0] = 1
mask = np.zeros((512, 512), dtype=bool)
mask[4, 0] = True
job = lab.journal.open_job("chip-1", "{}", mask)
first, second = lab.journal.intend(
    job.id, "chip-1", Operation.FORM, [(1, 1, rows.tobytes()), (1, 2, rows.tobytes())]
)
if step != "intend":
    lab.journal.conclude(first, "in_doubt", 1, b"\\0\\0")
if step == "resolve":
    lab.journal.resolve_cells(first, mask, ~mask)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("step", "still_open", "fired", "doubtful_frames"),
    [
        ("intend", 2, [], 2),
        ("conclude", 1, [(3, 0)], 2),
        ("resolve", 1, [(3, 0), (4, 0)], 1),
    ],
)
def test_what_was_recorded_survives_a_kill_right_after(
    lab_root: Path, step: str, still_open: int, fired: list, doubtful_frames: int
):
    ended = subprocess.run(
        [sys.executable, "-c", DOOMED, str(lab_root), step], timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    with Lab(lab_root) as lab:
        assert lab.journal.unfinished_job("chip-1") is not None
        assert len(lab.journal.open_intents("chip-1")) == still_open
        assert places(lab.journal.pulsed("chip-1").fired) == fired
        assert len(lab.journal.frames_in_doubt("chip-1")) == doubtful_frames


def test_a_kill_between_frames_never_records_half_a_batch(lab_root: Path):
    code = """
import os, sys
from pathlib import Path
from rramhil.lab import Lab, Operation
lab = Lab(Path(sys.argv[1]))
def frames():
    for n in range(100):
        yield (1, n + 1, b"\\0" * 80)
for batch in range(1000):
    lab.journal.intend(None, "chip-1", Operation.FORM, frames())
    print(batch, flush=True)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(lab_root)], stdout=subprocess.PIPE, text=True
    )
    said = [worker.stdout.readline() for _ in range(3)]
    worker.kill()
    rest = worker.communicate()[0]
    promised = len(said) + rest.count("\n")
    with Lab(lab_root) as lab:
        kept = len(lab.journal.open_intents("chip-1"))
    assert kept % 100 == 0
    assert kept >= 100 * promised
