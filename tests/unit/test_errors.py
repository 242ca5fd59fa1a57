"""An error is one sentence and a next step, also where it quotes what others say."""

from __future__ import annotations

import pickle

import pytest

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
