"""`rramhil sim`: serve a simulated board, look into a chip, put in a fresh one, let time pass."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rramhil.cli._options import (
    ChipOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
    new_app,
)

if TYPE_CHECKING:
    from rramhil.simulation import ServedBoard, SimulatedBoardName

app = new_app("Serve a simulated board, look into a chip, put in a fresh one, let time pass.")

_ZERO_C_IN_K = 273.15

SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", min=0, help="Which board. Else that of a sim:// in force, or 0."
    ),
]
ChipsOption = Annotated[
    int | None,
    typer.Option(
        "--chips", metavar="N", min=1, help="Sockets it has. Else those of a sim://, or 1."
    ),
]
KeptChipsOption = Annotated[
    int | None,
    typer.Option(
        "--chips",
        metavar="N",
        min=1,
        help="Sockets it has. Else those of a sim://, or all that were ever in use.",
    ),
]


@app.command(
    "serve",
    epilog=examples(
        "rramhil sim serve --tcp 127.0.0.1:7400",
        "rramhil sim serve --tcp 127.0.0.1:0 --pty /tmp/rram0 --seed 7 --chips 2",
        "rramhil sim serve --tcp 127.0.0.1:7400 --realtime --faults faults.toml",
    ),
)
def serve(
    tcp: Annotated[
        str | None,
        typer.Option("--tcp", metavar="HOST:PORT", help="Listen here; port 0 picks a free one."),
    ] = None,
    pty: Annotated[
        Path | None, typer.Option("--pty", metavar="PATH", help="Offer a serial line here.")
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="What is wrong with link, board and chips."),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Answer no sooner than the board's clock allows.")
    ] = False,
    seed: SeedOption = None,
    chips: ChipsOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Serve a simulated board to other programs.

    Prints the addresses for --board, one a line, when it is ready. Serves until ctrl-C (exit code
    130) or SIGTERM (0), and leaves the board safe.
    """
    from rramhil.cli._output import note, print_json
    from rramhil.errors import UsageError
    from rramhil.simulation import ServedBoard, parse_endpoint

    if tcp is None and pty is None:
        raise UsageError(
            "Nothing says where to serve.", "Give --tcp HOST:PORT, --pty PATH or both."
        )
    endpoint = None if tcp is None else parse_endpoint(tcp)
    name = _name(seed, chips, lab)
    with (
        ServedBoard(name, faults=faults, realtime=realtime) as board,
        _ended_by_signals(board) as codes,
    ):
        addresses = [] if endpoint is None else [board.listen_tcp(endpoint)]
        addresses += [] if pty is None else [board.open_pty(pty)]
        note(f"Serving simulated board {board.serial}; lab {name.lab_root}.")
        if faults is not None:
            note(f"Its faults are those of {faults}.")
        if as_json:
            print_json({"serial": board.serial, "addresses": addresses})
        else:
            print(*addresses, sep="\n", flush=True)
        board.run()
    raise typer.Exit(codes[0] if codes else 0)


@app.command(
    "inspect",
    epilog=examples("rramhil sim inspect --chip 0", "rramhil sim inspect --chip 0 --seed 7 --json"),
)
def inspect(
    chip: ChipOption = 0,
    seed: SeedOption = None,
    chips: KeptChipsOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look at the truth of a simulated chip.

    Says how many pulses its cells had, and how many have formed. Reads the state itself, not
    the wire; it works while the board is in use.
    """
    from rramhil.cli._output import print_facts, print_json
    from rramhil.simulation import inspect as look

    name = _kept(seed, chips, lab)
    truth = look(name, chip)
    facts = {
        "chip": chip,
        "serial": truth.serial,
        "board": name.serial,
        "form_pulses_min": truth.form_pulses_min,
        "form_pulses_max": truth.form_pulses_max,
        "form_pulses": truth.form_pulses_total,
        "set_pulses": truth.set_pulses,
        "reset_pulses": truth.reset_pulses,
        "formed": truth.formed,
        "off": truth.off,
        "stuck": truth.stuck,
        "cycles_max": truth.cycles_max,
        "conversions": truth.conversions,
        "switch_loads": truth.switch_loads,
        "technology": truth.technology,
        "board_time_s": truth.board_time_s,
        "temperature_k": truth.temperature_k,
        "age_s": truth.age_s,
    }
    if as_json:
        print_json(facts)
        return
    print_facts(
        ("chip", f"{truth.serial} in socket {chip} of simulated board {name.serial}"),
        ("forming pulses a cell", f"{truth.form_pulses_min} to {truth.form_pulses_max}"),
        ("forming pulses", f"{truth.form_pulses_total:,}"),
        ("set, reset pulses", f"{truth.set_pulses:,}, {truth.reset_pulses:,}"),
        ("cells formed", f"{truth.formed:,}"),
        ("cells off, stuck", f"{truth.off:,}, {truth.stuck:,}"),
        ("cycles a cell", f"at most {truth.cycles_max:,}"),
        ("conversions", f"{truth.conversions:,}"),
        ("switch loads", f"{truth.switch_loads:,}"),
        ("technology", truth.technology),
        ("board time", f"{truth.board_time_s:,.3f} s"),
        ("temperature", f"{truth.temperature_k - _ZERO_C_IN_K:.2f} degC"),
        ("since the last pulse", f"{truth.age_s:,.2f} s at the reference temperature"),
    )


@app.command(
    "replace",
    epilog=examples(
        "rramhil sim replace --chip 0",
        "rramhil sim replace --chip 0 --shorts 20 --dead-rows 3,7 --dead-cols 100:104",
        "rramhil sim replace --chip 0 --stuck-on 50 --stuck-off 50",
        "rramhil sim replace --chip 0 --technology tech_b",
    ),
)
def replace(
    chip: ChipOption = 0,
    shorts: Annotated[
        int, typer.Option("--shorts", metavar="N", min=0, help="Cells that conduct from the start.")
    ] = 0,
    dead: Annotated[
        int, typer.Option("--dead", metavar="N", min=0, help="Cells that never form.")
    ] = 0,
    stuck_on: Annotated[
        int,
        typer.Option("--stuck-on", metavar="N", min=0, help="Cells that form and stay on."),
    ] = 0,
    stuck_off: Annotated[
        int, typer.Option("--stuck-off", metavar="N", min=0, help="Cells that are off and stay so.")
    ] = 0,
    dead_rows: Annotated[
        str | None, typer.Option("--dead-rows", metavar="LINES", help="Broken rows: 3,7 or 0:4.")
    ] = None,
    dead_cols: Annotated[
        str | None, typer.Option("--dead-cols", metavar="LINES", help="Broken columns.")
    ] = None,
    technology: Annotated[
        str,
        typer.Option(
            "--technology",
            metavar="NAME",
            help="What its cells are: rram40, tech_a, tech_b, tech_c.",
        ),
    ] = "rram40",
    faults: Annotated[
        Path | None, typer.Option("--faults", metavar="FILE", help="TOML with more, in [chip].")
    ] = None,
    seed: SeedOption = None,
    chips: KeptChipsOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Put a fresh chip into a socket.

    The old chip is gone for good. Refused while the board is in use (exit code 5). Maps and
    journal of the old chip stay. A board that the lab does not have yet is made, and told as new.
    """
    from rramhil.cli._output import note, print_json
    from rramhil.simulation import replace as put

    name = _kept(seed, chips, lab)
    is_new = not name.sockets
    old, fresh = put(
        name,
        chip,
        shorted=shorts,
        dead=dead,
        stuck_on=stuck_on,
        stuck_off=stuck_off,
        dead_rows=_lines(dead_rows, "rows"),
        dead_columns=_lines(dead_cols, "columns"),
        technology=technology,
        faults=faults,
    )
    if is_new:
        note(f"Simulated board {name.serial} is new in lab {name.lab_root}.")
    _retire(name, old)
    if as_json:
        facts = {"chip": chip, "board": name.serial, "serial": fresh, "retired": old}
        print_json({**facts, "technology": technology})
    else:
        typer.echo(f"Chip {fresh} is in socket {chip} of board {name.serial}; {old} is retired.")


@app.command(
    "advance",
    epilog=examples(
        "rramhil sim advance --seconds 1e5",
        "rramhil sim advance --seconds 1e5 --temperature 85 --seed 7",
        "rramhil sim advance --temperature 25",
    ),
)
def advance(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="How much board time passes.")
    ] = 0.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", metavar="DEGC", help="At which temperature, in degC; it stays at that."
        ),
    ] = None,
    seed: SeedOption = None,
    chips: KeptChipsOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Let time pass for a simulated board, without waiting for it.

    A board that `sim serve` serves is asked over the control socket in its folder and moves
    between two commands; one that nobody uses is moved directly. A board that the lab does not
    have is refused (exit code 3); a sim:// board inside another program is out of reach (5).
    """
    from rramhil.cli._output import print_json
    from rramhil.errors import UsageError
    from rramhil.simulation import advance as move

    if seconds == 0.0 and temperature is None:
        raise UsageError(
            "Nothing says what to change.", "Give --seconds S, --temperature DEGC or both."
        )
    name = _kept(seed, chips, lab)
    # rounded to mK, which is what the board counts in
    temperature_k = None if temperature is None else round(temperature + _ZERO_C_IN_K, 3)
    now = move(name, seconds, temperature_k)
    if as_json:
        print_json(now._asdict())
    else:
        typer.echo(
            f"Board {now.board} is at {now.board_time_s:,.3f} s of its time and "
            f"{now.temperature_k - _ZERO_C_IN_K:.2f} degC."
        )


def _name(seed: int | None, chips: int | None, lab: Path | None) -> SimulatedBoardName:
    from rramhil.cli._boards import find_settings
    from rramhil.simulation import named_by

    settings = find_settings(None, lab)
    return named_by(settings.board, settings.lab, seed, chips)


def _kept(seed: int | None, chips: int | None, lab: Path | None) -> SimulatedBoardName:
    from rramhil.cli._boards import find_settings
    from rramhil.simulation import kept_by

    settings = find_settings(None, lab)
    return kept_by(settings.board, settings.lab, seed, chips)


def _lines(text: str | None, what: str) -> list[int]:
    from rramhil.cli._lines import MOST_LINES, parse_lines

    # the board knows how many lines it has, and refuses others
    return [] if text is None else parse_lines(text, MOST_LINES, what)


def _retire(name: SimulatedBoardName, serial: str) -> None:
    from rramhil.errors import NotFound
    from rramhil.lab import Lab

    # a chip that the lab never worked with has no record to retire
    with Lab(name.lab_root) as lab, suppress(NotFound):
        lab.chips.retire(serial)


@contextmanager
def _ended_by_signals(board: ServedBoard) -> Generator[list[int]]:
    """Let SIGINT and SIGTERM end the board's run; the exit code they ask for is put into a list."""
    import signal

    codes = {signal.SIGINT: 130, signal.SIGTERM: 0}
    asked: list[int] = []

    def end(number: int, _frame: object) -> None:
        asked.append(codes[signal.Signals(number)])
        board.stop()

    before = {number: signal.signal(number, end) for number in codes}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
