"""A small run, made without a training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from rramhil.driver import Description
from rramhil.flow import geometry_of
from rramhil.network import Run, RunConfig, convert, plan
from rramhil.switching import Mask, MaskSet
from sim_backend.description import describe
from sim_backend.profile import load

BOARD = Description.from_reply(describe(load("rram40_256k")))
PATTERNS = 4


def a_run(task: str = "x") -> Run:
    """A layer of 40 outputs, each of whose rows has one of four gate patterns."""
    network = convert(nn.Linear(24, 40), 4, example_input=torch.zeros(2, 24))
    network.calibrate([torch.rand(20, 24)])
    draw = np.random.default_rng(3)
    book = draw.random((PATTERNS, 24)) < 0.5
    plus, minus = book[draw.integers(PATTERNS, size=(2, 40))]
    (matrix,) = network.matrices
    config = RunConfig(
        task=task, bits=4, gate="codebook", epochs=1, seed=0, ranges={matrix.name: 2}
    )
    placement = plan(network, geometry_of(BOARD))
    masks = MaskSet({matrix.name: Mask.cell(plus, minus)}, placement.id, {})
    return Run.of(network, config, placement, masks, {})
