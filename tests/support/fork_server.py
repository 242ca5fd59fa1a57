"""A process that has loaded the libraries once, and forks for every command that it is told.

Owns: starting `python -m rramhil` without the seconds that its libraries take to load. Loads
nothing of rramhil itself. Reads a command as JSON, a line each; writes the child's process id and,
when that has ended, its exit code. A test that watches what gets loaded starts a process itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import sys
from importlib import import_module
from typing import Any

_LIBRARIES = (
    "h5py",
    "numba",
    "numpy",
    "pydantic_settings",
    "rich.progress",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.stats",
    "torch",
    "typer",
)


def main() -> None:
    """Serve until the pipe is closed."""
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            import_module(name)
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked)
            runpy.run_module("rramhil", run_name="__main__", alter_sys=True)
            return
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Take folder, environment, arguments and files of a command."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (path, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), (asked["stdout"], writing), (asked["stderr"], writing)]
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["rramhil", *asked["arguments"]]


if __name__ == "__main__":
    main()
