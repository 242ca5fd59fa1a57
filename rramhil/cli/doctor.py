"""`rramhil doctor`: what works on this computer, what does not, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rramhil.cli._options import DebugOption, JsonOption, LabOption, examples, new_app

if TYPE_CHECKING:
    from rramhil.cli._checks import Check

app = new_app()


@app.command(epilog=examples("rramhil doctor", "rramhil doctor --lab /data/lab --json"))
def doctor(lab: LabOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check Python, libraries, ports, permissions, VISA, the lab folder, and the settings in force.

    Nothing is changed and no board is opened. Ends with 0 if all that rramhil needs is there, with
    1 if something needed is missing; what is optional never counts.
    """
    from dataclasses import asdict

    from rramhil.cli._checks import State, run_checks
    from rramhil.cli._output import print_json

    checks = run_checks(lab)
    missing = [check for check in checks if check.state is State.MISSING]
    if as_json:
        print_json({"ok": not missing, "checks": [asdict(check) for check in checks]})
    else:
        _print(checks)
        what = ", ".join(check.name for check in missing)
        typer.echo(
            f"Something needed is missing: {what}." if missing else "All that is needed works."
        )
    raise typer.Exit(1 if missing else 0)


def _print(checks: list[Check]) -> None:
    from rramhil.cli._output import print_table

    print_table(
        ("", "what", "found", "what to do"),
        [(check.state.value, check.name, check.found, check.advice) for check in checks],
    )
