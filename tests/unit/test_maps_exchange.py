"""Maps from and to other people's files: exact round trips, and one sentence for the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rramhil.errors import MapFileError, NotFound, UsageError
from rramhil.lab import ConductanceMap, MapInfo, MapStore
from rramhil.lab.exchange import (
    export_csv,
    export_map,
    export_npz,
    export_tensors,
    import_csv,
    import_map,
    import_npz,
    import_tensors,
)

MEASURED = "rram_measured/esgnn/fig1_hidden_conductance_50x50.csv"


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="tensor files need torch")


def measured_map(reads: int = 3, rows: int = 6, cols: int = 7) -> ConductanceMap:
    dice = np.random.default_rng(3)
    return ConductanceMap(
        codes=dice.integers(250, 3000, (reads, rows, cols)).astype(np.uint16),
        zero_sums=np.full(rows, 16 * 256, dtype=np.uint32),
        rows=np.arange(rows) + 2,
        cols=np.arange(cols) * 3,
        row_time_ns=np.arange(reads * rows).reshape(reads, rows),
        valid=dice.random((rows, cols)) < 0.9,
        range_index=1,
        per_code_uS=0.00625,
        zero_conversions=16,
        read_voltage_v=0.2,
        temperature_k=300.0,
        calibration_id="nominal-0123456789ab",
        info=MapInfo(kind="readback", chip_serial="chip-1", notes="µ"),
    )


def refusal_of(importer, path: Path) -> str:
    before = sorted(p.name for p in path.parent.iterdir())
    with pytest.raises(MapFileError) as refusal:
        importer(path)
    assert refusal.value.exit_code == 2
    assert str(path) in refusal.value.sentence
    assert "\n" not in refusal.value.sentence
    assert sorted(p.name for p in path.parent.iterdir()) == before
    return refusal.value.sentence


# --- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".npz", ".pt", ".pth"])
def test_the_measured_map_goes_out_and_comes_back_equal(
    data_root: Path, tmp_path: Path, ending: str
):
    if ending.startswith(".pt"):
        pytest.importorskip("torch")
    truth = np.loadtxt(data_root / MEASURED, delimiter=",")
    imported = import_map(data_root / MEASURED)
    assert imported.shape == (50, 50)
    assert imported.info.kind == "imported"
    assert np.array_equal(imported.conductance_uS, truth)
    export_map(imported, tmp_path / f"a{ending}")
    again = import_map(tmp_path / f"a{ending}")
    assert np.array_equal(again.conductance_uS, truth)
    export_map(again, tmp_path / f"b{ending}")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_an_npz_export_restores_the_very_map(tmp_path: Path):
    written = measured_map()
    export_npz(written, tmp_path / "map.npz")
    store = MapStore(tmp_path)
    restored = import_npz(tmp_path / "map.npz")
    assert store.save(restored).id == store.save(written).id
    assert restored.info == written.info
    assert np.array_equal(restored.codes, written.codes)


def test_an_npz_export_holds_what_others_rely_on(tmp_path: Path):
    written = measured_map(reads=2, rows=512, cols=512)
    export_npz(written, tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz", allow_pickle=False) as archive:
        assert archive["conductance_uS"].shape == (512, 512)
        assert archive["conductance_uS"].dtype == np.float64
        assert archive["codes"].shape == (2, 512, 512)
        assert archive["codes"].dtype == np.uint16
        assert archive["rows"].tolist() == written.rows.tolist()
        assert archive["cols"].tolist() == written.cols.tolist()
        assert archive["zero_sums"].shape == (512,)
        assert float(archive["per_code_uS"]) == 0.00625
        assert int(archive["range_index"]) == 1
        assert str(archive["calibration_id"]) == "nominal-0123456789ab"
        assert json.loads(str(archive["metadata"]))["info"]["chip_serial"] == "chip-1"


matrices = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.floats(-0.5, 1e6, allow_nan=False),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(matrix=matrices)
def test_every_legal_matrix_survives_every_form(tmp_path_factory, matrix: np.ndarray):
    folder = tmp_path_factory.mktemp("exchange")
    np.savez(folder / "origin.npz", matrix)
    current = import_npz(folder / "origin.npz")
    for ending in (".csv", ".npz", ".csv"):
        export_map(current, folder / f"map{ending}")
        current = import_map(folder / f"map{ending}")
        assert np.array_equal(current.conductance_uS, matrix)


def test_a_read_back_chip_with_noise_around_zero_survives_csv(tmp_path: Path):
    low = dataclasses.replace(measured_map(), codes=np.full((3, 6, 7), 250, dtype=np.uint16))
    assert low.conductance_uS.max() < 0
    export_csv(low, tmp_path / "low.csv")
    assert np.array_equal(import_csv(tmp_path / "low.csv").conductance_uS, low.conductance_uS)


def test_an_export_replaces_a_file_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "map.csv"
    target.write_text("old")
    export_csv(measured_map(), target)
    assert target.read_text() != "old"
    (tmp_path / "folder.csv").mkdir()
    for place in (tmp_path / "folder.csv", tmp_path / "nowhere" / "map.csv", target / "map.csv"):
        with pytest.raises(UsageError, match="cannot be written"):
            export_csv(measured_map(), place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.csv", "map.csv"]


def test_an_ending_nobody_knows_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"'\.xlsx'"):
        import_map(tmp_path / "map.xlsx")
    with pytest.raises(UsageError, match=r"\.csv, \.npz"):
        export_map(measured_map(), tmp_path / "map")


@pytest.mark.parametrize("ending", ["csv", "npz", "pt"])
def test_a_file_that_is_not_there_is_not_found(tmp_path: Path, ending: str):
    with pytest.raises(NotFound, match=rf"no file .*map\.{ending}\.$"):
        import_map(tmp_path / f"map.{ending}")


@pytest.mark.parametrize("ending", ["csv", "npz", "pt"])
def test_a_folder_a_pipe_and_an_empty_file_are_refused(tmp_path: Path, ending: str):
    (tmp_path / f"a.{ending}").mkdir()
    os.mkfifo(tmp_path / f"b.{ending}")
    (tmp_path / f"c.{ending}").write_bytes(b"")
    for name in "ab":
        assert "not a regular file" in refusal_of(import_map, tmp_path / f"{name}.{ending}")
    assert "empty" in refusal_of(import_map, tmp_path / f"c.{ending}")


@pytest.mark.parametrize(("ending", "limit"), [("csv", 16), ("npz", 256), ("pt", 16)])
def test_an_oversized_file_is_refused_unread(tmp_path: Path, ending: str, limit: int):
    path = tmp_path / f"map.{ending}"
    with path.open("wb") as file:
        file.truncate((limit << 20) + (1 << 20))  # a hole: it takes no room
    assert f"at most {limit}" in refusal_of(import_map, path)


# --- csv --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1,2\n3\n", "line 2 has 1 values, line 1 has 2"),
        ("1,2\n3,4\n5,", "a value is not a number"),
        ("1,2\n3,x\n", "a value is not a number"),
        ("a,b\n1,2\n", "a value is not a number"),
        ("1,2\n3,1+2j\n", "a value is not a number"),
        ("1,\n3,4\n", "a value is not a number"),
        ("1,2\n\n3,4\n", "empty line"),
        ("1;2\n3;4\n", "a value is not a number"),
        ("\n \n", "empty line"),
        ("1,nan\n", r"[0, 1] is not finite (nan uS)"),
        ("1,2\n3,inf\n", r"[1, 1] is not finite (inf uS)"),
        ("1,-2.5\n", r"[0, 1] is negative (-2.5 uS)"),
        ("1,1e300\n", r"[0, 1] is above 1e+06 uS (1e+300 uS)"),
        (",".join("1" * 513) + "\n", "1 x 513 cells, a map at most 512 x 512"),
        ("1\n" * 513, "513 x 1 cells"),
    ],
)
def test_a_csv_that_is_no_map_is_refused(tmp_path: Path, text: str, complaint: str):
    path = tmp_path / "map.csv"
    path.write_text(text)
    assert complaint in refusal_of(import_csv, path)


def test_a_csv_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "map.csv"
    path.write_bytes(b"\x89PNG\xff\xfe\0\0")
    assert "not text" in refusal_of(import_csv, path)


@pytest.mark.parametrize("text", ["1,2\n3,4", "1, 2\r\n3,4\r\n", "\ufeff1,2\n3,4\n\n"])
def test_a_csv_of_other_editors_is_taken(tmp_path: Path, text: str):
    path = tmp_path / "map.csv"
    path.write_bytes(text.encode())
    assert import_csv(path).conductance_uS.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_csv_cut_within_a_line_is_refused(data_root: Path, tmp_path: Path):
    whole = (data_root / MEASURED).read_bytes()
    path = tmp_path / "map.csv"
    path.write_bytes(whole[: len(whole) // 2])
    assert "values, line 1 has 50" in refusal_of(import_csv, path)


# --- npz --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.array([["a", "b"]]), "not real numbers"),
        (np.array([[1 + 2j]]), "not real numbers"),
        (np.array([[True]]), "not real numbers"),
        (np.array([["2026-01-01"]], dtype="datetime64[D]"), "not numbers"),
        (np.zeros(4, dtype=[("a", "f8")]), "not numbers"),
        (np.zeros((2, 2, 2)), "3 axes"),
        (np.zeros(4), "1 axes"),
        (np.float64(3.0), "0 axes"),
        (np.zeros((0, 4)), "is empty"),
        (np.zeros((513, 2)), "513 x 2 cells"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0], [-3.0]]), "[1, 0] is negative"),
        (np.array([[1e400]], dtype=np.longdouble) * np.longdouble("1e1000"), "not finite"),
    ],
)
def test_an_npz_that_is_no_map_is_refused(tmp_path: Path, array: np.ndarray, complaint: str):
    np.savez(tmp_path / "map.npz", array)
    assert complaint in refusal_of(import_npz, tmp_path / "map.npz")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "u1", "i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_single_matrix_of_any_real_type_is_taken(tmp_path: Path, dtype: str, order: str):
    matrix = np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype, order=order)
    np.savez_compressed(tmp_path / "map.npz", anything=matrix)
    assert np.array_equal(import_npz(tmp_path / "map.npz").conductance_uS, matrix)


class Bomb:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_a_pickle_in_an_npz_is_never_run(tmp_path: Path):
    marker = tmp_path / "marker"
    np.savez(tmp_path / "map.npz", np.array([[Bomb(marker)]], dtype=object))
    assert "not numbers" in refusal_of(import_npz, tmp_path / "map.npz")
    assert not marker.exists()


def test_a_zip_that_would_inflate_beyond_the_limit_is_refused_uninflated(tmp_path: Path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for n in range(5):
            archive.writestr(f"{n}.npy", b"\0" * (60 << 20))
    assert path.stat().st_size < 4 << 20
    assert "would inflate to 300 MiB" in refusal_of(import_npz, path)


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 9999)}"),
            "does not fit",
        ),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}", b"\0" * 8), "not fit"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", b"\0" * 9), "not fit"),
        (npy("{'descr': '<f8'}"), "truncated, damaged"),
        (npy("[" * 40), "truncated, damaged"),
        (b"\x93NUMPY\x09\x00", "npy version 9.0"),
        (b"hello", "truncated, damaged"),
        (b"", "truncated, damaged"),
    ],
)
def test_a_member_that_is_not_the_array_it_claims_is_refused(
    tmp_path: Path, content: bytes, complaint: str
):
    with zipfile.ZipFile(tmp_path / "map.npz", "w") as archive:
        archive.writestr("a.npy", content)
    assert complaint in refusal_of(import_npz, tmp_path / "map.npz")


def test_an_npz_of_too_many_or_nameless_arrays_is_refused(tmp_path: Path):
    np.savez(tmp_path / "two.npz", a=np.ones((2, 2)), b=np.ones((2, 2)))
    assert "holds a, b, and no metadata" in refusal_of(import_npz, tmp_path / "two.npz")
    np.savez(tmp_path / "none.npz")
    assert "no array" in refusal_of(import_npz, tmp_path / "none.npz")
    np.savez(tmp_path / "many.npz", **{f"a{n}": np.ones(1) for n in range(65)})
    assert "65 members" in refusal_of(import_npz, tmp_path / "many.npz")


def test_a_truncated_npz_is_refused_wherever_it_was_cut(tmp_path: Path):
    export_npz(measured_map(), tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "cut.npz"
    for length in range(1, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        assert "truncated, damaged" in refusal_of(import_npz, path)


def test_a_flipped_byte_in_an_npz_export_is_refused_or_changes_nothing(tmp_path: Path):
    written = measured_map()
    export_npz(written, tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "flipped.npz"
    for place in np.random.default_rng(4).integers(0, len(whole), 200):
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        path.write_bytes(flipped)
        with contextlib.suppress(MapFileError):
            restored = import_npz(path)
            assert np.array_equal(restored.codes, written.codes)
            assert restored.info == written.info


@pytest.mark.parametrize("key", ["conductance_uS", "codes", "rows", "valid", "content_id"])
def test_an_export_that_lost_a_key_is_refused_by_name(tmp_path: Path, key: str):
    export_npz(measured_map(), tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz") as archive:
        kept = {name: archive[name] for name in archive if name != key}
    np.savez(tmp_path / "map.npz", **kept)
    assert f"it lacks {key}" in refusal_of(import_npz, tmp_path / "map.npz")


def test_an_export_has_the_cells_own_conductance_and_what_was_read(tmp_path: Path):
    read = measured_map()
    own = dataclasses.replace(read, own_uS=read.read_uS + 1.0)
    for ending in ("npz", "csv"):
        export_map(own, tmp_path / f"map.{ending}")
    with np.load(tmp_path / "map.npz") as archive:
        assert np.array_equal(archive["conductance_uS"], read.read_uS + 1.0)
        assert np.array_equal(archive["read_uS"], read.read_uS)
        arrays = {name: archive[name] for name in archive if name != "read_uS"}
    restored = import_npz(tmp_path / "map.npz")
    assert np.array_equal(restored.conductance_uS, own.conductance_uS)
    assert np.array_equal(restored.read_uS, own.read_uS)
    exported = np.loadtxt(tmp_path / "map.csv", delimiter=",")
    assert np.array_equal(exported, own.conductance_uS)
    np.savez(tmp_path / "before.npz", **arrays)  # the version before wrote no read_uS
    assert np.array_equal(import_npz(tmp_path / "before.npz").read_uS, own.read_uS)


def test_an_export_that_was_edited_is_refused(tmp_path: Path):
    export_npz(measured_map(), tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "a.npz", **(arrays | {"conductance_uS": arrays["conductance_uS"] * 2}))
    said = "conductance_uS was changed since the export"
    assert said in refusal_of(import_npz, tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **(arrays | {"read_uS": arrays["read_uS"] * 2}))
    assert "read_uS was changed since the export" in refusal_of(import_npz, tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **(arrays | {"codes": arrays["codes"] + 1}))
    assert "its content has id" in refusal_of(import_npz, tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", **(arrays | {"metadata": "{}"}))
    refusal_of(import_npz, tmp_path / "c.npz")


# --- tensors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_published_form_is_read_in_any_float_type(torch, tmp_path: Path, dtype: str):
    on = torch.arange(12, dtype=getattr(torch, dtype)).reshape(3, 4)
    torch.save({"set": on, "reset": on / 4}, tmp_path / "paper.pt")
    imported = import_tensors(tmp_path / "paper.pt")
    assert np.array_equal(imported.conductance_uS, on.double().numpy())
    assert imported.off_uS is not None
    assert np.array_equal(imported.off_uS, (on / 4).double().numpy())


def test_the_published_form_goes_out_and_comes_back_with_both_states(torch, tmp_path: Path):
    on = torch.rand(50, 50) * 20
    torch.save({"set": on, "reset": on / 100}, tmp_path / "paper.pt")
    export_tensors(import_tensors(tmp_path / "paper.pt"), tmp_path / "a.pt")
    loaded = torch.load(tmp_path / "a.pt", weights_only=True)
    assert set(loaded) == {"set", "reset"}
    assert torch.equal(loaded["set"], on.double())
    assert torch.equal(loaded["reset"], (on / 100).double())
    # The off state stays with the map through the lab and npz too.
    store = MapStore(tmp_path)
    entry = store.save(import_tensors(tmp_path / "a.pt"))
    export_npz(store.load(entry.id), tmp_path / "a.npz")
    export_tensors(import_npz(tmp_path / "a.npz"), tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_a_flipped_byte_in_a_tensor_file_is_refused_or_changes_nothing(torch, tmp_path: Path):
    """torch reads past the checksums inside its files."""
    on = torch.rand(50, 50) * 20
    torch.save({"set": on, "reset": on / 100}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    path = tmp_path / "flipped.pt"
    for place in np.random.default_rng(5).integers(0, len(whole), 100):
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        path.write_bytes(flipped)
        with contextlib.suppress(MapFileError):
            assert np.array_equal(import_tensors(path).conductance_uS, on.double().numpy())


def test_a_map_without_an_off_state_exports_zeros_for_it(torch, tmp_path: Path):
    written = measured_map()
    export_tensors(written, tmp_path / "map.pt")
    loaded = torch.load(tmp_path / "map.pt", weights_only=True)
    assert np.array_equal(loaded["set"].numpy(), written.conductance_uS)
    assert not loaded["reset"].any()
    export_tensors(import_tensors(tmp_path / "map.pt"), tmp_path / "again.pt")
    assert (tmp_path / "map.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()


WRONG_TENSORS = [
    *("list", "tensor", "missing", "array", "integers", "booleans", "complex", "sparse"),
    *("cube", "shapes", "nan", "negative", "large", "expanded", "meta", "pickle"),
]


def wrong_tensor_files(torch, bomb: Bomb) -> dict[str, tuple[object, str]]:
    ones = torch.ones(2, 2)
    return {
        "list": ([ones, ones], "holds a list"),
        "tensor": (ones, "holds a Tensor"),
        "missing": ({"set": ones}, 'lacks "reset"'),
        "array": ({"set": ones, "reset": [[1.0]]}, '"reset" is a list, not a tensor'),
        "integers": ({"set": ones.int(), "reset": ones}, '"set" is a tensor of torch.int32'),
        "booleans": ({"set": ones.bool(), "reset": ones}, "torch.bool"),
        "complex": ({"set": ones.to(torch.complex64), "reset": ones}, "torch.complex64"),
        "sparse": ({"set": ones.to_sparse(), "reset": ones}, "not of plain floats"),
        "cube": ({"set": torch.ones(2, 2, 2), "reset": ones}, "3 axes"),
        "shapes": ({"set": ones, "reset": torch.ones(2, 3)}, "has shape (2, 2)"),
        "nan": ({"set": ones * float("nan"), "reset": ones}, "not finite"),
        "negative": ({"set": ones, "reset": -ones}, "reset[0, 0] is negative"),
        "large": ({"set": torch.ones(600, 2), "reset": ones}, "600 x 2 cells"),
        "expanded": (
            {"set": torch.ones(1, 1).expand(1 << 20, 1 << 20), "reset": ones},
            "1048576 x 1048576 cells",
        ),
        "meta": ({"set": torch.ones(2, 2, device="meta"), "reset": ones}, '"set"'),
        "pickle": ({"set": ones, "reset": ones, "x": bomb}, "more than tensors"),
    }


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_a_tensor_file_of_the_wrong_type_is_refused(torch, tmp_path: Path, case: str):
    marker = tmp_path / "marker"
    content, complaint = wrong_tensor_files(torch, Bomb(marker))[case]
    torch.save(content, tmp_path / "map.pt")
    assert complaint in refusal_of(import_tensors, tmp_path / "map.pt")
    assert not marker.exists()


def test_a_plain_pickle_and_a_zip_of_something_else_are_refused(torch, tmp_path: Path):
    path = tmp_path / "map.pt"
    path.write_bytes(pickle.dumps({"set": Bomb(tmp_path / "marker"), "reset": 1}))
    assert "not a tensor file" in refusal_of(import_tensors, path)
    np.savez(tmp_path / "map.npz", a=np.ones((2, 2)))
    (tmp_path / "map.npz").rename(path)
    assert "damaged" in refusal_of(import_tensors, path)


def test_a_tensor_file_that_would_inflate_beyond_the_limit_is_refused(torch, tmp_path: Path):
    path = tmp_path / "map.pt"
    torch.save({"set": torch.ones(2, 2), "reset": torch.ones(2, 2)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9", b"\0" * (40 << 20))
    assert path.stat().st_size < 1 << 20
    assert "would inflate to 40 MiB" in refusal_of(import_tensors, path)


def test_a_truncated_tensor_file_is_refused_wherever_it_was_cut(torch, tmp_path: Path):
    stream = io.BytesIO()
    torch.save({"set": torch.ones(9, 9), "reset": torch.ones(9, 9)}, stream)
    whole = stream.getvalue()
    path = tmp_path / "map.pt"
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        assert "truncated" in refusal_of(import_tensors, path)


def test_without_torch_one_sentence_says_what_to_install(tmp_path: Path):
    code = """
import sys
from pathlib import Path
sys.modules["torch"] = None
from rramhil.errors import UsageError
from rramhil.lab.exchange import export_map, import_map
path = Path(sys.argv[1])
imported = import_map(path / "map.csv")
export_map(imported, path / "map.npz")
for task in (lambda: export_map(imported, path / "map.pt"), lambda: import_map(path / "old.pt")):
    try:
        task()
    except UsageError as error:
        print(error.exit_code, error.sentence, "rramhil[train]" in error.next_step)
"""
    (tmp_path / "map.csv").write_text("1,2\n")
    with zipfile.ZipFile(tmp_path / "old.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = "2 Tensor files need torch, which is not installed. True\n"
    assert ended.stdout == said * 2, ended.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.csv", "map.npz", "old.pt"]
