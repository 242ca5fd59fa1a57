"""Tables for people: what identifies a row can be copied and searched for, however narrow."""

from __future__ import annotations

import io
import sys

import pytest

from rramhil.cli._output import print_facts, print_table

ROW = ("3f2a91c0d4e5b6a7", "R40-0-0-0", "2026-11-23T05:28:12", "a note of several words " * 4)


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def table_on(stdout: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    print_table(("map", "chip", "created", "notes"), [ROW])
    return stdout.getvalue().splitlines()


def test_a_narrow_terminal_folds_only_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table_on(Terminal(), monkeypatch)
    assert any(all(text in line for text in ROW[:3]) for line in lines)
    assert not any(ROW[3].strip() in line for line in lines)


def test_what_is_no_terminal_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    lines = table_on(stdout, monkeypatch)
    assert any(all(text.strip() in line for text in ROW) for line in lines)
    print_facts(("map", "/a/long/path" * 20))
    assert "/a/long/path" * 20 in stdout.getvalue()
