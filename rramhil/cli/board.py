"""`rramhil board`: find boards, describe one, stop one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil.cli._options import (
    BoardOption,
    DebugOption,
    JsonOption,
    LabOption,
    examples,
    new_app,
)

if TYPE_CHECKING:
    from rramhil.driver import Board

app = new_app("Find boards, describe one, stop one.")


@app.command("list", epilog=examples("rramhil board list", "rramhil board list --json"))
def list_boards(
    lab: LabOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """List what could be a board.

    Names simulated boards of the lab, serial ports and VISA resources. Nothing is opened, so
    nothing tells whether a board answers there; `board info` does.
    """
    from rramhil.cli._boards import find_settings
    from rramhil.cli._output import note, print_json, print_table
    from rramhil.transport import list_addresses

    settings = find_settings(None, lab)
    note(f"Board in force: {settings.board} ({settings.board_from}); lab {settings.lab}.")
    found = list_addresses(settings.lab)
    if as_json:
        boards = [{"address": f.address, "kind": f.kind, "note": f.note} for f in found]
        print_json({"boards": boards, "in_force": settings.board})
        return
    print_table(("address", "kind", "note"), [(f.address or "-", f.kind, f.note) for f in found])


@app.command(
    "info",
    epilog=examples("rramhil board info", "rramhil board info --board tcp://127.0.0.1:7400 --json"),
)
def info(
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Describe a board.

    Says who it is, its limits, ranges and rails, its state, its chips and their counters.
    Looks on as an observer, so it works while another program controls the board.
    """
    from rramhil.cli._boards import find_settings, observed_board
    from rramhil.cli._output import print_json

    with observed_board(find_settings(board, lab)) as opened:
        facts = _facts(opened)
        if as_json:
            print_json(facts)
        else:
            _print_board(facts)


@app.command(
    "estop",
    epilog=examples("rramhil board estop", "rramhil board estop --clear"),
)
def estop(
    clear: Annotated[bool, typer.Option("--clear", help="End the emergency stop.")] = False,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Stop a board at once, whoever controls it.

    Word lines go to 0, then the rails, then the switches open. Nothing touches the array again
    until --clear, which asks for control of the board.
    """
    from firmware_protocol.messages import BoardState
    from rramhil.cli._boards import controlled_board, find_settings, observed_board
    from rramhil.cli._output import print_json

    settings = find_settings(board, lab)
    with controlled_board(settings) if clear else observed_board(settings) as opened:
        if clear:
            opened.clear_estop()
        else:
            opened.estop()
        state = BoardState(opened.status().state)
        if as_json:
            print_json({"serial": opened.identity.serial, "state": state.name})
        else:
            typer.echo(f"Board {opened.identity.serial} is {state.name}.")


def _facts(board: Board) -> dict[str, Any]:
    from dataclasses import asdict

    from firmware_protocol.messages import BoardState

    status = board.status()
    description = asdict(board.description)
    # keys of the tables are enums on the wire and names for people
    for table in ("rails", "envelopes"):
        description[table] = {key.name: value for key, value in description[table].items()}
    return {
        "identity": asdict(board.identity),
        "status": {**status._asdict(), "state": BoardState(status.state).name},
        "chips": [
            {"chip": number, **asdict(board.counters(number))}
            for number in range(board.identity.chips)
        ],
        "description": description,
        "link": board.link.statistics.as_dict(),
    }


def _print_board(facts: dict[str, Any]) -> None:
    from rramhil.cli._output import print_facts

    identity, status, description = facts["identity"], facts["status"], facts["description"]
    kind = "simulated" if identity["simulated"] else "hardware"
    controller = f"session {status['controller_session']}" if status["controller_session"] else "-"
    print_facts(
        ("board", f"{identity['serial']} ({kind}), {identity['name']}"),
        ("firmware", f"{identity['firmware']}, protocol {identity['protocol_version']}"),
        ("address", identity["address"]),
        ("state", f"{status['state']}, {status['queued']} commands queued"),
        ("controller", controller),
        ("board time", f"{status['board_time_ns'] / 1e9:.6f} s"),
        ("temperature", f"{status['temperature_mk'] / 1000:.2f} K"),
        (
            "array",
            f"{description['rows']} rows x {description['columns']} columns, "
            f"{description['channels']} ADC channels of {description['adc_bits']} bits, "
            f"DACs of {description['dac_bits']} bits",
        ),
        (
            "reading",
            f"{description['read_voltage_v']:g} V, {description['conversion_ns'] / 1000:g} us "
            f"a conversion, pedestal {description['pedestal']} codes",
        ),
    )
    _print_tables(facts)


def _print_tables(facts: dict[str, Any]) -> None:
    from rramhil.cli._output import print_facts, print_table

    description = facts["description"]
    print_table(
        (">range", ">uS a code", ">settling us"),
        [
            (str(number), f"{each['per_code_uS']:g}", f"{each['settle_ns'] / 1000:g}")
            for number, each in enumerate(description["ranges"])
        ],
    )
    print_table(
        ("rail", ">full scale V", ">limit mA"),
        [
            (name, f"{rail['full_scale_v']:g}", f"{rail['limit_a'] * 1000:g}")
            for name, rail in description["rails"].items()
        ],
    )
    print_table(
        ("pulse", ">amplitude V", ">width ns", ">compliance uA"),
        [
            (
                name,
                f"{limits['voltage_min_v']:g} to {limits['voltage_max_v']:g}",
                f"{limits['width_min_ns']:,} to {limits['width_max_ns']:,}",
                f"{limits['compliance_min_a'] * 1e6:g} to {limits['compliance_max_a'] * 1e6:g}",
            )
            for name, limits in description["envelopes"].items()
        ],
    )
    counts = ("form_pulses", "set_pulses", "reset_pulses", "conversions", "switch_loads")
    print_table(
        (">chip", "serial", ">form", ">set", ">reset", ">conversions", ">switch loads"),
        [
            (str(chip["chip"]), chip["chip_serial"], *(f"{chip[name]:,}" for name in counts))
            for chip in facts["chips"]
        ],
    )
    said = [f"{value:,} {name.replace('_', ' ')}" for name, value in facts["link"].items() if value]
    print_facts(("link", ", ".join(said)))
