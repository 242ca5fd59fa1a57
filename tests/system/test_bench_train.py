"""The benchmark of training measures what it says: the same epochs, ours and with weights."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.bench.train import figures


def test_both_networks_are_measured_beside_ordinary_weights():
    found = list(figures(share=0.02, rounds=1))
    assert [figure.unit for figure in found] == ["s an epoch"] * 2
    assert ["CNN" in figure.name for figure in found] == [True, False]
    assert all("ordinary weights" in figure.reference for figure in found)
    # of one round: ours over theirs, so that more than 1 is slower
    for figure in found:
        theirs = float(figure.reference.split(": ")[1].split()[0])
        assert figure.ratio == pytest.approx(figure.value / theirs, rel=0.01)
