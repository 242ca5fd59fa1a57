"""The command line as users run it: in a process of its own, its output looked at from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
COMMAND = (sys.executable, "-m", "rramhil")


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
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
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
