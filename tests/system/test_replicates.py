"""`docs/replicates.py`: figures of the page of results that commands measure, chip by chip."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import replicates
import results

from rramhil.lab import software_version

pytest.importorskip("torch", reason="networks need the extra `train`")

DOCS = Path(__file__).resolve().parents[2] / "docs"


def measured(folder: Path, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """What the script wrote for the digits, and what it and its commands said on stderr."""
    what, task, *more = words
    script = [sys.executable, str(DOCS / "replicates.py"), what, task, "--to", str(folder), *more]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    path = folder / f"{what}-{task}.json"
    return json.loads(path.read_text()) if path.is_file() else {}, done.stderr


@pytest.mark.slow
def test_every_chip_is_trained_with_its_own_seed_and_measured_once(tmp_path: Path) -> None:
    words = ("infer", "digits", "--chips")
    (alone,) = measured(tmp_path, *words, "1", "--", "--epochs", "3")[0]["each"]
    facts, _ = measured(tmp_path, *words, "2", "--", "--epochs", "3")
    first, second = facts["each"]
    assert first == alone, "what was measured stays, to the letter"
    assert measured(tmp_path, *words, "1", "--", "--epochs", "3")[0] == facts
    assert (first["seed"], second["seed"], first["epochs"]) == (0, 1, 3)
    assert first["chips"] != second["chips"]
    assert (first["pulses"], first["samples"]) == (0, 540)
    shown = results.on_chip(facts).splitlines()
    assert shown[0].startswith("`python docs/replicates.py infer digits --to ")
    assert " --chips 2 -- --epochs 3`" in shown[0]
    assert f"| 1 | 540 | {100 * second['value']:.2f} " in shown[-1]


def test_what_was_measured_with_other_options_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "pulses-digits.json"
    each = {"seed": 0, "hysteresis": 0.2}
    known = {"task": "digits", "options": ["--epochs", "1"], "software": software_version()}
    path.write_text(json.dumps({**known, "each": [each], "seconds": 7}))

    def taken(options: list[str], hysteresis: float = 0.2, task: str = "digits") -> list[Any]:
        asked = argparse.Namespace(what="pulses", task=task, hysteresis=hysteresis)
        return replicates.measured_before(path, asked, options)["each"]

    assert taken(["--epochs", "1"]) == [each]
    assert taken(["--epochs", "2"]) == []
    assert taken(["--epochs", "1"], hysteresis=0.3) == []
    assert taken(["--epochs", "1"], task="other") == []


def test_a_damaged_file_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "infer-digits.json").write_text('{"each": [')
    script = [sys.executable, str(DOCS / "replicates.py"), "infer", "digits", "--to", str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "infer-digits.json is damaged" in done.stderr
    assert (tmp_path / "infer-digits.json").read_text() == '{"each": ['


@pytest.mark.slow
def test_hysteresis_is_measured_beside_none(tmp_path: Path) -> None:
    facts, _ = measured(tmp_path, "pulses", "digits", "--chips", "1", "--", "--epochs", "6")
    (each,) = facts["each"]
    assert each["with"]["flips"] < each["without"]["flips"]
    shown = results.pulses(facts)
    assert f"| {each['without']['flips']:,} / {each['with']['flips']:,} |" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("infer", "digits", "--", "--run", "mine"), "--run is given"),
        (("pulses", "digits", "--", "--by=gate"), "--by=gate is given"),
        (("pulses", "digits", "--hysteresis", "nan"), "invalid hysteresis value: 'nan'"),
    ],
)
def test_what_it_gives_itself_and_no_width_are_refused_first(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    facts, told = measured(tmp_path, *words, code=2)
    assert facts == {}
    assert sentence in told


def test_a_command_that_fails_ends_it_and_nothing_is_written(tmp_path: Path) -> None:
    facts, told = measured(tmp_path, "infer", "digits", "--chips", "1", "--", "--nosuch", code=2)
    assert facts == {}
    assert "No such option: --nosuch" in told
