"""`rramhil map`: the conductance maps that a lab keeps."""

from __future__ import annotations

from pathlib import Path
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
    from rramhil.lab import ConductanceMap, Lab, MapEntry
    from rramhil.settings import Settings

app = new_app(
    "Conductance maps of the lab: list, show, compare, import, export.\n\nA map is named by its id "
    "or the beginning of it, by `latest`, or by the path of its file."
)

ChipFilter = Annotated[
    str | None,
    typer.Option(
        "--chip", metavar="CHIP", help="A chip: its socket on the board in force, or its serial."
    ),
]


@app.command("list", epilog=examples("rramhil map list", "rramhil map list --chip 0 --json"))
def list_maps(
    chip: ChipFilter = None,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List maps, the newest first."""
    from rramhil.cli._boards import chip_serial, find_settings, opened_lab
    from rramhil.cli._output import note, print_json, print_table

    settings = find_settings(board, lab)
    serial = None if chip is None else chip_serial(chip, settings)
    with opened_lab(settings) as kept:
        entries = kept.maps.list(serial)
        for path in kept.maps.damaged():
            note(f"{path} is damaged, or no map.")
    if as_json:
        print_json({"maps": [_entry_facts(entry) for entry in entries]})
        return
    if not entries:
        whose = "" if serial is None else f" of chip {serial}"
        typer.echo(f"There is no map{whose} in {settings.lab} yet; `rramhil program` makes one.")
        return
    print_table(
        ("map", "chip", "kind", "created", ">reads", ">cells", "notes"),
        [
            (
                entry.id,
                entry.info.chip_serial or "-",
                entry.info.kind,
                entry.info.created[:19],
                str(entry.reads),
                f"{entry.shape[0]} x {entry.shape[1]}",
                entry.info.notes,
            )
            for entry in entries
        ],
    )


@app.command("show", epilog=examples("rramhil map show", "rramhil map show 3f2a --png"))
def show(
    which: Annotated[
        str, typer.Argument(metavar="MAP", help="Id, `latest`, or a path.")
    ] = "latest",
    chip: ChipFilter = None,
    png: Annotated[
        bool, typer.Option("--png", help="Draw heat map and histogram again, beside the map.")
    ] = False,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show a map: statistics, small picture, files."""
    from rramhil.cli._boards import chip_serial, find_settings, opened_lab
    from rramhil.cli._output import print_json
    from rramhil.cli._picture import print_picture

    settings = find_settings(board, lab)
    serial = None if chip is None else chip_serial(chip, settings)
    with opened_lab(settings) as kept:
        entry = kept.maps.find(which, serial)
        measured = kept.maps.load(entry.path)
    if png:
        _draw(measured, entry)
    if as_json:
        print_json(_map_facts(measured, entry))
        return
    _print_map(measured, entry)
    print_picture(measured)


@app.command("diff", epilog=examples("rramhil map diff 3f2a 91c0", "rramhil map diff 3f2a latest"))
def diff(
    first: Annotated[str, typer.Argument(metavar="FIRST", help="Id, `latest`, or a path.")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Likewise.")],
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare two maps, cell by cell.

    A cell has changed if its means differ by more than three standard errors. If one of the maps is
    of a part of the array, readings are compared, with what the lines cost.
    """
    from rramhil.cli._boards import find_settings, opened_lab
    from rramhil.cli._output import print_facts, print_json
    from rramhil.lab import diff as compare

    with opened_lab(find_settings(None, lab)) as kept:
        found = [kept.maps.find(which) for which in (first, second)]
        change = compare(*(kept.maps.load(entry.path) for entry in found))
    facts = {
        "first": found[0].id,
        "second": found[1].id,
        "compared": int(change.compared.sum()),
        "as_read": change.as_read,
        "mean_uS": change.mean_uS,
        "sd_uS": change.sd_uS,
        "max_abs_uS": change.max_abs_uS,
        "correlation": change.correlation,
        "changed": int(change.changed.sum()),
        "changed_fraction": change.changed_fraction,
    }
    if as_json:
        print_json(facts)
        return
    correlation = "-" if change.correlation is None else f"{change.correlation:.6f}"
    print_facts(
        ("maps", f"{found[0].id} to {found[1].id}"),
        ("cells compared", f"{facts['compared']:,}{', as read' if change.as_read else ''}"),
        ("change", f"mean {change.mean_uS:+.4f} uS, sd {change.sd_uS:.4f} uS"),
        ("largest", f"{change.max_abs_uS:.4f} uS"),
        ("correlation", correlation),
        ("changed cells", f"{facts['changed']:,} ({change.changed_fraction:.2%}), beyond 3 sigma"),
    )


@app.command(
    "import",
    epilog=examples(
        "rramhil map import measured.csv --chip sister-7", "rramhil map import published.pt"
    ),
)
def import_file(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A csv, npz, pt or pth file.")],
    chip: Annotated[
        str | None, typer.Option("--chip", metavar="NAME", help="Whose map it is to be.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take a map from a csv, npz or tensor file.

    Conductances are in uS; a tensor file has the published form, {"set": ..., "reset": ...}.
    """
    from dataclasses import replace

    from rramhil.cli._boards import find_settings, opened_lab
    from rramhil.cli._output import print_json
    from rramhil.lab.exchange import import_map

    measured = import_map(path)
    if chip is not None:
        measured = replace(measured, info=replace(measured.info, chip_serial=chip))
    with opened_lab(find_settings(None, lab)) as kept:
        entry = kept.maps.save(measured)
        _draw(measured, entry)
    if as_json:
        print_json(_map_facts(measured, entry))
    else:
        _print_map(measured, entry)


@app.command(
    "export",
    epilog=examples(
        "rramhil map export --chip 0 --to chip0.npz",
        "rramhil map export --map 3f2a --to weights.csv",
    ),
)
def export_file(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="A name that ends in .npz, .csv or .pt.")
    ],
    chip: Annotated[
        str,
        typer.Option(
            "--chip",
            metavar="CHIP",
            help="The latest read-back of this chip: socket on the board in force, or serial.",
        ),
    ] = "0",
    which: Annotated[
        str | None, typer.Option("--map", metavar="MAP", help="This map instead.")
    ] = None,
    board: BoardOption = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a map to a file.

    An npz holds all of it, raw codes included; csv and pt hold the conductances in uS: the cells'
    own, where the map is of a whole array.
    """
    from rramhil.cli._boards import find_settings, opened_lab
    from rramhil.cli._output import print_json
    from rramhil.lab.exchange import export_map

    settings = find_settings(board, lab)
    with opened_lab(settings) as kept:
        entry = _readback(kept, settings, chip) if which is None else kept.maps.find(which)
        measured = kept.maps.load(entry.path)
    export_map(measured, to)
    if as_json:
        print_json({"map": str(entry.path), "map_id": entry.id, "to": str(to.absolute())})
    else:
        typer.echo(f"Map {entry.id} of chip {entry.info.chip_serial or '-'} is written to {to}.")


def _readback(lab: Lab, settings: Settings, chip: str) -> MapEntry:
    """Find the latest read-back of a chip."""
    from rramhil.cli._boards import chip_serial
    from rramhil.errors import NotFound

    serial = chip_serial(chip, settings)
    for entry in lab.maps.list(serial):
        if entry.info.kind == "readback":
            return entry
    raise NotFound(
        f"The lab {lab.root} has no read-back of chip {serial}.",
        "`rramhil program` makes one; --map exports another map.",
    )


def _draw(measured: ConductanceMap, entry: MapEntry) -> None:
    from rramhil.programming import describe, save_picture

    save_picture(measured, entry.heatmap, describe(measured))


def _entry_facts(entry: MapEntry) -> dict[str, Any]:
    from dataclasses import asdict

    heatmap = str(entry.heatmap) if entry.heatmap.is_file() else None
    return {
        "map_id": entry.id,
        "map": str(entry.path),
        "heatmap": heatmap,
        "reads": entry.reads,
        "rows": entry.shape[0],
        "cols": entry.shape[1],
        **asdict(entry.info),
    }


def _map_facts(measured: ConductanceMap, entry: MapEntry) -> dict[str, Any]:
    from dataclasses import asdict

    from rramhil.programming import FORMED_ABOVE_uS
    from rramhil.programming.report import spread_of

    valid = measured.conductance_uS[measured.valid]
    formed = valid[valid > FORMED_ABOVE_uS]
    return {
        **_entry_facts(entry),
        "cells": int(measured.valid.size),
        "valid": int(valid.size),
        "formed": int(formed.size),
        "formed_fraction": formed.size / valid.size if valid.size else None,
        "conductance_uS": asdict(spread_of(formed)),
        "wires_removed": measured.own_uS is not None,
        "range": measured.range_index,
        "read_voltage_v": measured.read_voltage_v,
        "temperature_k": measured.temperature_k,
        "calibration_id": measured.calibration_id,
    }


def _print_map(measured: ConductanceMap, entry: MapEntry) -> None:
    from rramhil.cli._output import print_facts

    facts = _map_facts(measured, entry)
    spread = facts["conductance_uS"]
    formed = f"{facts['formed']:,} of {facts['valid']:,} valid cells"
    if facts["formed_fraction"] is not None:
        formed += f" ({facts['formed_fraction']:.2%})"
    if spread["sd"] is not None:
        formed += f", mean {spread['mean']:.3f} uS, sd {spread['sd']:.3f} uS"
    if facts["wires_removed"]:
        formed += "; the lines' resistance is taken out"
    print_facts(
        ("map", f"{entry.id}, {facts['kind']}, {facts['created'][:19]} UTC"),
        ("chip", facts["chip_serial"] or "-"),
        ("board", facts["board_serial"] or "-"),
        ("cells", f"{facts['rows']} x {facts['cols']}, {facts['reads']} reads"),
        ("formed", formed),
        ("notes", facts["notes"] or "-"),
        ("file", facts["map"]),
        ("picture", facts["heatmap"] or "none yet; --png draws it"),
    )
