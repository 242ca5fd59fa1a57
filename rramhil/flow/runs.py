"""The runs that a lab keeps: their folder, their names, and finding one.

Owns: `LAB/runs/NAME`, and the reports of their verification. What is in a run is the business of
`network.Run`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rramhil._atomic import write_whole
from rramhil.errors import NotFound, RunError
from rramhil.network import Run
from rramhil.tasks import KNOWN

_RUNS, _REPORTS = "runs", "reports"
_RUN_FILE = "run.json"
_MOST_NAMED = 5
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_STEM = 40
"""Letters of a task's name in that of a run; the time stands behind them."""


def check_name(name: str, what: str) -> None:
    """Refuse what is no name of a run, or of what else.

    Raises
    ------
    RunError
    """
    if not _NAME.fullmatch(name):
        raise RunError(
            f"{name!r} is no name of a {what}.",
            "Take 64 letters, digits, hyphens, underscores and dots at most, and neither hyphen "
            "nor dot at the beginning.",
        )


def check_run_name(name: str) -> None:
    """Refuse a name that no run may have: by that of a task its newest run is found.

    Raises
    ------
    RunError
    """
    check_name(name, "run")
    if name in KNOWN or ".py" in name:
        raise RunError(f"{name!r} names a task, so no run may have it.", "Take another name.")


def plain_name(task_name: str) -> str:
    """What of a task's name may be part of a file's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", task_name)[:_STEM].strip("-") or "run"


def name_of_request(plain: str, said: Mapping[str, Any]) -> str:
    """A name that follows from what is asked for, plain values: another request, another name."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:10]
    return f"{plain}-{digest}"


def run_folder(lab_root: Path, task_name: str) -> Path:
    """A new name for a run: its task and the time, in UTC."""
    stem = f"{plain_name(task_name)}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = lab_root / _RUNS
    names = (folder / (f"{stem}-{count}" if count else stem) for count in range(1000))
    return next(path for path in names if not path.exists())


def find_run(
    lab_root: Path, which: str, tell: Callable[[str], None] | None = None
) -> tuple[Path, Run]:
    """Load a run by the path of its folder, its name in the lab, or its task: the newest of it.

    Parameters
    ----------
    tell : callable, optional
        As of `newest_run`.

    Raises
    ------
    NotFound
        There is none.
    RunError
        It is damaged.
    """
    if not which.strip():
        raise NotFound(f"{which!r} names no run.", "Give its folder, its name or its task.")
    there, in_lab = Path(which), lab_root / _RUNS / which
    # a folder that happens to have a task's name is no run; one in the lab, or by its path, is
    # os.path: it may be longer than any name of a file
    if os.path.exists(there / _RUN_FILE) or (there.name != which and os.path.isdir(there)):
        return there.absolute(), Run.load(there)
    if os.path.isdir(in_lab):
        return in_lab.absolute(), Run.load(in_lab)
    found = newest_run(lab_root, which, tell=tell)
    if found is None:
        raise _not_found(lab_root, which)
    return found


def newest_run(
    lab_root: Path,
    task: str,
    fits: Callable[[Run], bool] = lambda run: True,
    tell: Callable[[str], None] | None = None,
) -> tuple[Path, Run] | None:
    """Find the lab's newest run of a task that fits; newer ones that are damaged are passed over.

    Parameters
    ----------
    tell : callable, optional
        Hears a sentence about each run that is passed over; it may have been of any task.
    """
    for path, run, fault in kept_runs(lab_root):
        if run is None:
            if tell is not None:
                tell(f"{fault} It is passed over.")
        elif run.config.task == task and fits(run):
            return path, run
    return None


class Kept(NamedTuple):
    """A run's folder, and the run; or what is wrong with it.

    Attributes
    ----------
    path : Path
    run : Run or None
    fault : str or None
        A sentence.
    """

    path: Path
    run: Run | None
    fault: str | None


def kept_runs(lab_root: Path) -> Iterator[Kept]:
    """Every run of a lab, the newest first; each is verified as it is come to."""
    for path in _folders(lab_root):
        try:
            yield Kept(path, Run.load(path), None)
        except (RunError, NotFound) as damage:
            yield Kept(path, None, damage.sentence)


def write_report(lab_root: Path, name: str, facts: dict[str, Any]) -> Path:
    """Write what a verification found as JSON into the lab's folder of reports."""
    folder = lab_root / _REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.json"
    text = json.dumps(facts, indent=2, default=str)
    write_whole(path, (text + "\n").encode())
    return path


def _not_found(lab_root: Path, which: str) -> NotFound:
    folder = lab_root / _RUNS
    if which in KNOWN or ".py" in which:
        return NotFound(
            f"There is no run of task {which} in {folder}.", f"`rramhil train {which}` makes one."
        )
    names = [path.name for path in _folders(lab_root)[:_MOST_NAMED]]
    hint = "`rramhil train TASK` makes one."
    if names:
        verb = "runs there are" if len(names) > 1 else "run there is"
        hint = f"The newest {verb} {', '.join(names)}."
    return NotFound(
        f"There is no run {which}, neither as a folder nor in {folder}, and no task of that name.",
        hint,
    )


def _folders(lab_root: Path) -> list[Path]:
    """Folders of runs, the newest first; one without a `run.json` is damaged, and a run."""
    found = [path for path in (lab_root / _RUNS).glob("*") if path.is_dir()]
    found = [path for path in found if not path.name.startswith(".")]
    return sorted(found, key=_written, reverse=True)


def _written(path: Path) -> tuple[int, str]:
    said = path / _RUN_FILE
    return (said if said.exists() else path).stat().st_mtime_ns, path.name
