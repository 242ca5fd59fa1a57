"""`rramhil data`: the data sets that tasks need."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil.cli._options import DebugOption, JsonOption, LabOption, examples, new_app

if TYPE_CHECKING:
    from collections.abc import Generator

    from rramhil.datasets import DataSet
    from rramhil.datasets.download import Tell

app = new_app(
    "Data sets of the built-in tasks: list, fetch, add.\n\nThey lie in the folder that "
    "RRAMHIL_DATA names, else in the lab's folder `data`, and are verified whenever they are read."
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `rramhil data list` has it.")]


@app.command("list", epilog=examples("rramhil data list", "rramhil data list --json"))
def list_data(
    lab: LabOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """List the known data sets, and which of them are there."""
    from rramhil.cli._output import note, print_json, print_table
    from rramhil.datasets import data_sets

    root = _root(lab)
    facts = [_facts(each, root) for each in data_sets().values()]
    if as_json:
        print_json({"folder": str(root), "data_sets": facts})
        return
    note(f"Data sets lie in {root}.")
    print_table(
        ("name", "state", "brought by", "licence", "what"),
        [
            (each["name"], each["state"], each["command"], each["licence"], each["title"])
            for each in facts
        ],
    )
    for each in facts:
        if each["state"] == "damaged":
            note(each["fault"])


@app.command(
    "fetch", epilog=examples("rramhil data fetch fashion-mnist", "rramhil data fetch fsdd --json")
)
def fetch_data(
    name: NameArgument,
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Download a data set and verify it.

    What is there already and right is not fetched again. An interrupted download goes on where it
    stopped. A file that is not the published one is not kept. RRAMHIL_DATA_MIRROR names a server
    that is asked in place of the public ones, for MIRROR/FOLDER/FILE.
    """
    from rramhil.cli._output import print_json
    from rramhil.datasets import data_set
    from rramhil.datasets.download import fetch

    root, wanted = _root(lab), data_set(name)
    _tell_licence(wanted)
    with _bars() as tell:
        fetched = fetch(wanted, root, tell=tell)
    facts = {**_facts(wanted, root), "fetched": fetched}
    if as_json:
        print_json(facts)
        return
    what = f"{len(fetched)} of {len(wanted.downloads)} files were fetched"
    typer.echo(f"{name} is in {facts['path']}, verified; {what}.")


@app.command(
    "add",
    epilog=examples(
        "rramhil data add drive ~/Downloads/DRIVE", "rramhil data add chase-db1 CHASEDB1.zip"
    ),
)
def add_data(
    name: NameArgument,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder, or a zip or tar archive.")
    ],
    lab: LabOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take a data set from files of one's own, after verifying every one of them.

    A file that was changed, is missing, or does not belong to the data set is named, and nothing
    is taken.
    """
    from rramhil.cli._output import print_json
    from rramhil.datasets import data_set
    from rramhil.datasets.adding import add

    root, wanted = _root(lab), data_set(name)
    _tell_licence(wanted)
    place = add(wanted, root, path)
    if as_json:
        print_json(_facts(wanted, root))
        return
    typer.echo(f"{name} is in {place}, verified: {len(wanted.sha256)} files.")


def _root(lab: Path | None) -> Path:
    from rramhil.datasets import data_root
    from rramhil.settings import resolve

    return data_root(resolve(lab=lab).lab)


def _tell_licence(wanted: DataSet) -> None:
    from rramhil.cli._output import note

    note(f"{wanted.title}. Licence: {wanted.licence}. Source: {wanted.source}. {wanted.note}")


@contextmanager
def _bars() -> Generator[Tell]:
    """A bar for each file; a file that has to begin again gets another one."""
    from rramhil.cli._progress import Bars

    last = ("", 0)

    def tell(name: str, done: int, total: int) -> None:
        nonlocal last
        if name != last[0] or done < last[1]:
            bars.phase(name, total, "bytes")
            last = (name, 0)
        bars.advance(done - last[1], 0)
        last = (name, done)

    with Bars() as bars:
        yield tell


def _facts(wanted: DataSet, root: Path) -> dict[str, Any]:
    from rramhil.datasets import verified
    from rramhil.errors import DataError, NotFound

    state, fault = "present", None
    try:
        with verified(root, wanted.name):
            pass
    except NotFound:
        state = "absent"
    except DataError as error:
        state, fault = "damaged", error.sentence
    return {
        "name": wanted.name,
        "title": wanted.title,
        "state": state,
        "fault": fault,
        "path": str(root / wanted.folder / wanted.stored),
        "command": "data fetch" if wanted.downloads else "data add",
        "licence": wanted.licence,
        "source": wanted.source,
        "note": wanted.note,
    }
