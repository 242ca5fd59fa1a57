"""How a run ends: exit codes, one sentence for every error, a traceback only when asked for.

Owns: the translation of exceptions into what people and programs see. The exit codes themselves
stand in `rramhil.errors`.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import typer

from rramhil.errors import Interrupted, LabUnusable, RramhilError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Run:
    """What the options of a run ask of its output; it travels as the context's `obj`."""

    as_json: bool = False
    debug: bool = False


def ask_json(context: typer.Context, wanted: bool) -> bool:
    """Note that errors, too, are to be told as JSON."""
    context.ensure_object(Run).as_json |= wanted
    return wanted


def ask_debug(context: typer.Context, wanted: bool) -> bool:
    """Note that errors are to be told with their traceback."""
    context.ensure_object(Run).debug |= wanted
    return wanted


@contextmanager
def finish(run: Run) -> Generator[None]:
    """End the process with the exit code that what happened in the body deserves."""
    # the link's thread hands its error to the call that waits for it; twice would be noise
    threading.excepthook = lambda hook: _trace(run, hook.exc_value)
    try:
        with _term_as_interrupt():
            yield
    except KeyboardInterrupt as interrupt:
        _end(run, Interrupted("Stopped by the user; an open board is left safe."), interrupt)
    except RramhilError as error:
        _end(run, error, error)
    except typer.Abort as abort:
        _end(run, Interrupted("Stopped: there was no answer to read."), abort)
    except Exception as error:
        mistake = _mistake(error)
        if mistake is not None:
            # the option may stand behind the mistake, where it was not read any more
            run.as_json |= "--json" in sys.argv
            _end(run, mistake, error)
        if isinstance(error, OSError) and error.errno in _FULL:
            _end(run, _no_room(error), error)
        internal = RramhilError(
            f"Internal error: {type(error).__name__}: {str(error).rstrip('.')}.",
            "This is a defect of rramhil: run it again with --debug and report the traceback.",
        )
        _end(run, internal, error)


@contextmanager
def _term_as_interrupt() -> Generator[None]:
    """Let SIGTERM end a run as ctrl-C does: the board idle, what was done kept."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _no_room(error: OSError) -> LabUnusable:
    where = "" if error.filename is None else f" for {error.filename}"
    return LabUnusable(
        f"There is no room on the disk{where}.",
        "Make some and give the command again; a training that had begun goes on with --resume.",
    )


def _mistake(error: Any) -> UsageError | None:
    """What the parser of the command line refuses, as an error of ours; None for anything else.

    typer has the parser's exceptions in a private module: they are known by what they can do.
    """
    if not hasattr(error, "format_message"):
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(UsageError.exit_code)
    context = getattr(error, "ctx", None)
    command = "rramhil" if context is None else context.command_path
    sentence = " ".join(str(error.format_message()).split()).rstrip(".")
    # the parser's own sentence leaves out the value that it could not read
    refused = getattr(error.__cause__, "errors", list[Any])()
    value = f", not {refused[0]['input']!r}" if refused else ""
    return UsageError(f"{sentence}{value}.", f"`{command} --help` says what there is.")


def _end(run: Run, error: RramhilError, cause: BaseException) -> None:
    _trace(run, cause)
    print(f"rramhil: {error}", file=sys.stderr)
    if run.as_json:
        print(json.dumps({"error": _facts(error)}, ensure_ascii=False))
    sys.exit(error.exit_code)


def _facts(error: RramhilError) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "sentence": error.sentence,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }


def _trace(run: Run, error: BaseException | None) -> None:
    if run.debug and error is not None:
        import traceback

        traceback.print_exception(error)
