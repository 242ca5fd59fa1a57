"""A task file that does what none may do is refused by its name, with what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="tasks need the extra `train`")

from rramhil.errors import LinkLost, ModelRefused, TaskError  # noqa: E402
from rramhil.flow import new_network  # noqa: E402
from rramhil.tasks import Task, final_splits, load  # noqa: E402

OWN = """
import sys
import numpy as np
import torch
from torch import nn
from rramhil.errors import LinkLost
from rramhil.tasks import Examples, Splits, Task

def fails(*given):
    raise KeyError("pixels")

def lost(*given):
    raise LinkLost("The board stopped answering.")

def some(samples=8, kind=torch.float32, fill=0.5):
    inputs = torch.full((samples, 3), fill, dtype=kind)
    return Examples(inputs, torch.zeros(samples, dtype=torch.int64))

part = some()

def task_of(**more):
    said = dict(
        name="mine", model=lambda: nn.Linear(3, 2), data=lambda root: Splits(part, part, part),
        loss=nn.functional.cross_entropy, metric=lambda outputs, targets: 0.5,
        metric_name="half", bits=3, epochs=1,
    )
    return Task(**{**said, **more})

{code}
task = task_of({more})
"""


def own(tmp_path: Path, more: str = "", code: str = "") -> Task:
    """The task of a file that says so much else."""
    path = tmp_path / "my_task.py"
    text = OWN.replace("{more}", more).replace("{code}", code)
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def test_what_a_sound_task_gives_is_passed_on(tmp_path: Path) -> None:
    task = own(tmp_path, "undivided=lambda root: part, also={'more': lambda o, t: 1}")
    splits = task.data(tmp_path)
    assert final_splits(task, splits, tmp_path).train.inputs.shape == (8, 3)
    assert task.measured(splits.test.inputs, splits.test.targets) == {"half": 0.5, "more": 1}
    assert task.loss(task.model()(splits.train.inputs), splits.train.targets).item() > 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("data=fails", "`data` of the task file .* ends with KeyError: 'pixels'"),
        ("data=lambda root: sys.exit(3)", "`data` of the task file .* ends with SystemExit: 3"),
        ("data=5", "`data` of the task file .* ends with TypeError: 'int' object is not callable"),
        ("data=lambda root: 5", "`data` of the task file .* gives int, not .*Splits"),
        ("data=lambda root: (part, part, part)", "gives tuple, not .*Splits"),
        ("data=lambda root: Splits(part, part, 5)", "whose test part is int, not .*Examples"),
        (
            "data=lambda root: Splits(part, Examples([1.0], [1]), part)",
            "whose validation part is Examples whose inputs are of type list, not torch.Tensor",
        ),
        (
            "data=lambda root: Splits(Examples(part.inputs.numpy(), part.targets), part, part)",
            r"train part is Examples whose inputs are of type numpy.ndarray.*by torch.from_numpy",
        ),
        ("data=lambda root: Splits(some(0), part, part)", "whose train part is of 0 inputs"),
        (
            "data=lambda root: Splits(Examples(part[0][:4], part[1]), part, part)",
            "whose train part is of 4 inputs and 8 targets",
        ),
        (
            "data=lambda root: Splits(part, part, some(kind=torch.float64))",
            "whose test part is of torch.float64, not torch.float32",
        ),
        (
            "data=lambda root: Splits(part, some(fill=float('nan')), part)",
            "whose validation part is not all finite numbers",
        ),
        ("data=lambda root: Splits(some(1), part, part)", "whose train part is of one sample"),
    ],
)
def test_data_that_are_none_are_refused(tmp_path: Path, more: str, told: str) -> None:
    task = own(tmp_path, more)
    with pytest.raises(TaskError, match=told) as caught:
        task.data(tmp_path)
    assert "my_task.py" in caught.value.sentence
    assert caught.value.next_step
    assert caught.value.exit_code == 2


def test_data_with_a_gradient_are_let_go_of_it(tmp_path: Path) -> None:
    learnt = "Examples(part.inputs.clone().requires_grad_(), torch.ones(8, requires_grad=True))"
    given = f"data=lambda root: Splits(*[{learnt}] * 3), undivided=lambda root: {learnt}"
    task = own(tmp_path, given)
    splits = task.data(tmp_path)
    for part in (*splits, final_splits(task, splits, tmp_path).train):
        assert not any(each.requires_grad for each in part)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("model=fails", "`model` of the task file .* ends with KeyError"),
        ("model=lambda: 5", "`model` of the task file .* gives int, not a torch.nn.Module"),
    ],
)
def test_a_model_that_is_none_is_refused(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(TaskError, match=told):
        own(tmp_path, more).model()


@pytest.mark.parametrize(
    ("part", "gives", "told"),
    [
        ("loss", "5", "gives int, not a torch.Tensor of one number with a gradient"),
        ("loss", "torch.zeros(2, requires_grad=True)", "gives Tensor, not"),
        ("loss", "torch.zeros(())", "gives Tensor, not"),
        ("metric", "None", "gives NoneType, not a number"),
        ("metric", "torch.zeros(2)", "gives Tensor, not a number"),
    ],
)
def test_a_loss_or_a_metric_that_is_no_number_is_told_of(
    tmp_path: Path, part: str, gives: str, told: str
) -> None:
    task = own(tmp_path, f"{part}=lambda outputs, targets: {gives}")
    with pytest.raises(TaskError, match=f"`{part}` of the task file .* {told}"):
        getattr(task, part)(torch.zeros(2, 2, requires_grad=True), torch.zeros(2))


@pytest.mark.parametrize(
    "gives", ["torch.tensor(0.5)", "torch.tensor([0.5])", "np.float32(0.5)", "np.array(0.5)", "0.5"]
)
def test_a_metric_may_give_one_number_of_any_kind(tmp_path: Path, gives: str) -> None:
    task = own(tmp_path, f"metric=lambda outputs, targets: {gives}")
    given = task.metric(torch.zeros(2, 2), torch.zeros(2))
    assert (type(given), given) == (float, 0.5)


@pytest.mark.parametrize(
    "gives", ["None", "'0.5'", "1j", "outputs", "np.zeros(2)", "torch.ones(0)"]
)
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("metric=lambda outputs, targets: {}", "`metric`"),
        ("also={{'F1': lambda outputs, targets: {}}}", "also.*F1"),
    ],
)
def test_a_metric_that_is_no_number_is_refused_before_training(
    tmp_path: Path, more: str, named: str, gives: str
) -> None:
    task = own(tmp_path, more.format(gives))
    with pytest.raises(TaskError, match=f"{named}.* not a number"):
        new_network(task, task.data(tmp_path))


def test_a_metric_of_a_task_of_no_file_is_refused_by_its_name(tmp_path: Path) -> None:
    task = replace(own(tmp_path), metric=lambda outputs, targets: None, file=None)
    with pytest.raises(TaskError, match="The metric half of the task mine gives NoneType"):
        new_network(task, task.data(tmp_path))


@pytest.mark.parametrize("metric", ["fails", "lost", "lambda outputs, targets: float('nan')"])
def test_a_metric_that_a_few_samples_are_too_few_for_is_taken(tmp_path: Path, metric: str) -> None:
    task = own(tmp_path, f"metric={metric}")
    assert new_network(task, task.data(tmp_path)).matrices


def test_a_metric_cannot_change_the_data(tmp_path: Path) -> None:
    task = own(tmp_path, "metric=lambda outputs, targets: targets.fill_(1).sum()")
    splits = task.data(tmp_path)
    new_network(task, splits)
    assert not splits.test.targets.any()


def test_a_loss_of_outputs_that_are_not_learnt_from_needs_no_gradient(tmp_path: Path) -> None:
    task = own(tmp_path, "loss=lambda outputs, targets: outputs.mean()")
    assert task.loss(torch.ones(2, 2), torch.zeros(2)) == 1


@pytest.mark.parametrize("part", ["loss", "metric"])
def test_a_loss_or_a_metric_that_fails_is_told_of(tmp_path: Path, part: str) -> None:
    task = own(tmp_path, f"{part}=fails")
    with pytest.raises(TaskError, match=f"`{part}` of the task file .* ends with KeyError"):
        getattr(task, part)(torch.zeros(2, 2), torch.zeros(2))


def test_errors_that_have_a_next_step_of_their_own_are_passed_on(tmp_path: Path) -> None:
    with pytest.raises(LinkLost, match="stopped answering"):
        own(tmp_path, "loss=lost").loss(torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize(
    "layers", ["nn.Flatten()", "nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3))"]
)
def test_a_model_without_a_matrix_is_refused(tmp_path: Path, layers: str) -> None:
    task = own(tmp_path, f"model=lambda: {layers}")
    with pytest.raises(ModelRefused, match=r"my_task.py has no Linear.* on the chip") as caught:
        new_network(task, task.data(tmp_path))
    assert caught.value.next_step


BRANCHING = """
class Branching(nn.Module):
    def __init__(self, called, gives=lambda outputs, training: outputs):
        super().__init__()
        self.called, self.gives = called, gives
        self.out, self.u = nn.Linear(3, 2), nn.Linear(3, 3)
    def forward(self, inputs):
        inputs = self.u(inputs) if self.called(self.training) else inputs
        return self.gives(self.out(inputs), self.training)
"""


@pytest.mark.parametrize(
    ("called", "told"),
    [
        ("False", "Layer u of the model is never called"),
        ("training", "Layer u of the model is called in training only"),
        ("not training", "Layer u of the model is called in evaluation only"),
    ],
)
def test_a_layer_that_is_not_called_is_refused_before_training(
    tmp_path: Path, called: str, told: str
) -> None:
    task = own(tmp_path, f"model=lambda: Branching(lambda training: {called})", BRANCHING)
    with pytest.raises(ModelRefused, match=told) as caught:
        new_network(task, task.data(tmp_path))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("modes", ["True", "training"])
def test_a_model_that_returns_no_tensor_is_refused_by_what_it_returns(
    tmp_path: Path, modes: str
) -> None:
    gives = f"lambda outputs, training: (outputs, 0) if {modes} else outputs"
    task = own(tmp_path, f"model=lambda: Branching(lambda training: True, {gives})", BRANCHING)
    with pytest.raises(
        TaskError, match=r"my_task.py returns a tuple, not a torch.Tensor"
    ) as caught:
        new_network(task, task.data(tmp_path))
    assert "forward" in caught.value.next_step


def test_batch_norm_that_remembers_nothing_is_refused_by_name(tmp_path: Path) -> None:
    norm = "nn.BatchNorm1d(3, track_running_stats=False)"
    task = own(tmp_path, f"model=lambda: nn.Sequential(nn.Linear(3, 3), {norm}, nn.Linear(3, 2))")
    with pytest.raises(ModelRefused, match="1 of the model, a BatchNorm1d, has track_running"):
        new_network(task, task.data(tmp_path))


def test_what_a_model_remembers_is_not_of_its_trial(tmp_path: Path) -> None:
    layers = "nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2)"
    task = own(tmp_path, f"model=lambda: nn.Sequential({layers})")
    before = torch.get_rng_state()
    network = new_network(task, task.data(tmp_path))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(network.model[1].running_mean, torch.zeros(3))


def test_a_recurrent_layer_of_a_single_step_is_refused(tmp_path: Path) -> None:
    recurrent = """
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.heard = nn.RNN(3, 2, batch_first=True)
    def forward(self, inputs):
        return self.heard(inputs[:, None])[0][:, 0]
"""
    task = own(tmp_path, "model=Recurrent", recurrent)
    with pytest.raises(ModelRefused, match=r"have one step: heard.hidden of its model"):
        new_network(task, task.data(tmp_path))


def test_a_model_that_fails_on_its_data_is_refused(tmp_path: Path) -> None:
    fails = "type('Own', (nn.Linear,), {'forward': fails})(3, 2)"
    task = own(tmp_path, f"model=lambda: nn.Sequential(nn.Linear(3, 3), {fails})")
    with pytest.raises(TaskError, match=r"my_task.py ends with KeyError on its train .*'pixels'"):
        new_network(task, task.data(tmp_path), allow_digital=True)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            "Examples(torch.zeros(8, 4), part.targets)",
            r"on its validation data, whose samples are \(4,\)",
        ),
        ("Examples(part.inputs, part.targets + 50)", "`loss` .* Target 50 is out of bounds"),
    ],
)
def test_data_that_do_not_fit_the_network_are_refused(tmp_path: Path, part: str, told: str) -> None:
    task = own(tmp_path, f"data=lambda root: Splits(part, {part}, part)")
    with pytest.raises(TaskError, match=told) as caught:
        new_network(task, task.data(tmp_path))
    assert caught.value.next_step


def test_what_a_task_prints_is_not_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own(tmp_path, "model=lambda: print('made') or nn.Linear(3, 2)").model()
    assert capsys.readouterr() == ("", "made\n")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("bits=9", "ends with ValueError: bits of mine is 1 to 8, not 9"),
        ("epochs=0", "epochs"),
        ("batch=1", "batch"),
        ("bits=True", "bits of mine is 1 to 8, not True"),
        ("name=3", "name of a task is a text, not 3"),
        ("metric_name=None", "metric_name of a task is a text, not None"),
        ("also=3", "also of mine is metrics by name, not 3"),
    ],
)
def test_numbers_of_a_task_are_checked(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(TaskError, match=told) as caught:
        own(tmp_path, more)
    assert "my_task.py" in caught.value.sentence


def test_a_file_that_ends_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exits.py"
    path.write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"exits.py ends with SystemExit: 3"):
        load(str(path))
