"""The runs of a lab: found by folder, name and task; what is damaged is told, not passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.errors import NotFound, RunError
from rramhil.flow import (
    check_name,
    check_run_name,
    find_run,
    find_unfinished,
    newest_run,
    run_folder,
)
from tests.support.runs import a_run


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab with two runs of digits, `old` and `new`."""
    for age_s, name in enumerate(("new", "old")):
        a_run("digits").save(tmp_path / "runs" / name)
        os.utime(tmp_path / "runs" / name / "run.json", (1e9 - age_s, 1e9 - age_s))
    return tmp_path


def test_a_task_names_its_newest_run(lab: Path) -> None:
    told: list[str] = []
    path, run = find_run(lab, "digits", told.append)
    assert (path.name, run.config.task, told) == ("new", "digits", [])
    assert newest_run(lab, "digits", lambda run: False) is None
    assert newest_run(lab, "words.py:task") is None


@pytest.mark.parametrize("name", ["run.json", "masks.npz", "placement.json", "state.safetensors"])
def test_a_damaged_newest_run_is_told_and_passed_over(lab: Path, name: str) -> None:
    (lab / "runs" / "new" / name).write_bytes(b"x")
    told: list[str] = []
    path, _ = find_run(lab, "digits", told.append)
    assert path.name == "old"
    (sentence,) = told
    assert str(lab / "runs" / "new") in sentence
    assert "passed over" in sentence
    # those that were not looked at are no matter
    told.clear()
    (lab / "runs" / "old").rename(lab / "runs" / "zzz")
    find_run(lab, "zzz", told.append)
    assert told == []


def missing(run_json: Path) -> None:
    run_json.unlink()


def another_text(run_json: Path) -> None:
    run_json.write_text("{}", encoding="utf-8")


def a_folder(run_json: Path) -> None:
    run_json.unlink()
    run_json.mkdir()


@pytest.mark.parametrize("damage", [missing, another_text, a_folder])
@pytest.mark.parametrize("whole_path", [False, True])
def test_a_run_that_is_named_and_has_no_sound_run_json_is_damaged(
    lab: Path, damage, whole_path: bool
) -> None:
    folder = lab / "runs" / "new"
    damage(folder / "run.json")
    with pytest.raises(RunError, match=r"cannot be read as a run.*(another copy|train again)"):
        find_run(lab, str(folder) if whole_path else "new")
    # its task cannot be known, so it may be the newest one of any
    told: list[str] = []
    assert find_run(lab, "digits", told.append)[0].name == "old"
    assert len(told) == 1


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("fashion-mnist", "`rramhil train fashion-mnist` makes one"),
        ("my.py:task", "`rramhil train my.py:task` makes one"),
        ("nowhere", "no run nowhere.*no task of that name.*The newest runs there are new, old"),
    ],
)
def test_what_is_no_run_is_told_with_what_to_do(lab: Path, which: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        find_run(lab, which)


def test_a_single_run_is_told_in_the_singular(lab: Path) -> None:
    (lab / "runs" / "old").rename(lab / "runs" / ".old")
    with pytest.raises(NotFound, match="The newest run there is new"):
        find_run(lab, "nowhere")
    (lab / "runs" / "new").rename(lab / "runs" / ".new")
    with pytest.raises(NotFound, match="`rramhil train TASK` makes one"):
        find_run(lab, "nowhere")


def test_a_folder_of_the_tasks_name_is_no_run(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab / "digits").mkdir()
    monkeypatch.chdir(lab)
    assert find_run(lab, "digits")[0].name == "new"


@pytest.mark.parametrize("name", ["first", "x", "a.b_c-d", "_x", "2x", "digits-2", "a" * 64])
def test_names_of_runs_are_plain(name: str) -> None:
    check_run_name(name)


@pytest.mark.parametrize(
    "name", ["", "my run", "-x", ".x", "''", "ünï", "a\n", "../up", "a/b", "a" * 65, "a" * 300]
)
def test_what_is_no_name_is_told_what_one_is(name: str) -> None:
    with pytest.raises(RunError, match="no name of a run") as told:
        check_run_name(name)
    for word in ("letters", "digits", "hyphens", "underscores", "dots", "64"):
        assert word in told.value.next_step


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "mine.py"])
def test_a_run_is_not_called_as_a_task_is(name: str) -> None:
    with pytest.raises(RunError, match="names a task"):
        check_run_name(name)
    check_name(name, "comparison")


def test_the_name_of_a_task_that_is_long_makes_a_short_one(tmp_path: Path) -> None:
    path = run_folder(tmp_path, "my task, " + "a" * 300)
    check_run_name(path.name)
    assert path.name.startswith("my-task-aaa")


def test_a_name_that_no_file_can_have_is_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no run a"):
        find_run(tmp_path, "a" * 300)
    with pytest.raises(NotFound, match="no unfinished training a"):
        find_unfinished(tmp_path, "digits", None, "a" * 300)
