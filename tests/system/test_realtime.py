"""`--realtime`: answers keep to the board's clock, and the board stays within hearing.

Times are bounded from below by what the board's clock says; from above only as far as "at once"
differs from "after seconds".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.messages import BoardState, Operation, Role
from rramhil.driver import Board
from rramhil.errors import BoardError, LinkLost
from rramhil.lab import Lab
from rramhil.programming import Recipe, Step, program
from sim_backend.board import inspect
from sim_backend.cells import CellFlag
from tests.support.boards import served_board
from tests.support.cli import Cli
from tests.support.pulses import row_pulses


@pytest.fixture
def board(lab_root: Path) -> Iterator[Board]:
    with (
        served_board(lab_root, realtime=True) as address,
        Board.open(address, lab_root=lab_root) as board,
    ):
        yield board


def test_a_read_takes_at_least_its_board_time_and_comes_in_parts(board: Board) -> None:
    arrived: list[tuple[float, int]] = []
    began_s = time.monotonic()
    block = board.chip(0).read_codes(
        slice(None),
        slice(None),
        reads=1,
        progress=lambda *at: arrived.append((time.monotonic(), at[1])),
    )
    wall_s = time.monotonic() - began_s
    board_s = (block.stop_ns - block.start_ns) / 1e9
    assert board_s > 0.6
    assert board_s <= wall_s
    assert len(arrived) > 1
    # a part leaves when it is measured, and tells the clock before it was
    for at_s, clock_ns in arrived:
        assert at_s - began_s >= (clock_ns - block.start_ns) / 1e9
    assert arrived[0][0] - began_s < wall_s


def test_short_commands_add_up_to_the_board_s_time(board: Board) -> None:
    began_s, began_ns = time.monotonic(), board.status().board_time_ns
    pulses = row_pulses(board.description, Operation.FORM, range(64), range(64))
    for one in pulses:
        assert board.chip(0).pulse(one[np.newaxis], Operation.FORM).error is None
    board.wait(0.2)
    board_s = (board.status().board_time_ns - began_ns) / 1e9
    assert board_s > 0.26
    assert board_s <= time.monotonic() - began_s


def test_a_region_is_programmed(board: Board, lab_root: Path) -> None:
    step = Step.model_validate(
        {"amplitude_v": 4.0, "width_ns": 100_000, "compliance_a": 1e-4, "rows": "0:16"}
    )
    began_s = time.monotonic()
    with Lab(lab_root) as lab:
        result = program(board, lab, 0, Recipe(name="small", steps=(step,)), reads=1)
    assert result.report.formed == 16 * 512
    assert result.board_time_s <= time.monotonic() - began_s


def test_a_wait_longer_than_the_lease_loses_neither_lease_nor_link(lab_root: Path) -> None:
    with (
        served_board(lab_root, realtime=True, lease_limits_s=(0.2, 0.2)) as address,
        Board.open(address, lab_root=lab_root) as board,
        Board.open(address, lab_root=lab_root, role=Role.OBSERVER) as observer,
    ):
        waiting = threading.Thread(target=lambda: board.wait(1.0))
        waiting.start()
        time.sleep(0.5)
        assert observer.status().state == BoardState.WORKING
        waiting.join()
        assert observer.status().state == BoardState.IDLE
        board.wait(1e-6)


@pytest.mark.parametrize("work", ["read", "wait"])
def test_abort_is_heard_at_once(work: str, board: Board) -> None:
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            if work == "read":
                board.chip(0).read_codes(slice(None), slice(None), reads=100)
            else:
                board.wait(60.0)
            ended.append(None)
        except (BoardError, LinkLost) as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.4)
    began_s = time.monotonic()
    board.abort()
    thread.join()
    assert time.monotonic() - began_s < 5.0
    if work == "read":
        assert "ABORTED" in str(ended[0])
    else:
        assert ended == [None]  # the simulated wait was over; only its answer was not due
    board.wait(1e-6)


def test_pulses_under_way_are_told_after_abort_as_what_they_are(
    board: Board, lab_root: Path
) -> None:
    pulses = row_pulses(board.description, Operation.FORM, range(400), range(4))
    pulses["width_ns"] = 10_000_000
    result = []
    thread = threading.Thread(
        target=lambda: result.append(board.chip(0).pulse(pulses, Operation.FORM))
    )
    thread.start()
    time.sleep(0.3)
    board.abort()
    thread.join()
    fired = inspect(lab_root / "simulated", 0, 1, 0).form_pulses_total
    assert result[0].cells == fired
    assert (result[0].statuses == 0).sum() * 4 == fired


def test_the_command_line_serves_in_real_time_and_with_faults(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    (tmp_path / "faults.toml").write_text(
        '[[link]]\nfault = "lost"\ndirection = "to_host"\nevery = 4\n'
        '[[board]]\nfault = "dead_channel"\nchannel = 1\n[chip]\ndead_rows = [2]\n'
    )
    with cli.served("--tcp", "127.0.0.1:0", "--realtime", "--faults", "faults.toml") as (address,):
        cli("read", "--board", address, "--rows", "0:8", "--cols", "5,9", "--json")
    defects = ["--stuck-on", "3", "--stuck-off", "4", "--faults", "faults.toml"]
    cli("sim", "replace", *defects)
    flags = inspect(cli.lab / "simulated", 0, 1, 0).cells.flags
    assert np.count_nonzero(flags & CellFlag.STUCK) == 7
    assert (flags[2] & CellFlag.OPEN).all()
    (tmp_path / "faults.toml").write_text('[[board]]\nfault = "slow"\ncommand_s = -1\n')
    refused = cli("sim", "serve", "--tcp", "127.0.0.1:0", "--faults", "faults.toml", code=2)
    assert "command_s is -1: at least 0.0 is wanted" in refused.stderr
    (tmp_path / "faults.toml").write_text('[[board]]\nfault = "dead_channel"\nchannel = 9\n')
    refused = cli("sim", "serve", "--tcp", "127.0.0.1:0", "--faults", "faults.toml", code=2)
    assert "dead_channel.channel is 9" in refused.stderr
