"""Files that a user asks for: what cannot be written is refused, and nothing is left by asking."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rramhil.cli._files import refuse_unwritable
from rramhil.cli._training import tensorboard
from rramhil.errors import UsageError


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere/x.png", "no such file or directory"),
        ("file/x.png", "not a directory"),
        (".", "it is no file"),
        ("/dev/null", "it is no file"),
        ("/proc/x.png", "cannot be written"),
        ("x" * 300, "too long"),
    ],
)
def test_what_cannot_be_written_is_refused_with_cause_and_next_step(
    name: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=why) as caught:
        refuse_unwritable(tmp_path / name)
    assert str(tmp_path / name) in caught.value.sentence
    assert "a folder that exists" in caught.value.next_step


def test_a_file_that_can_be_written_is_neither_made_nor_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.png").write_text("old")
    for name in ("new.png", "old.png", str(tmp_path / "new.png")):
        refuse_unwritable(Path(name))
    refuse_unwritable(None)
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert Path("old.png").read_text() == "old"


def test_a_folder_for_tensorboard_that_cannot_be_written_is_refused_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def writer(folder: str, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=writer)
    )
    with pytest.raises(UsageError, match="logs cannot be written: permission"):
        tensorboard(Path("logs")).__enter__()
