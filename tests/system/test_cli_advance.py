"""`rramhil sim advance` and technologies: time passes for served boards and for idle ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import rramhil
from rramhil.errors import BoardHeld, UsageError
from rramhil.simulation import SimulatedBoardName, advance
from sim_backend import control
from tests.support.cli import Cli, line_of

READ = ("read", "--rows", "0:8", "--cols", "0:512:4", "--range", "1", "--reads", "64", "--json")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def formed(cli: Cli) -> Cli:
    """A lab whose chip 0 is of technology tech_b, and and whose cells have all formed."""
    fresh = cli("sim", "replace", "--technology", "tech_b", "--json").json
    assert (fresh["serial"], fresh["technology"]) == ("R40-0-0-1", "tech_b")
    cli("program", "--chip", "0", "--json")
    return cli


def measured_uS(cli: Cli, **environment: str) -> np.ndarray:
    return np.array(cli(*READ, **environment).json["conductance_uS"])


def test_cells_of_an_idle_board_drift_by_what_was_measured(formed: Cli) -> None:
    before = measured_uS(formed)
    told = formed("sim", "advance", "--seconds", "1e4", "--json").json
    assert (told["board"], told["served"], told["temperature_k"]) == ("SIM-0", False, 298.15)
    after = measured_uS(formed)
    change = (after - before).ravel()
    # 64 readings of cells near 64 uS: noise of 0.2 uS at most; drift of several uS in the tails
    assert 2 < change.std() < 12
    assert (abs(change) > 10).sum() > 5
    facts = formed("sim", "inspect", "--json").json
    assert facts["technology"] == "tech_b"
    assert facts["age_s"] == pytest.approx(1e4, rel=0.01)
    assert facts["board_time_s"] == pytest.approx(told["board_time_s"], abs=10)
    shown = formed("sim", "inspect").stdout
    assert "technology" in shown
    assert "25.00 degC" in shown


def test_a_served_board_is_moved_over_its_control_socket_and_tells_it_on_the_wire(cli: Cli) -> None:
    with cli.served("--tcp", "127.0.0.1:0") as (address,):
        place = cli.lab / "simulated" / "SIM-0" / "control.sock"
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        before = cli("board", "info", "--board", address, "--json").json["status"]
        told = cli("sim", "advance", "--seconds", "3600", "--temperature", "85", "--json").json
        assert (told["served"], told["temperature_k"]) == (True, 358.15)
        after = cli("board", "info", "--board", address, "--json").json["status"]
        assert after["temperature_mk"] == 358_150
        assert after["board_time_ns"] - before["board_time_ns"] == 3600 * 10**9
        refused = cli("sim", "advance", "--temperature", "300", code=2)
        assert "233.15 K to 423.15 K" in refused.sentences
    assert not place.exists()
    # it stays warm
    assert "358.15 K" in cli("board", "info").stdout


def test_a_socket_left_by_a_kill_is_no_obstacle_and_is_replaced(cli: Cli) -> None:
    folder = cli.lab / "simulated" / "SIM-0"
    with cli.start("sim", "serve", "--tcp", "127.0.0.1:0") as server:
        line_of(server)
        server.kill()
    assert (folder / "control.sock").exists()
    assert not cli("sim", "advance", "--seconds", "1", "--json").json["served"]
    with cli.served("--tcp", "127.0.0.1:0"):
        assert cli("sim", "advance", "--seconds", "1", "--json").json["served"]
    assert not (folder / "control.sock").exists()


def test_a_folder_may_lie_too_deep_for_the_address_of_a_socket(tmp_path: Path) -> None:
    cli = Cli(tmp_path, tmp_path / ("long" * 25))
    with cli.start("sim", "serve", "--tcp", "127.0.0.1:0") as server:
        line_of(server)
        place = cli.lab / "simulated" / "SIM-0" / "control.sock"
        assert len(os.fsencode(place)) > 108
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert cli("sim", "advance", "--seconds", "1", "--json").json["served"]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert not place.exists()


def test_a_copy_of_a_served_board_is_not_the_served_board(tmp_path: Path) -> None:
    cli = Cli(tmp_path, tmp_path / "lab")
    copy = Cli(tmp_path, tmp_path / "copy")
    with cli.served("--tcp", "127.0.0.1:0"):
        subprocess.run(["cp", "-r", cli.lab, copy.lab], check=True)
        moved = copy("sim", "advance", "--seconds", "7", "--json").json
        assert (moved["served"], moved["board_time_s"]) == (False, 7.0)
        assert cli("sim", "advance", "--seconds", "1", "--json").json["board_time_s"] == 1.0


def test_a_board_inside_another_program_is_out_of_reach(cli: Cli) -> None:
    name = SimulatedBoardName(cli.lab)
    with rramhil.open("sim://", lab=cli.lab):
        with pytest.raises(BoardHeld, match="inside another program"):
            advance(name, 1.0)
        told = cli("sim", "advance", "--seconds", "1", "--json", code=5)
        assert told.json["error"]["type"] == "BoardHeld"
    assert advance(name, 1.5, 300.0).temperature_k == 300.0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--seconds"),
        (("--seconds", "-1"), "not by -1 s"),
        (("--seconds", "nan"), "nan"),
        (("--seconds", "inf"), "inf"),
        (("--seconds", "1e30"), "Board time can go on"),
        (("--seconds", "1e300"), "not by 1e+300 s"),
        (("--temperature", "-100"), "233.15 K"),
        (("--seconds", "1", "--temperature", "nan"), "nan"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_one_sentence(
    cli: Cli, arguments: tuple[str, ...], word: str
) -> None:
    with rramhil.open("sim://", lab=cli.lab):
        pass
    assert word in cli("sim", "advance", *arguments, code=2).sentences


def test_an_unknown_technology_is_refused_and_the_chip_stays(cli: Cli) -> None:
    refused = cli("sim", "replace", "--technology", "tech_z", code=2)
    assert "rram40, tech_a, tech_b, tech_c" in refused.sentences
    assert cli("sim", "inspect", "--json").json["serial"] == "R40-0-0-0"


def test_control_lines_that_are_no_request_get_an_error_and_change_nothing(cli: Cli) -> None:
    lines = [b"\n", b"[]\n", b"{}\n", b'{"advance": 3}\n', b'{"advance": {"seconds": "1"}}\n']
    name = SimulatedBoardName(cli.lab)
    with cli.served("--tcp", "127.0.0.1:0"):
        before = advance(name, 0.0)
        lines += [b'{"advance": {"seconds": 1e999999999}}\n', b'{"advance": {"seconds": NaN}}\n']
        for line in (*lines, b"\xff\n"):
            with socket.socket(socket.AF_UNIX) as link:
                control.connect(link, name.root / name.serial)
                link.sendall(line)
                assert "advance" in json.loads(link.makefile().readline())["error"]
        with socket.socket(socket.AF_UNIX) as link, suppress(ConnectionResetError):
            control.connect(link, name.root / name.serial)
            link.sendall(b"x" * 5000)  # endless lines are cut off
            assert link.recv(10) == b""
        assert advance(name, 0.0) == before


def test_the_python_function_refuses_what_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no number"):
        advance(SimulatedBoardName(tmp_path), float("nan"))


def test_a_series_in_board_time_shows_telegraph_noise(cli: Cli) -> None:
    cli("sim", "replace", "--technology", "tech_a")
    cli("program", "--chip", "0", "--json")
    series = ("--reads", "200", "--every", "0.0025", "--range", "1", "--json")
    told = cli("read", "--rows", "0", "--cols", "0:64", *series).json["series"]
    times_s = np.array([each["board_time_s"] for each in told])
    assert np.diff(times_s) == pytest.approx(0.0025, abs=1e-9)
    traces = np.array([each["conductance_uS"][0] for each in told])
    spread = traces.std(axis=0) / traces.mean(axis=0)
    # cells without a trap show noise of 0.24 %; those with one twice that and more
    assert 0.0015 < np.median(spread) < 0.003
    assert 4 <= (spread > 0.004).sum() <= 25
