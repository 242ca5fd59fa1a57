"""A result obtained on the simulated board is reproduced to the bit, however it was obtained.

`tests.support.mixed_stream` says what is hashed, and prints the value that is committed there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rramhil.driver import Board
from sim_backend.faults import Cut, Delayed, Faults, Flipped, Lost, Merged, Repeated, Split
from sim_backend.faults.model import NONE
from tests.conftest import PROJECT
from tests.support.boards import served_board
from tests.support.mixed_stream import DIGEST, SEED, digest


def bad_link() -> Faults:
    """Every fault that a link can have, both ways."""
    ways: tuple[Any, ...] = ("to_board", "to_host")
    faults = [
        fault
        for way in ways
        for fault in (
            Lost(direction=way, probability=0.01),
            Repeated(direction=way, probability=0.05),
            Delayed(direction=way, probability=0.02, by_frames=2),
            Flipped(direction=way, probability=0.01),
            Cut(direction=way, probability=0.01, missing=5),
            Merged(direction=way, probability=0.05, count=3),
            Split(direction=way, probability=0.05, pause_s=0.001),
        )
    ]
    return Faults(seed=1, link=tuple(faults))


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_however_operations_are_batched(batch: int, lab_root: Path) -> None:
    with (
        served_board(lab_root, seed=SEED) as address,
        Board.open(address, lab_root=lab_root) as board,
    ):
        assert digest(board, batch) == DIGEST


@pytest.mark.parametrize("faults", [NONE, bad_link()], ids=["sound", "retransmitting"])
@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_over_every_transport_with_and_without_retransmissions(
    transport: str, faults: Faults, lab_root: Path, tmp_path: Path
) -> None:
    tty = tmp_path / "tty"
    with served_board(lab_root, seed=SEED, pty=tty, faults=faults) as tcp:
        address = tcp if transport == "tcp" else f"serial://{tty}"
        with Board.open(address, lab_root=lab_root) as board:
            assert digest(board, 7) == DIGEST
            # a sound link may be impatient too, while a kernel is compiled
            assert board.link.statistics.frames_resent > 0 or faults is NONE


def test_with_one_thread_and_with_two_by_tables_and_by_torch_in_processes_at_once() -> None:
    children = []
    for threads, engine in (("1", "tables"), ("2", "digits")):
        environment = {
            **os.environ,
            "NUMBA_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "RRAMHIL_SIM_THREADS": threads,
            "RRAMHIL_SIM_ENGINE": engine,
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, "-m", "tests.support.mixed_stream", "--batch", "64"]
        children.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    assert [child.communicate()[0].strip() for child in children] == [DIGEST, DIGEST]


def test_another_seed_gives_another_digest(lab_root: Path) -> None:
    with Board.open(f"sim://?seed={SEED + 1}", lab_root=lab_root) as board:
        assert digest(board, 256) != DIGEST
