"""From a fresh lab to answers of the chip: `rramhil infer` and `rramhil mask apply|verify`."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path

import pytest
import typer

pytest.importorskip("torch", reason="networks need the extra `train`")

import rramhil
from rramhil.cli import _app
from rramhil.errors import ModelRefused, RramhilError
from rramhil.lab import Lab
from rramhil.programming import program
from sim_backend.faults import load as load_faults
from tests.support.boards import served_board
from tests.support.cli import Cli

INFER_KEYS = {
    "task",
    "samples",
    "metric",
    "value",
    "software_value",
    "samples_per_s",
    "board_time_s",
    "conversions",
    "energy_j",
    "pulses",
    "chip_share",
}
OWN_TASK = """
import torch
from torch import nn

from rramhil.tasks import Examples, Splits, Task

WORDS = torch.randn(4, 20, generator=torch.Generator().manual_seed(0))


def drawn(count, seed):
    random = torch.Generator().manual_seed(seed)
    which = torch.randint(4, (count,), generator=random)
    noisy = WORDS[which] + 0.5 * torch.randn(count, 20, generator=random)
    return Examples(torch.sigmoid(noisy), which)


def two_layers():
    return nn.Sequential(nn.Linear(20, 24), {layer}nn.ReLU(), nn.Linear(24, 4))


task = Task(
    name="words",
    model=two_layers,
    data=lambda root: Splits(drawn(600, 1), drawn(100, 2), drawn(200, 3)),
    loss=nn.functional.cross_entropy,
    metric=lambda outputs, targets: float((outputs.argmax(1) == targets).float().mean()),
    metric_name="accuracy",
    also={{"errors": lambda outputs, targets: float((outputs.argmax(1) != targets).sum())}},
    bits=4,
    epochs=5,
)
"""
SMALL_UNET = """
from dataclasses import replace
from functools import partial

from rramhil.tasks import load
from rramhil.tasks.unet import UNet

task = replace(load("retina-phantom"), name="small", model=partial(UNet, (4, 6)), epochs=1)
"""
TWO_MINUTES_S = 120
CELLS = 512 * 512


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(tmp_path_factory.mktemp("infer"))


@pytest.fixture(scope="module")
def first(cli: Cli) -> dict[str, object]:
    """What `infer digits` says in a fresh lab, with the steps on stderr."""
    preview = cli("infer", "digits", "--dry-run", "--json").json
    assert (preview["run"], preview["drawn"], preview["samples"]) == (None, True, 540)
    assert f"{CELLS:,} pulses" in preview["before"]
    assert not list((cli.lab / "runs").glob("*"))
    began_s = time.monotonic()
    done = cli("infer", "digits", "--chip", "0", "--json")
    wall_s = time.monotonic() - began_s
    return {**done.json, "steps": done.stderr, "wall_s": wall_s, "preview": preview}


def test_digits_run_on_the_chip_from_a_fresh_lab(first: dict[str, object]) -> None:
    assert first.keys() >= INFER_KEYS
    assert first["wall_s"] < TWO_MINUTES_S
    assert (first["task"], first["samples"], first["metric"]) == ("digits", 540, "accuracy")
    assert first["value"] > 0.93
    assert first["software_value"] > 0.93
    assert first["agreement"] >= 0.97
    assert 0.8 < first["noise_ratio"] <= 1.2
    assert (first["pulses"], first["programming_pulses"]) == (0, CELLS)
    assert (first["chip_share"], first["saturated"]) == (1.0, 0)
    # masks of half of the cells were foreseen, drawn at random
    assert first["conversions"] == first["preview"]["conversions"] == 848 * 540
    positions = [
        first["steps"].index(step)
        for step in (f"{CELLS:,} pulses, one a cell", "Trained:", "Planned:", "Applied:")
    ]
    assert positions == sorted(positions)


def test_the_run_is_used_again_and_what_it_takes_is_told_before(
    cli: Cli, first: dict[str, object]
) -> None:
    preview = cli("infer", "digits", "--samples", "50", "--dry-run", "--json").json
    assert (preview["run"], preview["drawn"], preview["before"]) == (first["run"], False, "")
    again = cli("infer", "digits", "--samples", "50", "--json")
    said = again.json
    assert (said["run"], said["samples"]) == (first["run"], 50)
    assert (said["pulses"], said["programming_pulses"]) == (0, 0)
    assert said["conversions"] == preview["conversions"]
    assert said["board_time_s"] == pytest.approx(preview["board_time_s"], rel=0.1)
    assert "Trained:" not in again.stderr


def test_masks_are_applied_without_a_pulse_and_proved(cli: Cli, first: dict[str, object]) -> None:
    applied = cli("mask", "apply", "digits", "--chip", "0", "--json").json
    assert (applied["run"], applied["pulses"], applied["problems"]) == (first["run"], 0, [])
    assert applied["steps"] == first["preview"]["steps"]
    proved = cli("mask", "verify", "digits", "--json").json
    assert proved["clean"]
    assert proved["verifications"]["0"]["samples"] >= applied["steps"]


def test_a_task_of_ones_own_is_trained_and_runs_on_the_chip(
    cli: Cli, first: dict[str, object]
) -> None:
    (cli.folder / "words.py").write_text(OWN_TASK.format(layer=""), encoding="utf-8")
    trained = cli("train", "words.py:task", "--json").json
    assert trained["test"] > 0.9
    assert trained["test_also"]["errors"] == pytest.approx(200 * (1 - trained["test"]))
    said = cli("infer", "words.py:task", "--json").json
    assert said["also"]["errors"]["value"] == pytest.approx(200 * (1 - said["value"]))
    assert (said["task"], said["run"]) == ("words.py:task", trained["run"])
    assert (said["samples"], said["pulses"], said["chip_share"]) == (200, 0, 1.0)
    assert said["software_value"] == trained["test"]
    assert said["value"] > 0.9
    assert 0.8 < said["noise_ratio"] <= 1.25


def test_a_layer_that_no_chip_can_hold_is_refused_by_name(
    cli: Cli, first: dict[str, object]
) -> None:
    text = OWN_TASK.format(layer="nn.LayerNorm(24), ")
    (cli.folder / "norm.py").write_text(text, encoding="utf-8")
    # in this process: to load torch once more would take seconds
    words = ["train", str(cli.folder / "norm.py"), "--lab", str(cli.lab)]
    with pytest.raises(ModelRefused, match="LayerNorm") as told:
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert told.value.exit_code == 2
    assert "--allow-digital" in str(told.value)


FAULTS = {
    "Bit line 20": '[[board]]\nfault = "stuck_switch"\nline = 20\nstate = "GND"\n',
    "ADC channel 3": '[[board]]\nfault = "dead_channel"\nchannel = 3\ncode = 300\n',
}


@pytest.mark.parametrize("named", list(FAULTS))
def test_what_is_wrong_is_named_and_a_report_is_written(
    cli: Cli, first: dict[str, object], tmp_path: Path, named: str
) -> None:
    (tmp_path / "faults.toml").write_text(FAULTS[named], encoding="utf-8")
    with served_board(cli.lab, faults=load_faults(tmp_path / "faults.toml")) as address:
        told = cli("mask", "verify", "digits", "--board", address, "--json", code=6)
    error = told.json["error"]
    assert named.lower() in error["sentence"].lower()
    report = Path(error["next_step"].removeprefix("The report is ").rstrip("."))
    assert not json.loads(report.read_text(encoding="utf-8"))["clean"]


def test_a_row_that_drifted_since_its_map_is_named(
    cli: Cli, first: dict[str, object], tmp_path: Path
) -> None:
    drifted = Cli(tmp_path, shutil.copytree(cli.lab, tmp_path / "lab"))
    # every eighth cell that the first layer has in row 11 conducts less, which no map knows
    drifted("pulse", "reset", "--chip", "0", "--rows", "11", "--cols", "0:64:8")
    told = drifted("mask", "verify", "digits", "--json", code=6)
    error = told.json["error"]
    assert "row 11" in error["sentence"].lower()
    report = Path(error["next_step"].removeprefix("The report is ").rstrip("."))
    (found,) = json.loads(report.read_text(encoding="utf-8"))["verifications"]["0"]["findings"]
    assert (found["fault"], found["line"]) == ("row", 11)


def test_another_chip_is_refused_unless_forced(cli: Cli, first: dict[str, object]) -> None:
    other = Cli(cli.folder, cli.folder / "other")
    with rramhil.open("sim://", lab=other.lab) as board, Lab(other.lab) as lab:
        program(board, lab, 0, reads=1)
    run = str(first["run"])
    for command in (("mask", "apply", run), ("infer", "digits", "--run", run)):
        # the same serial number in another lab is the same chip only with its map
        assert "trained on map" in refused(other, *command, code=2)
    said = other("infer", "digits", "--run", run, "--samples", "30", "--force", "--json").json
    assert said["samples"] == 30


def test_a_damaged_map_is_named_and_not_taken_for_none(
    cli: Cli, first: dict[str, object], tmp_path: Path
) -> None:
    damaged = Cli(tmp_path, shutil.copytree(cli.lab, tmp_path / "lab"))
    maps = sorted((damaged.lab / "maps").glob("*.h5"))
    for path in maps:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = tmp_path / "lab" / "runs" / Path(str(first["run"])).name
    for command in (
        ("mask", "verify", "digits"),
        ("infer", "digits"),
        ("infer", "digits", "--run", run.name),
    ):
        told = refused(damaged, *command, code=2)
        assert any(str(path) in told for path in maps)
        assert "damaged" in told
        assert "ead it back with `rramhil program --chip 0`" in told
    assert len(list((damaged.lab / "runs").iterdir())) == len(list((cli.lab / "runs").iterdir()))
    # without any run, the map itself is missed
    told = refused(damaged, "train", "digits", code=2)
    assert "that can be read" in told
    assert "reads the chip back" in told
    # what it says to do helps
    assert damaged("program", "--chip", "0", "--reads", "2", "--json").json["pulses"] == 0
    said = damaged("infer", "digits", "--force", "--samples", "20", "--json").json
    assert said["run"] == str(run)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("infer fashion-mnist", 3, "rramhil train fashion-mnist --chip 0"),
        ("infer digits --run nowhere", 3, "no run nowhere"),
        ("infer digits --chip 1", 3, "no chip 1"),
        ("mask apply digits --chip 1", 2, "placed on chip 0"),
        ("infer digits --chips 0-", 2, "names no sockets"),
        ("infer nothing", 3, "no task nothing"),
        ("infer nothing --dry-run", 3, "no task nothing"),
        ("infer none.py:task", 3, "no task file none.py"),
        ("infer fashion-mnist --run {run}", 2, "is of task digits, not of fashion-mnist"),
        ("mask verify nowhere", 3, "no run nowhere"),
        ("mask verify fashion-mnist", 3, "`rramhil train fashion-mnist` makes one"),
        ("mask plan nothing", 3, "no task of that name"),
        ("mask plan none.py:task", 3, "no task file none.py"),
        ("mask plan digits --density 1.5", 2, "above 0 and at most 1, not 1.5"),
        ("mask plan fashion-mnist --density 0", 2, "above 0 and at most 1, not 0"),
        ("mask plan digits --density 0.3", 2, "has masks of its own"),
        ("mask plan digits --gate pair", 2, "has masks of its own"),
        ("infer digits --run {run} --gate pair", 2, "has cell gating, not pair gating"),
        ("infer digits --allow-digital", 2, "goes with --dry-run"),
        ("infer digits --run=", 3, "'' names no run"),
        (
            "mask plan digits --png /nonexistent/p.png",
            2,
            "no such file or directory. Name one in a folder",
        ),
    ],
)
def test_mistakes_are_told(
    cli: Cli, first: dict[str, object], arguments: str, code: int, sentence: str
) -> None:
    words = arguments.format(run=Path(str(first["run"])).name).split()
    assert sentence in refused(cli, *words, code=code)


@pytest.mark.parametrize(
    "arguments",
    ["infer digits --dry-run", "mask plan digits", "infer nothing", "mask verify digits"],
)
def test_what_only_looks_or_fails_leaves_no_lab(tmp_path: Path, arguments: str) -> None:
    new = tmp_path / "new"
    words = [*arguments.split(), "--lab", str(new)]
    with contextlib.suppress(RramhilError):
        typer.main.get_command(_app)(words, standalone_mode=False)
    assert not new.exists()


def test_more_samples_than_there_are_is_told(cli: Cli, first: dict[str, object]) -> None:
    told = cli("infer", "digits", "--samples", "10000", "--dry-run")
    assert "only 540 test samples, not 10,000" in told.stderr


def test_a_run_of_another_gating_is_not_taken_for_the_one_asked_for(
    cli: Cli, first: dict[str, object]
) -> None:
    asked = ("infer", "digits", "--dry-run", "--json", "--gate")
    assert cli(*asked, "cell").json["run"] == first["run"]
    planned = cli(*asked, "pair").json
    assert (planned["run"], planned["drawn"]) == (None, True)


def refused(cli: Cli, *arguments: str, code: int) -> str:
    """The error of a command in this process: to load torch for each of them would take long."""
    with pytest.raises(RramhilError) as told:
        typer.main.get_command(_app)([*arguments, "--lab", str(cli.lab)], standalone_mode=False)
    assert told.value.exit_code == code, told.value
    return str(told.value)


def test_whole_photographs_are_priced_as_they_are_inferred_though_patches_trained(
    cli: Cli,
) -> None:
    (cli.folder / "small.py").write_text(SMALL_UNET, encoding="utf-8")
    cli("program")
    cli("train", "small.py:task", "--overlay")
    planned = cli("infer", "small.py:task", "--samples", "1", "--dry-run", "--json").json
    said = cli("infer", "small.py:task", "--samples", "1", "--json").json
    assert said["conversions"] == planned["conversions"]
    assert said["board_time_s"] == pytest.approx(planned["board_time_s"], rel=1e-3)
    assert said["value"] == pytest.approx(said["software_value"], abs=0.02)
    assert 0.8 < said["noise_ratio"] < 1.25
