"""Downloads: resumed where they were cut, whole and verified or not there, over mirrors."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from rramhil.datasets.adding import add
from rramhil.datasets.download import fetch
from rramhil.datasets.registry import DataSet, Download
from rramhil.errors import DataError, DownloadFailed, NotFound, UsageError
from tests.support.file_server import FileServer, serving

CONTENT = np.random.default_rng(0).bytes(400_000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rramhil.datasets.download._PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.delenv("RRAMHIL_DATA_MIRROR", raising=False)


@pytest.fixture
def server() -> Generator[FileServer]:
    with serving({"one/data.bin": CONTENT}) as state:
        yield state


def wanted(*urls: str, stored: str = "", sha256: dict[str, str] | None = None) -> DataSet:
    name = stored or "data.bin"
    digest = hashlib.sha256(CONTENT).hexdigest()
    download = Download(
        name=name, size_bytes=len(CONTENT), sha256=None if stored else digest, urls=urls
    )
    return DataSet(
        name="noise",
        title="Noise",
        folder="noise",
        stored=stored,
        covers=("*.bin",),
        licence="none",
        source="here",
        note="",
        downloads=(download,) if urls else (),
        sha256=sha256 or {"data.bin": digest},
    )


def files_in(root: Path) -> set[str]:
    """What a fetch left, its lock aside."""
    return {path.name for path in (root / "noise").iterdir()} - {".fetching.lock"}


def test_a_file_arrives_once_and_its_progress_is_told(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    noise = wanted(f"{server.address}/one/data.bin")
    assert fetch(noise, tmp_path, tell=lambda *each: told.append(each)) == ("data.bin",)
    assert (tmp_path / "noise" / "data.bin").read_bytes() == CONTENT
    assert told[0] == ("data.bin", 0, len(CONTENT))
    assert told[-1] == ("data.bin", len(CONTENT), len(CONTENT))
    assert fetch(noise, tmp_path) == ()
    assert len(server.asked) == 1
    assert files_in(tmp_path) == {"data.bin"}


def test_a_cut_download_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000]
    fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)
    assert (tmp_path / "noise" / "data.bin").read_bytes() == CONTENT
    assert [begin for _, begin in server.asked] == [0, 100_000, 150_000]


def test_what_an_earlier_run_left_is_taken_up(server: FileServer, tmp_path: Path) -> None:
    noise = wanted(f"{server.address}/one/data.bin")
    server.cuts = [90_000] * 4
    with pytest.raises(DownloadFailed, match="cut after 360,000 of 400,000 bytes") as caught:
        fetch(noise, tmp_path)
    assert caught.value.exit_code == 8
    assert files_in(tmp_path) == {".data.bin.partial"}
    fetch(noise, tmp_path)
    assert server.asked[-1] == ("one/data.bin", 360_000)
    assert files_in(tmp_path) == {"data.bin"}


def test_a_server_that_gives_only_the_whole_is_begun_anew(
    server: FileServer, tmp_path: Path
) -> None:
    server.ranges, server.cuts = False, [100_000]
    fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)
    assert (tmp_path / "noise" / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"something else", CONTENT[:-1] + b"\0", CONTENT + b"more"])
def test_a_wrong_beginning_is_thrown_away(left: bytes, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / ".data.bin.partial").write_bytes(left)
    fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)
    assert (tmp_path / "noise" / "data.bin").read_bytes() == CONTENT
    assert files_in(tmp_path) == {"data.bin"}


def test_a_corrupt_file_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    server.files["one/data.bin"] = b"\0" + CONTENT[1:]
    with pytest.raises(DownloadFailed, match=r"not what was published \(its SHA-256") as caught:
        fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)
    assert caught.value.exit_code == 8
    assert "`rramhil data add noise PATH`" in caught.value.next_step
    assert files_in(tmp_path) == set()


def test_the_next_mirror_is_asked_and_all_are_named(server: FileServer, tmp_path: Path) -> None:
    missing = f"{server.address}/two/data.bin"
    fetch(wanted(missing, f"{server.address}/one/data.bin"), tmp_path)
    assert [path for path, _ in server.asked] == ["two/data.bin", "one/data.bin"]
    server.asked.clear()
    with serving({}) as gone:
        address = gone.address
    with pytest.raises(DownloadFailed, match=r"two/data.bin: HTTP 404; .*refused") as caught:
        fetch(wanted(missing, f"{address}/data.bin"), tmp_path / "else")
    assert "goes on where it stopped" in caught.value.next_step


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(DownloadFailed, match="HTTP 503"):
        fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)
    assert len(server.asked) == 4


def test_a_mirror_takes_the_place_of_the_public_addresses(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["noise/data.bin"] = CONTENT
    monkeypatch.setenv("RRAMHIL_DATA_MIRROR", server.address + "/")
    fetch(wanted("http://localhost:1/never"), tmp_path)
    assert server.asked == [("noise/data.bin", 0)]


@pytest.mark.parametrize("mirror", ["nonsense", "gopher://here", "http://[here", "/a/folder"])
def test_a_mirror_that_is_no_address_is_refused(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RRAMHIL_DATA_MIRROR", mirror)
    with pytest.raises(UsageError, match="RRAMHIL_DATA_MIRROR") as caught:
        fetch(wanted("http://localhost:1/never"), tmp_path)
    assert repr(mirror) in caught.value.sentence
    assert "https://" in caught.value.next_step
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    noise = wanted(f"{server.address}/one/data.bin")
    fetch(noise, tmp_path)
    (tmp_path / "noise" / "data.bin").write_bytes(b"gone bad")
    assert fetch(noise, tmp_path) == ("data.bin",)
    assert (tmp_path / "noise" / "data.bin").read_bytes() == CONTENT


def test_one_process_at_a_time_fetches(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    with (
        FileLock(tmp_path / "noise" / ".fetching.lock"),
        pytest.raises(DataError, match="Another process is fetching"),
    ):
        fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"top/{name}.bin", content)
    return file.getvalue()


def test_an_archive_whose_bytes_vary_is_verified_by_what_is_in_it(
    server: FileServer, tmp_path: Path
) -> None:
    noise = wanted(f"{server.address}/packed.zip", stored="packed.zip")
    server.files["packed.zip"] = zipped(data=CONTENT)
    fetch(noise, tmp_path)
    server.files["packed.zip"] = zipped(data=CONTENT[:-1])
    with pytest.raises(DownloadFailed, match=r"top/data\.bin is not the published file"):
        fetch(noise, tmp_path / "else")
    assert files_in(tmp_path / "else") == set()
    server.files["packed.zip"] = b"<html>please register</html>"
    with pytest.raises(DownloadFailed, match=r"packed\.zip cannot be read: .* archive") as caught:
        fetch(noise, tmp_path / "else")
    assert "partial" not in str(caught.value), "a file is told by its own name"
    assert "\n" not in str(caught.value)


def test_a_data_set_that_a_user_must_bring_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be fetched") as caught:
        fetch(wanted(), tmp_path)
    assert "data add noise PATH" in caught.value.next_step


def test_a_folder_that_cannot_be_written_is_refused(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "noise").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(wanted(f"{server.address}/one/data.bin"), tmp_path)


def test_files_are_taken_only_if_all_are_right(tmp_path: Path) -> None:
    brought = tmp_path / "brought" / "deeper"
    brought.mkdir(parents=True)
    root = tmp_path / "root"
    with pytest.raises(NotFound, match="There is no"):
        add(wanted(), root, tmp_path / "nowhere")
    (brought / "data.bin").write_bytes(CONTENT[1:])
    with pytest.raises(DataError, match=r"data\.bin is not the published file"):
        add(wanted(), root, tmp_path / "brought")
    (brought / "data.bin").write_bytes(CONTENT)
    (brought / "more.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"more\.bin does not belong to it"):
        add(wanted(), root, tmp_path / "brought")
    assert not root.exists()
    (brought / "more.bin").unlink()
    assert add(wanted(), root, tmp_path / "brought") == root / "noise"
    assert (root / "noise" / "data.bin").read_bytes() == CONTENT


def test_an_archive_is_taken_as_it_is(tmp_path: Path) -> None:
    noise = wanted(stored="packed.zip")
    (tmp_path / "mine.zip").write_bytes(zipped(data=CONTENT))
    place = add(noise, tmp_path / "root", tmp_path / "mine.zip")
    assert place == tmp_path / "root" / "noise" / "packed.zip"
    assert place.read_bytes() == (tmp_path / "mine.zip").read_bytes()
    with pytest.raises(UsageError, match="is a folder, and noise is kept as an archive"):
        add(noise, tmp_path / "root", tmp_path)
