"""The U-Net of `unet_task.py`, 33 macros' worth of cells: priced, over 33 chips, and on one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

import rramhil
from rramhil.lab import Lab
from rramhil.network import Run
from rramhil.programming import program
from tests.support.cli import Cli

TASK = str(Path(__file__).resolve().parents[2] / "examples" / "unet_task.py") + ":task"
WEIGHTS, CELLS_A_MACRO = 4_288_176, 512 * 512
CHIPS = 33


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.mark.parametrize(
    ("options", "chips", "where"),
    [
        (("--board", f"sim://?chips={CHIPS}", "--chips", f"0-{CHIPS - 1}"), CHIPS, "on chips 0-32"),
        (("--overlay",), 1, "on chip 0, layers sharing cells"),
    ],
)
def test_it_is_placed_and_priced_before_anything_is_done(
    cli: Cli, options: tuple[str, ...], chips: int, where: str
) -> None:
    said = cli("infer", TASK, *options, "--samples", "1", "--dry-run", "--json").json
    assert f"{WEIGHTS:,} weights, 32.72 macros' worth" in said["placed"]
    assert where in said["placed"]
    assert said["tiles"] > 64, "one macro is to hold more tiles than a board has slots"
    assert (said["chips"], said["overlay"]) == (list(range(chips)), chips == 1)
    assert (said["run"], said["drawn"], said["samples"]) == (None, True, 1)
    assert said["steps"] > 2 * WEIGHTS // 512
    assert f"{chips * CELLS_A_MACRO:,} pulses" in said["before"]
    assert min(said["conversions"], said["board_time_s"], said["energy_j"]) > 0
    assert not list((cli.lab / "runs").glob("*"))


def test_what_does_not_fit_is_refused_with_the_cells_that_are_missing(cli: Cli) -> None:
    told = cli("infer", TASK, "--dry-run", code=2)
    assert f"{2 * WEIGHTS - CELLS_A_MACRO:,} are missing" in told.sentences
    assert "--overlay" in told.sentences


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chips", [1, CHIPS])
def test_a_patch_runs_through_all_of_it_without_a_pulse(
    cli: Cli, chips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.cli.TIMEOUT_S", 300.0)
    board = f"sim://?chips={chips}"
    with rramhil.open(board, lab=cli.lab) as opened, Lab(cli.lab) as lab:
        for number in range(chips):
            program(opened, lab, number, reads=2)
    where = ["--board", board, *(["--overlay"] if chips == 1 else ["--chips", f"0-{chips - 1}"])]
    run = Run.load(Path(cli("train", TASK, *where, "--epochs", "1", "--json").json["run"]))
    assert run.placement.chips == tuple(range(chips))
    preview = cli("infer", TASK, *where, "--samples", "1", "--dry-run", "--json").json
    said = cli("infer", TASK, *where, "--samples", "1", "--json").json
    assert (said["samples"], said["pulses"], said["chip_share"]) == (1, 0, 1.0)
    assert said["conversions"] == preview["conversions"]
    assert 0.8 < said["noise_ratio"] <= 1.2
    print(f"{chips} chips: {1 / said['samples_per_s']:.1f} s a patch, {said['wall_time_s']:.1f} s")
