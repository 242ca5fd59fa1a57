"""The examples and the Python of the documentation, run as their readers run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rramhil.tasks import load
from tests.support.cli import Cli

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((PROJECT / "examples").glob("*.py"))
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path):
    """Run Python in a process of its own, with a lab of its own; returns what it printed."""
    kept = {name: value for name, value in os.environ.items() if "RRAMHIL" not in name}
    environment = {**kept, "RRAMHIL_LAB": str(tmp_path / "lab")}

    def run_python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_python


def test_first_map_programs_a_chip_once_and_only_once(run, tmp_path: Path):
    script = str(PROJECT / "examples" / "first_map.py")
    first, second = run(script), run(script)
    assert "262,144 pulses, one a cell" in first
    assert "no pulse was fired" in second
    picture = Path(re.findall(r"its picture: (.*)", first)[0])
    assert picture.is_file()
    assert picture.is_relative_to(tmp_path / "lab")


def test_forming_curve_prints_what_the_model_says(run):
    lines = run(str(PROJECT / "examples" / "forming_curve.py")).splitlines()
    assert "simulated chip" in lines[0]
    steps = [[float(word.replace(",", "")) for word in line.split()] for line in lines[2:]]
    assert len(steps) == 10
    for amplitude_v, _, formed, model in steps:
        assert formed == pytest.approx(model, abs=0.03), f"at {amplitude_v} V"


def test_the_unet_is_a_task_with_all_that_belongs_to_one(tmp_path: Path):
    pytest.importorskip("torch", reason="networks need the extra `train`")
    task = load(str(PROJECT / "examples" / "unet_task.py"))
    test = task.data(tmp_path).test
    outputs = task.model().eval()(test.inputs)
    assert outputs.shape == test.targets.shape == (8, 1, 48, 48)
    assert 0.05 < test.targets.mean() < 0.3
    assert task.metric(test.targets - 0.5, test.targets) == 1.0
    assert float(task.loss(20 * (test.targets - 0.5), test.targets)) < 0.01
    assert not list(tmp_path.iterdir())


@pytest.fixture
def own_task(tmp_path: Path) -> tuple[Cli, list[list[str]]]:
    """A folder with the task of the page on networks, and the commands that the page gives it."""
    pytest.importorskip("torch", reason="networks need the extra `train`")
    page = (PROJECT / "docs" / "networks.md").read_text(encoding="utf-8")
    _, _, text = page.partition("\n## A task of one's own\n")
    (file,) = PYTHON_BLOCK.findall(text)
    (tmp_path / "my_task.py").write_text(file, encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return Cli(tmp_path), [shlex.split(line, comments=True)[1:] for line in commands.splitlines()]


def test_the_task_of_a_page_has_the_shapes_that_the_page_says(own_task, tmp_path: Path):
    import torch

    cli, _ = own_task
    task = load(str(tmp_path / "my_task.py"))
    splits, again = task.data(tmp_path), task.data(tmp_path)
    for part, same in zip(splits, again, strict=True):
        assert part.inputs.shape == (len(part.targets), 16)
        assert (part.inputs.dtype, part.targets.dtype) == (torch.float32, torch.int64)
        assert torch.equal(part.inputs, same.inputs)
    refused = cli("infer", task.name, code=3)
    assert "as my_task.py:task, not by its `name`" in refused.sentences


@pytest.mark.slow
def test_the_task_of_a_page_is_trained_planned_and_run_as_it_stands(own_task):
    cli, commands = own_task
    programmed, trained, planned, inferred = (cli(*line, "--json").json for line in commands)
    assert programmed["chip"] == 0
    assert trained["task"] == inferred["task"] == "my_task.py:task"
    assert planned["total"]["gated"]["steps"] == trained["steps"]
    assert (inferred["samples"], inferred["pulses"]) == (200, 0)
    assert inferred["value"] > 0.8


def test_every_example_is_tested_here():
    tests = Path(__file__).read_text(encoding="utf-8")
    assert len(EXAMPLES) == 3
    assert all(f'"{path.name}"' in tests for path in EXAMPLES)


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_the_python_of_a_page_runs_as_it_stands(run, page: str):
    blocks = PYTHON_BLOCK.findall((PROJECT / page).read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        run("-c", block)
