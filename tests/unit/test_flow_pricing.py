"""The price of a run that is placed anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.flow import Plan, plan_run
from rramhil.switching import Bounds
from tests.support.runs import BOARD, PATTERNS, a_run


def bounds(priced: Plan) -> Bounds:
    return priced.report.total.bounds


def test_masks_for_any_chip_choose_their_rows_where_they_are_placed_anew() -> None:
    run = a_run()
    there = bounds(plan_run(run, BOARD, {}))
    anew = bounds(plan_run(run, BOARD, {}, chips=(3,)))
    assert anew.steps < there.steps
    assert anew.steps - anew.absolute <= PATTERNS


def test_masks_of_a_chip_keep_the_order_of_their_rows() -> None:
    run = a_run()
    owned = replace(run, masks=replace(run.masks, map_ids={0: "abc"}))
    assert bounds(plan_run(owned, BOARD, {}, chips=(3,))) == bounds(plan_run(run, BOARD, {}))
