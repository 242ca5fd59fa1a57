"""The runs that a lab keeps: their folder, their names, and finding one.

Owns: `LAB/runs/NAME`, and the reports of their verification. What is in a run is the business of
`network.Run`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rramhil._atomic import write_whole
from rramhil.errors import NotFound, RunError
from rramhil.network import Run

_RUNS, _REPORTS = "runs", "reports"


def run_folder(lab_root: Path, task_name: str) -> Path:
    """A new name for a run: its task and the time, in UTC."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", task_name).strip("-") or "run"
    stem = f"{plain}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = lab_root / _RUNS
    names = (folder / (f"{stem}-{count}" if count else stem) for count in range(1000))
    return next(path for path in names if not path.exists())


def find_run(lab_root: Path, which: str) -> tuple[Path, Run]:
    """Load a run by the path of its folder, its name in the lab, or its task: the newest of it.

    Raises
    ------
    NotFound
        There is none.
    RunError
        It is damaged.
    """
    for path in (Path(which), lab_root / _RUNS / which):
        if (path / "run.json").is_file():
            return path.absolute(), Run.load(path)
    found = newest_run(lab_root, which)
    if found is None:
        names = ", ".join(path.name for path in _folders(lab_root)[:5])
        raise NotFound(
            f"There is no run {which}, neither as a folder nor in {lab_root / _RUNS}.",
            f"The newest there are {names}." if names else "`rramhil train` makes one.",
        )
    return found


def newest_run(
    lab_root: Path, task: str, fits: Callable[[Run], bool] = lambda run: True
) -> tuple[Path, Run] | None:
    """Find the lab's newest run of a task that fits; runs that cannot be read are left out."""
    for path in _folders(lab_root):
        try:
            run = Run.load(path)
        except (RunError, NotFound):
            continue
        if run.config.task == task and fits(run):
            return path, run
    return None


def write_report(lab_root: Path, name: str, facts: dict[str, Any]) -> Path:
    """Write what a verification found as JSON into the lab's folder of reports."""
    folder = lab_root / _REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.json"
    text = json.dumps(facts, indent=2, default=str)
    write_whole(path, (text + "\n").encode())
    return path


def _folders(lab_root: Path) -> list[Path]:
    """Folders of runs, the newest first."""
    found = [path.parent for path in (lab_root / _RUNS).glob("*/run.json")]
    found = [path for path in found if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
