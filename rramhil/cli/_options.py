"""Options that mean the same for every command that has them, and the form of examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rramhil.cli._errors import ask_debug, ask_json

BoardOption = Annotated[
    str | None,
    typer.Option(
        "--board",
        metavar="ADDRESS",
        help="The board: sim://?seed=N&chips=M, tcp://HOST:PORT, serial:///dev/TTY, tape:///FILE "
        "or a VISA name. Else RRAMHIL_BOARD, rramhil.toml, sim://.",
    ),
]
LabOption = Annotated[
    Path | None,
    typer.Option(
        "--lab",
        metavar="FOLDER",
        help="Where chips, maps and journal are kept. Else RRAMHIL_LAB, rramhil.toml, the user's "
        "data folder.",
    ),
]
ChipOption = Annotated[int, typer.Option("--chip", metavar="N", min=0, help="The chip's socket.")]
RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE.tape",
        help="Write all that crosses the wire to this new file; tape:///FILE replays it.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", callback=ask_json, help="One JSON object on stdout; everything else on stderr."
    ),
]
DebugOption = Annotated[
    bool, typer.Option("--debug", callback=ask_debug, help="Show the traceback of an error.")
]


def new_app(help_text: str | None = None) -> typer.Typer:
    """Make the application of one module of commands; with a help text it is always a group."""
    app = typer.Typer(
        help=help_text, add_completion=False, rich_markup_mode=None, no_args_is_help=True
    )
    if help_text is not None:
        # without a callback, typer takes a group of one command for that command
        app.callback()(_group)
    return app


def examples(*lines: str) -> str:
    r"""Write the examples of a command for the end of its help; \b keeps the lines apart."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _group() -> None:
    pass
