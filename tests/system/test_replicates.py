"""`docs/replicates.py`: figures of the page of results that commands measure, chip by chip."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import results

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


def test_every_chip_is_trained_with_its_own_seed_and_inferred_on(tmp_path: Path) -> None:
    facts, _ = measured(tmp_path, "infer", "digits", "--chips", "2", "--", "--epochs", "3")
    first, second = facts["each"]
    assert (first["seed"], second["seed"], first["epochs"]) == (0, 1, 3)
    assert first["chips"] != second["chips"]
    assert (first["pulses"], first["samples"]) == (0, 540)
    shown = results.on_chip(facts).splitlines()
    assert shown[0].startswith("`python docs/replicates.py infer digits --to ")
    assert " --chips 2 -- --epochs 3`" in shown[0]
    assert f"| 1 | 540 | {100 * second['value']:.2f} " in shown[-1]


def test_a_file_with_fewer_chips_is_added_to_and_one_with_other_options_is_not(
    tmp_path: Path,
) -> None:
    def each(chips: str, epochs: str) -> list[dict[str, Any]]:
        words = ("infer", "digits", "--chips", chips, "--", "--epochs", epochs)
        return measured(tmp_path, *words)[0]["each"]

    (first,) = each("1", "1")
    both = each("2", "1")
    # to the letter, times included: measured again they would differ
    assert (both[0], both[1]["seed"]) == (first, 1)
    assert each("1", "1") == both
    (other,) = each("1", "2")
    assert (other["seed"], other["epochs"]) == (0, 2)


def test_a_damaged_file_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "infer-digits.json").write_text('{"each": [')
    script = [sys.executable, str(DOCS / "replicates.py"), "infer", "digits", "--to", str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "infer-digits.json is damaged" in done.stderr
    assert (tmp_path / "infer-digits.json").read_text() == '{"each": ['


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
