"""Codebook gating from the command line: training within a budget of steps, and its price."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import typer

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.cli import _app
from rramhil.errors import RramhilError
from rramhil.network import Run
from tests.support.cli import Cli


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with a programmed chip."""
    made = Cli(tmp_path_factory.mktemp("pareto"))
    made("program", "--reads", "2")
    return made


def test_a_codebook_is_trained_within_its_budget_and_priced_as_promised(cli: Cli) -> None:
    said = cli(
        "train", "digits", "--gate", "codebook", "--steps", "1.5", "--epochs", "8", "--json"
    ).json
    assert said["gate"] == "codebook"
    assert said["validation"] > 0.8
    assert said["steps"] <= 1.5 * said["dense_steps"]
    run = Run.load(Path(said["run"]))
    assert (run.config.gate, run.config.settings["steps"]) == ("codebook", 1.5)
    planned = cli("mask", "plan", "digits", "--json").json
    assert planned["total"]["gated"]["steps"] == said["steps"]
    assert planned["total"]["dense"]["steps"] == said["dense_steps"]


@pytest.mark.slow
def test_the_chip_computes_with_a_codebook_as_with_any_other_masks(cli: Cli) -> None:
    cli("train", "digits", "--gate", "codebook", "--epochs", "8", "--run", "codebook")
    said = cli("infer", "digits", "--run", "codebook", "--samples", "100", "--json").json
    assert said["value"] == pytest.approx(said["software_value"], abs=0.06)
    assert said["pulses"] == 0


def test_the_table_has_a_row_for_each_budget_and_is_drawn(cli: Cli) -> None:
    words = (
        "mask",
        "pareto",
        "digits",
        "--steps",
        "1,2,free",
        "--epochs",
        "2",
        "--png",
        "steps.png",
    )
    told = cli(*words, "--json")
    assert told.stderr.count("x dense") == 3
    (map_id,) = told.json["maps"]
    assert told.json["overlay"] is False
    assert told.json["chips"] == ["R40-0-0-0"]
    assert map_id in cli("map", "list", "--json").stdout
    assert told.json["software"].startswith("rramhil ")
    trades = told.json["trades"]
    assert [trade["budget"] for trade in trades] == [1, 2, None]
    assert all(trade["ratio"] <= trade["budget"] for trade in trades[:2])
    assert trades[2]["ratio"] > 4
    assert (cli.folder / "steps.png").read_bytes().startswith(b"\x89PNG")
    assert not list((cli.lab / "runs").glob("*steps*")), "the lab's own runs are not among these"
    run = str(Path(told.json["folder"], "steps-2"))
    answer = cli("infer", "digits", "--run", run, "--samples", "20", "--json").json
    assert (answer["gate"], answer["pulses"]) == ("codebook", 0)


def test_the_same_command_gives_the_same_table_again(cli: Cli) -> None:
    # the board's gains are measured once: a measurement has noise
    words = ("mask", "pareto", "digits", "--steps", "free", "--epochs", "1", "--json")
    one = cli(*words).json
    assert cli(*words).json == one  # what was trained is kept, times included
    (kept,) = Path(one["folder"]).iterdir()
    with (kept / "masks.npz").open("ab") as file:
        file.write(b"x")
    told = cli(*words, code=2)
    assert told.sentences.endswith(f"Remove {kept}, and the same command trains it again.")
    shutil.rmtree(kept)
    (trade,), (again,) = one["trades"], cli(*words).json["trades"]
    assert {**trade, "epoch_s": 0} == {**again, "epoch_s": 0}
    assert cli(*words, "--seed", "1").json["folder"] != one["folder"]


def masks_of(folder: Path) -> dict[str, Any]:
    """Every mask of the runs in a folder."""
    return {
        (path.name, name): mask.rows.tolist()
        for path in folder.iterdir()
        for name, mask in Run.load(path).masks.masks.items()
    }


def test_after_a_kill_the_same_command_goes_on_and_ends_with_the_same_masks(
    cli: Cli, tmp_path: Path
) -> None:
    words = ("mask", "pareto", "digits", "--steps", "1,free", "--epochs", "25", "--json")
    process = cli.start(*words)
    folders = cli.lab / "pareto"
    before = set(folders.glob("*"))
    deadline = time.monotonic() + 60
    # killed in the second training, when the first is kept
    while not list(folders.glob("*/.free.training/state*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (folder,) = set(folders.glob("*")) - before
    first = (folder / "steps-1" / "run.json").read_bytes()
    assert not (folder / "free").exists()
    trades = cli(*words).json["trades"]
    assert [trade["budget"] for trade in trades] == [1, None]
    assert (folder / "steps-1" / "run.json").read_bytes() == first
    resumed = masks_of(folder)
    shutil.move(folder, tmp_path)
    cli(*words)
    assert masks_of(folder) == resumed


def test_a_picture_that_cannot_be_written_is_refused_before_the_board_is_opened(cli: Cli) -> None:
    told = cli(
        *("mask", "pareto", "digits", "--steps", "1", "--epochs", "1", "--png", "nowhere/x.png"),
        code=2,
    )
    assert told.stderr.startswith("rramhil: nowhere/x.png cannot be written: no such file")
    assert "a folder that exists" in told.sentences


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train digits --gate codebook --steps 0.5", "give 1 or more"),
        ("train digits --gate cell --steps 2", "budget of steps is for codebooks"),
        ("train digits --gate codebook --steps -1", "above 0"),
        ("mask pareto digits --steps 1,x", "'x' is no budget"),
        ("mask pareto digits --steps 1,1", "twice"),
    ],
)
def test_mistakes_are_told(cli: Cli, arguments: str, sentence: str) -> None:
    words = [*arguments.split(), "--lab", str(cli.lab)]
    with pytest.raises(RramhilError) as told:
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert (told.value.exit_code, sentence in str(told.value)) == (2, True), told.value
