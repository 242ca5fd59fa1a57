"""The price of a run that is placed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from torch import nn  # noqa: E402

from rramhil.driver import Description  # noqa: E402
from rramhil.flow import Plan, geometry_of, plan_run  # noqa: E402
from rramhil.network import Run, RunConfig, convert, plan  # noqa: E402
from rramhil.switching import Bounds, Mask, MaskSet  # noqa: E402
from sim_backend.description import describe  # noqa: E402
from sim_backend.profile import load  # noqa: E402

BOARD = Description.from_reply(describe(load("rram40_256k")))
PATTERNS = 4


def a_run() -> Run:
    """A layer of 40 outputs, each of whose rows has one of four gate patterns."""
    network = convert(nn.Linear(24, 40), 4, example_input=torch.zeros(2, 24))
    network.calibrate([torch.rand(20, 24)])
    draw = np.random.default_rng(3)
    book = draw.random((PATTERNS, 24)) < 0.5
    plus, minus = book[draw.integers(PATTERNS, size=(2, 40))]
    (matrix,) = network.matrices
    config = RunConfig(task="x", bits=4, gate="codebook", epochs=1, seed=0, ranges={matrix.name: 2})
    placement = plan(network, geometry_of(BOARD))
    masks = MaskSet({matrix.name: Mask.cell(plus, minus)}, placement.id, {})
    return Run.of(network, config, placement, masks, {})


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
