"""Numbers as people read them."""

from __future__ import annotations

import pytest

from rramhil._units import POINTS, is_share, metric


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.97264, "97.26%"), (1.0, "100.00%"), (0.0, "0.00%"), (-4.7532, "-4.753"), (1234.5, "1234")],
)
def test_shares_are_told_in_per_cent_and_other_metrics_as_they_are(value: float, told: str) -> None:
    assert metric(value) == told
    assert is_share(value) == told.endswith("%")


@pytest.mark.parametrize(
    ("points", "told"), [(0.123, "+0.12"), (-1.704, "-1.70"), (-0.001, "+0.00"), (0.0, "+0.00")]
)
def test_a_difference_has_its_sign_unless_it_is_none(points: float, told: str) -> None:
    assert f"{points:{POINTS}}" == told
