"""A command group whose commands live in modules that are imported when they are asked for.

Owns: the joining of the two. Does not know the commands.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import typer.main
from typer.core import TyperGroup

from rramhil.errors import Interrupted


class LazyGroup(TyperGroup):
    """A group of commands that are named before they are loaded.

    Attributes
    ----------
    table : dict
        Name of each command to its module and its one line of help. The module's `app` has either
        one command, which then is the command, or several, which then are a group.
    """

    table: ClassVar[dict[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and build a command; None if there is none of this name."""
        if cmd_name not in self.table:
            return None
        app = import_module(self.table[cmd_name][0]).app
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command; ctrl-C is an error like others, with its exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise Interrupted("Stopped by the user; an open board is left safe.") from interrupt

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])
