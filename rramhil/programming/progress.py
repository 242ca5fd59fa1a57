"""What the work tells whoever watches it. Whoever draws bars implements `Progress`."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears what is being done; called in the thread that called in."""

    def phase(self, name: str, total: int, unit: str) -> None:
        """A phase begins that will advance by `total` units; the one before has ended."""
        ...

    def advance(self, n: int, board_time_ns: int) -> None:
        """`n` more units are done; the board's clock stands at `board_time_ns`."""
        ...


class Silent:
    """Progress that nobody watches."""

    def phase(self, name: str, total: int, unit: str) -> None:
        """Do nothing."""

    def advance(self, n: int, board_time_ns: int) -> None:
        """Do nothing."""
