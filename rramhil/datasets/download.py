"""Downloads that can be cut and go on, and that are whole and verified or not there.

Owns: mirrors, retries, and the file `.NAME.partial` that an interrupted download leaves behind.
What is received gets its name only after it was verified.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from rramhil._atomic import sync
from rramhil.datasets.registry import DataSet, Download
from rramhil.datasets.verify import opened_as
from rramhil.errors import DataError, DownloadFailed, UsageError

MIRROR = "RRAMHIL_DATA_MIRROR"
"""An address that is asked in place of the public ones: MIRROR/folder/file."""

Tell = Callable[[str, int, int], None]
"""Told the name of a file, how many bytes of it there are, and about how many it has."""

_CHUNK_BYTES = 1 << 18
_SCHEMES = ("https", "http", "ftp", "file")
_TIMEOUT_S = 30.0
_PAUSES_S = (0.0, 1.0, 4.0)
"""Before each further try at one address."""

_UNREACHABLE = (URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
_ALL_IS_THERE = 416
"""HTTP status: the part asked for begins behind the end."""

_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses of a server that may answer the next time."""


def fetch(
    wanted: DataSet, root: Path, *, tell: Tell = lambda name, done, total: None
) -> tuple[str, ...]:
    """Download what is missing or damaged of a data set; returns the names of files that were.

    An interrupted download goes on where it stopped, if the server can do that. The files of the
    registry are asked for at RRAMHIL_DATA_MIRROR if that is set, else at their public addresses.

    Parameters
    ----------
    root : Path
        The folder of data sets.

    Raises
    ------
    UsageError
        If a user must bring the data set, or the mirror is no address.
    DataError
        If it cannot be written, or another process is at it.
    DownloadFailed
        If no address could be reached, or gave what was published.
    """
    if not wanted.downloads:
        raise UsageError(f"The data set {wanted.name} cannot be fetched.", wanted.how_to_get)
    folder = root / wanted.folder
    missing = [each for each in wanted.downloads if not _is_there(wanted, each, folder)]
    if not missing:
        return ()  # also where the folder may only be read
    mirror = _mirror()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".fetching.lock", timeout=0):
            for each in missing:
                _fetch_one(wanted, each, _addresses(wanted, each, mirror), folder, tell)
    except Timeout:
        raise DataError(f"Another process is fetching into {folder}.", "Wait for it.") from None
    except OSError as error:
        raise DataError(
            f"The data set {wanted.name} cannot be written to {folder}: {error.strerror or error}.",
            "Name another folder with RRAMHIL_DATA.",
        ) from error
    return tuple(each.name for each in missing)


def _is_there(wanted: DataSet, download: Download, folder: Path) -> bool:
    path = folder / download.name
    if not path.exists():
        return False
    try:
        _check(wanted, download, path)
    except DataError:
        return False
    return True


def _fetch_one(
    wanted: DataSet, download: Download, urls: tuple[str, ...], folder: Path, tell: Tell
) -> None:
    partial = folder / f".{download.name}.partial"
    failures: dict[str, Exception] = {}
    for url in urls:
        for pause_s in (0.0, *_PAUSES_S):
            time.sleep(pause_s)
            is_resumed = partial.exists()
            try:
                _receive(url, partial, lambda done: tell(download.name, done, download.size_bytes))
                _check(wanted, download, partial)
            except DataError as error:
                partial.unlink()
                failures[url] = error
                if not is_resumed:  # else the part that was there may have been the damaged one
                    break
            except _UNREACHABLE as error:
                failures[url] = error
                if isinstance(error, HTTPError) and error.code not in _MAY_PASS:
                    break
            else:
                sync(partial)
                partial.replace(folder / download.name)
                sync(folder)
                return
    raise _failed(wanted, download, failures)


def _addresses(wanted: DataSet, download: Download, mirror: str) -> tuple[str, ...]:
    if mirror:
        return (f"{mirror.rstrip('/')}/{wanted.folder}/{download.name}",)
    return download.urls


def _mirror() -> str:
    """The address that is asked in place of the public ones; empty for those."""
    said = os.environ.get(MIRROR, "")
    try:
        is_address = urlsplit(said).scheme in _SCHEMES
    except ValueError:
        is_address = False
    if said and not is_address:
        raise UsageError(
            f"{MIRROR} is {said!r}, which is no address.",
            "Write https://HOST/FOLDER, or unset it for the public addresses.",
        )
    return said


def _receive(url: str, partial: Path, tell: Callable[[int], None]) -> None:
    """Append to a file what it lacks, or write it anew where the server gives only the whole."""
    begin = partial.stat().st_size if partial.exists() else 0
    request = Request(url, headers={"User-Agent": "rramhil"})
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    try:
        reply = urlopen(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if error.code == _ALL_IS_THERE:
            return
        raise
    with reply:
        resumes = reply.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
        done = begin if resumes else 0
        promised = int(reply.headers.get("Content-Length", 0)) + done
        with partial.open("ab" if resumes else "wb") as file:
            tell(done)
            while chunk := reply.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                tell(done)
    if done < promised:
        raise ConnectionError(f"cut after {done:,} of {promised:,} bytes")


def _check(wanted: DataSet, download: Download, path: Path) -> None:
    """Refuse a file that is not what was published, or an archive of other files."""
    if download.sha256 is None:
        with opened_as(wanted, path, download.name):
            return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != download.sha256:
        raise DataError(f"its SHA-256 begins with {digest[:12]}, not {download.sha256[:12]}")


def _failed(wanted: DataSet, download: Download, failures: dict[str, Exception]) -> DownloadFailed:
    causes = "; ".join(f"{url}: {_cause(error)}" for url, error in failures.items())
    damaged = any(isinstance(error, DataError) for error in failures.values())
    again = "what arrived was not kept" if damaged else "it goes on where it stopped"
    return DownloadFailed(
        f"{download.name} of the data set {wanted.name} was not downloaded: {causes}.",
        f"Run it again ({again}), or bring the files: `rramhil data add {wanted.name} PATH`.",
    )


def _cause(error: Exception) -> str:
    if isinstance(error, DataError):
        return f"not what was published ({error.sentence.rstrip('.')})"
    said = str(error.reason) if isinstance(error, URLError) else str(error)
    return f"HTTP {error.code}" if isinstance(error, HTTPError) else said or type(error).__name__
