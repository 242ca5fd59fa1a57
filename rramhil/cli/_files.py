"""Files that a user asks a command for: whether they can be written is known beforehand."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rramhil.errors import UsageError


def refuse_unwritable(path: Path | None) -> None:
    """Refuse a file that could not be written, before the work that is to fill it.

    Parameters
    ----------
    path : Path or None
        None for no file. What it holds already stays as it is.

    Raises
    ------
    UsageError
        Its folder does not exist or may not be written, or it is no file.
    """
    if path is None:
        return
    with writing(path):
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        # to try is the only check that holds on every file system, and for every user
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Say in one sentence that a file cannot be written, where the body of a `with` fails at it.

    Raises
    ------
    UsageError
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"{path} cannot be written: {why[:1].lower()}{why[1:]}.",
            "Name one in a folder that exists and that you may write.",
        ) from error
