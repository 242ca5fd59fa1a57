"""The benchmark of inference measures what it says: all images, on a board in another process."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from rramhil.bench.infer import figures, paper_network  # noqa: E402
from rramhil.network import Exact, Int8, convert  # noqa: E402


def test_both_figures_are_of_the_same_work():
    found = list(figures(images=24, rounds=1))
    assert [figure.unit for figure in found] == ["images/s"] * 2
    assert {figure.name for figure in found} == {found[0].name}
    assert all(figure.value > 1 and figure.ratio > 0 for figure in found)
    assert ["float32" in figure.reference for figure in found] == [True, False]


def test_integers_of_eight_bits_multiply_as_floats_to_their_step():
    network = convert(paper_network().eval(), 4, example_input=torch.zeros(2, 1, 14, 14))
    for matrix in network.matrices:
        weights = {matrix.name: network.first_weights[matrix.name]}
        codes = torch.randint(0, 16, (40, matrix.inputs), dtype=torch.uint8)
        exact, rounded = Exact(weights), Int8(weights)
        step = float(weights[matrix.name].abs().max()) / 127
        error = (rounded.multiply(matrix, codes) - exact.multiply(matrix, codes)).abs()
        assert error.max() <= 0.51 * step * codes.sum(dim=1).max()
        sums = (rounded.row_sums(matrix) - exact.row_sums(matrix)).abs()
        assert sums.max() <= 0.51 * step * matrix.inputs
