"""Built-in tasks with data sets: their splits, shapes and matrices."""

from __future__ import annotations

import math
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
UNET = [
    *[(24, 9), (24, 216), (48, 216), (48, 432), (96, 432), (96, 864)],
    *[(192, 864), (192, 1728), (376, 1728), (376, 3384)],
    *[(96, 48), (192, 96), (384, 192), (768, 376)],
    *[(24, 432), (24, 216), (48, 864), (48, 432), (96, 1728), (96, 864), (192, 3456), (192, 1728)],
    (1, 24),
]
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


@pytest.mark.parametrize("name", ["retina-vessels", "retina-vessels-drive"])
def test_the_unet_has_the_size_of_the_papers(name: str) -> None:
    task = load(name)
    inputs = torch.rand(1, 1, 32, 48)
    model = task.model().eval()
    assert model(inputs).shape == inputs.shape
    network = convert(model, task.bits, example_input=inputs)
    assert [(each.outputs, each.inputs) for each in network.matrices] == UNET
    assert sum(each.outputs * each.inputs for each in network.matrices) == 4_288_176
    assert network.chip_share.weights == 1.0


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("fashion-mnist", "data fetch fashion-mnist`"),
        ("spoken-digits", "data add fsdd-features PATH`"),
        ("spoken-digits-official", "data fetch fsdd`"),
        ("retina-vessels", "data fetch chase-db1`"),
        ("retina-vessels-drive", "data add drive PATH`"),
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
    assert task.batch <= len(splits.train.inputs)
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


def check_retina(splits: Splits) -> None:
    """What holds for all retinas: targets, dark vessels, parts that share no photograph."""
    for part in splits:
        assert part.inputs.shape == part.targets.shape
        assert part.targets.unique().tolist() == [-1, 0, 1]
        assert 0.05 < (part.targets == 1).sum() / (part.targets >= 0).sum() < 0.2
        darkness = 1 - part.inputs
        assert darkness[part.targets == 1].mean() > darkness[part.targets == 0].mean() + 0.1
        assert (part.inputs[part.targets < 0] == 0.5).all()
    whole = [each.numpy().tobytes() for part in splits[1:] for each in part.inputs]
    assert len(set(whole)) == len(whole)


def test_the_phantom_stands_for_photographs(tmp_path: Path) -> None:
    splits = read_twice(load("retina-phantom"), tmp_path)
    check_retina(splits)
    assert [tuple(part.inputs.shape) for part in splits] == [
        (128, 1, 32, 32),
        (2, 1, 96, 96),
        (5, 1, 96, 96),
    ]
    assert not list(tmp_path.iterdir())


def test_chase_db1_is_split_by_persons(data_root: Path) -> None:
    splits = load("retina-vessels").data(data_root)
    check_retina(splits)
    assert [len(part.inputs) for part in splits] == [4096, 4, 8]
    assert splits.train.inputs.shape[1:] == (1, 64, 64)
    assert splits.test.inputs.shape[1:] == splits.validation.inputs.shape[1:] == (1, 480, 512)


def test_pixels_outside_the_field_of_view_are_not_counted() -> None:
    task = load("retina-phantom")
    targets = torch.tensor([[1.0, 0.0, 0.0, -1.0]])
    right, changed = torch.tensor([[2.0, -2.0, 0.0, 9.0]]), torch.tensor([[2.0, -2.0, 0.0, -9.0]])
    measured = task.measured(right, targets)
    assert (measured["ROC AUC"], measured["PR AUC"]) == (1.0, 1.0)
    # of the whole frame the answer outside is counted, as one that should be no vessel
    assert measured["ROC AUC, whole frame"] == pytest.approx(2 / 3)
    assert task.measured(changed, targets)["ROC AUC, whole frame"] == 1.0
    assert task.measured(-right, targets)["ROC AUC"] == 0.0


def test_pixels_outside_the_field_of_view_are_learnt_as_background() -> None:
    task = load("retina-phantom")
    outputs, targets = torch.tensor([[2.0, -2.0, 0.0, 9.0]]), torch.tensor([[1.0, 0.0, 0.0, -1.0]])
    each = [math.log1p(math.exp(wrong)) for wrong in (-2, -2, 0, 9)]
    assert float(task.loss(outputs, targets)) == pytest.approx(sum(each) / 4)
