"""The command line as users run it: in a process of its own, its output looked at from outside.

A `Cli` that is called forks its process from one that has loaded the libraries; one that is started
begins from nothing, as on a user's computer.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 100.0
COMMAND = (sys.executable, "-m", "rramhil")
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a run of the command line ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one object on stdout; anything beside it is an error here."""
        return json.loads(self.stdout)

    @property
    def sentences(self) -> str:
        """The last line of stderr, where the error is told."""
        return self.stderr.rstrip().rpartition("\n")[2]


class _Forks:
    """Processes that begin with the libraries loaded; see `tests.support.fork_server`."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()

    def run(self, folder: Path, environment: dict[str, str], arguments: Sequence[str]) -> Outcome:
        """Run a command to its end, which must come within `TIMEOUT_S`."""
        with self._one_at_a_time, tempfile.TemporaryDirectory() as kept:
            stdout, stderr = Path(kept, "stdout"), Path(kept, "stderr")
            asked = {
                "folder": str(folder),
                "environment": environment,
                "arguments": arguments,
                "stdout": str(stdout),
                "stderr": str(stderr),
            }
            code = self._ask(json.dumps(asked))
            return Outcome(code, stdout.read_text("utf-8"), stderr.read_text("utf-8"))

    def _ask(self, command: str) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            atexit.register(self._server.communicate)
        told, heard = self._server.stdin, self._server.stdout
        assert told is not None
        assert heard is not None
        told.write(f"{command}\n")
        told.flush()
        child = int(heard.readline())
        overdue = threading.Timer(TIMEOUT_S, os.kill, (child, signal.SIGKILL))
        overdue.start()
        try:
            return int(heard.readline())
        finally:
            overdue.cancel()


_forks = _Forks()


class Cli:
    """Runs `rramhil` in a folder, with a lab of its own and nothing of the user's environment."""

    def __init__(self, folder: Path, lab: Path | None = None) -> None:
        self.folder = folder
        self.lab = folder / "lab" if lab is None else lab
        kept = {name: value for name, value in os.environ.items() if "RRAMHIL" not in name}
        # a width that does not depend on the terminal that runs the tests
        self.environment = {**kept, "RRAMHIL_LAB": str(self.lab), "COLUMNS": "120", "NO_COLOR": "1"}

    def __call__(self, *arguments: str, code: int | None = 0, **environment: str) -> Outcome:
        """Run to the end; `code` is what it must end with, None for anything."""
        outcome = _forks.run(self.folder, {**self.environment, **environment}, arguments)
        told = f"rramhil {' '.join(arguments)} ended with {outcome}"
        assert code is None or outcome.code == code, told
        assert "Traceback" not in outcome.stderr, told
        return outcome

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start, and leave it running."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def served(self, *arguments: str) -> Generator[list[str]]:
        """Serve a simulated board with `sim serve`; yields the addresses it prints.

        Ends it by SIGTERM, and checks that it takes that well.
        """
        with self.start("sim", "serve", "--json", *arguments) as server:
            try:
                yield json.loads(line_of(server))["addresses"]
                server.send_signal(signal.SIGTERM)
                stdout, stderr = server.communicate(timeout=TIMEOUT_S)
                assert (server.returncode, stdout) == (0, ""), stderr
            finally:
                server.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints on stdout; an error if it ended instead."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, f"it ended: {process.stderr.read()}"
    return line


def finished(process: subprocess.Popen[str]) -> Outcome:
    """How a started process ended."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    return Outcome(process.returncode, stdout, stderr)
