"""`rramhil board`, `rramhil sim` and `rramhil doctor`: what is there, and how it is."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import rramhil
from tests.support.cli import Cli, finished, line_of


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_a_served_board_is_listed_described_stopped_and_released(cli: Cli) -> None:
    pty = cli.folder / "line"
    served = ("--tcp", "127.0.0.1:0", "--pty", str(pty), "--seed", "7", "--chips", "2")
    with cli.served(*served) as addresses:
        tcp, serial = addresses
        assert serial == f"serial://{pty}"
        facts = cli("board", "info", "--board", serial, "--json").json
        assert facts["identity"]["serial"] == "SIM-7"
        assert facts["identity"]["simulated"] is True
        assert [chip["chip"] for chip in facts["chips"]] == [0, 1]
        assert facts["description"]["envelopes"]["FORM"]["voltage_max_v"] > 4
        assert facts["link"]["bad_frames"] == 0
        stopped = cli("board", "estop", "--board", tcp, "--json").json
        assert stopped == {"serial": "SIM-7", "state": "ESTOPPED"}
        refused = cli("read", "--rows", "0", "--cols", "0", "--board", tcp, code=8)
        assert "estop --clear" in refused.sentences
        assert "is IDLE" in cli("board", "estop", "--clear", "--board", tcp).stdout
    assert not pty.is_symlink()
    listed = cli("board", "list", "--json").json["boards"]
    assert {"simulated"} == {each["kind"] for each in listed if each["address"].startswith("sim:")}
    assert "sim://?seed=7&chips=2" in [each["address"] for each in listed]
    seen = cli("board", "info", RRAMHIL_BOARD="sim://?seed=7&chips=2").stdout
    assert "SIM-7 (simulated)" in seen
    assert "switch loads" in seen


def test_a_server_tells_its_addresses_one_a_line_and_ends_by_ctrl_c(cli: Cli) -> None:
    with cli.start("sim", "serve", "--tcp", "127.0.0.1:0") as server:
        assert line_of(server).startswith("tcp://127.0.0.1:")
        server.send_signal(signal.SIGINT)
        ended = finished(server)
    assert (ended.code, ended.stdout) == (130, "")
    assert "Serving simulated board SIM-0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_serial_path_that_a_board_is_served_at_is_not_taken_over(cli: Cli) -> None:
    line = str(cli.folder / "line")
    with cli.served("--pty", line, "--seed", "1"):
        refused = cli("sim", "serve", "--pty", line, "--seed", "2", code=5)
        assert "another board may be served there" in refused.sentences
        info = cli("board", "info", "--board", f"serial://{line}", "--json").json
        assert info["identity"]["serial"] == "SIM-1"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--tcp"),
        (("--pty", "missing/line"), "missing/line"),
    ],
)
def test_a_place_where_nobody_can_serve_is_refused(
    cli: Cli, arguments: tuple[str, ...], word: str
) -> None:
    assert word in cli("sim", "serve", *arguments, code=2).sentences


def test_a_board_named_in_the_settings_is_the_one_that_sim_commands_mean(cli: Cli) -> None:
    (cli.folder / "rramhil.toml").write_text('[board]\naddress = "sim://?seed=5&chips=3"\n')
    replaced = cli("sim", "replace", "--chip", "2", "--json").json
    assert (replaced["board"], replaced["chip"]) == ("SIM-5", 2)
    shown = cli("sim", "inspect", "--chip", "2").stdout
    assert replaced["serial"] in shown
    assert "SIM-5" in shown


def test_sockets_that_nobody_mentions_are_those_that_the_lab_has(cli: Cli) -> None:
    with rramhil.open("sim://?seed=8&chips=2", lab=cli.lab) as board:
        board.chip(1).dark([0], 0)
    asked = ("sim", "inspect", "--seed", "8", "--json")
    assert cli(*asked, "--chip", "1").json["serial"] == "R40-8-1-0"
    assert "SIM-8 has no chip 2, only 0 to 1" in cli(*asked, "--chip", "2", code=3).sentences
    replaced = cli("sim", "replace", "--seed", "8", "--chip", "1", "--json").json
    assert (replaced["serial"], replaced["retired"]) == ("R40-8-1-1", "R40-8-1-0")


def test_a_board_that_the_lab_does_not_have_is_refused_not_made(cli: Cli) -> None:
    for command in (("inspect",), ("advance", "--seconds", "1")):
        refused = cli("sim", *command, "--seed", "77", code=3).sentences
        assert "has no simulated board SIM-77" in refused
        assert "`rramhil board list`" in refused
    assert not (cli.lab / "simulated").exists()
    made = cli("sim", "replace", "--seed", "77").stderr
    assert "SIM-77 is new in lab" in made
    assert "new in lab" not in cli("sim", "replace", "--seed", "77").stderr


def test_the_doctor_finds_this_computer_fit_and_says_where_settings_come_from(cli: Cli) -> None:
    said = cli("doctor", "--json").json
    assert said["ok"] is True
    checks = {check["name"]: check for check in said["checks"]}
    assert checks.keys() >= {"Python", "numpy", "torch", "SQLite", "lab folder", "kernel cache"}
    assert "RRAMHIL_LAB" in checks["lab folder"]["found"]
    assert "default" in checks["board"]["found"]
    assert not cli.lab.exists(), "a look at the lab folder made it"


def test_the_doctor_ends_with_1_where_something_needed_is_missing(cli: Cli) -> None:
    (cli.folder / "file").write_text("no folder")
    (cli.folder / "rramhil.toml").write_text('[lab]\nfolder = "file/lab"\n')
    del cli.environment["RRAMHIL_LAB"]
    ill = cli("doctor", code=1)
    assert "lab folder" in ill.stdout.splitlines()[-1]
    assert "RRAMHIL_LAB" in ill.stdout
    assert "rramhil.toml" in ill.stdout
