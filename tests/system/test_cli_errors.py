"""Whatever is wrong has its sentence, its next step and its exit code, and leaves stdout pure."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rramhil
from rramhil.cli._errors import Run, finish
from rramhil.errors import LinkLost
from tests.support.boards import served_board
from tests.support.cli import Cli, Outcome

READ = ("read", "--rows", "0", "--cols", "0")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def check(outcome: Outcome, kind: str, *words: str) -> dict[str, Any]:
    """Check that an error is told twice in the same words: on stderr and as the one object."""
    error = outcome.json["error"]
    assert outcome.json.keys() == {"error"}
    assert error["type"] == kind
    assert error["exit_code"] == outcome.code
    assert outcome.sentences == f"rramhil: {error['sentence']} {error['next_step']}".rstrip()
    assert error["next_step"]
    for word in words:
        assert word in outcome.sentences
    return error


def test_no_board_there(cli: Cli, free_port: int) -> None:
    address = f"tcp://127.0.0.1:{free_port}"
    outcome = cli(*READ, "--board", address, "--json", code=3)
    check(outcome, "NotFound", address)


def test_an_address_that_is_none(cli: Cli) -> None:
    check(cli(*READ, "--json", code=2, RRAMHIL_BOARD="fax://12"), "UsageError", "fax")


def test_a_chip_that_is_not_there(cli: Cli) -> None:
    check(cli("program", "--chip", "9", "--json", code=3), "NotFound", "chip 9", "0 to 0")


def test_a_board_held_by_another_controller(cli: Cli) -> None:
    with (
        served_board(cli.lab) as address,
        rramhil.open(address, lab=cli.lab) as board,
    ):
        outcome = cli("program", "--board", address, "--json", code=5)
        check(outcome, "BoardHeld", address, "held by")
        # who only looks is let in
        seen = cli("board", "info", "--board", address, "--json").json
        assert seen["identity"]["serial"] == board.identity.serial
        assert seen["status"]["controller_session"] != 0


def test_a_board_of_another_protocol_version(cli: Cli) -> None:
    with served_board(cli.lab, versions=(2, 2)) as address:
        outcome = cli(*READ, "--board", address, "--json", code=4)
    check(outcome, "ProtocolMismatch", "version", "2")


def test_a_state_held_by_another_process(cli: Cli) -> None:
    with cli.served("--tcp", "127.0.0.1:0") as (address,):
        check(cli(*READ, "--json", code=5), "BoardHeld", "SIM-0")
        check(cli("sim", "replace", "--json", code=5), "BoardHeld", "sim://?seed=0")
        port = address.rpartition(":")[2]
        taken = cli("sim", "serve", "--seed", "1", "--tcp", f"127.0.0.1:{port}", "--json", code=5)
        check(taken, "BoardHeld", port)
        assert cli("sim", "inspect", "--json").json["form_pulses"] == 0


def test_a_lab_folder_that_cannot_be_made(cli: Cli) -> None:
    (cli.folder / "file").write_text("no folder")
    below = str(cli.folder / "file" / "lab")
    check(cli("program", "--lab", below, "--json", code=2), "LabUnusable", below)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--shorts", "999999999", "0 to 262144 "),
        ("--dead-rows", "0:600", "rows 0 to 511,"),
        ("--dead-cols", "600", "columns 0 to 511,"),
        ("--chips", "100000", "1 to 64 chips, not 100000"),
        ("--seed", "9" * 23, "0 to 4294967295, not 999"),
    ],
)
def test_a_chip_that_cannot_be_simulated_is_a_usage_error_with_the_range(
    cli: Cli, option: str, value: str, said: str
) -> None:
    outcome = cli("sim", "replace", option, value, "--json", code=2)
    error = check(outcome, "UsageError", said)
    assert "--seed" not in error["next_step"]
    assert "axis" not in error["sentence"]


def test_a_map_that_is_not_there(cli: Cli) -> None:
    missing = cli("map", "export", "--chip", "R40-9", "--to", "x.npz", "--json", code=3)
    check(missing, "NotFound", str(cli.lab), "read-back", "R40-9")


def test_an_unexpected_error_is_one_sentence_and_its_traceback_is_for_debug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for debug in (False, True):
        with pytest.raises(SystemExit) as end, finish(Run(debug=debug)):
            raise ZeroDivisionError("by nothing")
        said = capsys.readouterr()
        assert end.value.code == 1
        assert said.out == ""
        assert ("Traceback" in said.err) is debug
        assert "ZeroDivisionError: by nothing" in said.err
        assert "--debug" in said.err.splitlines()[-1]


def test_debug_shows_where_an_error_comes_from(cli: Cli, free_port: int) -> None:
    code = "import sys; sys.argv[0] = 'rramhil'; from rramhil.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *READ, "--board", f"tcp://127.0.0.1:{free_port}", "--debug"],
        capture_output=True,
        text=True,
        check=False,
        env=cli.environment,
        timeout=60,
    )
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("rramhil: Nothing listens")


@pytest.mark.parametrize(
    ("error", "code"), [(LinkLost("It broke.", "Mend it."), 8), (KeyboardInterrupt(), 130)]
)
def test_every_error_ends_with_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, finish(Run(as_json=True)):
        raise error
    assert end.value.code == code
    assert f'"exit_code": {code}' in capsys.readouterr().out


def test_a_mistake_in_the_command_line_is_told_as_json_too(cli: Cli) -> None:
    check(cli("read", "--rowz", "0", "--json", code=2), "UsageError", "--rowz", "read --help")
    wrong = cli("program", "--json", "--chip", "nought", code=2)
    check(wrong, "UsageError", "'--chip'", "integer", "not 'nought'", "program --help")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sim", "serve", "--tcp", "127.0.0.1:0", "--faults", "nowhere.toml"),
        ("program", "--dry-run", "--recipe", "nowhere.toml"),
    ],
)
def test_a_file_that_is_named_and_not_there(cli: Cli, arguments: tuple[str, ...]) -> None:
    check(cli(*arguments, "--json", code=3), "NotFound", "nowhere.toml")


def test_a_lab_that_cannot_keep_a_reading_is_refused_before_it_is_taken(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with served_board(tmp_path / "other") as address:
        told = cli(*READ, "--save", "--board", address, "--lab", "file/lab", code=2)
    assert told.stderr.startswith("rramhil: ")
    assert "file/lab" in told.sentences
