"""Progress bars on stderr: how much is done, how fast, and what the board's clock says."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

_MEASURED_IN = "cells"
"""Work on the board is counted in these; other work says how far it is, not how fast."""


class Bars:
    """Draw what `rramhil.programming.Progress` is told; a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[clock]}"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None
        self._unit = ""
        self._done = 0
        self._since_s = 0.0

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def phase(self, name: str, total: int, unit: str) -> None:
        """Begin a bar; the one before stays as it is."""
        self._unit, self._done, self._since_s = unit, 0, time.perf_counter()
        self._task = self._bars.add_task(
            name[:1].upper() + name[1:], total=total, rate="", clock=""
        )

    def say(self, text: str) -> None:
        """Show a few words beside the bar."""
        if self._task is not None:
            self._bars.update(self._task, clock=text)

    def advance(self, n: int, board_time_ns: int) -> None:
        """Move the bar on."""
        if self._task is None:
            return
        self._done += n
        elapsed_s = max(time.perf_counter() - self._since_s, 1e-9)
        rate = f"{self._done / elapsed_s:,.0f} {self._unit}/s"
        clock = f"board time {board_time_ns / 1e9:.3f} s"
        self._bars.update(
            self._task,
            advance=n,
            rate=rate if self._unit == _MEASURED_IN else "",
            clock=clock if self._unit == _MEASURED_IN else "",
        )
