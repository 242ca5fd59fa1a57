"""What a training is asked for: numbers and words out of range are refused by their option."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.comparison import CompareRequest
from rramhil.errors import UsageError
from rramhil.flow import TrainRequest

HUGE = 10**23


@pytest.mark.parametrize(
    ("option", "value", "more"),
    [
        ("seed", HUGE, {}),
        ("seed", -1, {}),
        ("epochs", 0, {}),
        ("epochs", HUGE, {}),
        ("density", -1.0, {}),
        ("density", 0.0, {}),
        ("density", math.nan, {}),
        ("rate", math.nan, {}),
        ("rate", math.inf, {}),
        ("rate", 0.0, {}),
        ("steps", math.nan, {"gate": "codebook"}),
        ("steps", math.inf, {"gate": "codebook"}),
        ("noise_level", -0.1, {}),
        ("noise_level", math.nan, {}),
        ("hysteresis", math.inf, {"by": "reset"}),
        ("hysteresis", math.nan, {"by": "reset"}),
        ("cell_pulses", 0, {"by": "reset"}),
        ("in_the_loop", HUGE, {}),
        ("by", "nonsense", {}),
        ("device", "gpu", {}),
        ("noise", "", {}),
    ],
)
def test_what_is_out_of_range_is_refused_by_its_option(
    option: str, value: Any, more: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as told:
        TrainRequest("digits", **{option: value}, **more)
    written = "--" + option.replace("_", "-")
    said = f"{value:g}" if isinstance(value, float) else repr(value)
    assert told.value.sentence.startswith(written)
    assert told.value.sentence.endswith(f", not {said}.")
    assert told.value.next_step.startswith(f"Write {written} ")


@pytest.mark.parametrize(
    ("option", "value"),
    [("seed", HUGE), ("density", math.nan), ("epochs", HUGE), ("device", "gpu")],
)
def test_a_comparison_is_held_to_the_same(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^--{option} is .*, not "):
        CompareRequest("digits", **{option: value})


def test_the_ends_of_the_ranges_are_in_them() -> None:
    TrainRequest("digits", seed=2**32 - 1, epochs=1_000_000, density=1.0, rate=1000.0)


def test_a_flat_map_is_not_written_by_pulses() -> None:
    with pytest.raises(UsageError, match="flat map") as told:
        TrainRequest("digits", map="flat", by="reset")
    assert "--map own" in told.value.next_step


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"gate": "pair"}, "masks of cells"),
        *(({"noise": kind}, f"--noise {kind}") for kind in ("cells", "reads", "conversions")),
    ],
)
def test_robust_masks_are_refused_where_they_are_none(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as told:
        TrainRequest("digits", robust=True, **more)
    assert "--robust" in told.value.next_step
