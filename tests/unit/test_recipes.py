"""Recipes: what they may say, how files say it, and that no cell can be pulsed twice."""

from __future__ import annotations

from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rramhil.errors import NotFound, RecipeError
from rramhil.programming.recipes import (
    BUILT_IN,
    LADDER_V,
    Lines,
    Recipe,
    Step,
    dense,
    find_recipe,
    ladder,
    load_recipe,
    read_recipe,
)

GOOD = """
name = "halves"
[[steps]]
amplitude_v = 4.0
width_ns = 1_000_000
compliance_a = 100e-6
rows = "0:256"
[[steps]]
amplitude_v = 3.433
width_ns = 100_000
compliance_a = 100e-6
rows = "256:"
cols = [0, 512]
"""

STEP = "[[steps]]\namplitude_v = 4.0\nwidth_ns = 1000\ncompliance_a = 1e-4\n"


def step(rows: object = Lines(), cols: object = Lines()) -> Step:
    return Step.model_validate(
        {"amplitude_v": 4.0, "width_ns": 1000, "compliance_a": 1e-4, "rows": rows, "cols": cols}
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_are_found_by_name_and_survive_json(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.name == name
    assert read_recipe(recipe.model_dump_json()) == recipe


def test_the_ladder_gives_every_row_one_amplitude() -> None:
    rows = [list(each.rows.within(512)) for each in ladder().steps]
    assert sorted(chain.from_iterable(rows)) == list(range(512))
    assert [each.amplitude_v for each in ladder().steps] == list(LADDER_V)
    assert len(LADDER_V) == 10


def test_a_ladder_takes_other_amplitudes() -> None:
    assert [each.rows for each in ladder([3.3, 3.5]).steps] == [(0, None, 2), (1, None, 2)]
    with pytest.raises(RecipeError, match="amplitude_v = -1"):
        ladder([3.3, -1])
    with pytest.raises(RecipeError, match="steps"):
        ladder([])


def test_a_recipe_is_read_from_toml(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, GOOD))
    assert [each.amplitude_v for each in recipe.steps] == [4.0, 3.433]
    assert recipe.steps[0].rows == (0, 256, 1)
    assert recipe.steps[1].rows == (256, None, 1)
    assert recipe.steps[1].cols == (0, 512, 1)
    assert find_recipe(str(tmp_path / "recipe.toml")) == recipe


def test_a_whole_number_is_a_voltage_too(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "name = 'x'\n" + STEP.replace("4.0", "4")))
    assert recipe.steps[0].amplitude_v == 4.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name =", "is not TOML"),
        ("name = 'x'", "steps is missing"),
        (STEP, "name is missing"),
        ("name = 'x'\nsteps = []", "steps"),
        (
            "name = 'x'\n" + STEP.replace("4.0", "-4.0"),
            r"steps\[0\]\.amplitude_v = -4\.0: .*than 0",
        ),
        ("name = 'x'\n" + STEP.replace("4.0", "nan"), r"amplitude_v = nan: .*finite"),
        ("name = 'x'\n" + STEP.replace("1000", "1.5"), r"width_ns = 1\.5"),
        ("name = 'x'\n" + STEP.replace("4.0", "true"), "amplitude_v = True: .*number"),
        ("name = 'x'\n" + STEP.replace("4.0", "'3.5'"), r"amplitude_v = '3\.5': .*number"),
        ("name = 'x'\n" + STEP.replace("1000", "true"), "width_ns = True: .*integer"),
        ("name = 'x'\n" + STEP.replace("1e-4", "'1e-4'"), "compliance_a = '1e-4': .*number"),
        ("name = 'x'\n" + STEP.replace("compliance_a", "complience_a"), "compliance_a is missing"),
        ("name = 'x'\n" + STEP + "colour = 3", r"steps\[0\]\.colour = 3: extra"),
        ("name = 'x'\n" + STEP + "rows = 'a:b'", r"rows = 'a:b': lines are written"),
        ("name = 'x'\n" + STEP + "rows = [7]", r"rows = \[7\]: lines are"),
        ("name = 'x'\n" + STEP + "rows = '9:3'", r"rows = '9:3': lines must run upwards"),
        ("name = 'x'\n" + STEP + "cols = [-1, 3]", "lines must run upwards"),
        ("name = 'x'\n" + STEP + "rows = '0:70000'", "65536"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as refusal:
        load_recipe(written(tmp_path, text))
    assert "recipe.toml" in refusal.value.sentence
    assert "\n" not in refusal.value.sentence
    assert refusal.value.exit_code == 2


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "bytes.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path)
    with pytest.raises(NotFound, match="neither one of dense, sparse, ladder nor a file"):
        find_recipe("denes")


def test_overlapping_steps_are_refused_by_number_and_cell() -> None:
    steps = (step("0:10"), step("10:20"), step("15:", "3:4"))
    with pytest.raises(RecipeError, match=r"Steps 2 and 3 .* row 15, column 3"):
        Recipe(name="x", steps=steps)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        dense().steps[0].amplitude_v = 4.1  # type: ignore[misc]


regions = st.builds(
    lambda start, length, stride: Lines(start, None if length is None else start + length, stride),
    st.integers(0, 20),
    st.none() | st.integers(1, 20),
    st.integers(1, 7),
)


@given(st.lists(st.tuples(regions, regions), min_size=1, max_size=4))
def test_exactly_the_recipes_that_pulse_a_cell_twice_are_refused(
    places: list[tuple[Lines, Lines]],
) -> None:
    """An array larger than all starts plus twice the strides' product holds any common cell."""
    size = 128
    masks = []
    for rows, cols in places:
        mask = np.zeros((size, size), dtype=bool)
        mask[np.ix_(list(rows.within(size)), list(cols.within(size)))] = True
        masks.append(mask)
    overlap = any((one & other).any() for one, other in combinations(masks, 2))
    try:
        Recipe(name="x", steps=tuple(step(rows, cols) for rows, cols in places))
    except RecipeError:
        assert overlap
    else:
        assert not overlap
