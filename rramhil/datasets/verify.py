"""Whether files are those that were published: each by its SHA-256, none missing, none too many.

Owns: that comparison, and what is said where it fails. Reads, never writes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from rramhil.datasets.registry import DataSet, data_set
from rramhil.datasets.trees import Tree, opened
from rramhil.errors import DataError, NotFound


@contextmanager
def verified(root: Path, name: str) -> Generator[Tree]:
    """Open a data set of the folder of data sets for the body of a `with`, verified.

    Every file is read and compared, every time: that costs 0.1 s at most.

    Parameters
    ----------
    root : Path
        The folder of data sets.

    Raises
    ------
    NotFound
        If there is no such data set, or it is not there; the next step says how to get it.
    DataError
        If a file was changed, is missing or is one too many.
    """
    wanted = data_set(name)
    place = root / wanted.folder / wanted.stored
    if not (place.is_file() or (place.is_dir() and any(place.iterdir()))):
        raise NotFound(f"The data set {name} is not in {root}.", wanted.how_to_get)
    with opened_as(wanted, place) as tree:
        yield tree


@contextmanager
def opened_as(wanted: DataSet, place: Path, named: str = "") -> Generator[Tree]:
    """Open what is to be a data set for the body of a `with`, verified.

    It may lie in folders of its own, such as the one that an archive begins with.

    Parameters
    ----------
    place : Path
        A folder, a zip or a tar archive.
    named : str
        What it is called in errors; else by its path.

    Raises
    ------
    NotFound
        If there is nothing at `place`.
    DataError
        If a file was changed, is missing or is one too many.
    """
    named = named or str(place)
    with opened(place, named, wanted.another_copy) as tree:
        yield _matching(tree, wanted, named)


def _matching(tree: Tree, wanted: DataSet, named: str) -> Tree:
    """Return the part of a tree that is a data set."""
    prefix = _prefix(tree, wanted, named)
    found = tree.below(prefix)
    present = set(found.names)
    for name, digest in wanted.sha256.items():
        if name not in present:
            raise _refused(wanted, named, f"{prefix}{name} is missing")
        if hashlib.sha256(found.read(name)).hexdigest() != digest:
            raise _refused(wanted, named, f"{prefix}{name} is not the published file")
    for name in found.names:
        if name not in wanted.sha256 and any(fnmatchcase(name, each) for each in wanted.covers):
            raise _refused(wanted, named, f"{prefix}{name} does not belong to it")
    return found


def _prefix(tree: Tree, wanted: DataSet, named: str) -> str:
    """What stands before the names of most files of a data set."""
    begins: Counter[str] = Counter()
    for name in tree.names:
        parts = name.split("/")
        for cut in range(len(parts)):
            if "/".join(parts[cut:]) in wanted.sha256:
                begins["".join(f"{part}/" for part in parts[:cut])] += 1
    if not begins:
        raise _refused(
            wanted, named, f"it has none of its files, such as {next(iter(wanted.sha256))}"
        )
    return begins.most_common(1)[0][0]


def _refused(wanted: DataSet, named: str, why: str) -> DataError:
    return DataError(f"{named} is not the data set {wanted.name}: {why}.", wanted.another_copy)
