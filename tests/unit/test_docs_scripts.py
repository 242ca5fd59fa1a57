"""Scripts of the documentation as readers run them: what is wrong is told in one sentence."""

from __future__ import annotations

import runpy
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

Ended = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ended:
    """Runs a script that ends early; returns its exit code, stdout and stderr."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # so that it is put back

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(DOCS / name), run_name="__main__")
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def test_a_study_of_an_unknown_task_or_without_its_data_is_refused_in_one_sentence(
    ended: Ended, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="a study needs the extra `train`")
    code, _, told = ended("study.py", "nosuch")
    assert (code, told.count("\n")) == (3, 1)
    assert told.startswith("rramhil: There is no task nosuch. Known are digits,")
    code, _, told = ended("study.py", "fashion-mnist", "--data", str(tmp_path))
    assert (code, told.count("\n")) == (3, 1)
    assert "`rramhil data fetch fashion-mnist`" in told


@pytest.mark.parametrize("script", ["study.py", "replicates.py"])
def test_a_study_says_what_each_argument_is(ended: Ended, script: str) -> None:
    pytest.importorskip("torch", reason="a study needs the extra `train`")
    code, told, _ = ended(script, "--help")
    assert code == 0
    assert "my_task.py:task" in told


def test_replicates_of_an_unknown_task_are_refused_and_of_a_bad_option_too(ended: Ended) -> None:
    pytest.importorskip("torch", reason="a study needs the extra `train`")
    code, _, told = ended("replicates.py", "infer", "nosuch")
    assert (code, told.count("\n")) == (3, 1)
    code, _, told = ended("replicates.py", "infer", "digits", "--chips", "0")
    assert (code, "--chips" in told) == (2, True)


def test_the_page_of_results_takes_no_arguments_and_says_so(
    ended: Ended,
) -> None:
    page = DOCS / "results.md"
    before = page.stat().st_mtime_ns
    code, told, _ = ended("results.py", "--help")
    assert (code, "docs/results.md" in told) == (0, True)
    code, _, told = ended("results.py", "digits")
    assert (code, "digits" in told) == (2, True)
    assert page.stat().st_mtime_ns == before
