"""What budgets of pulses leave of the changes of a chip."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="rramhil.flow needs the extra `train`")

from hypothesis import given
from hypothesis import strategies as st

from rramhil.flow.allowance import Allowance, Fired
from rramhil.switching import CellChanges

SHAPE = (3, 4)


def cells(bits: int) -> np.ndarray:
    return np.array([bits >> place & 1 for place in range(12)], dtype=np.bool_).reshape(SHAPE)


BITS = st.integers(0, (1 << 12) - 1).map(cells)
COUNTS = st.lists(st.integers(0, 3), min_size=24, max_size=24).map(
    lambda each: np.array(each, dtype=np.int32).reshape(2, *SHAPE)
)
BUDGETS = st.none() | st.integers(0, 30)


@given(BITS, BITS, COUNTS, COUNTS, BUDGETS, BUDGETS)
def test_what_is_left_is_within_both_budgets_and_was_asked_for(
    reset: np.ndarray,
    other: np.ndarray,
    before: np.ndarray,
    fired: np.ndarray,
    run_pulses: int | None,
    cell_pulses: int | None,
) -> None:
    sets, now = other & ~reset, {0: before + fired}
    allowance = Allowance(run_pulses, cell_pulses, {0: before})
    left = allowance.within(CellChanges(reset, sets), 0, now)
    assert not (left.reset & ~reset).any()
    assert not (left.set & ~sets).any()
    count = int(left.reset.sum() + left.set.sum())
    if run_pulses is not None:
        assert count <= max(0, run_pulses - int(fired.sum()))
    if cell_pulses is not None:
        after = fired.sum(axis=0) + left.reset + left.set
        assert (after[left.reset | left.set] <= cell_pulses).all()
    room = np.ones(SHAPE, dtype=np.bool_)
    if cell_pulses is not None:
        room = fired.sum(axis=0) < cell_pulses
    asked = int(((reset | sets) & room).sum())
    # nothing is held back that fits
    most = asked if run_pulses is None else max(0, run_pulses - int(fired.sum()))
    assert count == min(asked, most)


def test_what_was_fired_is_counted_over_all_chips_and_the_most_of_one_cell() -> None:
    before = {chip: np.full((2, *SHAPE), chip, dtype=np.int32) for chip in (0, 1)}
    now = {chip: counts.copy() for chip, counts in before.items()}
    now[0][0, 1, 2] += 1
    now[1][0, 0, 0] += 1
    now[1][1, 0, 0] += 2
    assert Fired.since(before, now) == (2, 2, 3)
    assert Fired.since({}, now) == (0, 0, 0)
