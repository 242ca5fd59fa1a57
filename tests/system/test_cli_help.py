"""The command line explains itself: help of everything, and nothing heavy loaded for it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from rramhil.cli import COMMANDS

HEAVY = (
    "numpy",
    "torch",
    "pydantic",
    "h5py",
    "matplotlib",
    "numba",
    "scipy",
    "sqlite3",
    "serial",
    "pyvisa",
    "sim_backend",
)
WATCHED = """
import sys
try:
    sys.argv = ["rramhil", *{arguments!r}]
    from rramhil.cli import main
    main()
except SystemExit as end:
    print(end.code)
print([name for name in {heavy!r} if name in sys.modules])
"""


def commands() -> list[tuple[str, ...]]:
    """Every command there is, groups with what is in them."""
    found: list[tuple[str, ...]] = []
    for name, (module, _) in COMMANDS.items():
        command = typer.main.get_command(import_module(module).app)
        inner = getattr(command, "commands", {})
        found += [(name, each) for each in inner] or [(name,)]
    return found


def loaded(*arguments: str) -> str:
    """Which of the heavy modules a run has loaded at its end, and its exit code."""
    code = WATCHED.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return " ".join(done.stdout.splitlines()[-2:])


def test_the_start_of_the_command_line_loads_nothing_heavy() -> None:
    assert loaded("--help") == "0 []"


@pytest.mark.parametrize("command", [("program",), ("map", "export"), ("sim",)], ids=" ".join)
def test_help_of_a_command_loads_nothing_heavy_but_what_typer_parses_options_with(
    command: tuple[str, ...],
) -> None:
    assert loaded(*command, "--help") in ("0 []", "0 ['pydantic']")


def test_the_help_names_every_command_and_every_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rramhil", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert line in done.stdout
    for code in ("0 done", "1 internal", "2 usage", "3 not found", "4 protocol", "5 held"):
        assert code in done.stdout
    for code in ("6 verification", "7 refused", "8 link lost", "130 interrupted"):
        assert code in done.stdout


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    app = import_module(COMMANDS[command[0]][0]).app
    done = CliRunner().invoke(app, [*command[1:], "--help"])
    assert done.exit_code == 0
    assert f"rramhil {' '.join(command)}" in done.output


@pytest.mark.parametrize("name", ["link", "transports", "sim", "infer"])
def test_bench_promises_the_list_that_it_prints(name: str) -> None:
    app = import_module(COMMANDS["bench"][0]).app
    assert "One JSON list" in CliRunner().invoke(app, [name, "--help"]).output


def test_the_version_is_told_and_mistakes_are_one_sentence() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "rramhil", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.startswith("rramhil ")
    for mistake, named in (
        (["nonsense"], "No such command 'nonsense'."),
        (["program", "--chip", "-1"], "'--chip'"),
        (["mask", "plan", "digits", "--chipz", "1"], "`rramhil mask plan --help`"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "rramhil", *mistake],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("rramhil: ")
        assert done.stderr.count("\n") == 1
        assert named in done.stderr
