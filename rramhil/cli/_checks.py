"""The checks of `rramhil doctor`, each one a look at this computer that changes nothing.

Owns: what is needed, what is optional, and the advice. Every check answers, whatever it finds.
"""

from __future__ import annotations

import grp
import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from rramhil.errors import UsageError

if TYPE_CHECKING:
    from rramhil.settings import Settings

_PYTHON = (3, 11)
_SQLITE = (3, 35)
_NEEDED_BYTES = 200 << 20
_LIBRARIES = (
    ("numpy", "arrays"),
    ("scipy", "statistics of the read-back"),
    ("pydantic", "recipes, profiles"),
    ("pydantic-settings", "rramhil.toml"),
    ("pyserial", "serial boards"),
    ("pyvisa", "VISA names"),
    ("pyvisa-py", "VISA without a vendor's driver"),
    ("h5py", "maps on disk"),
    ("typer", "this command line"),
    ("rich", "tables and progress"),
    ("matplotlib", "heat maps and histograms"),
    ("filelock", "one controller a board"),
    ("platformdirs", "the default lab folder"),
    ("numba", "the simulated board's kernels"),
)
_OPTIONAL = (("torch", "tensor files (.pt)", 'pip install "rramhil[train]"'),)


class State(StrEnum):
    """How a check ended; only MISSING makes the doctor end with 1."""

    OK = "ok"
    OPTIONAL = "optional"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it is, and what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


def run_checks(lab: Path | None) -> list[Check]:
    """Look at everything; `lab` is what the option of the command says."""
    return [
        _python(),
        *_libraries(),
        _sqlite(),
        *_settings(lab),
        *_serial_ports(),
        _visa(),
        _kernel_cache(),
    ]


def _python() -> Check:
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    good = sys.version_info[:2] >= _PYTHON
    return _needed("Python", good, found, "Install Python {}.{} or later.".format(*_PYTHON))


def _libraries() -> Iterator[Check]:
    for name, purpose in _LIBRARIES:
        found = _version(name)
        advice = f"pip install {name}"
        yield _needed(name, found is not None, f"{found or 'not installed'}: {purpose}", advice)
    for name, purpose, advice in _OPTIONAL:
        found = _version(name)
        state = State.OK if found else State.OPTIONAL
        said = f"{found or 'not installed'}: {purpose}"
        yield Check(name, state, said, "" if found else f"For {purpose}: {advice}")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _sqlite() -> Check:
    good = sqlite3.sqlite_version_info >= _SQLITE
    advice = "Use a Python built with SQLite {}.{} or later.".format(*_SQLITE)
    return _needed("SQLite", good, f"{sqlite3.sqlite_version}: chips and journal", advice)


def _settings(lab: Path | None) -> Iterator[Check]:
    try:
        from rramhil.settings import resolve

        settings = resolve(None, lab)
    except ImportError as error:
        yield Check("settings", State.MISSING, str(error), "Install what is missing above.")
        return
    except UsageError as error:
        yield Check("settings", State.MISSING, error.sentence, error.next_step)
        return
    yield Check("board", State.OK, f"{settings.board} (from {settings.board_from})")
    yield _lab(settings)
    yield _disk(settings)


def _lab(settings: Settings) -> Check:
    place = _nearest(settings.lab)
    found = f"{settings.lab} (from {settings.lab_from})"
    found += "" if place == settings.lab else ", made when it is first used"
    why = _why_not_writable(place)
    return _needed(
        "lab folder",
        why is None,
        found if why is None else f"{found}: {place}: {why}",
        "Choose another folder with --lab or RRAMHIL_LAB.",
    )


def _disk(settings: Settings) -> Check:
    try:
        free = shutil.disk_usage(_nearest(settings.lab)).free
    except OSError as error:
        return Check("free disk", State.MISSING, str(error), "Choose another lab folder.")
    found = f"{free / 1e9:.1f} GB; a chip with its maps takes about 20 MB"
    return _needed("free disk", free >= _NEEDED_BYTES, found, "Make room, or choose another lab.")


def _serial_ports() -> Iterator[Check]:
    if importlib.util.find_spec("serial") is None:
        return
    from serial.tools import list_ports

    ports = [port.device for port in list_ports.comports()]
    if not ports:
        yield Check("serial ports", State.OK, "none found", "Needed only for a board on one.")
    for port in ports:
        if os.access(port, os.R_OK | os.W_OK):
            yield Check(port, State.OK, "may be read and written")
            continue
        group = _group_of(port)
        advice = f"sudo usermod -aG {group} $USER, then log in again."
        yield Check(port, State.OPTIONAL, f"belongs to group {group}, you do not", advice)


def _group_of(path: str) -> str:
    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (KeyError, OSError):
        return "dialout"


def _visa() -> Check:
    if importlib.util.find_spec("pyvisa") is None:
        return Check("VISA", State.OPTIONAL, "pyvisa is not installed", "pip install pyvisa")
    from pyvisa.ctwrapper.highlevel import IVIVisaLibrary

    backends = ["pyvisa-py"] if importlib.util.find_spec("pyvisa_py") else []
    backends += [str(path) for path in IVIVisaLibrary.get_library_paths()]
    if backends:
        return Check("VISA", State.OK, ", ".join(backends))
    return Check("VISA", State.OPTIONAL, "no backend", "pip install pyvisa-py")


def _kernel_cache() -> Check:
    """Check that compiled kernels can be kept; without, each start compiles them again."""
    spec = importlib.util.find_spec("sim_backend")
    if spec is None or spec.origin is None:
        return Check("simulated board", State.OPTIONAL, "not installed")
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(spec.origin).parent / "__pycache__"
    why = _why_not_writable(_nearest(folder))
    if why is None:
        return Check("kernel cache", State.OK, str(folder))
    advice = (
        "Set NUMBA_CACHE_DIR to a folder you can write, or each start compiles for some seconds."
    )
    return Check("kernel cache", State.OPTIONAL, f"{folder}: {why}", advice)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest of its parents that is there."""
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)


def _why_not_writable(folder: Path) -> str | None:
    # permission bits do not tell for every user and file system; writing does
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _needed(name: str, good: bool, found: str, advice: str) -> Check:
    return Check(name, State.OK if good else State.MISSING, found, "" if good else advice)
