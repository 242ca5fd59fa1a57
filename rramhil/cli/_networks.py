"""What commands about networks share: the extra they need, options, tasks, chips, programming."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil._units import readable
from rramhil.cli._output import note
from rramhil.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rramhil.driver import Board
    from rramhil.lab import Lab
    from rramhil.network import Run
    from rramhil.programming import ProgramResult
    from rramhil.settings import Settings
    from rramhil.tasks import Splits, Task

_EXTRA = ("torch", "safetensors", "sklearn")

ChipsOption = Annotated[
    str | None,
    typer.Option(
        "--chips", metavar="CHIPS", help="Several sockets, filled in this order: 0-3, 0,2 or 5."
    ),
]
GateOption = Annotated[
    str,
    typer.Option(
        "--gate",
        metavar="KIND",
        help="cell: each cell of a pair is gated on its own (the default); pair: both together.",
    ),
]
ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="WAY",
        help="gate: masks are gates (the default); reset: masks are cells pruned by RESET.",
    ),
]
DensityOption = Annotated[
    float, typer.Option("--density", metavar="SHARE", help="Share of gates that are open.")
]
OverlayOption = Annotated[
    bool,
    typer.Option("--overlay", help="Let layers share the same cells, under different gates."),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Take a run that was trained on another chip nevertheless."),
]
AllowDigitalOption = Annotated[
    bool,
    typer.Option(
        "--allow-digital", help="Leave layers that no chip can hold digital, instead of refusing."
    ),
]


def need_extra() -> None:
    """Refuse where torch and what comes with it are not installed.

    Raises
    ------
    UsageError
    """
    for name in _EXTRA:
        try:
            import_module(name)
        except ImportError:
            raise UsageError(
                f"Networks need {name}, which is not installed.",
                'Install the extra: pip install "rramhil[train]".',
            ) from None


def load_task(which: str, lab_root: Path) -> tuple[Task, Splits]:
    """Load a task and its data."""
    from rramhil.datasets import data_root
    from rramhil.tasks import load

    task = load(which)
    return task, task.data(data_root(lab_root))


def with_all_training_data(task: Task, splits: Splits, lab_root: Path) -> Splits:
    """Splits for a last training: validation data are trained on as well."""
    from rramhil.datasets import data_root
    from rramhil.tasks import final_splits

    return final_splits(task, splits, data_root(lab_root))


@contextmanager
def previewed(settings: Settings) -> Generator[tuple[Board, Lab]]:
    """Open board and lab to look only; a lab that does not exist is not made."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from firmware_protocol.messages import Role
    from rramhil.cli._boards import announce
    from rramhil.driver import Board
    from rramhil.lab import Lab

    with ExitStack() as held:
        where = settings.lab
        if not where.exists():
            where = Path(held.enter_context(TemporaryDirectory(prefix="rramhil-")))
        lab = held.enter_context(Lab(where))
        board = held.enter_context(Board.open(settings.board, lab_root=where, role=Role.OBSERVER))
        announce(board, settings)
        yield board, lab


def parse_gate(text: str, *, codebook: bool = False) -> str:
    """Return "pair" or "cell", or "codebook" where that is possible.

    Raises
    ------
    UsageError
        It is neither.
    """
    kinds = ("pair", "cell", "codebook") if codebook else ("pair", "cell")
    if text not in kinds:
        said = " or ".join(f"--gate {kind}" for kind in kinds)
        raise UsageError(f"There is no gating by {text!r}.", f"Write {said}.")
    return text


def parse_by(text: str) -> str:
    """Return "gate" or "reset".

    Raises
    ------
    UsageError
        It is neither.
    """
    if text not in ("gate", "reset"):
        raise UsageError(f"Masks are not applied by {text!r}.", "Write --by gate or --by reset.")
    return text


def parse_chips(text: str | None, chip: int, sockets: int) -> tuple[int, ...]:
    """Sockets of `--chips`, or the one of `--chip`.

    Raises
    ------
    UsageError
        It is no list of sockets, or names one twice.
    NotFound
        The board has no such socket.
    """
    from rramhil.errors import NotFound

    chosen: list[int] = []
    for part in [str(chip)] if text is None else text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not all(each.isascii() and each.isdigit() for each in (first, last)):
            raise UsageError(f"{text!r} names no sockets.", "Write 0-3, 0,2 or 5.")
        if int(last) < int(first):
            raise UsageError(f"{part} counts down.", f"Write {last}-{first}.")
        if int(last) >= sockets:
            raise NotFound(
                f"There is no chip {int(last)} on this board; it has chips 0 to {sockets - 1}.",
                "`rramhil board info` lists them.",
            )
        chosen += range(int(first), int(last) + 1)
    if not chosen or len(set(chosen)) < len(chosen):
        raise UsageError(f"{text!r} names no socket, or one twice.", "Write 0-3, 0,2 or 5.")
    return tuple(chosen)


def listed(sockets: Iterable[int]) -> str:
    """Sockets as people read them: `0-3, 7`."""
    runs: list[tuple[int, int]] = []
    for socket in sockets:
        if runs and runs[-1][1] == socket - 1:
            runs[-1] = (runs[-1][0], socket)
        else:
            runs.append((socket, socket))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def adapt_hint(run: Run, name: str, where: str) -> str:
    """How the masks of a run come onto other chips; empty for masks that do not."""
    if run.config.gate == "pair":
        return ""
    return f"`rramhil mask adapt {name} {where}` puts its masks there."


def elsewhere_facts(others: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """What a sample takes on other hardware, for people; as `flow.Elsewhere.as_dict` has it."""
    return [
        (
            each["where"],
            f"{readable(each['time_s'], 's')}, {readable(each['energy_j'], 'J')} a sample "
            f"({each['basis']})",
        )
        for each in others
    ]


def program_where_needed(
    board: Board, lab: Lab, chips: tuple[int, ...]
) -> dict[int, ProgramResult]:
    """Program the chips of which the lab has no map yet, and say so."""
    from rramhil.cli._progress import Bars
    from rramhil.flow.chips import has_map
    from rramhil.programming import program

    done: dict[int, ProgramResult] = {}
    for number in chips:
        if not has_map(board, lab, number):
            for path in lab.maps.damaged():
                note(f"{path} is damaged; if it was of chip {number}, it is read again.")
            with Bars() as bars:
                done[number] = program(board, lab, number, progress=bars)
            note(f"{done[number].message} Map {done[number].map.id}.")
    return done
