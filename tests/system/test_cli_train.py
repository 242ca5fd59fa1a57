"""`rramhil train` and `rramhil mask plan`, as users run them."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path

import pytest
import typer

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.cli import _app
from rramhil.errors import RramhilError, UsageError
from rramhil.network import Run
from tests.support.cli import Cli, finished

TRAIN_KEYS = {
    "task",
    "gate",
    "epochs",
    "validation",
    "test",
    "density",
    "masks",
    "epoch_s",
    "chip_share",
}
NOISE_SETTINGS = ("noise_source", "noise_level", "noise_drawn")
MY_TASK = """
from dataclasses import replace

from torch import nn

from rramhil.tasks.digits import task as digits

task = replace(
    digits,
    name="mine",
    model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, {width}), nn.ReLU(),
                                nn.Linear({width}, 10)),
    epochs=1,
)
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with a programmed chip."""
    made = Cli(tmp_path_factory.mktemp("train"))
    made("program", "--reads", "2")
    return made


def test_digits_are_learnt_and_kept(cli: Cli) -> None:
    said = cli("train", "digits", "--epochs", "8", "--json").json
    assert said.keys() >= TRAIN_KEYS
    assert (said["task"], said["gate"], said["epochs"]) == ("digits", "cell", 8)
    assert said["test"] > 0.9
    assert said["validation"] > 0.9
    assert (said["density"], said["chip_share"]) == (pytest.approx(0.5, abs=1e-3), 1.0)
    run = Run.load(Path(said["run"]))
    assert Path(said["masks"]).parent == Path(said["run"])
    assert set(run.config.ranges) == {each.name for each in run.matrices}
    newest = cli("map", "list", "--json").json
    assert run.masks.map_ids[0] in json.dumps(newest)

    planned = cli("mask", "plan", "digits", "--png", "place.png", "--json").json
    assert planned["placement"] == run.placement.id
    assert not planned["drawn"]
    assert planned["total"]["bounds"]["steps"] >= planned["total"]["bounds"]["absolute"]
    assert planned["reset"]["reset_pulses"] == 7104
    assert (cli.folder / "place.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_says_what_noise_it_was_trained_with(cli: Cli) -> None:
    own, more, reads = (
        Run.load(Path(cli("train", "digits", "--epochs", "1", *options, "--json").json["run"]))
        for options in ((), ("--noise-level", "0.15"), ("--noise", "reads"))
    )
    runs = (own, more, reads)
    assert len({each.config.noise for each in runs}) == 1  # the map's
    told = [[each.config.settings[name] for name in NOISE_SETTINGS] for each in runs]
    assert told == [
        ["map", None, own.config.noise],
        ["map", 0.15, 0.15],
        ["reads", None, None],
    ]
    assert len({each.masks.id for each in runs}) == 3

    both = ("--noise", "reads", "--noise-level", "0.15")
    assert (
        "each cell has a read noise of its own" in cli("train", "digits", *both, code=2).sentences
    )


def test_robust_masks_are_trained_with_noise_and_with_batch_norm_held(cli: Cli) -> None:
    noisy, robust = (
        cli("train", "digits", "--epochs", "2", *options, "--json").json
        for options in (("--noise-level", "0.2"), ("--robust",))
    )
    assert (noisy["robust"], robust["robust"]) == (False, True)
    assert robust["best_epoch"] == 2  # the one with batch norm held
    # nothing differs in the first epoch, and only what batch norm does in the second
    assert noisy["history"][0]["loss"] == robust["history"][0]["loss"]
    assert noisy["masks_id"] != robust["masks_id"]
    settings = Run.load(Path(robust["run"])).config.settings
    assert (settings["noise_drawn"], settings["held"]) == (0.2, 1)
    assert "robust cell gating" in cli("train", "digits", "--epochs", "1", "--robust").stdout


def test_gains_are_kept_and_measured_again_where_their_file_is_damaged(cli: Cli) -> None:
    cli("train", "digits", "--epochs", "1", "--run", "once")
    (kept,) = (cli.lab / "gains").iterdir()
    written = kept.read_bytes()
    cli("train", "digits", "--epochs", "1", "--run", "twice")
    assert kept.read_bytes() == written
    kept.write_bytes(written[: len(written) // 2])
    cli("train", "digits", "--epochs", "1", "--run", "thrice")
    assert len(kept.read_bytes()) == pytest.approx(len(written), rel=0.2)
    once, twice = (Run.load(cli.lab / "runs" / name) for name in ("once", "twice"))
    assert once.masks.id == twice.masks.id


def test_the_plan_for_people_has_every_layer_and_what_reset_costs(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(MY_TASK.format(width=40), encoding="utf-8")
    shown = cli("mask", "plan", "mine.py:task").stdout
    assert "drawn at random" in shown
    assert [line.split()[0] for line in shown.splitlines() if " ms " in line][:3] == [
        "1",
        "3",
        "total",
    ]
    assert "by RESET" in shown


def test_a_task_of_ones_own_is_trained_with_pair_gating_under_its_name(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(MY_TASK.format(width=40), encoding="utf-8")
    shown = cli("train", "mine.py:task", "--gate", "pair", "--run", "first").stdout
    assert "pair gating" in shown
    assert Run.load(cli.lab / "runs" / "first").config.gate == "pair"
    again = cli("train", "mine.py:task", "--run", "first", code=2)
    assert "never overwritten. Name another with --run" in again.sentences


def test_what_does_not_fit_is_refused_with_the_cells_missing_or_overlaid(cli: Cli) -> None:
    (cli.folder / "wide.py").write_text(MY_TASK.format(width=3000), encoding="utf-8")
    assert "cells" in cli("mask", "plan", "wide.py", code=2).sentences
    spread = cli(
        "mask", "plan", "wide.py", "--board", "sim://?chips=2", "--chips", "0-1", "--json"
    ).json
    assert spread["chips"] == [0, 1]
    overlaid = cli("mask", "plan", "wide.py", "--overlay", "--json").json
    assert overlaid["chips"] == [0]
    assert overlaid["reset"] is None


FAILING_TASK = """
from dataclasses import replace

from rramhil.tasks.digits import task as digits

calls = 0


def loss(outputs, targets):
    global calls
    calls += 1
    return digits.loss(outputs, targets) * (float("nan") if calls > 40 else 1)


task = replace(digits, name="failing", loss=loss, epochs=4)
nothing = replace(digits, data=lambda root: 5)
"""


def test_a_training_that_comes_to_no_numbers_leaves_nothing(cli: Cli) -> None:
    (cli.folder / "failing.py").write_text(FAILING_TASK, encoding="utf-8")
    before = set((cli.lab / "runs").glob("*"))
    # its first two epochs are sound, and were kept
    failed = cli("train", "failing.py:task", "--run", "failing", "--json", code=2)
    assert failed.json["error"]["type"] == "TrainingFailed"
    assert "loss is nan in epoch 3. Lower --rate" in failed.sentences
    assert "--resume" not in failed.sentences
    assert "failing.py gives int" in cli("train", "failing.py:nothing", code=2).sentences
    assert set((cli.lab / "runs").glob("*")) == before
    assert not list((cli.lab / "runs").glob(".*"))


def test_runs_are_listed_and_damaged_ones_named(cli: Cli, tmp_path: Path) -> None:
    other = Cli(tmp_path)
    assert "There are no runs" in other("mask", "list").stdout
    assert not other.lab.exists()
    said = cli("train", "digits", "--epochs", "1", "--run", "listed", "--json").json
    newest = cli("mask", "list", "--json").json["runs"][0]
    for key in ("task", "gate", "epochs", "density", "validation", "test", "run", "maps"):
        assert newest[key] == said[key]
    assert (newest["name"], newest["chips"], newest["fault"]) == ("listed", [0], None)
    masks = Path(said["masks"])
    masks.write_bytes(masks.read_bytes()[:-1])
    assert "its masks.npz was changed" in cli("mask", "list", "--json").json["runs"][0]["fault"]
    assert "damaged: " in cli("mask", "list").stdout
    shutil.rmtree(said["run"])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("train nonsense", 3, "no task nonsense"),
        ("train digits --board sim://?seed=5", 3, "no map of chip"),
        ("train digits --gate none", 2, "no gating"),
        ("train digits --density 0", 2, "--density is above 0"),
        ("train digits --rate nan", 2, "not nan. Write --rate 0.01"),
        ("train digits --seed 99999999999999999999999", 2, "--seed is 0 to 4294967295"),
        ("train digits --compare --seed 99999999999999999999999", 2, "--seed is 0 to 4294967295"),
        ("mask pareto digits --seed 99999999999999999999999", 2, "--seed is 0 to 4294967295"),
        ("train digits --in-the-loop 320", 2, "never reads: all 20 epochs have 320 steps"),
        ("mask plan digits --density -1", 2, "--density is above 0"),
        ("train digits --run ../up", 2, "no name of a run"),
        ("train digits --run digits", 2, "names a task"),
        ("train digits --tensorboard board", 2, "tensorboard, which is not installed"),
        ("train digits --device cuda", 2, "no CUDA device"),
        ("train digits --compare --device cuda", 2, "no CUDA device"),
        ("train digits --chip 0 --chips 0", 2, "--chip and --chips"),
        ("train digits --chips 0 --chip 0 --compare", 2, "--chip and --chips"),
        ("infer digits --chip 0 --chips 0", 2, "--chip and --chips"),
        ("mask pareto digits --chip 0 --chips 0", 2, "--chip and --chips"),
        ("train digits --compare --run -x", 2, "no name of a comparison"),
        ("train digits --chips 0-1", 3, "no chip 1"),
        ("train digits --chips 0-9999999999", 3, "no chip 9999999999"),
        ("train digits --chips 0,0", 2, "one twice"),
        ("train digits --chips 3-1", 2, "3-1 counts down. Write 1-3."),
        ("train digits --free-density --density 0.3", 2, "both say how many gates are open"),
        ("train digits --by reset --free-density --pulse-budget 9", 2, "no --pulse-budget"),
        ("train digits --compare --rows cell,cell", 2, "names a row twice"),
        ("mask plan nonsense", 3, "no run nonsense"),
    ],
)
def test_mistakes_are_told(
    cli: Cli, arguments: str, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = set((cli.lab / "runs").glob("*")) | set((cli.lab / "runs").glob(".*"))
    # in this process: to load torch for each of them would take a minute
    words = [*arguments.split(), "--lab", str(cli.lab)]
    with pytest.raises(RramhilError) as told:
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert (told.value.exit_code, sentence in str(told.value)) == (code, True), told.value
    assert set((cli.lab / "runs").glob("*")) | set((cli.lab / "runs").glob(".*")) == before


@pytest.mark.parametrize(
    "option", [("--tensorboard", "board"), ("--device", "cuda"), ("--compare", "--device", "cuda")]
)
def test_what_is_missing_is_seen_before_a_board_is_opened(
    tmp_path: Path, option: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ["train", "digits", *option, "--lab", str(tmp_path / "lab")]
    with pytest.raises(UsageError, match=r"not installed|no CUDA device"):
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert not (tmp_path / "lab").exists()


def test_a_folder_for_tensorboard_that_cannot_be_made_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: str, **more: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", folder)

    fake = types.SimpleNamespace(SummaryWriter=refused)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    words = ["train", "digits", "--tensorboard", "/proc/x", "--lab", str(cli.lab)]
    with pytest.raises(UsageError, match=r"/proc/x cannot be written: no such file"):
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert not list((cli.lab / "runs").glob(".*"))


@pytest.mark.parametrize("command", [("train", "digits"), ("mask", "plan", "digits")])
def test_without_torch_one_sentence_says_what_to_install(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError", encoding="utf-8")
    # in a process that has not loaded the true one
    told = finished(Cli(tmp_path).start(*command))
    assert told.code == 2
    assert "torch, which is not installed" in told.sentences
    assert 'pip install "rramhil[train]"' in told.sentences
