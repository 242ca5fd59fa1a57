"""From a command's options to an open board: settings, the first line, who may touch it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rramhil.cli._output import note

if TYPE_CHECKING:
    from rramhil.driver import Board
    from rramhil.lab import Lab
    from rramhil.settings import Settings


def find_settings(board: str | None, lab: Path | None) -> Settings:
    """Find the board and the lab that are meant."""
    from rramhil.settings import resolve

    return resolve(board, lab)


@contextmanager
def controlled_board(settings: Settings, record: Path | None = None) -> Generator[Board]:
    """Open the board as its one controller, and say which it is."""
    from rramhil.driver import Board

    with Board.open(settings.board, lab_root=settings.lab, record=record) as board:
        announce(board, settings)
        yield board


@contextmanager
def observed_board(settings: Settings) -> Generator[Board]:
    """Open the board as an observer, which works while another controls it."""
    from firmware_protocol.messages import Role
    from rramhil.driver import Board

    with Board.open(settings.board, lab_root=settings.lab, role=Role.OBSERVER) as board:
        announce(board, settings)
        yield board


@contextmanager
def opened_lab(settings: Settings) -> Generator[Lab]:
    """Open the lab folder."""
    from rramhil.lab import Lab

    with Lab(settings.lab) as lab:
        yield lab


def announce(board: Board, settings: Settings) -> None:
    """Say on stderr which board it is, and which lab."""
    identity = str(board.identity)
    note(f"{identity[0].upper()}{identity[1:]}; lab {settings.lab}.")


def chip_serial(chip: str, settings: Settings) -> str:
    """Serial number of a chip that is named by its socket on the board, or by itself."""
    if not (chip.isascii() and chip.isdigit()):
        return chip
    with observed_board(settings) as board:
        return board.chip(int(chip)).serial
