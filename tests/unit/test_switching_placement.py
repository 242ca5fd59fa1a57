"""Placements and the packer: every weight once, no cell twice, around defects, over chips."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rramhil.errors import NotFound, PlacementError
from rramhil.switching import (
    Defects,
    Geometry,
    Mask,
    MatrixShape,
    Placement,
    Tile,
    compile_masks,
    pack,
    total_bounds,
)

MACRO = Geometry(512, 512, 8)
SMALL = Geometry(16, 12, 4)
FASHION = (
    MatrixShape("conv1", 64, 9),
    MatrixShape("conv2", 16, 576),
    MatrixShape("fc1", 128, 400),
    MatrixShape("fc2", 10, 128),
)
SHAPES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 20)), min_size=1, max_size=5)


def named(shapes: list[tuple[int, int]]) -> list[MatrixShape]:
    return [MatrixShape(f"m{n}", *shape) for n, shape in enumerate(shapes)]


def cells_of_weights(placement: Placement) -> dict[tuple[str, int, int], tuple[int, int, int, int]]:
    """Chip, plus row, minus row and column of each weight, found cell by cell."""
    found: dict[tuple[str, int, int], tuple[int, int, int, int]] = {}
    for tile in placement.tiles:
        for i, (plus, minus) in enumerate(tile.rows.tolist()):
            for j, column in enumerate(tile.columns.tolist()):
                key = (tile.matrix, tile.first_output + i, tile.first_input + j)
                assert key not in found
                found[key] = (tile.chip, plus, minus, column)
    return found


@given(shapes=SHAPES, seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.01, 0.05]))
@settings(max_examples=120, deadline=None)
def test_every_weight_has_two_sound_cells_of_its_own(
    shapes: list[tuple[int, int]], seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    flaws = {
        chip: Defects(
            tuple(rng.integers(0, 16, 1).tolist()),
            tuple(rng.integers(0, 12, 1).tolist()),
            rng.random((16, 12)) < share,
        )
        for chip in range(40)
    }
    matrices = named(shapes)
    placement = pack(matrices, SMALL, chips=range(40), defects=flaws)
    where = cells_of_weights(placement)
    assert len(where) == sum(matrix.outputs * matrix.inputs for matrix in matrices)
    taken: set[tuple[int, int, int]] = set()
    for chip, plus, minus, column in where.values():
        assert abs(plus - minus) == 1
        assert min(plus, minus) % 2 == 0
        for row in (plus, minus):
            assert (chip, row, column) not in taken
            taken.add((chip, row, column))
            assert row not in flaws[chip].dead_rows
            assert column not in flaws[chip].dead_columns
            stuck = flaws[chip].stuck
            assert stuck is not None
            assert not stuck[row, column]


def test_a_network_that_fills_its_macros_to_the_last_cell_is_placed() -> None:
    # 33 macros' worth in matrices that no macro divides: cut where they must be, and no cell lost
    sizes = [(512, 4608), (512, 2304), (256, 2304), (128, 1152), (64, 576), (64, 27)]
    weights = sum(a * b for a, b in sizes)
    macros = -(-2 * weights // MACRO.cells)
    placement = pack(named(sizes), MACRO, chips=range(macros))
    assert sum(int(placement.used(chip).sum()) for chip in placement.chips) == 2 * weights


def test_what_does_not_fit_is_refused_with_the_cells_that_are_missing() -> None:
    with pytest.raises(PlacementError) as refusal:
        pack([MatrixShape("a", 300, 512)], MACRO, defects={0: Defects((7,), (1, 2))})
    needed, there = 2 * 300 * 512, 510 * 510
    assert f"needs {needed:,} cells" in refusal.value.sentence
    assert f"{there:,} on live lines: {needed - there:,} are missing" in refusal.value.sentence
    assert "--chips 0-3" in refusal.value.next_step
    assert refusal.value.exit_code == 2


def test_stuck_cells_everywhere_are_refused_too() -> None:
    everywhere = np.ones((16, 12), dtype=np.bool_)
    with pytest.raises(PlacementError, match="4 are missing, since stuck cells lie between"):
        pack([MatrixShape("a", 1, 2)], SMALL, defects={0: Defects(stuck=everywhere)})
    with pytest.raises(PlacementError, match="4 are missing"):
        pack([MatrixShape("a", 1, 2)], SMALL, defects={0: Defects(tuple(range(16)))})


def test_a_wide_layer_is_tiled_and_a_tall_one_spread_over_chips() -> None:
    wide = pack([MatrixShape("a", 16, 576)], MACRO)
    assert sorted(len(tile.columns) for tile in wide.tiles) == [64, 512]
    tall = pack([MatrixShape("a", 300, 100)], MACRO, chips=(2, 5))
    assert sorted(len(tile.rows) for tile in tall.tiles) == [44, 256]
    assert set(tall.chips) <= {2, 5}


def test_a_part_is_cut_across_outputs_rather_than_across_inputs() -> None:
    # free are 8 pairs x 5 columns on one chip and 3 pairs x 12 columns on the other
    placement = pack(named([(5, 12), (8, 7), (7, 7)]), SMALL, chips=(0, 1))
    first = placement.tiles_of("m2")[0]
    assert (len(first.rows), len(first.columns)) == (3, 7)


def test_matrices_of_one_shape_keep_their_own_places() -> None:
    placement = pack([MatrixShape("a", 4, 4), MatrixShape("b", 4, 4)], SMALL)
    values = {0: np.arange(16 * 12, dtype=np.float64).reshape(16, 12)}
    found = {name: placement.gather(name, values) for name in "ab"}
    assert not set(found["a"][0].ravel()) & set(found["b"][0].ravel())


def test_gather_and_spread_follow_every_single_weight() -> None:
    rng = np.random.default_rng(3)
    placement = pack(named([(9, 20), (5, 7)]), SMALL, chips=range(4))
    values = {chip: rng.random((16, 12)) for chip in range(4)}
    where = cells_of_weights(placement)
    for matrix in placement.matrices:
        plus, minus = placement.gather(matrix.name, values)
        for i in range(matrix.outputs):
            for j in range(matrix.inputs):
                chip, high, low, column = where[matrix.name, i, j]
                assert plus[i, j] == values[chip][high, column]
                assert minus[i, j] == values[chip][low, column]
        inputs = rng.integers(0, 16, (3, matrix.inputs))
        product = np.zeros((3, matrix.outputs))
        for tile in placement.tiles_of(matrix.name):
            lines = tile.spread(inputs, SMALL.columns)
            product[:, tile.outputs] += lines @ values[tile.chip][tile.rows[:, 0]].T
        assert np.allclose(product, inputs @ plus.T)


def test_overlay_lets_layers_share_cells_and_nothing_else_does() -> None:
    both = named([(8, 12), (8, 12), (20, 30)])
    with pytest.raises(PlacementError, match="missing"):
        pack(both, SMALL)
    placement = pack(both, SMALL, overlay=True)
    assert placement.chips == (0,)
    with pytest.raises(PlacementError, match="share cells of chip 0"):
        replace(placement, overlay=False)


# --- masks known beforehand -----------------------------------------------------------------


def codebook_mask(rng: np.random.Generator, outputs: int, inputs: int, kind: str) -> Mask:
    book = rng.random((int(rng.integers(1, 12)), inputs)) < 0.5
    plus, minus = (book[rng.integers(0, len(book), outputs)] for _ in range(2))
    return Mask.pair(plus) if kind == "pair" else Mask.cell(plus, minus)


@pytest.mark.parametrize("kind", ["pair", "cell"])
def test_the_packer_brings_the_steps_down_to_what_no_placement_can_beat(kind: str) -> None:
    rng = np.random.default_rng(5)
    better = 0
    for _ in range(30):
        outputs = int(rng.integers(1, 200))
        matrices = [MatrixShape("a", outputs, 40)]
        masks = {"a": codebook_mask(rng, outputs, 40, kind)}
        blind = total_bounds(compile_masks(pack(matrices, MACRO), masks, 2))
        seeing = total_bounds(compile_masks(pack(matrices, MACRO, masks=masks), masks, 2))
        assert seeing.steps == seeing.absolute == blind.absolute
        better += seeing.steps < blind.steps
    assert better > 10


def used_cells_that_are_stuck(placement: Placement, mask: Mask, stuck: NDArray[np.bool_]) -> int:
    count = 0
    for tile in placement.tiles:
        for side, used in enumerate((mask.plus, mask.minus)):
            bad = stuck[np.ix_(tile.rows[:, side], tile.columns)]
            count += int((bad & used[tile.outputs, tile.inputs]).sum())
    return count


def test_a_weight_that_is_pruned_may_sit_on_a_stuck_cell_and_no_other() -> None:
    rng = np.random.default_rng(8)
    stuck = rng.random((512, 512)) < 0.001
    mask = Mask.cell(rng.random((200, 512)) < 0.3, rng.random((200, 512)) < 0.3)
    matrices = [MatrixShape("a", 200, 512)]
    placement = pack(matrices, MACRO, defects={0: Defects(stuck=stuck)}, masks={"a": mask})
    assert len(placement.tiles) == 1
    assert placement.used(0)[stuck].any()
    assert used_cells_that_are_stuck(placement, mask, stuck) == 0


def test_no_fewer_channels_than_kinds_are_needed() -> None:
    rng = np.random.default_rng(1)
    for channels in (1, 2, 3, 4, 6, 16):
        geometry = Geometry(64, 64, channels)
        mask = codebook_mask(rng, 20, 30, "cell")
        placement = pack([MatrixShape("a", 20, 30)], geometry, masks={"a": mask})
        assert total_bounds(compile_masks(placement, {"a": mask}, 0)).steps > 0


# --- file and picture -----------------------------------------------------------------------


def test_a_placement_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    placement = pack(FASHION, MACRO)
    placement.save(tmp_path / "placement.json")
    found = Placement.load(tmp_path / "placement.json")
    assert found.id == placement.id
    assert found.matrices == placement.matrices
    assert cells_of_weights(found) == cells_of_weights(placement)


def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "placement.json"
    with pytest.raises(NotFound):
        Placement.load(path)
    pack(FASHION, MACRO).save(path)
    whole = path.read_text()
    broken = [whole[:-9], "", "[1]", whole.replace('"columns":[', '"columns":[99999,', 1)]
    for text in broken:
        path.write_text(text)
        with pytest.raises(PlacementError):
            Placement.load(path)
    said = json.loads(whole)
    said["tiles"][0]["rows"][0] = said["tiles"][0]["rows"][1]
    path.write_text(json.dumps(said))
    with pytest.raises(PlacementError, match="row twice"):
        Placement.load(path)


def test_tiles_that_leave_a_gap_or_lie_outside_are_no_placement() -> None:
    rows, columns = np.array([[0, 1]]), np.arange(3)
    matrix = (MatrixShape("a", 1, 4),)
    with pytest.raises(PlacementError, match="do not cover its 1 x 4 weights"):
        Placement(SMALL, matrix, (Tile("a", 0, 0, 0, rows, columns),))
    with pytest.raises(PlacementError, match="do not cover"):
        Placement(SMALL, matrix, (Tile("a", 0, 0, 1, rows, np.arange(4)),))
    with pytest.raises(PlacementError, match="no neighbours"):
        Placement(SMALL, matrix, (Tile("a", 0, 0, 0, np.array([[0, 2]]), np.arange(4)),))
    with pytest.raises(PlacementError, match="outside 0 to 11"):
        Placement(SMALL, matrix, (Tile("a", 0, 0, 0, rows, np.arange(9, 13)),))
    with pytest.raises(PlacementError, match="a tile has no matrix"):
        Placement(SMALL, matrix, (Tile("b", 0, 0, 0, rows, np.arange(4)),))


def test_the_picture_shows_every_chip_and_the_package_loads_without_matplotlib(
    tmp_path: Path,
) -> None:
    pack(FASHION, MACRO).draw(tmp_path / "one.png", "FashionMNIST")
    pack(named([(500, 600), (40, 40)]), MACRO, chips=range(3)).draw(tmp_path / "several.png")
    pack(named([(8, 12), (8, 12)]), SMALL, overlay=True).draw(tmp_path / "overlay.png")
    for picture in tmp_path.iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")
    code = "import sys, rramhil.switching as s; print([m in sys.modules for m in sys.argv[1:]])"
    heavy = ["matplotlib", "torch", "numba", "h5py"]
    command = [sys.executable, "-c", code, *heavy]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, False, False, False]"
