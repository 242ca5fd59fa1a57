"""Processes that work for another one: none outlives it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.cli import PROJECT, TIMEOUT_S, line_of

PARENT = """
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from rramhil._workers import begin_worker


def work():
    print("working", flush=True)
    time.sleep(120)


if __name__ == "__main__":
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, begin_worker) as pool:
        pool.submit(work).result()
"""


def test_no_worker_outlives_who_started_it(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert line_of(parent) == "working\n"
        parent.kill()
        # the worker and multiprocessing's own helper have its stdout: this ends with the last
        assert parent.communicate(timeout=TIMEOUT_S / 5)[0] == ""
