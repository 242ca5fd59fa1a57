"""Codebook gating from the command line: training within a budget of steps, and its price."""

from __future__ import annotations

from pathlib import Path

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
    assert not [path for path in (cli.lab / "runs").glob("*") if "pareto" in path.name]


def test_the_same_command_gives_the_same_table_again(cli: Cli) -> None:
    # the board's gains are measured once: a measurement has noise
    words = ("mask", "pareto", "digits", "--steps", "free", "--epochs", "1", "--json")
    one, again = (cli(*words).json["trades"][0] for _ in range(2))
    assert {**one, "epoch_s": 0} == {**again, "epoch_s": 0}


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
