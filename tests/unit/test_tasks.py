"""Tasks: the built-in ones, and a user's own file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rramhil.errors import NotFound, TaskError
from rramhil.tasks import KNOWN, final_splits, load

OWN = """
import torch
from torch import nn
from rramhil.tasks import Examples, Splits, Task

def data(root):
    part = Examples(torch.rand(8, 3), torch.zeros(8, dtype=torch.int64))
    return Splits(part, part, part)

task = other = Task(
    name="mine", model=lambda: nn.Linear(3, 2), data=data, loss=nn.functional.cross_entropy,
    metric=lambda outputs, targets: 0.5, metric_name="half", bits=3, epochs=1,
)
number = 3
"""


def test_loading_the_package_loads_no_torch():
    code = "import sys, rramhil.tasks; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_task_is_not_found_and_the_known_ones_are_named():
    with pytest.raises(NotFound, match="no task digit") as caught:
        load("digit")
    assert all(name in caught.value.next_step for name in KNOWN)
    assert caught.value.exit_code == 3


def test_digits_have_three_parts_that_share_no_image():
    pytest.importorskip("torch", reason="tasks need the extra `train`")
    task = load("digits")
    splits = task.data(Path("nowhere"))
    assert [len(part.inputs) for part in splits] == [1077, 180, 540]
    assert all(len(part.inputs) == len(part.targets) for part in splits)
    assert float(splits.train.inputs.max()) == 1.0
    assert all(set(part.targets.tolist()) == set(range(10)) for part in splits)
    again = task.data(Path("nowhere"))
    assert all((one.inputs == two.inputs).all() for one, two in zip(splits, again, strict=True))
    outputs = task.model()(splits.test.inputs)
    assert outputs.shape == (540, 10)
    assert 0 <= task.metric(outputs, splits.test.targets) <= 1


def test_data_of_a_last_training_have_what_was_held_back():
    torch = pytest.importorskip("torch", reason="tasks need the extra `train`")
    task = load("digits")
    splits = task.data(Path("nowhere"))
    final = final_splits(task, splits, Path("nowhere"))
    assert torch.equal(
        final.train.inputs, torch.cat([splits.train.inputs, splits.validation.inputs])
    )
    assert len(final.train.targets) == 1077 + 180
    assert final.test is splits.test
    seen = {image.numpy().tobytes() for image in final.train.inputs}
    assert all(image.numpy().tobytes() in seen for image in final.validation.inputs)


def test_parts_of_different_kinds_are_not_joined_unless_the_task_says_how():
    pytest.importorskip("torch", reason="tasks need the extra `train`")
    task = load("retina-phantom")
    splits = task.data(Path("nowhere"))
    with pytest.raises(TaskError, match=r"\(1, 96, 96\).*\(1, 32, 32\)"):
        final_splits(replace(task, undivided=None), splits, Path("nowhere"))


def test_a_users_own_task_is_loaded_from_its_file(tmp_path: Path):
    pytest.importorskip("torch", reason="tasks need the extra `train`")
    path = tmp_path / "my_task.py"
    path.write_text(OWN)
    assert load(f"{path}").name == "mine"
    assert load(f"{path}:other").bits == 3
    with pytest.raises(NotFound, match="has no nothing") as caught:
        load(f"{path}:nothing")
    assert "task" in caught.value.next_step
    with pytest.raises(TaskError, match=r"is no rramhil.tasks.Task, but of type int"):
        load(f"{path}:number")


def test_files_that_are_no_tasks_are_refused(tmp_path: Path):
    with pytest.raises(NotFound, match="no task file"):
        load(str(tmp_path / "missing.py"))
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_that_name")
    with pytest.raises(TaskError, match="ModuleNotFoundError"):
        load(str(broken))
    empty = tmp_path / "empty.py"
    empty.write_text("")
    with pytest.raises(NotFound, match="has no task") as caught:
        load(str(empty))
    assert "makes no" in caught.value.next_step
