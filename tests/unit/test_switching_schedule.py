"""Gate schedules as values: what they may be, and how they are written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rramhil.switching import UNUSED, Sample, Schedule, Step

GATES = np.eye(3, 20, dtype=np.bool_)
STEPS = [
    Step(0, GATES[0], (Sample(0, 0), Sample(5, 1, -1))),
    Step(2, GATES[1], (Sample(4, 2),)),
    Step(1, GATES[2], (Sample(3, 0), Sample(2, 2, -1), Sample(1, 1))),
]


def written() -> Schedule:
    return Schedule.from_steps(STEPS, channels=4, accumulator_count=3)


def test_a_schedule_that_was_written_out_reads_the_same() -> None:
    schedule = written()
    assert (schedule.steps, schedule.columns, schedule.channels) == (3, 20, 4)
    for number, step in enumerate(STEPS):
        found = schedule.step(number)
        assert found.range_index == step.range_index
        assert (found.gate == step.gate).all()
        assert sorted(found.samples) == sorted(step.samples)


def test_samples_come_in_the_order_of_steps_and_channels() -> None:
    samples = written().samples
    assert samples.step.tolist() == [0, 0, 1, 2, 2, 2]
    assert samples.channel.tolist() == [0, 1, 0, 1, 2, 3]
    assert samples.row.tolist() == [0, 5, 4, 1, 2, 3]
    assert samples.accumulator.tolist() == [0, 1, 2, 1, 2, 0]
    assert samples.sign.tolist() == [1, -1, 1, 1, -1, 1]


def test_gates_are_packed_with_column_0_in_the_lowest_bit() -> None:
    assert written().packed_gates.tolist() == [[1, 0, 0], [2, 0, 0], [4, 0, 0]]


def test_the_id_follows_the_content() -> None:
    other = written()
    assert other.id == written().id
    assert replace(other, ranges=other.ranges[::-1]).id != other.id
    assert replace(other, gates=~other.gates).id != other.id
    assert replace(other, accumulator_count=4).id != other.id


def test_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        written().gates[0, 0] = False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ranges": np.zeros(2, np.uint8)}, "2 ranges, 3 gates and 3 rows differ"),
        ({"rows": np.full((3, 4), UNUSED)}, "step 0 samples nothing"),
        ({"rows": np.array([[1, -1, -1, -1]] * 3)}, "row 1 cannot be sampled on channel 0"),
        ({"rows": np.array([[-2, -1, -1, -1]] * 3)}, "row -2 cannot be sampled"),
        ({"signs": np.zeros((3, 4))}, "sign of a sample"),
        ({"accumulator_count": 2}, "accumulators must lie in 0 to 1"),
        ({"accumulators": np.zeros((3, 4))}, "an unused channel has no accumulator"),
        ({"signs": np.zeros((3, 3))}, "one shape"),
    ],
)
def test_what_the_board_would_refuse_is_no_schedule(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(written(), **change)


def test_two_rows_of_one_channel_are_no_step() -> None:
    with pytest.raises(ValueError, match="rows 1 and 5, which share channel 1"):
        Schedule.from_steps([Step(0, GATES[0], (Sample(1, 0), Sample(5, 1)))], 4, 2)


def test_an_accumulator_takes_512_samples_and_no_more() -> None:
    step = Step(0, GATES[0], (Sample(0, 0),))
    assert Schedule.from_steps([step] * 512, 1, 1).steps == 512
    with pytest.raises(ValueError, match="513 samples, more than the 512"):
        Schedule.from_steps([step] * 513, 1, 1)
