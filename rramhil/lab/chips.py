"""Which chips a lab has seen, and where.

Owns: the table of chips. Does not talk to a board: whoever does tells it what it saw.
"""

from __future__ import annotations

from dataclasses import dataclass

from rramhil.errors import NotFound
from rramhil.lab._clock import utc_now
from rramhil.lab._database import Database

_COLUMNS = "serial, board_serial, slot, first_seen, last_seen, retired"


@dataclass(frozen=True)
class ChipRecord:
    """One chip as the lab knows it.

    Attributes
    ----------
    serial : str
        The chip's own serial.
    board_serial, slot : str, int
        Board and slot it was last seen in.
    first_seen, last_seen : str
        UTC, ISO 8601.
    retired : str or None
        When it was put aside (UTC, ISO 8601); None while it is in use.
    """

    serial: str
    board_serial: str
    slot: int
    first_seen: str
    last_seen: str
    retired: str | None


class ChipRegister:
    """The chips of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def see(self, serial: str, board_serial: str, slot: int) -> ChipRecord:
        """Record that a chip is in a slot now; one that was retired is in use again.

        Raises
        ------
        LabUnusable
            If it cannot be recorded.
        """
        now = utc_now()
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO chips (serial, board_serial, slot, first_seen, last_seen) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (serial) DO UPDATE SET "
                "board_serial = excluded.board_serial, slot = excluded.slot, "
                "last_seen = excluded.last_seen, retired = NULL",
                (serial, board_serial, slot, now, now),
            )
        return self.get(serial)

    def retire(self, serial: str) -> ChipRecord:
        """Record that a chip was put aside; its maps and its journal stay.

        Raises
        ------
        NotFound
            If the lab never saw the chip.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE chips SET retired = coalesce(retired, ?) WHERE serial = ?",
                (utc_now(), serial),
            )
        return self.get(serial)

    def get(self, serial: str) -> ChipRecord:
        """Return what is known of a chip.

        Raises
        ------
        NotFound
            If the lab never saw the chip.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM chips WHERE serial = ?", (serial,)
            ).fetchone()
        if row is None:
            raise NotFound(
                f"The lab {self._database.path.parent} never saw a chip {serial!r}.",
                "`rramhil board info` names the chips of a board.",
            )
        return ChipRecord(*row)

    def list(self) -> list[ChipRecord]:
        """Return all chips, the one seen last first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM chips ORDER BY last_seen DESC, serial"
            ).fetchall()
        return [ChipRecord(*row) for row in rows]

    def in_slot(self, board_serial: str, slot: int) -> ChipRecord | None:
        """Return the chip in use that was last seen in a slot, None if there was none."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM chips WHERE board_serial = ? AND slot = ? "
                "AND retired IS NULL ORDER BY last_seen DESC LIMIT 1",
                (board_serial, slot),
            ).fetchone()
        return None if row is None else ChipRecord(*row)
