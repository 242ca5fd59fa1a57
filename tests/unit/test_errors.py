"""An error is one sentence and a next step, also where it quotes what others say."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from rramhil._atomic import write_whole
from rramhil.cli._errors import Run, finish
from rramhil.errors import TaskError


@pytest.mark.parametrize(
    ("quoted", "sentence"),
    [
        ("It ends with KeyError: 'x'", "It ends with KeyError: 'x'."),
        ("It says:\n  no (2x20 and 19x4)\n", "It says: no (2x20 and 19x4)."),
        ("It is so.", "It is so."),
        ("Is it?", "Is it?"),
        ("There is no file a  b", "There is no file a  b."),
    ],
)
def test_what_is_quoted_becomes_one_sentence_with_its_full_stop(quoted: str, sentence: str) -> None:
    error = TaskError(quoted, "Mend it.")
    assert (error.sentence, str(error)) == (sentence, f"{sentence} Mend it.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (TaskError, str(error))


def test_a_full_disk_is_no_defect_and_is_said_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    path = tmp_path / "state.bin"
    with pytest.raises(SystemExit) as end, finish(Run()):
        write_whole(path, b"much")
    told = capsys.readouterr().err
    assert end.value.code == 2
    assert told.startswith(f"rramhil: There is no room on the disk for {path}. Make some")
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())
