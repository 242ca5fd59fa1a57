"""Budgets of pulses, with the chip in the loop: the chip's own counters never exceed them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from tests.support.cli import Cli

FIRST = 7104
"""RESET pulses of the first masks of `digits`: half of its cells."""
LOOP = ("--by", "reset", "--in-the-loop", "8", "--epochs", "4")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A lab with a programmed chip."""
    made = Cli(tmp_path)
    made("program", "--reads", "2")
    return made


def counted(cli: Cli) -> tuple[int, int]:
    """RESET and SET pulses by the simulated chip's own counters."""
    said = cli("sim", "inspect", "--chip", "0", "--json").json
    return said["reset_pulses"], said["set_pulses"]


def pulsed(said: dict[str, Any]) -> tuple[int, int]:
    return said["by_reset"]["reset_pulses"], said["by_reset"]["set_pulses"]


def test_a_budget_that_the_first_masks_exceed_is_refused_and_nothing_is_fired(cli: Cli) -> None:
    told = cli("train", "digits", *LOOP, "--pulse-budget", str(FIRST - 1), code=2)
    assert "The first masks take 7,104 RESET pulses, and --pulse-budget allows 7,103." in (
        told.sentences
    )
    assert "Give 7104 or more" in told.sentences
    pairs = ("--gate", "pair", "--density", "0.75")
    told = cli("train", "digits", *LOOP, *pairs, "--pulse-budget", "100", code=2)
    assert "take 3,552 RESET pulses" in told.sentences
    assert counted(cli) == (0, 0)
    assert not list((cli.lab / "runs").glob("*"))


def test_a_run_and_a_cell_keep_to_their_budgets_by_the_chips_own_counters(cli: Cli) -> None:
    budgets = ("--pulse-budget", str(FIRST + 40), "--cell-pulses", "1")
    said = cli("train", "digits", *LOOP, *budgets, "--json").json
    resets, sets = counted(cli)
    assert FIRST * 0.9 < resets <= FIRST + 40
    # a cell that is SET was RESET before
    assert sets == 0
    assert pulsed(said) == (resets, sets)
    assert said["by_reset"]["most_of_a_cell"] == 1
    # its masks are in the cells; an earlier epoch's would take pulses again
    assert said["best_epoch"] == 4


def test_without_a_budget_what_is_told_is_what_the_chip_counted(cli: Cli) -> None:
    said = cli("train", "digits", *LOOP, "--run", "first", "--json").json
    assert pulsed(said) == counted(cli)
    # a later training counts its own
    again = cli("train", "digits", *LOOP, "--seed", "1", "--run", "second", "--json").json
    together = [one + other for one, other in zip(pulsed(said), pulsed(again), strict=True)]
    assert tuple(together) == counted(cli)
    # the first one's cells are not what they were
    words = ("infer", "digits", "--samples", "5")
    told = cli(*words, "--run", "first", "--by", "reset", code=2).sentences
    assert "they were RESET since the run was trained" in told
    assert "`rramhil mask apply first --by reset`" in told
    assert "they were RESET since" in cli(*words, "--run", "first").stderr
    assert "RESET since" not in cli(*words, "--run", "second", "--by", "reset").stderr
