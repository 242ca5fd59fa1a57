"""Trainings of a comparison in processes of their own: the same table, and no process left."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="comparisons need the extra `train`")

from rramhil.comparison import CompareRequest, begin, compare, train_side_by_side  # noqa: E402
from rramhil.tasks import final_splits, load  # noqa: E402
from tests.support.cli import TIMEOUT_S, Cli, line_of  # noqa: E402
from tests.unit.test_comparison import replicates  # noqa: E402

SHORT = ("--compare", "--replicates", "1", "--tries", "1", "--epochs", "1", "--jobs", "2")
KILLED_TASK = """
import multiprocessing
import os
import signal

from rramhil.tasks.digits import task

if multiprocessing.current_process().name.startswith("Spawn"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
SLEEPING_TASK = """
import multiprocessing
import time

from rramhil.tasks.digits import task

if multiprocessing.current_process().name.startswith("Spawn"):
    print("working", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums, and so masks, depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_the_table_is_the_same_with_all_that_there_is(tmp_path: Path, one_thread: None) -> None:
    task = load("digits")
    splits = task.data(tmp_path)
    final = final_splits(task, splits, tmp_path)
    request = CompareRequest(
        "digits", rows=("cell",), epochs=1, replicates=2, conditions=True, final=True
    )
    found = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        kept = begin(request, folder, "digest", lambda: replicates(2, task, splits))
        aside = partial(train_side_by_side, request, folder, tmp_path, jobs=jobs)
        here: list[str] = []
        done = compare(
            request,
            task,
            splits,
            kept,
            folder,
            final=final,
            ahead=None if jobs == 1 else aside,
            on_step=lambda step, here=here: here.extend([step.kind] * (not step.is_kept)),
        ).as_dict()
        for row in done["rows"]:
            del row["seconds"]
        found.append(done)
        assert bool(here) == (jobs == 1)  # what was trained aside is not trained again
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with a programmed chip."""
    made = Cli(tmp_path_factory.mktemp("aside"))
    made("program", "--reads", "2")
    return made


def test_a_command_trains_in_a_process_of_its_own(cli: Cli) -> None:
    said = cli("train", "digits", *SHORT, "--rows", "trained", "--json").json
    assert said["rows"][0]["seconds"] > 0
    assert (Path(said["folder"]) / "training-trained-0-0.01.npz").is_file()
    alone = cli("train", "digits", "--jobs", "2", code=2)
    assert "--compare" in alone.sentences


@pytest.mark.slow
def test_a_process_that_is_killed_is_told(cli: Cli) -> None:
    (cli.folder / "killed.py").write_text(KILLED_TASK, encoding="utf-8")
    failed = cli("train", "killed.py:task", *SHORT, "--rows", "cell", code=2)
    assert "processes that trained side by side was killed" in failed.sentences
    assert "fewer --jobs" in failed.sentences


@pytest.mark.slow
def test_no_process_outlives_a_command_that_is_killed(cli: Cli) -> None:
    (cli.folder / "sleeping.py").write_text(SLEEPING_TASK, encoding="utf-8")
    with cli.start("train", "sleeping.py:task", *SHORT, "--rows", "cell,pair") as command:
        assert line_of(command) == "working\n"
        command.kill()
        # every process has its stdout: this ends with the last
        assert command.communicate(timeout=TIMEOUT_S / 2)[0] in ("", "working\n")
