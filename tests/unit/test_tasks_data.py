"""Built-in tasks with data sets: their splits, shapes and matrices."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="tasks need the extra `train`")

import torch

from rramhil.datasets import read_fsdd
from rramhil.errors import NotFound
from rramhil.network import convert
from rramhil.tasks import Splits, Task, load

SPOKEN = [(64, 6), (32, 384), (128, 32), (128, 128), (256, 128), (10, 256)]
MATRICES = {
    "fashion-mnist": [(64, 9), (16, 576), (128, 400), (10, 128)],
    "spoken-digits": SPOKEN,
    "spoken-digits-official": SPOKEN,
}
INPUTS = {
    "fashion-mnist": (1, 14, 14),
    "spoken-digits": (1, 23, 20),
    "spoken-digits-official": (1, 23, 20),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_network_is_the_papers(name: str) -> None:
    task = load(name)
    model = task.model().eval()
    inputs = torch.rand(2, *INPUTS[name])
    assert model(inputs).shape == (2, 10)
    network = convert(model, task.bits, example_input=inputs)
    assert [(each.outputs, each.inputs) for each in network.matrices] == MATRICES[name]
    assert network.chip_share.weights == 1.0


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("fashion-mnist", "data fetch fashion-mnist`"),
        ("spoken-digits", "data add fsdd-features PATH`"),
        ("spoken-digits-official", "data fetch fsdd`"),
    ],
)
def test_data_that_are_absent_are_not_found_and_the_next_step_brings_them(
    name: str, command: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="is not in") as caught:
        load(name).data(tmp_path)
    assert f"`rramhil {command}" in caught.value.next_step


def read_twice(task: Task, root: Path) -> Splits:
    """The splits of a task, after checks that all tasks must pass."""
    splits, again = task.data(root), task.data(root)
    for one, two in zip(splits, again, strict=True):
        assert torch.equal(one.inputs, two.inputs)
        assert torch.equal(one.targets, two.targets)
        assert len(one.inputs) == len(one.targets)
        assert one.inputs.dtype == torch.float32
        assert one.inputs.min() >= 0
        assert one.inputs.max() <= 1
    return splits


def test_fashion_mnist_is_split_as_published(data_root: Path) -> None:
    splits = read_twice(load("fashion-mnist"), data_root)
    assert [len(part.inputs) for part in splits] == [54_000, 6_000, 10_000]
    assert splits.train.inputs.shape[1:] == (1, 14, 14)
    # every one of the 60,000 is in one of the two parts, and in one only
    counts = torch.bincount(splits.train.targets) + torch.bincount(splits.validation.targets)
    assert counts.tolist() == [6000] * 10
    assert torch.bincount(splits.test.targets).tolist() == [1000] * 10
    mean = torch.cat([splits.train.inputs, splits.validation.inputs]).mean()
    assert mean == pytest.approx(0.2860, abs=1e-4), "that of the published images"


def test_the_recurrent_network_takes_four_steps() -> None:
    heard = load("spoken-digits").model().heard(torch.rand(2, 1, 23, 20))
    assert heard.shape == (2, 32, 1, 4)


def test_spoken_digits_are_the_papers_features(data_root: Path) -> None:
    splits = read_twice(load("spoken-digits"), data_root)
    assert [len(part.inputs) for part in splits] == [1800, 300, 900]
    assert splits.train.inputs.shape[1:] == (1, 23, 20)
    seen = {each.numpy().tobytes() for part in splits for each in part.inputs}
    assert len(seen) == 3000, "a recording in two parts would be counted once"


def test_spoken_digits_are_split_as_their_owners_do(data_root: Path) -> None:
    splits = read_twice(load("spoken-digits-official"), data_root)
    assert [len(part.inputs) for part in splits] == [2400, 300, 300]
    assert splits.train.inputs.shape[1:] == (1, 23, 20)
    for part in splits:  # every speaker says every digit in every part
        assert torch.bincount(part.targets).tolist() == [len(part.targets) // 10] * 10
    read = read_fsdd(data_root)
    assert len(set(read.speakers)) == 6
    assert torch.equal(
        splits.test.targets, torch.tensor([int(each) for each in read.digits[read.takes < 5]])
    )
