"""Data sets: where they live, what is refused, how files are read."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rramhil.datasets import data_root, data_set, data_sets, mel_bands
from rramhil.datasets.images import read_idx
from rramhil.datasets.phantom import draw_vessels
from rramhil.datasets.registry import DataSet
from rramhil.datasets.retina import draw_phantom, read_chase_db1, read_drive
from rramhil.datasets.verify import opened_as, verified
from rramhil.errors import DataError, NotFound

FILES = {"a/one.txt": b"one", "a/two.txt": b"two"}
WANTED = DataSet(
    name="small",
    title="Two files",
    folder="small",
    stored="",
    covers=("a/*",),
    licence="none",
    source="here",
    note="",
    downloads=(),
    sha256={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
)


def test_one_folder_serves_all_labs_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RRAMHIL_DATA", raising=False)
    assert data_root(tmp_path) == tmp_path / "data"
    monkeypatch.setenv("RRAMHIL_DATA", "/somewhere")
    assert data_root(tmp_path) == Path("/somewhere")


def test_every_data_set_says_where_it_is_from_and_what_each_file_must_be() -> None:
    for each in data_sets().values():
        assert each.licence
        assert each.source
        assert each.sha256
        assert all(len(bytes.fromhex(digest)) == 32 for digest in each.sha256.values())
        for download in each.downloads:
            assert download.urls
            assert download.sha256 or download.name == each.stored, "else nothing verifies it"
            assert each.sha256.get(download.name) == download.sha256
    with pytest.raises(NotFound, match="no data set mnist") as caught:
        data_set("mnist")
    assert "fashion-mnist" in caught.value.next_step


@pytest.fixture(params=["folder", "zip", "tar.gz"])
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return pack(tmp_path / f"packed.{request.param}", FILES)


def pack(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"top/{name}", content)
    elif path.suffix == ".gz":
        with tarfile.open(path, "w:gz") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(f"top/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        for name, content in files.items():
            file = path / "top" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return path


def test_files_are_found_wherever_they_begin(packed: Path) -> None:
    with opened_as(WANTED, packed) as found:
        assert {name: found.read(name) for name in found.names} == FILES


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a/two.txt": b"twO"}, "a/two.txt is not the published file"),
        ({"a/two.txt": None}, "a/two.txt is missing"),
        ({"a/three.txt": b""}, "a/three.txt does not belong to it"),
        (dict.fromkeys(FILES) | {"b": b""}, "it has none of its files, such as a/one.txt"),
    ],
)
def test_one_file_changed_missing_or_surplus_is_refused_by_name(
    kind: str, change: dict[str, bytes | None], said: str, tmp_path: Path
) -> None:
    files = {name: each for name, each in (FILES | change).items() if each is not None}
    path = pack(tmp_path / f"packed.{kind}", files)
    with pytest.raises(DataError, match=said) as caught, opened_as(WANTED, path):
        pass
    assert str(path) in caught.value.sentence
    assert caught.value.exit_code == 2


def test_what_is_beside_the_data_and_system_files_do_no_harm(tmp_path: Path) -> None:
    more = {"README": b"", "a/.DS_Store": b"", "__MACOSX/top/a/one.txt": b"", "b/x.txt": b""}
    path = pack(tmp_path / "packed.zip", FILES | more)
    with opened_as(WANTED, path) as found:
        assert found.read("a/one.txt") == b"one"


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_cut_archive_is_refused(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0).bytes(50_000)
    path = pack(tmp_path / f"packed.{kind}", {"a/one.txt": random})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match="damaged") as caught, opened_as(WANTED, path):
        pass
    assert str(path) in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert caught.value.next_step == (
        "Take another copy from here: `rramhil data add small PATH` verifies it."
    )


def test_a_file_that_is_not_the_published_one_is_told_with_the_folders_before_it(
    tmp_path: Path,
) -> None:
    deep = tmp_path / "some" / "where"
    pack(deep, FILES | {"a/two.txt": b"twO"})
    with (
        pytest.raises(DataError, match=r"some/where/top/a/two\.txt is not the published file"),
        opened_as(WANTED, tmp_path),
    ):
        pass


def test_a_folder_of_everything_is_not_searched_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rramhil.datasets.trees._MAX_FILES", 20)
    pack(tmp_path / "more" / "small", FILES)
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
    with opened_as(WANTED, tmp_path) as tree:
        assert len(tree.names) == len(FILES)
    for number in range(15):
        (tmp_path / "1" / f"{number}").touch()
    with (
        pytest.raises(DataError, match="more than 20 files and folders") as caught,
        opened_as(WANTED, tmp_path),
    ):
        pass
    assert str(tmp_path) in caught.value.sentence
    assert "a folder of its own" in caught.value.next_step


def test_idx_files_are_read_by_their_heads() -> None:
    head = bytes((0, 0, 8, 2)) + np.array([2, 3], dtype=">u4").tobytes()
    assert read_idx(head + bytes(range(6))).tolist() == [[0, 1, 2], [3, 4, 5]]
    for content in (b"", head[:6], head + bytes(5), head + bytes(7), b"\0\0\x0b" + head[3:]):
        with pytest.raises(DataError, match="idx file"):
            read_idx(content)


def test_fashion_mnist_with_one_changed_byte_is_refused(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    for name in data_set("fashion-mnist").sha256:
        (folder / name).write_bytes((data_root / "fashion_mnist" / name).read_bytes())
    with verified(tmp_path, "fashion-mnist") as tree:
        assert len(tree.names) == 4
    labels = folder / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\1")
    with (
        pytest.raises(DataError, match=f"{labels.name} is not the published file"),
        verified(tmp_path, "fashion-mnist"),
    ):
        pass


def test_mel_bands_say_when_and_how_high_not_how_loud() -> None:
    times = np.arange(4000) / 8000
    low, high = (np.sin(2 * np.pi * tone_hz * times) for tone_hz in (300, 2000))
    burst = np.where((times > 0.2) & (times < 0.3), high, 0)
    waves = [(amplitude * tone).astype(np.int16) for amplitude, tone in ((1e4, low), (1e4, burst))]
    features = mel_bands([*waves, waves[1] // 4, waves[0][:800]])
    assert features.shape == (4, 23, 20)
    assert (features.min(), features.max()) == (0, 1)
    assert features[0].mean(axis=1).argmax() < features[1].mean(axis=1).argmax()
    assert 8 <= features[1].max(axis=0).argmax() <= 12, "0.2 s to 0.3 s, a column every 25 ms"
    np.testing.assert_allclose(features[2], features[1], atol=0.05)
    assert features[3, :, 6:].max() == 0, "0.1 s of sound, then nothing"


def test_files_in_the_layout_of_drive_are_read_as_drawn() -> None:
    training, test = draw_phantom()
    assert (training.green.shape, test.green.shape) == ((10, 96, 96), (5, 96, 96))
    random = np.random.default_rng(5)
    images, vessels = zip(*(draw_vessels(random, 96) for _ in range(15)), strict=True)
    for part, at in ((test, slice(0, 5)), (training, slice(5, 15))):
        fields = part.fields
        assert (part.vessels == np.stack(vessels[at]) & fields).all()
        assert (part.green == (255 * np.stack(images[at])).astype(np.uint8) * fields).all()
        assert 0.6 < fields.mean() < 0.8


def test_chase_db1_is_read_with_its_fields_of_view(data_root: Path) -> None:
    training, test = read_chase_db1(data_root)
    assert (training.green.shape, test.green.shape) == ((20, 960, 999), (8, 960, 999))
    fields = np.concatenate([training.fields, test.fields])
    assert fields.mean(axis=(1, 2)).min() > 0.64
    assert fields.mean(axis=(1, 2)).max() < 0.72
    vessels = np.concatenate([training.vessels, test.vessels])
    assert vessels.mean() == pytest.approx(0.0693, abs=1e-4)
    assert (vessels & ~fields).sum() < 2e-3 * vessels.sum(), "few are drawn where it is black"


def test_a_folder_of_drive_with_one_changed_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "drive" / "DRIVE"
    for name in data_set("drive").sha256:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"not the photograph")
    with pytest.raises(DataError, match=r"test/1st_manual/01_manual1\.gif is not the published"):
        read_drive(tmp_path)
