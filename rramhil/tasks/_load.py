"""Tasks by name, or from a user's own file.

Owns: the list of built-in tasks, and what to say where a name or a file is none.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path

from rramhil.errors import NotFound, TaskError
from rramhil.tasks._own import blamed, told_of
from rramhil.tasks._task import Task

_BUILT_IN = {
    "digits": ("digits", "task"),
    "fashion-mnist": ("fashion_mnist", "task"),
    "spoken-digits": ("spoken_digits", "task"),
    "spoken-digits-official": ("spoken_digits", "official_task"),
    "retina-vessels": ("retina_vessels", "task"),
    "retina-vessels-drive": ("retina_vessels", "drive_task"),
    "retina-phantom": ("retina_vessels", "phantom_task"),
}
"""Each built-in task: its module, and its name there."""

KNOWN = tuple(_BUILT_IN)
"""Names of the built-in tasks."""

_NAME = "task"
"""What a task is called in its file if nothing else is said."""


def load(which: str) -> Task:
    """Find a task.

    Parameters
    ----------
    which : str
        The name of a built-in task, or `file.py` or `file.py:name` of one's own. The file is run.

    Raises
    ------
    NotFound
        If there is no such task, file, or name in the file.
    TaskError
        If the file cannot be run, or what it has under that name is no task.
    """
    if which in _BUILT_IN:
        module, name = _BUILT_IN[which]
        return getattr(importlib.import_module(f"rramhil.tasks.{module}"), name)
    file, _, name = which.partition(":") if ".py:" in which else (which, "", "")
    if not file.endswith(".py"):
        raise NotFound(
            f"There is no task {which}.",
            f"Known are {', '.join(KNOWN)}; one's own is called by its file and what the file "
            f"calls it, as my_task.py:{_NAME}, not by its `name`.",
        )
    return _from_file(Path(file), name or _NAME)


def _from_file(path: Path, name: str) -> Task:
    if not path.is_file():
        raise NotFound(
            f"{path} is no file of a task." if path.exists() else f"There is no task file {path}.",
            "Give its path from here, as my_task.py:task.",
        )
    module_name = f"_rramhil_task_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"{path} cannot be read as a Python file.", "Give it a name in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pickles in it look their module up
    try:
        with blamed(f"The task file {path}"):
            spec.loader.exec_module(module)
    except TaskError:
        del sys.modules[module_name]
        raise
    if not hasattr(module, name):
        tasks = [key for key, value in vars(module).items() if isinstance(value, Task)]
        raise NotFound(
            f"The task file {path} has no {name}.",
            f"It has {', '.join(tasks)}." if tasks else "It makes no rramhil.tasks.Task.",
        )
    found = getattr(module, name)
    if not isinstance(found, Task):
        raise TaskError(
            f"{name} in {path} is no rramhil.tasks.Task, but of type {type(found).__name__}.",
            "Name the task after the colon, as my_task.py:task.",
        )
    return told_of(found, path)
