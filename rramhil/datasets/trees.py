"""Files by name, whether they lie in a folder, a zip or a tar archive.

Owns: opening, and telling a damaged archive from a sound one. Knows no data set. Nothing is ever
unpacked to the disk, so names in an archive can do no harm.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rramhil.errors import DataError, NotFound

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # encrypted
)
_MAX_BYTES = 1 << 28
"""Of one file in an archive, inflated; every known one is below 64 MiB."""

_MAX_FILES = 100_000
"""In a folder, folders included, so that no search takes long; the largest known has 3,001."""


class Tree(NamedTuple):
    """Names of files, with / between folders, and how to read one."""

    names: tuple[str, ...]
    read: Callable[[str], bytes]

    def below(self, prefix: str) -> Tree:
        """Only the files whose names begin so, without that beginning."""
        names = (name.removeprefix(prefix) for name in self.names if name.startswith(prefix))
        return Tree(tuple(names), lambda name: self.read(prefix + name))


@contextmanager
def opened(path: Path, named: str, advice: str) -> Generator[Tree]:
    """Open a folder, a zip or a tar archive, compressed or not, for the body of a `with`.

    A link to a folder is not followed, and system files (names that begin with a dot or
    `__MACOSX`) are not seen.

    Parameters
    ----------
    named : str
        What it is called in errors.
    advice : str
        Their next step, where it is damaged.

    Raises
    ------
    NotFound
        If there is nothing at `path`.
    DataError
        If it is no archive, or damaged; also in the body, when a file is read. If it is a folder
        of too much to search.
    """
    try:
        if not path.exists():
            raise NotFound(f"There is no {named}.", "Name a folder, or a zip or tar archive.")
        if path.is_dir():
            yield _folder(path, named)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _zip(archive)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                yield _tar(archive)
        else:
            raise DataError(
                f"{named} cannot be read: it is damaged, or no folder, zip or tar archive.", advice
            )
    except _DAMAGE as error:
        why = isinstance(error, OSError) and error.strerror
        raise DataError(
            f"{named} cannot be read: {why or f'it is damaged ({error})'}.", advice
        ) from error


def _folder(path: Path, named: str) -> Tree:
    names: list[str] = []
    seen = 0
    for folder, below, files in os.walk(path):
        below[:] = [name for name in below if not _is_system_file(name)]
        seen += 1 + len(files)
        if seen > _MAX_FILES:
            raise DataError(
                f"{named} has more than {_MAX_FILES:,} files and folders, too many to search.",
                "Name the data set's folder, or put it into a folder of its own.",
            )
        found = [Path(folder, name) for name in files]
        # os.path's: what one may not even look at is passed over, as a folder of it is
        names += [file.relative_to(path).as_posix() for file in found if os.path.isfile(file)]
    return Tree(_seen(names), lambda name: (path / name).read_bytes())


def _zip(archive: zipfile.ZipFile) -> Tree:
    sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}

    def read(name: str) -> bytes:
        _check_size(name, sizes[name])
        return archive.read(name)

    return Tree(_seen(sizes), read)


def _tar(archive: tarfile.TarFile) -> Tree:
    # all at once and in its own order: to go back in a compressed archive is to begin again
    contents: dict[str, bytes] = {}
    for member in archive:
        if member.isfile():
            _check_size(member.name, member.size)
            reader = archive.extractfile(member)
            contents[member.name] = reader.read() if reader else b""
    return Tree(_seen(contents), contents.__getitem__)


def _check_size(name: str, size_bytes: int) -> None:
    if size_bytes > _MAX_BYTES:
        raise DataError(
            f"{name} is said to hold {size_bytes:,} bytes; no known data is as large.",
            "Take an archive of the published files.",
        )


def _seen(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not _is_system_file(name)))


def _is_system_file(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
