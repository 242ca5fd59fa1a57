"""The documentation against the code: links, commands, recipes, keys, exit codes, facts."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperGroup

import rramhil.errors
from rramhil.cli import _app
from rramhil.driver import Identity
from rramhil.lab import ConductanceMap, MapEntry, MapInfo
from rramhil.lab.exchange import export_npz
from rramhil.programming import ProgramResult, dense, load_recipe
from rramhil.programming.report import Treatment, analyse
from rramhil.settings import FILE_NAME, resolve
from sim_backend import technology
from sim_backend.board import board_serial
from sim_backend.chips import chip_serial
from sim_backend.faults import load as load_faults
from sim_backend.profile import Fact, load

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
WITH_COMMANDS = [PROJECT / "README.md", PROJECT / "docs" / "guide.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def blocks_of(page: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(text_of(page)) if kind == language]


def section(page: Path, title: str) -> str:
    """What stands below a heading, to the next heading."""
    _, _, rest = text_of(page).partition(f"\n## {title}\n")
    assert rest, f"{name_of(page)} has no section {title!r}"
    return rest.partition("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    """Cells of every table row, headings and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# --- links ----------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text_of(page)), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_serial_numbers_are_of_the_form_that_simulated_boards_have(page: Path) -> None:
    chip, board = chip_serial(7, 2, 1), board_serial(7, 4)
    assert (chip, board) == ("R40-7-2-1", "SIM-7")
    form = re.compile(r"R40-(\d+-\d+-\d+|SEED-SOCKET-GENERATION)|SIM-(\d+|SEED)")
    for found in re.findall(r"\b(?:R40|SIM)-[\w-]+", text_of(page)):
        assert form.fullmatch(found), found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path):
    for link in LINK.findall(BLOCK.sub("", text_of(page))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(PROJECT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_decisions_are_numbered_without_gaps_and_all_in_the_index():
    pages = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{n + 1:04}" for n in range(len(pages))]
    index = text_of(PROJECT / "docs" / "README.md")
    for page in pages:
        text = text_of(page)
        title = text.splitlines()[0].removeprefix("# ")
        assert title.startswith(page.name[:4])
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ]
        assert f"[{title[:4]}](decisions/{page.name}) | {title[5:]} |" in index


# --- commands -------------------------------------------------------------------------------


def commands_of(page: Path) -> list[list[str]]:
    lines = [line for code in blocks_of(page, "sh") for line in code.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line and line[0] == "rramhil"]


def command_tree(command: Any, context: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, TyperGroup):
        return [path]
    return [
        found
        for name in command.list_commands(context)
        for found in command_tree(command.get_command(context, name), context, (*path, name))
    ]


@pytest.fixture
def top() -> tuple[Any, Any]:
    command = typer.main.get_command(_app)
    return command, command.context_class(command, info_name="rramhil")


@pytest.mark.parametrize(
    "words",
    [words for page in WITH_COMMANDS for words in commands_of(page)],
    ids=" ".join,
)
def test_documented_commands_are_understood(top: tuple[Any, Any], words: list[str]):
    command, context = top
    rest = words[1:]
    while isinstance(command, TyperGroup):
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
    command.make_context(command.name, rest, parent=context)  # refuses unknown options and values


def test_every_command_is_documented(top: tuple[Any, Any]):
    written = [" ".join(words) for page in WITH_COMMANDS for words in commands_of(page)]
    for path in command_tree(*top):
        wanted = " ".join(("rramhil", *path))
        assert any(line == wanted or line.startswith(f"{wanted} ") for line in written), wanted


def test_the_faults_the_recipe_and_the_settings_of_the_guide_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    blocks = blocks_of(PROJECT / "docs" / "guide.md", "toml")
    recipes = [block for block in blocks if "[[steps]]" in block]
    settings = [block for block in blocks if "[lab]" in block]
    faults = [block for block in blocks if "[[link]]" in block]
    assert (len(blocks), len(recipes), len(settings), len(faults)) == (3, 1, 1, 1)
    (tmp_path / "faults.toml").write_text(faults[0], encoding="utf-8")
    found_faults = load_faults(tmp_path / "faults.toml")
    assert (len(found_faults.link), len(found_faults.board)) == (2, 2)
    (tmp_path / "recipe.toml").write_text(recipes[0], encoding="utf-8")
    assert len(load_recipe(tmp_path / "recipe.toml").steps) == 2

    for name in ("RRAMHIL_BOARD", "RRAMHIL_LAB"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / FILE_NAME).write_text(settings[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = resolve()
    assert (found.board_from, found.lab_from) == (FILE_NAME, FILE_NAME)


# --- keys and codes -------------------------------------------------------------------------


@pytest.fixture
def measured() -> ConductanceMap:
    rows = np.arange(4)
    return ConductanceMap(
        codes=np.full((2, 4, 4), 2200, dtype=np.uint16),
        zero_sums=np.full(4, 16 * 256, dtype=np.uint32),
        rows=rows,
        cols=rows,
        row_time_ns=np.zeros((2, 4), dtype=np.uint64),
        valid=np.ones((4, 4), dtype=np.bool_),
        range_index=0,
        per_code_uS=0.00625,
        zero_conversions=16,
        read_voltage_v=0.2,
        temperature_k=298.15,
        calibration_id="nominal",
        info=MapInfo(kind="readback"),
    )


@pytest.fixture
def result(measured: ConductanceMap) -> dict[str, Any]:
    none = np.zeros((4, 4), dtype=np.bool_)
    treatment = Treatment(dense(), np.zeros((4, 4), dtype=np.int16), ~none, none, none)
    return ProgramResult(
        chip=0,
        chip_serial="R40-0-0-0",
        board=Identity("board", "SIM-0", "sim", True, 1, 1, "sim://"),
        recipe="dense",
        cells=16,
        pulses=16,
        resumed=False,
        board_time_s=1.0,
        wall_time_s=1.0,
        message="",
        map=MapEntry("0" * 12, Path("map.h5"), measured.info, 2, (4, 4)),
        measured=measured,
        report=analyse(measured, treatment),
    ).as_dict()


def test_the_keys_of_program_are_those_of_a_result(result: dict[str, Any]):
    text = section(PROJECT / "docs" / "guide.md", "JSON output")
    keys = [key for row in table_rows(text) for key in re.findall(r"`([\w.]+)`", row[0])]
    for key in keys:
        value: Any = result
        for part in key.split("."):
            assert part in value, key
            value = value[part]
    assert {key.partition(".")[0] for key in keys} == result.keys()


def test_the_keys_of_an_npz_are_those_of_an_export(tmp_path: Path, measured: ConductanceMap):
    export_npz(measured, tmp_path / "map.npz")
    text = section(PROJECT / "docs" / "guide.md", "Maps").partition("Keys of an exported npz")[2]
    keys = [key for row in table_rows(text) for key in re.findall(r"`(\w+)`", row[0])]
    with np.load(tmp_path / "map.npz") as archive:
        assert sorted(keys) == sorted(archive.files)


def test_the_exit_codes_are_those_of_the_errors():
    rows = table_rows(section(PROJECT / "docs" / "guide.md", "Exit codes"))
    codes = {int(row[0]) for row in rows if row[0].isdigit()}
    errors = [value for value in vars(rramhil.errors).values() if isinstance(value, type)]
    assert codes == {0} | {error.exit_code for error in errors if issubclass(error, Exception)}


# --- physics --------------------------------------------------------------------------------


def facts_of(part: Any, path: str = "") -> dict[str, Fact[Any]]:
    """Facts of a profile by their dotted names."""
    if isinstance(part, Fact):
        return {path: part}
    if isinstance(part, tuple):
        named = {str(index): item for index, item in enumerate(part)}
    elif isinstance(part, BaseModel):
        named = {name: getattr(part, name) for name in type(part).model_fields}
    else:
        return {}
    found: dict[str, Fact[Any]] = {}
    for name, item in named.items():
        found |= facts_of(item, f"{path}.{name}".lstrip("."))
    return found


def test_the_physics_page_has_every_fact_with_its_value_and_source():
    rows = table_rows(text_of(PROJECT / "docs" / "physics.md"))
    said = [(row[0].strip("`"), row[1], row[2]) for row in rows if row[0].startswith("`")]
    facts = facts_of(load("rram40_256k"))
    for name in technology.names():
        own = facts_of(technology.load(name), name)
        # lists and tables stand in the file only
        facts |= {key: fact for key, fact in own.items() if not isinstance(fact.value, tuple)}
    assert sorted(name for name, _, _ in said) == sorted(facts)
    for name, value, source in said:
        fact = facts[name]
        same = value == fact.value if isinstance(fact.value, str) else Decimal(value) == fact.value
        assert same, f"{name} is {fact.value}, the page says {value}"
        assert source == fact.source, name


def test_the_tests_that_the_physics_page_names_exist():
    named = set(re.findall(r"`(test_\w+)`", text_of(PROJECT / "docs" / "physics.md")))
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("*.py")]
    there = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}
    assert named
    assert named <= there
