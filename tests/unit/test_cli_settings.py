"""Which board and which lab are meant: option, environment, file, default, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest

from rramhil.errors import UsageError
from rramhil.settings import resolve

FILE = """
[board]
address = "tcp://bench:7400"
[lab]
folder = "kept"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RRAMHIL_BOARD", raising=False)
    monkeypatch.delenv("RRAMHIL_LAB", raising=False)
    return tmp_path


def test_without_any_setting_the_simulated_board_is_meant() -> None:
    found = resolve()
    assert (found.board, found.board_from, found.lab_from) == ("sim://", "default", "default")
    assert found.lab.is_absolute()


def test_the_file_of_the_folder_comes_before_the_default(folder: Path) -> None:
    (folder / "rramhil.toml").write_text(FILE)
    found = resolve()
    assert (found.board, found.lab) == ("tcp://bench:7400", folder / "kept")
    assert (found.board_from, found.lab_from) == ("rramhil.toml", "rramhil.toml")


def test_the_environment_comes_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "rramhil.toml").write_text(FILE)
    monkeypatch.setenv("RRAMHIL_BOARD", "sim://?seed=3")
    monkeypatch.setenv("RRAMHIL_LAB", "/elsewhere")
    found = resolve()
    assert (found.board, found.lab) == ("sim://?seed=3", Path("/elsewhere"))
    assert (found.board_from, found.lab_from) == ("RRAMHIL_BOARD", "RRAMHIL_LAB")


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRAMHIL_BOARD", "")
    assert resolve().board_from == "default"


def test_an_option_comes_before_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rramhil.toml").write_text(FILE)
    monkeypatch.setenv("RRAMHIL_BOARD", "sim://?seed=3")
    found = resolve("sim://?seed=4", Path("here"))
    assert (found.board, found.lab) == ("sim://?seed=4", folder / "here")
    assert (found.board_from, found.lab_from) == ("--board", "--lab")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('[board]\nadress = "sim://"', "board.adress"),
        ("[board]\naddress = 5", "board.address"),
        ('[board]\naddress = ""', "board.address: it is empty"),
        ('[lab]\nfolder = ""', "lab.folder: it is empty"),
        ('board = "sim://"', "board: "),
        ("[boards]", "boards"),
        ("[board", "."),
        ("\udcff", "."),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_key(
    folder: Path, text: str, cause: str
) -> None:
    (folder / "rramhil.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as refusal:
        resolve()
    assert cause in refusal.value.sentence
    assert str(folder / "rramhil.toml") in refusal.value.sentence


def test_a_folder_in_place_of_the_file_is_refused(folder: Path) -> None:
    (folder / "rramhil.toml").mkdir()
    with pytest.raises(UsageError, match=r"rramhil\.toml cannot be used: it is not a file\."):
        resolve()
