"""The page of results: its tables are those of the files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import measured
import pytest
import results

from rramhil.errors import UsageError


def test_the_tables_are_those_of_the_files():
    page = results.PAGE.read_text(encoding="utf-8")
    assert results.filled(page) == page, "run `python docs/results.py`"


def test_every_file_of_results_is_on_the_page():
    page = results.PAGE.read_text(encoding="utf-8")
    for path in measured.RESULTS.glob("*.json"):
        kind, _, task = path.stem.partition("-")
        assert f"<!-- results: {'ages' if kind == 'study' else kind}-{task} -->" in page


def test_targets_are_held_where_the_files_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "RESULTS", tmp_path)
    every = results.targets().splitlines()[2:]
    assert all("not measured yet" in line for line in every)
    tests = {"cell": 0.881, "trained": 0.89, "pair": 0.86, "frozen": 0.7}
    rows = [{"name": name, "test": [value]} for name, value in tests.items()]
    (tmp_path / "compare-fashion-mnist.json").write_text(
        json.dumps({"rows": rows, "conditions": []})
    )
    told = results.targets().splitlines()[2:6]
    ends = ("| 88.10 | yes |", "| -0.90 | **no** |", "| 86.00 | yes |", "| +18.10 | yes |")
    for line, end in zip(told, ends, strict=True):
        assert line.endswith(end)


def test_a_figure_that_was_not_measured_is_said_to_be_missing():
    assert "Not measured yet" in results.block("compare-nothing")


def test_a_block_of_no_known_kind_and_a_damaged_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UsageError, match="block nonsense-digits, of no known kind"):
        results.block("nonsense-digits")
    monkeypatch.setattr(measured, "RESULTS", tmp_path)
    (tmp_path / "compare-digits.json").write_text("{")
    with pytest.raises(UsageError, match=r"compare-digits\.json is damaged"):
        results.block("compare-digits")


def test_a_file_says_how_it_was_made():
    for path in measured.RESULTS.glob("compare-*.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        assert f"rramhil train {facts['task']} --compare" in results.block(path.stem)


def test_a_share_that_a_task_has_not_is_left_out():
    facts = measured.read("infer-digits")
    facts["each"] = [facts["each"][0] | {"agreement": None}]
    assert "|  | 0 |" in results.on_chip(facts)
