"""Conductance maps: the value, its file, the store, the difference of two."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibration import nominal
from rramhil.errors import LabUnusable, MapFileError, NotFound, UsageError
from rramhil.lab import ConductanceMap, Lab, MapInfo, MapStore, diff, load_map

PER_CODE_uS = 0.00625


def make_map(
    reads: int = 3, rows: int = 4, cols: int = 5, seed: int = 0, **changes: object
) -> ConductanceMap:
    dice = np.random.default_rng(seed)
    values: dict[str, object] = {
        "codes": dice.integers(0, 1 << 14, (reads, rows, cols)).astype(np.uint16),
        "zero_sums": dice.integers(0, 16 * 300, rows).astype(np.uint32),
        "rows": np.arange(rows),
        "cols": np.arange(cols),
        "row_time_ns": dice.integers(0, 1 << 60, (reads, rows)).astype(np.uint64),
        "valid": dice.random((rows, cols)) < 0.9,
        "range_index": 0,
        "per_code_uS": PER_CODE_uS,
        "zero_conversions": 16,
        "read_voltage_v": 0.2,
        "temperature_k": 298.15,
        "calibration_id": "nominal-0123456789ab",
        "info": MapInfo(
            kind="readback",
            chip_serial="chip-1",
            board_serial="board-1",
            board_name="bench",
            simulated=True,
            firmware="1.0",
            recipe='{"name": "dense"}',
            notes="first of its kind, 25 °C",
            parent="0123456789ab",
        ),
    }
    return ConductanceMap(**(values | changes))  # type: ignore[arg-type]


def info_at(created: str, chip_serial: str = "chip-1") -> MapInfo:
    return MapInfo(kind="read", chip_serial=chip_serial, created=created)


def assert_same(a: ConductanceMap, b: ConductanceMap) -> None:
    for field in dataclasses.fields(ConductanceMap):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert np.array_equal(one, other), field.name
        else:
            assert one == other, field.name


@pytest.fixture
def store(tmp_path: Path) -> MapStore:
    return MapStore(tmp_path)


# --- the value --------------------------------------------------------------------------------


def test_conductance_is_what_the_calibration_says_averaged_over_the_reads():
    measured = make_map()
    model = nominal(per_code_uS=(PER_CODE_uS,), zero_conversions=16, pedestal=256, adc_bits=14)
    each = model.to_uS(measured.codes, measured.zero_sums, 0)
    assert np.allclose(measured.conductance_uS, each.mean(axis=0), rtol=1e-12)
    assert np.allclose(measured.sd_uS, each.std(axis=0, ddof=1), rtol=1e-9)
    assert measured.shape == (4, 5)
    assert measured.reads == 3


def test_the_cells_own_conductance_is_kept_beside_what_was_read():
    read = make_map()
    assert np.array_equal(read.conductance_uS, read.read_uS)
    own = make_map(own_uS=read.read_uS * 1.1)
    assert np.array_equal(own.read_uS, read.read_uS)
    assert np.array_equal(own.conductance_uS, read.read_uS * 1.1)
    assert np.array_equal(own.sd_uS, read.sd_uS)


def test_a_single_read_does_not_claim_to_know_its_noise():
    assert np.isnan(make_map(reads=1).sd_uS).all()


def test_a_steady_cell_has_no_noise_even_at_full_scale():
    steady = make_map(codes=np.full((3, 4, 5), 65_535, dtype=np.uint16))
    assert np.array_equal(steady.sd_uS, np.zeros((4, 5)))


def test_a_map_cannot_be_changed():
    measured = make_map()
    with pytest.raises(ValueError, match="read-only"):
        measured.codes[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        measured.conductance_uS[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.range_index = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rows": np.arange(3)}, "must have shape"),
        ({"rows": np.array([0, 2, 1, 3])}, "ascending"),
        ({"rows": np.array([-1, 0, 1, 2])}, "ascending"),
        ({"cols": np.arange(5).reshape(1, 5)}, "vector"),
        ({"codes": np.zeros((3, 4, 6), np.uint16)}, "codes must have shape"),
        ({"codes": np.full((3, 4, 5), 70_000)}, "codes must fit uint16"),
        ({"codes": np.full((3, 4, 5), "a")}, "codes must hold numbers"),
        ({"codes": np.zeros((0, 4, 5), np.uint16), "row_time_ns": np.zeros((0, 4))}, "either"),
        ({"imported_uS": np.zeros((4, 5))}, "either codes or imported_uS"),
        ({"off_uS": np.full((4, 5), np.nan)}, "off_uS must be finite"),
        ({"valid": np.ones((5, 4), np.bool_)}, "valid must have shape"),
        ({"zero_conversions": 0}, "zero_conversions"),
        ({"own_uS": np.zeros((5, 4))}, "own_uS must have shape"),
        ({"own_uS": np.full((4, 5), np.inf)}, "own_uS must be finite"),
        (
            {
                **{"codes": np.zeros((0, 4, 5)), "row_time_ns": np.zeros((0, 4))},
                **{"imported_uS": np.zeros((4, 5)), "own_uS": np.zeros((4, 5))},
            },
            "without codes has no own_uS",
        ),
        ({"temperature_k": float("nan")}, "temperature_k must be finite"),
    ],
)
def test_a_map_whose_parts_do_not_fit_is_refused(change: dict[str, object], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(make_map(), **change)


# --- its file ---------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_map_comes_back_from_its_file_exactly(tmp_path_factory, data: st.DataObject):
    rows = data.draw(st.lists(st.integers(0, 511), min_size=1, max_size=6, unique=True))
    cols = data.draw(st.lists(st.integers(0, 511), min_size=1, max_size=6, unique=True))
    reads = data.draw(st.integers(0, 3))
    shape = (len(rows), len(cols))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    matrices = hnp.arrays(np.float64, shape, elements=finite)
    written = ConductanceMap(
        codes=data.draw(hnp.arrays(np.uint16, (reads, *shape))),
        zero_sums=data.draw(hnp.arrays(np.uint32, len(rows))),
        rows=np.array(sorted(rows)),
        cols=np.array(sorted(cols)),
        row_time_ns=data.draw(hnp.arrays(np.uint64, (reads, len(rows)))),
        valid=data.draw(hnp.arrays(np.bool_, shape)),
        range_index=data.draw(st.integers(0, 3)),
        per_code_uS=data.draw(finite),
        zero_conversions=data.draw(st.integers(1, 64)),
        read_voltage_v=data.draw(st.none() | finite),
        temperature_k=data.draw(st.none() | finite),
        calibration_id=data.draw(st.text()),
        info=MapInfo(
            kind=data.draw(st.sampled_from(["virgin", "readback", "imported", "read"])),
            notes=data.draw(st.text(alphabet=st.characters(exclude_categories=["Cs"]))),
            simulated=data.draw(st.booleans()),
            recipe=data.draw(st.none() | st.just("{}")),
        ),
        imported_uS=None if reads else data.draw(matrices),
        off_uS=data.draw(st.none() | matrices),
    )
    store = MapStore(tmp_path_factory.mktemp("maps"))
    entry = store.save(written)
    assert_same(store.load(entry.id), written)
    assert store.find(entry.id) == entry


def test_own_conductances_are_kept_and_vouched_for(store: MapStore):
    written = make_map(own_uS=np.linspace(-0.1, 20, 20).reshape(4, 5))
    entry = store.save(written)
    assert_same(store.load(entry.id), written)
    assert entry.id != store.save(make_map()).id
    with h5py.File(entry.path, "r+") as file:
        file["own_uS"][0, 0] = 1.0
    with pytest.raises(MapFileError, match="its content has id"):
        store.load(entry.id)


def test_maps_without_own_conductances_keep_the_ids_they_had(store: MapStore):
    """As version 0.1.0 wrote them, before maps knew the cells' own conductance."""
    info = MapInfo(kind="read", software="rramhil 0.1.0", created="2026-01-01T00:00:00+00:00")
    entry = store.save(make_map(info=info))
    assert entry.id == "556eb36296e2"
    with h5py.File(entry.path) as file:
        assert "own_uS" not in file


def test_notes_that_no_file_can_hold_are_mended(store: MapStore):
    info = MapInfo(kind="read", notes="caf\udce9")
    assert store.load(store.save(make_map(info=info)).id).info.notes == "caf?"


def test_a_map_with_long_notes_and_a_whole_macro_comes_back(store: MapStore):
    info = MapInfo(kind="readback", notes="n" * 200_000)
    written = make_map(reads=2, rows=512, cols=512, info=info)
    assert_same(store.load(store.save(written).path), written)


def test_the_id_is_over_the_content_and_the_same_map_is_kept_once(store: MapStore):
    info = info_at("2026-01-01T00:00:00+00:00")
    first = store.save(make_map(info=info))
    again = store.save(make_map(info=info))
    assert first == again
    assert len(first.id) == 12
    assert first.path.name == f"{first.id}.h5"
    other_notes = store.save(make_map(info=dataclasses.replace(info, notes="x")))
    other_codes = store.save(make_map(info=info, seed=1))
    assert len({first.id, other_notes.id, other_codes.id}) == 3
    assert len(list(store.folder.iterdir())) == 3


def test_a_changed_number_in_a_file_is_found(store: MapStore):
    path = store.save(make_map()).path
    with h5py.File(path, "r+") as file:
        file["codes"][1, 2, 3] ^= 1
    with pytest.raises(MapFileError, match="cannot be read as a map: its content has id"):
        load_map(path)


@pytest.mark.parametrize("name", ["codes", "valid", "metadata", "rows"])
def test_a_file_that_lacks_a_part_is_refused(store: MapStore, name: str):
    entry = store.save(make_map())
    with h5py.File(entry.path, "r+") as file:
        del file[name]
    with pytest.raises(MapFileError) as refusal:
        store.load(entry.id)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codes", np.zeros((3, 4, 5), np.float32)),
        ("codes", np.zeros((4, 5), np.uint16)),
        ("rows", np.array([b"a", b"b"])),
        ("metadata", np.frombuffer(b"not json", np.uint8)),
        ("metadata", np.frombuffer(b"[1, 2]", np.uint8)),
        ("metadata", np.frombuffer(b'{"format": 2}', np.uint8)),
    ],
)
def test_a_file_with_a_part_of_the_wrong_type_is_refused(
    store: MapStore, name: str, value: np.ndarray
):
    path = store.save(make_map()).path
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value
    with pytest.raises(MapFileError, match="cannot be read as a map"):
        load_map(path)


def test_a_file_that_claims_an_enormous_array_is_refused_unread(store: MapStore):
    path = store.save(make_map()).path
    with h5py.File(path, "r+") as file:
        del file["codes"]
        # Chunks that were never written take no room in the file, only in memory.
        file.create_dataset("codes", (1 << 20, 512, 512), "<u2", chunks=(1, 512, 512))
    with pytest.raises(MapFileError, match="codes is too large"):
        load_map(path)


def test_a_truncated_file_is_refused_wherever_it_was_cut(store: MapStore):
    path = store.save(make_map()).path
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(MapFileError) as refusal:
            load_map(path)
        assert "\n" not in refusal.value.sentence


def test_a_flipped_byte_is_refused_or_changes_nothing(store: MapStore):
    written = make_map()
    path = store.save(written).path
    whole = bytearray(path.read_bytes())
    refused = 0
    for place in np.random.default_rng(2).integers(0, len(whole), 150):
        flipped = bytearray(whole)
        flipped[place] ^= 0x41
        path.write_bytes(flipped)
        try:
            assert_same(load_map(path), written)
        except MapFileError:
            refused += 1
    assert refused > 0


def test_a_folder_that_cannot_be_written_is_said_to_be(tmp_path: Path):
    (tmp_path / "maps").write_text("")
    with pytest.raises(LabUnusable, match="cannot be written"):
        MapStore(tmp_path / "maps").save(make_map())


def test_a_save_that_fails_leaves_no_file(store: MapStore, monkeypatch):
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(LabUnusable, match="No space left"):
        store.save(make_map())
    assert list(store.folder.iterdir()) == []


# --- the store --------------------------------------------------------------------------------


def test_maps_are_listed_newest_first_and_latest_is_of_the_chip(lab_root: Path):
    with Lab(lab_root) as lab:
        old = lab.maps.save(make_map(info=info_at("2026-01-01T00:00:00+00:00")))
        new = lab.maps.save(make_map(info=info_at("2026-03-01T00:00:00+00:00")))
        other = lab.maps.save(make_map(info=info_at("2026-02-01T00:00:00+00:00", "chip-2")))
        assert [entry.id for entry in lab.maps.list()] == [new.id, other.id, old.id]
        assert lab.maps.list("chip-2") == [other]
        assert lab.maps.find("latest").id == new.id
        assert lab.maps.find("latest", "chip-2").id == other.id
        assert (new.reads, new.shape) == (3, (4, 5))
        assert new.heatmap.parent == new.path.parent
        with pytest.raises(NotFound, match="no map of chip chip-3"):
            lab.maps.load("latest", "chip-3")


def test_a_map_is_found_by_the_beginning_of_its_id_or_its_path(store: MapStore):
    entry = store.save(make_map())
    for reference in (entry.id, entry.id[:5], entry.id[:5].upper(), entry.path, str(entry.path)):
        assert store.find(reference).id == entry.id
    with pytest.raises(NotFound, match="no map 'ffffffffffff0'"):
        store.find("ffffffffffff0")
    for reference in ("", "zz", "*", "[0-9a-f]", "../x.h5"):
        with pytest.raises(NotFound):
            store.find(reference)
    with pytest.raises(NotFound):
        store.find(entry.id, "chip-2")


def test_a_beginning_of_several_ids_is_not_guessed_at(store: MapStore):
    ids = [store.save(make_map(seed=n)).id for n in range(17)]
    first = next(i for i in ids if sum(other[0] == i[0] for other in ids) > 1)
    with pytest.raises(NotFound, match="beginning of several maps") as refusal:
        store.find(first[0])
    assert first in refusal.value.sentence


def test_a_map_that_is_damaged_after_it_was_listed_is_not_listed_again(store: MapStore):
    kept, bad = store.save(make_map()), store.save(make_map(seed=1))
    assert {entry.id for entry in store.list()} == {kept.id, bad.id}
    bad.path.write_bytes(bad.path.read_bytes()[:100])
    assert store.list() == store.list() == [kept]


def test_a_damaged_map_is_refused_by_name_and_does_not_hide_the_others(store: MapStore):
    good = store.save(make_map())
    bad = store.save(make_map(seed=1))
    bad.path.write_bytes(b"not HDF5 at all")
    assert store.list() == [good]
    assert store.damaged() == [bad.path]
    with pytest.raises(MapFileError, match="it is damaged"):
        store.load(bad.id)


# --- differences ------------------------------------------------------------------------------


def constant(value: int, reads: int = 4, rows: int = 3, cols: int = 4, **changes: object):
    changes = {
        "codes": np.full((reads, rows, cols), value, dtype=np.uint16),
        "zero_sums": np.zeros(rows, dtype=np.uint32),
        "valid": np.ones((rows, cols), dtype=np.bool_),
        **changes,
    }
    return make_map(reads, rows, cols, **changes)


def test_own_conductances_are_compared_where_both_maps_know_them():
    """A cell whose reading fell because its neighbours now load the lines has not changed."""
    before, after = make_map(seed=1), make_map(seed=1)
    own = np.full((4, 5), 12.0)
    neither = diff(before, after)
    assert neither.as_read
    one = diff(dataclasses.replace(before, own_uS=own), after)
    assert one.as_read
    assert np.array_equal(one.change_uS, np.zeros((4, 5)))
    both = diff(
        dataclasses.replace(before, own_uS=own), dataclasses.replace(after, own_uS=own + 1.0)
    )
    assert not both.as_read
    assert np.array_equal(both.change_uS, np.ones((4, 5)))
    imported = make_map(
        codes=np.zeros((0, 4, 5)), row_time_ns=np.zeros((0, 4)), imported_uS=own, seed=1
    )
    assert not diff(imported, dataclasses.replace(after, own_uS=own)).as_read


def test_noise_is_enlarged_by_as_much_as_the_losses_were_made_up_for():
    dice = np.random.default_rng(9)
    lost = np.linspace(0.75, 1.0, 64)[None, :] * np.ones((64, 1))
    maps = []
    for _ in range(2):
        codes = np.rint(2000 * lost + 256 + dice.normal(0, 5, (8, 64, 64))).astype(np.uint16)
        read = make_map(
            reads=8,
            rows=64,
            cols=64,
            codes=codes,
            zero_sums=np.full(64, 16 * 256),
            valid=np.ones((64, 64), dtype=bool),
        )
        # what is lost to a cell is lost from it again, so errors count by the square
        own = 2000 * PER_CODE_uS + (read.read_uS - 2000 * PER_CODE_uS * lost) / lost**2
        maps.append(dataclasses.replace(read, own_uS=own))
    assert diff(*maps).changed_fraction < 0.03


def test_a_map_does_not_differ_from_itself():
    measured = make_map()
    same = diff(measured, measured)
    assert (same.mean_uS, same.sd_uS, same.max_abs_uS, same.changed_fraction) == (0, 0, 0, 0)
    assert same.correlation == pytest.approx(1.0)


def test_a_difference_is_second_minus_first_over_the_lines_both_have():
    first = constant(1000, rows=3, cols=4)
    second = constant(1010, rows=4, cols=2)
    second = dataclasses.replace(second, rows=np.array([1, 2, 5, 7]), cols=np.array([0, 3]))
    between = diff(first, second)
    assert between.rows.tolist() == [1, 2]
    assert between.cols.tolist() == [0, 3]
    assert np.allclose(between.change_uS, np.full((2, 2), 10 * PER_CODE_uS))
    assert between.mean_uS == pytest.approx(10 * PER_CODE_uS)
    assert between.max_abs_uS == pytest.approx(10 * PER_CODE_uS)
    assert between.changed_fraction == 1.0
    assert between.correlation is None


def test_only_what_is_beyond_the_noise_counts_as_changed():
    dice = np.random.default_rng(5)
    codes = [dice.normal(2000, 20, (32, 64, 64)).round().astype(np.uint16) for _ in range(2)]
    first = constant(0, 32, 64, 64, codes=codes[0])
    noise_only = diff(first, constant(0, 32, 64, 64, codes=codes[1]))
    assert noise_only.changed_fraction < 0.02
    moved = codes[1].copy()
    moved[:, :16, :] += 100
    quarter = diff(first, constant(0, 32, 64, 64, codes=moved))
    assert quarter.changed_fraction == pytest.approx(0.25, abs=0.02)
    assert quarter.changed[:16].all()


def test_invalid_cells_are_shown_and_not_counted():
    valid = np.ones((3, 4), dtype=np.bool_)
    valid[0, 0] = False
    codes = np.full((4, 3, 4), 1000, dtype=np.uint16)
    codes[:, 0, 0] = 9000
    between = diff(constant(1000), constant(0, codes=codes, valid=valid))
    assert between.max_abs_uS == 0
    assert between.change_uS[0, 0] > 40
    assert not between.changed[0, 0]
    assert between.compared.sum() == 11


def test_maps_that_share_no_cell_cannot_be_compared():
    first, second = constant(1), dataclasses.replace(constant(1), rows=np.array([100, 101, 102]))
    with pytest.raises(UsageError, match="no valid cell in common"):
        diff(first, second)


def test_a_single_read_borrows_the_noise_of_the_other_map():
    noisy = make_map(reads=8, valid=np.ones((4, 5), np.bool_))
    single = dataclasses.replace(noisy, codes=noisy.codes[:1], row_time_ns=noisy.row_time_ns[:1])
    assert diff(noisy, single).changed_fraction < 0.3
