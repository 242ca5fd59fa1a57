"""The page about switching against the code: its example runs, its constants are the file's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rramhil.switching import energy_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "switching.md"


def test_the_example_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shown = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0]
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == shown


def test_the_page_has_every_constant_of_energy_with_its_value_and_source() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    said = {row[0].strip("`"): (float(row[1]), row[2]) for row in rows}
    facts = energy_model().constants()
    assert said == {name: (fact.value, fact.source) for name, fact in facts.items()}
