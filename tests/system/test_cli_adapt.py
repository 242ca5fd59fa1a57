"""`rramhil mask adapt`: masks that were learnt for one chip, or for none, on another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.network import Run  # noqa: E402
from tests.support.cli import Cli  # noqa: E402

NORMED = """
from dataclasses import replace

from torch import nn

from rramhil.tasks.digits import task as digits

task = replace(
    digits,
    name="normed",
    model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(),
                                nn.Linear(96, 10)),
    epochs=3,
)
"""
TWO = ("--board", "sim://?chips=2")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with two programmed chips, and a task with batch norm."""
    made = Cli(tmp_path_factory.mktemp("adapt"))
    for chip in ("0", "1"):
        made("program", "--reads", "2", "--chip", chip, *TWO)
    (made.folder / "normed.py").write_text(NORMED)
    return made


@pytest.fixture(scope="module")
def flat(cli: Cli) -> Run:
    """A run of masks that know no map."""
    said = cli("train", "normed.py", "--map", "flat", "--run", "flat", *TWO, "--json").json
    return Run.load(Path(said["run"]))


def test_masks_that_know_no_map_come_onto_any_chip(cli: Cli, flat: Run) -> None:
    refused = cli("infer", "normed.py", "--run", "flat", "--chip", "1", *TWO, code=2)
    assert "`rramhil mask adapt flat --chip 1`" in refused.sentences
    refused = cli("mask", "verify", "flat", "--chip", "1", *TWO, code=2)
    assert "`rramhil mask adapt flat --chip 1`" in refused.sentences

    said = cli("mask", "adapt", "flat", "--chip", "1", "--run", "there", *TWO, "--json").json
    there = Run.load(Path(said["run"]))
    assert there.placement.chips == (1,)
    assert dict(there.masks.map_ids) == {1: said["maps"]["1"]}
    for name, mask in flat.masks.masks.items():
        assert np.array_equal(mask.plus, there.masks.masks[name].plus)
        assert np.array_equal(mask.minus, there.masks.masks[name].minus)
    changed = {name for name, value in flat.state.items() if not value.equal(there.state[name])}
    assert changed == {name for name in changed if "running" in name or "batches" in name}
    assert changed
    assert said["validation"] > max(0.85, said["validation_before"] - 0.02)

    on_chip = cli(
        "infer", "normed.py", "--run", "there", "--chip", "1", *TWO, "--samples", "200", "--json"
    ).json
    assert (on_chip["pulses"], on_chip["programming_pulses"]) == (0, 0)
    assert on_chip["value"] > 0.85
    assert cli("mask", "verify", "there", *TWO, "--json").json["clean"]


def test_pair_masks_stay_where_they_were_learnt(cli: Cli) -> None:
    cli("train", "digits", "--gate", "pair", "--epochs", "1", "--run", "pairs", *TWO)
    told = cli("mask", "adapt", "pairs", "--chip", "1", *TWO, code=2).sentences
    assert "worth nothing on another" in told
    assert "mask adapt" not in cli("mask", "apply", "pairs", "--chip", "1", *TWO, code=2).sentences


def test_one_option_says_which_sockets(cli: Cli, flat: Run) -> None:
    told = cli("mask", "adapt", "flat", "--chip", "1", "--chips", "0", *TWO, code=2).sentences
    assert "--chip and --chips both say which sockets" in told


def test_a_chip_without_a_map_and_a_name_that_is_taken_are_refused(cli: Cli, flat: Run) -> None:
    other = ("--board", "sim://?seed=5")
    assert "`rramhil program --chip 0`" in cli("mask", "adapt", "flat", *other, code=3).sentences
    told = cli("mask", "adapt", "flat", "--chip", "1", "--run", "flat", *TWO, code=2).sentences
    assert "never overwritten" in told


def test_another_chip_in_the_socket_is_called_by_its_name(cli: Cli) -> None:
    cli("train", "digits", "--epochs", "1", "--run", "own", *TWO)
    other = ("--board", "sim://?seed=5")
    for command in (("infer", "digits", "--run", "own"), ("mask", "apply", "own")):
        told = cli(*command, *other, code=2).sentences
        assert "trained on chip R40-0-0-0" in told
        assert "sits chip R40-5-0-0" in told
