"""`rramhil train TASK --compare`, as users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.cli import _app
from rramhil.errors import Interrupted
from tests.support.cli import Cli

SHORT = ("train", "digits", "--compare", "--epochs", "2", "--tries", "1")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with a programmed chip."""
    made = Cli(tmp_path_factory.mktemp("compare"))
    made("program", "--reads", "2")
    return made


def test_rows_are_compared_and_kept(cli: Cli) -> None:
    said = cli(*SHORT, "--rows", "cell,flat,transfer-cell", "--replicates", "1", "--json").json
    assert [row["name"] for row in said["rows"]] == ["trained", "cell", "flat"]
    assert (said["settings_tried"], said["epochs"], said["replicates"]) == (1, 2, 1)
    assert said["chips"] == [["R40-0-0-0"]]
    for row in said["rows"]:
        assert 0.8 < row["test"][0] <= 1
        assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    folder = Path(said["folder"])
    kept = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert kept["rows"] == said["rows"]
    assert Path(said["picture"]).read_bytes().startswith(b"\x89PNG")

    # a row may be added, even where it was not kept where the network lies; nothing else is trained
    (folder / "replicate-0.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("training-*")}
    shown = cli(*SHORT, "--rows", "cell,codebook", "--replicates", "1").stdout
    after = {path: path.stat().st_mtime_ns for path in folder.glob("training-*")}
    assert after.keys() - before.keys() == {folder / "training-codebook-0-0.01.npz"}
    assert {path: after[path] for path in before} == before
    assert "1 setting" in shown
    assert f"{100 * said['rows'][1]['test'][0]:.2f}" in shown
    kept = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    steps = {row["name"]: row["steps"] for row in kept["rows"]}
    assert steps["trained"] == []
    assert steps["codebook"][0] <= 1.25 < steps["cell"][0]
    assert f"{steps['codebook'][0]:.2f}" in shown


def test_replicates_need_chips_of_their_own(cli: Cli) -> None:
    failed = cli(*SHORT, "--replicates", "2", code=3)
    assert "maps of 1 chip" in failed.stderr
    assert "--replicates" in failed.stderr


def test_a_last_training_has_all_training_data(cli: Cli) -> None:
    said = cli(*SHORT, "--final", "--rows", "trained", "--replicates", "1", "--json").json
    assert said["final"]
    (row,) = said["rows"]
    folder = Path(said["folder"])
    assert (folder / f"final-trained-0-0.01-{row['best_epochs'][0]}.npz").is_file()
    assert len(row["validation"]) == 1


def test_ctrl_c_says_that_the_same_command_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rramhil.pruning.training._epoch", stopped)
    words = [*SHORT, "--run", "stopped", "--replicates", "1", "--lab", str(cli.lab)]
    with pytest.raises(Interrupted, match="Stopped by the user") as told:
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert "same command goes on" in told.value.next_step


def test_options_of_one_training_are_refused(cli: Cli) -> None:
    failed = cli(*SHORT, "--gate", "pair", code=2)
    assert "--gate does not go with --compare" in failed.stderr
    assert "--rate does not go" in cli(*SHORT, "--rate", "0.01", code=2).stderr
    assert "--noise-level does not go" in cli(*SHORT, "--noise-level", "0.1", code=2).stderr
