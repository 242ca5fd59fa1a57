"""What is known of each data set: source, licence, addresses, and the checksum of every file.

Owns: `datasets.toml` and the lists of checksums beside it. Touches no data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from rramhil.errors import NotFound


class Download(BaseModel):
    """A file that can be fetched.

    Attributes
    ----------
    name : str
        In the data set's folder.
    size_bytes : int
        About, where there is no `sha256`.
    sha256 : str or None
        None where the source does not promise the same bytes each time; then what is in the
        archive is verified, file by file.
    urls : tuple of str
        Mirrors, tried in this order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    size_bytes: int
    sha256: str | None = None
    urls: tuple[str, ...]


class DataSet(BaseModel):
    """A data set, as the registry has it.

    Attributes
    ----------
    name : str
    title : str
    folder : str
        Below the folder of data sets.
    stored : str
        What in `folder` holds the files: an archive, a folder, or "" for `folder` itself.
    covers : tuple of str
        Patterns of names, as `fnmatch` has them; a file that fits one must be in `sha256`.
    licence, source, note : str
        `note` is told whenever the data set is fetched, added, or found missing.
    downloads : tuple of Download
        Empty where a user must bring the data.
    sha256 : mapping of str to str
        Checksum of each file by its name in what is stored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    title: str
    folder: str
    stored: str
    covers: tuple[str, ...]
    licence: str
    source: str
    note: str
    downloads: tuple[Download, ...]
    sha256: dict[str, str]

    @property
    def how_to_get(self) -> str:
        """The command that brings it."""
        if self.downloads:
            return f"`rramhil data fetch {self.name}` downloads it."
        return f"{self.note} `rramhil data add {self.name} PATH` takes and verifies it."

    @property
    def another_copy(self) -> str:
        """What to do where it is damaged."""
        if self.downloads:
            return f"Take another copy: {self.how_to_get}"
        return (
            f"Take another copy from {self.source}: `rramhil data add {self.name} PATH` "
            "verifies it."
        )


@cache
def data_sets() -> Mapping[str, DataSet]:
    """Every known data set by its name."""
    folder = files("rramhil.datasets.registry")
    known = tomllib.loads(folder.joinpath("datasets.toml").read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            name: DataSet(
                name=name,
                sha256=_checksums(folder.joinpath(f"{name}.sha256").read_text(encoding="utf-8")),
                **facts,
            )
            for name, facts in known.items()
        }
    )


def data_set(name: str) -> DataSet:
    """Find a data set.

    Raises
    ------
    NotFound
        If there is none of that name.
    """
    if name not in data_sets():
        raise NotFound(f"There is no data set {name}.", f"Known are {', '.join(data_sets())}.")
    return data_sets()[name]


def _checksums(text: str) -> dict[str, str]:
    """Read lines of checksum, two spaces and name, as `sha256sum` writes them; # is a comment."""
    lines = [line.split("  ", 1) for line in text.splitlines() if line and line[0] != "#"]
    return {name: digest for digest, name in lines}
