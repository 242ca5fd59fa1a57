"""The command line: `rramhil GROUP COMMAND`, one module a group, each loaded when it is asked for.

Owns: the table of commands and how a run ends. Every command module has a typer application named
`app` and imports only typer and the standard library at its top, so that help is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rramhil.cli._errors import Run, finish
from rramhil.cli._lazy import LazyGroup
from rramhil.errors import Interrupted

COMMANDS = {
    "program": ("rramhil.cli.program", "Form every cell of a chip with one pulse and read it back"),
    "read": ("rramhil.cli.read", "Measure cells, once or as a time series"),
    "pulse": ("rramhil.cli.pulse", "Switch chosen cells on or off: set, reset"),
    "map": ("rramhil.cli.maps", "Conductance maps: list, show, compare, import, export"),
    "data": ("rramhil.cli.data", "Data sets of the tasks: list, fetch, add"),
    "train": ("rramhil.cli.train", "Learn which cells of a chip a network keeps"),
    "mask": ("rramhil.cli.mask", "Masks of a run: price them, apply them, verify them"),
    "infer": ("rramhil.cli.infer", "Run a trained network on the chip"),
    "board": ("rramhil.cli.board", "Boards: find them, describe them, stop them"),
    "sim": ("rramhil.cli.sim", "Simulated boards: serve, look inside, put in a fresh chip"),
    "bench": ("rramhil.cli.bench", "Measure the speed of the link, beside what is possible"),
    "doctor": ("rramhil.cli.doctor", "Check this computer: what works, and what to do"),
}
"""Each command or group: its module, and its line in the help."""

_HELP = """Program, read and look after an RRAM chip on its board.

The board is the one that --board names, else RRAMHIL_BOARD, else rramhil.toml in this folder, else
the simulated board sim://; the first line on stderr says which, and whether it is simulated.

\b
Examples:
  rramhil program --chip 0
  rramhil read --chip 0 --rows 0:8 --cols 5,9
  rramhil map export --chip 0 --to chip0.npz
  rramhil doctor

\b
Exit codes:
  0 done               4 protocol mismatch       7 refused by a limit
  1 internal error     5 held by another         8 link lost
  2 usage              6 verification failed     130 interrupted, board left safe
  3 not found

With --json, stdout carries exactly one JSON object: the result, or {"error": {...}} with the same
sentence as on stderr.
"""


class _Commands(LazyGroup):
    table = COMMANDS


# no markup: to load what draws help in boxes would take as long as all the rest
_app = typer.Typer(cls=_Commands, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line of this process and end the process with the exit code."""
    run = Run()
    with finish(run):
        # otherwise typer would tell mistakes itself, in several lines
        code = typer.main.get_command(_app)(prog_name="rramhil", obj=run, standalone_mode=False)
        if code == Interrupted.exit_code:  # typer's answer to ctrl-C
            raise KeyboardInterrupt
        if isinstance(code, int):
            sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        from rramhil import __version__

        typer.echo(f"rramhil {__version__}")
        raise typer.Exit


@_app.callback(help=_HELP, no_args_is_help=True)
def _rramhil(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Say the version."),
    ] = False,
) -> None:
    pass
