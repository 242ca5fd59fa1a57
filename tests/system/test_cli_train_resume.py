"""Trainings that are killed or interrupted, and go on: through the command line, as users do it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.network import Run
from tests.support.cli import TIMEOUT_S, Cli, finished

SLOW_TASK = """
import os
import time
from dataclasses import replace
from pathlib import Path

from rramhil.errors import LinkLost
from rramhil.tasks.digits import task as digits

steps = 0


def loss(outputs, targets):
    # epochs of a second or two, so that they can be killed in between
    time.sleep(float(os.environ.get("PAUSE_S", "0")))
    global steps
    steps += 1
    if steps == int(os.environ.get("LOST_AT_STEP", "0")):
        raise LinkLost("The board stopped answering.", "Look at its cable.")
    return digits.loss(outputs, targets)


task = replace(digits, name="slow", loss=loss, epochs=5)
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with a programmed chip, and a task whose epochs take a while if asked to."""
    made = Cli(tmp_path_factory.mktemp("resume"))
    made("program", "--reads", "2")
    (made.folder / "slow.py").write_text(SLOW_TASK, encoding="utf-8")
    return made


def stopped(
    cli: Cli, name: str, how: int, epochs: int, before: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Start a training, stop it after some epochs were kept, and give its code and last words.

    Something may be done right before it is stopped.
    """
    cli.environment["PAUSE_S"] = "0.13"
    try:
        with cli.start("train", "slow.py:task", "--run", name) as process:
            state = cli.lab / "runs" / f".{name}.training" / "state.bin"
            # every epoch of two seconds replaces the file
            seen: set[int] = set()
            until = time.monotonic() + TIMEOUT_S
            while len(seen) < epochs and time.monotonic() < until:
                if state.exists():
                    seen.add(state.stat().st_mtime_ns)
                time.sleep(0.01)
            before()
            os.kill(process.pid, how)
            done = finished(process)
    finally:
        del cli.environment["PAUSE_S"]
    assert len(seen) == epochs, done
    return done.code, done.sentences


def test_the_board_is_free_while_masks_are_learnt(cli: Cli) -> None:
    cli("train", "digits", "--epochs", "1", "--run", "short")
    stopped(cli, "long", signal.SIGKILL, 1, lambda: cli("mask", "apply", "short"))


def test_sigterm_is_ctrl_c_and_a_changed_checkpoint_is_not_gone_on_from(cli: Cli) -> None:
    code, sentence = stopped(cli, "ended", signal.SIGTERM, 1)
    assert code == 130
    assert "Stopped by the user after" in sentence
    unfinished = cli("mask", "list", "--json").json["unfinished"]
    (listed,) = (each for each in unfinished if each["name"] == "ended")
    assert (listed["task"], listed["chips"], listed["epochs"]) == ("slow.py:task", [0], 5)
    assert 1 <= listed["epochs_done"] < 5
    assert f"`{listed['command']}` goes on." in cli("mask", "list").stdout
    folder = cli.lab / "runs" / ".ended.training"
    for name in ("state.bin", "cells.safetensors", "start.json", "placement.json"):
        content = (folder / name).read_bytes()
        changed = bytearray(content)
        changed[len(content) // 2] ^= 4
        (folder / name).write_bytes(changed)
        told = cli("train", "slow.py:task", "--resume", "ended", code=2).sentences
        assert "training ended cannot be continued: it is damaged" in told, name
        assert f"Remove {folder}, and train again." in told
        assert "it is damaged. Remove" in cli("mask", "list").stdout
        (folder / name).write_bytes(content)
    cli("train", "slow.py:task", "--resume", "ended")


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_masks(cli: Cli) -> None:
    undisturbed = cli("train", "slow.py:task", "--run", "undisturbed", "--json").json
    code, _ = stopped(cli, "killed", signal.SIGKILL, 2)
    assert code == -signal.SIGKILL
    assert not (cli.lab / "runs" / "killed").exists()
    assert "killed" not in cli("infer", "slow.py:task", "--run", "killed", code=3).stdout
    said = cli("train", "slow.py:task", "--resume", "--json").json
    assert said["resumed_after"] >= 2
    assert Path(said["run"]).name == "killed"
    assert said["test"] == undisturbed["test"]
    one, other = Run.load(Path(undisturbed["run"])), Run.load(Path(said["run"]))
    assert one.masks.id == other.masks.id
    assert [each["loss"] for each in one.history] == [each["loss"] for each in other.history]
    assert not list((cli.lab / "runs").glob(".*"))


@pytest.mark.slow
def test_an_interrupted_training_says_how_to_go_on_and_what_contradicts_it(cli: Cli) -> None:
    code, sentence = stopped(cli, "stopped", signal.SIGINT, 1)
    assert code == 130
    assert "of 5 epochs" in sentence
    assert "--resume stopped" in sentence
    again = cli("train", "slow.py:task", "--run", "stopped", code=2).sentences
    assert "unfinished training stopped" in again
    for option, told in {
        ("--gate", "pair"): "which has gate cell",
        ("--epochs", "7"): "which has epochs 5",
        ("--free-density",): "which has density 0.5",
        ("--map", "flat"): "which has map own",
        ("--run", "other"): "has its name",
    }.items():
        words = ("train", "slow.py:task", "--resume", *option)
        assert told in cli(*words, code=2).sentences
    assert "no unfinished training" in cli("train", "digits", "--resume", code=3).sentences
    (cli.folder / "slow.py").write_text(SLOW_TASK + "\n# changed\n", encoding="utf-8")
    changed = cli("train", "slow.py:task", "--resume", "stopped", code=2).sentences
    assert "another file, data or model" in changed
    (cli.folder / "slow.py").write_text(SLOW_TASK, encoding="utf-8")
    done = cli("train", "slow.py:task", "--resume", "stopped", "--gate", "cell", "--json").json
    assert (Path(done["run"]).name, len(done["history"])) == ("stopped", 5)


@pytest.mark.slow
def test_masks_in_the_chip_are_those_of_the_run_also_after_a_kill(cli: Cli) -> None:
    """In the loop the chip is read anew, so masks may differ; what is in its cells may not."""
    options = ("--by", "reset", "--hysteresis", "0.2", "--in-the-loop", "8")
    cli.environment["PAUSE_S"] = "0.13"
    try:
        with cli.start("train", "slow.py:task", "--run", "loop", *options) as process:
            state = cli.lab / "runs" / ".loop.training" / "state.bin"
            until = time.monotonic() + TIMEOUT_S
            while not state.exists() and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            finished(process)
    finally:
        del cli.environment["PAUSE_S"]
    said = cli("train", "slow.py:task", "--resume", "loop", "--json").json
    assert said["resumed_after"] >= 1
    by_reset = said["by_reset"]
    assert by_reset["flips"] == sum(each["pulses"] for each in said["history"])
    left = by_reset["in_the_chip"]["0"]
    # most of its pruned cells are off; a RESET fails on some of a hundred
    assert 0 <= left["still_on"] < 0.1 * left["pruned"]
    again = cli("mask", "apply", "loop", "--by", "reset", "--dry-run", "--json").json
    assert again["reset_pulses"] == left["still_on"]


def test_what_a_kill_leaves_before_a_training_has_begun_is_in_nobodys_way(cli: Cli) -> None:
    (cli.lab / "runs" / ".half.training").mkdir(parents=True)
    told = cli("train", "digits", "--resume", "half", code=3)
    assert "half." not in told.stderr.partition("no unfinished training half.")[2]
    cli("train", "digits", "--epochs", "1", "--run", "half")
    assert not (cli.lab / "runs" / ".half.training").exists()


def test_a_training_that_loses_its_board_is_kept_and_says_how_to_go_on(cli: Cli) -> None:
    cli.environment["LOST_AT_STEP"] = "45"
    try:
        failed = cli("train", "slow.py:task", "--run", "lost", code=8)
    finally:
        del cli.environment["LOST_AT_STEP"]
    assert "Look at its cable. `rramhil train slow.py:task --resume lost`" in failed.sentences
    said = cli("train", "slow.py:task", "--resume", "lost", "--json").json
    assert said["resumed_after"] == 2


def test_a_last_training_goes_on_with_all_training_data_to_its_last_epoch(cli: Cli) -> None:
    options = ("--final", "--rate", "0.02")
    whole = cli("train", "slow.py:task", "--run", "whole", *options, "--json").json
    assert (whole["validation"], whole["best_epoch"]) == (None, 5)
    assert {each["validation"] for each in whole["history"]} == {None}
    cli.environment["LOST_AT_STEP"] = "45"
    try:
        cli("train", "slow.py:task", "--run", "last", *options, code=8)
    finally:
        del cli.environment["LOST_AT_STEP"]
    shown = cli("train", "slow.py:task", "--resume", "last").stdout
    assert "test, trained on all training data, after epoch 5 of 5" in shown
    one, other = (Run.load(cli.lab / "runs" / name) for name in ("whole", "last"))
    assert one.masks.id == other.masks.id
    assert (one.config.settings["rate"], one.config.settings["final"]) == (0.02, True)
