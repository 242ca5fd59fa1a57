"""Masks: what they may be, what they belong to, and their file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rramhil.errors import MaskError, NotFound
from rramhil.switching import Mask, MaskSet


def random_masks(seed: int, count: int = 3) -> MaskSet:
    rng = np.random.default_rng(seed)
    masks: dict[str, Mask] = {}
    for number in range(count):
        shape = tuple(rng.integers(1, 12, size=2))
        plus, minus = rng.random((2, *shape)) < 0.5
        masks[f"layer {number}/größe"] = Mask.pair(plus) if number % 2 else Mask.cell(plus, minus)
    return MaskSet(masks, "0123456789ab", {3: "aaaaaaaaaaaa", 0: "bbbbbbbbbbbb"})


def same(one: MaskSet, other: MaskSet) -> bool:
    return (
        list(one.masks) == list(other.masks)
        and all(
            mask.kind == there.kind
            and (mask.plus == there.plus).all()
            and (mask.minus == there.minus).all()
            for mask, there in zip(one.masks.values(), other.masks.values(), strict=True)
        )
        and (one.placement_id, dict(one.map_ids)) == (other.placement_id, dict(other.map_ids))
    )


@given(seed=st.integers(0, 10_000), count=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_masks_come_back_from_their_file_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    path = tmp_path_factory.mktemp("masks") / "run.masks.npz"
    written = random_masks(seed, count)
    written.save(path)
    found = MaskSet.load(path)
    assert same(written, found)
    assert written.id == found.id
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_a_changed_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    written = random_masks(1)
    written.save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 200):
        broken = bytearray(content)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken))
        # what zip itself ignores, such as a time, may change
        with suppress(MaskError):
            assert same(written, MaskSet.load(path))


@pytest.mark.parametrize("content", [b"", b"PK", b"{}", bytes(300)])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "masks.npz"
    path.write_bytes(content)
    with pytest.raises(MaskError, match="damaged or foreign"):
        MaskSet.load(path)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(MaskError, match="cannot be read as masks"):
        MaskSet.load(path)


def test_an_object_in_a_file_is_never_made(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    np.savez(path, header=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MaskError):
        MaskSet.load(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        MaskSet.load(tmp_path / "none.npz")


def test_masks_are_refused_on_another_chips_map_unless_forced() -> None:
    masks = random_masks(0)
    ours = {0: "bbbbbbbbbbbb", 3: "aaaaaaaaaaaa", 5: "cccccccccccc"}
    masks.check("0123456789ab", ours)
    other = ours | {3: "dddddddddddd"}
    with pytest.raises(MaskError, match="map aaaaaaaaaaaa of chip 3, whose map is now dddd") as no:
        masks.check("0123456789ab", other)
    assert no.value.exit_code == 2
    with pytest.raises(MaskError, match="chip 0, whose map is now unknown"):
        masks.check("0123456789ab", {})
    masks.check("0123456789ab", other, force=True)


def test_masks_that_were_trained_for_any_chip_fit_every_map() -> None:
    masks = MaskSet(random_masks(0).masks, "0123456789ab")
    masks.check("0123456789ab", {0: "anything"})


def test_masks_are_refused_on_another_placement_even_if_forced() -> None:
    with pytest.raises(MaskError, match="belong to placement 0123456789ab, not to ba9876543210"):
        random_masks(0).check("ba9876543210", {}, force=True)


def test_a_pair_mask_does_not_split_a_pair() -> None:
    with pytest.raises(ValueError, match="both cells of a pair together"):
        Mask("pair", np.ones((2, 2), bool), np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="one shape"):
        Mask.cell(np.ones((2, 2), bool), np.ones((2, 3), bool))


def test_density_is_the_share_of_used_cells() -> None:
    masks = MaskSet({"a": Mask.pair([[1, 0]]), "b": Mask.cell([[1] * 6], [[0] * 6])}, "p")
    assert masks.masks["b"].density == 0.5
    assert masks.density == 0.5
    assert MaskSet({}, "p").density == 0.0
