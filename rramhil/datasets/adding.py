"""Data sets that a user brings: verified file by file, then copied into the folder of data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

from rramhil._atomic import replacing, write_whole
from rramhil.datasets.registry import DataSet
from rramhil.datasets.verify import opened_as
from rramhil.errors import DataError, UsageError


def add(wanted: DataSet, root: Path, source: Path) -> Path:
    """Take a data set from a folder or an archive; nothing is written unless all of it is right.

    Parameters
    ----------
    root : Path
        The folder of data sets.
    source : Path
        A folder, zip or tar archive; the files may lie in folders of their own inside it.

    Returns
    -------
    Path
        Where it lies now.

    Raises
    ------
    NotFound
        If there is nothing at `source`.
    DataError
        If a file was changed, is missing or is one too many, or cannot be written.
    UsageError
        If `source` is a folder, of a data set that is kept as an archive.
    """
    place = root / wanted.folder / wanted.stored
    is_archive = Path(wanted.stored).suffix != ""
    if is_archive and source.is_dir():
        raise UsageError(
            f"{source} is a folder, and {wanted.name} is kept as an archive.",
            f"Name the archive, such as {wanted.stored}.",
        )
    with opened_as(wanted, source) as found:
        contents = {} if is_archive else {name: found.read(name) for name in wanted.sha256}
    try:
        if is_archive:
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as temporary:
                shutil.copyfile(source, temporary)
        for name, content in contents.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(place / name, content)
    except OSError as error:
        raise DataError(
            f"The data set {wanted.name} cannot be written to {place}: {error.strerror or error}.",
            "Name another folder with RRAMHIL_DATA.",
        ) from error
    return place
