"""`rramhil data` against a web server on this computer; the internet is never asked."""

from __future__ import annotations

import gzip
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.file_server import FileServer, serving

FASHION = "fashion_mnist"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def server() -> Generator[FileServer]:
    with serving({}) as state:
        yield state


def test_all_data_sets_are_listed_with_licence_and_how_to_get_them(cli: Cli) -> None:
    said = cli("data", "list", "--json").json
    assert said["folder"] == str(cli.lab / "data")
    by_name = {each["name"]: each for each in said["data_sets"]}
    assert {"fashion-mnist", "fsdd", "fsdd-features", "chase-db1", "drive"} == set(by_name)
    assert all(each["state"] == "absent" and each["licence"] for each in by_name.values())
    assert by_name["drive"]["command"] == "data add"
    told = cli("data", "list", RRAMHIL_DATA=str(cli.folder / "elsewhere"))
    assert all(name in told.stdout for name in by_name)
    assert "elsewhere" in told.stderr


def test_a_task_without_its_data_names_the_command_that_brings_them(cli: Cli) -> None:
    pytest.importorskip("torch", reason="networks need the extra `train`")
    told = cli("train", "fashion-mnist", code=3)
    assert "fashion-mnist is not in" in told.sentences
    assert "`rramhil data fetch fashion-mnist`" in told.sentences


def test_a_corrupt_download_is_refused_in_one_sentence(cli: Cli, server: FileServer) -> None:
    server.files[f"{FASHION}/train-images-idx3-ubyte.gz"] = gzip.compress(b"nothing")
    mirror = {"RRAMHIL_DATA_MIRROR": server.address}
    told = cli("data", "fetch", "fashion-mnist", "--json", code=8, **mirror)
    assert "train-images-idx3-ubyte.gz" in told.json["error"]["sentence"]
    assert "not what was published" in told.sentences
    assert "MIT" in told.stderr
    kept = {path.name for path in (cli.lab / "data" / FASHION).iterdir()}
    assert kept <= {".fetching.lock"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("fetch", "mnist"), 3, "There is no data set mnist"),
        (("fetch", "drive"), 2, "cannot be fetched"),
        (("fetch", "fsdd"), 8, "HTTP 404"),
        (("add", "drive", "nowhere"), 3, "There is no nowhere. Name a folder"),
        (("add", "drive", "."), 2, "none of its files"),
    ],
)
def test_each_refusal_has_its_exit_code(
    cli: Cli, server: FileServer, arguments: tuple[str, ...], code: int, said: str
) -> None:
    told = cli("data", *arguments, code=code, RRAMHIL_DATA_MIRROR=server.address)
    assert said in told.sentences


def test_a_cut_download_ends_whole_and_is_found_by_the_list(
    cli: Cli, server: FileServer, data_root: Path
) -> None:
    for path in (data_root / FASHION).glob("*.gz"):
        server.files[f"{FASHION}/{path.name}"] = path.read_bytes()
    server.cuts = [1_000_000]
    mirror = {"RRAMHIL_DATA_MIRROR": server.address}
    said = cli("data", "fetch", "fashion-mnist", "--json", **mirror).json
    assert (said["state"], len(said["fetched"])) == ("present", 4)
    assert [begin for _, begin in server.asked if begin] == [1_000_000]
    again = cli("data", "fetch", "fashion-mnist", **mirror)
    assert "verified; 0 of 4 files were fetched" in again.stdout
    assert len(server.asked) == 5
    (cli.lab / "data" / FASHION / "t10k-labels-idx1-ubyte.gz").write_bytes(b"gone bad")
    listed = cli("data", "list", "--json").json["data_sets"][0]
    assert (listed["name"], listed["state"]) == ("fashion-mnist", "damaged")
    assert "t10k-labels-idx1-ubyte.gz is not the published file" in listed["fault"]


def test_data_of_ones_own_are_taken_where_they_are_the_published_ones(
    cli: Cli, data_root: Path
) -> None:
    archive = data_root / "chase_db1" / "CHASEDB1.zip"
    said = cli("data", "add", "chase-db1", str(archive), "--json").json
    assert said["state"] == "present"
    changed = bytearray(archive.read_bytes())
    changed[len(changed) // 2] ^= 1
    (cli.folder / "changed.zip").write_bytes(changed)
    told = cli("data", "add", "chase-db1", "changed.zip", code=2)
    assert "changed.zip" in told.sentences


def test_a_refusal_is_one_line_with_the_users_own_name_and_what_to_do(
    cli: Cli, server: FileServer
) -> None:
    (cli.folder / "cut.zip").write_bytes(b"PK\3\4 cut")
    server.files["chase_db1/CHASEDB1.zip"] = b"PK\3\4 cut"
    added = cli("data", "add", "chase-db1", "cut.zip", code=2)
    assert added.sentences == (
        "rramhil: cut.zip cannot be read: it is damaged, or no folder, zip or tar archive. "
        "Take another copy: `rramhil data fetch chase-db1` downloads it."
    )
    mirror = {"RRAMHIL_DATA_MIRROR": server.address}
    fetched = cli("data", "fetch", "chase-db1", code=8, **mirror)
    assert fetched.sentences.startswith("rramhil: CHASEDB1.zip of the data set chase-db1 was not")
    assert "partial" not in fetched.sentences
    (cli.folder / "test" / "mask").mkdir(parents=True)
    (cli.folder / "test" / "mask" / "01_test_mask.gif").touch()
    drive = cli("data", "add", "drive", ".", code=2)
    assert drive.sentences.endswith(
        "is missing. Take another copy from https://drive.grand-challenge.org/: "
        "`rramhil data add drive PATH` verifies it."
    )
    nonsense = cli("data", "fetch", "fsdd", code=2, RRAMHIL_DATA_MIRROR="nonsense")
    assert "RRAMHIL_DATA_MIRROR is 'nonsense'" in nonsense.sentences
