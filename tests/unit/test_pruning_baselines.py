"""Baselines: what each of them trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")


from rramhil.network import Pairs, TrainedWeights  # noqa: E402
from rramhil.pruning import (  # noqa: E402
    FrozenRandom,
    SupermaskExecutor,
    TrainSettings,
    flat_pairs,
    masked_weights,
    outputs_of,
    train,
)
from rramhil.switching import Mask  # noqa: E402
from tests.support.digits import DIGITS, digits_network, drawn_pairs, few_digits  # noqa: E402


@pytest.mark.parametrize("trains_digital", [False, True])
def test_only_the_read_out_of_a_frozen_network_is_trained(trains_digital: bool):
    made = digits_network()
    pairs = drawn_pairs(made)
    first, last = (each.name for each in made.matrices)
    executor = FrozenRandom(
        pairs, last, made.first_weights[last], trains_digital=trains_digital, noise=0.02
    )
    executor.prepare(made)
    before = {name: value.clone() for name, value in made.named_parameters()}
    train(made, executor, DIGITS, few_digits(), TrainSettings(1))
    after = dict(made.named_parameters())
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    frozen, readout = made.matrices
    assert torch.equal(executor.weight(frozen), pairs[first].plus - pairs[first].minus)
    assert not torch.equal(executor.weight(readout), made.first_weights[last])
    assert {name.split(".")[1] for name in changed} == (
        {"1", "2", "4"} if trains_digital else {"4"}
    )


def test_a_frozen_network_keeps_the_variance_of_its_activations():
    made = digits_network()
    pairs = drawn_pairs(made)
    last = made.matrices[-1].name
    FrozenRandom(pairs, last, made.first_weights[last]).prepare(made)
    hidden, readout = made.products()
    weights = (pairs[made.matrices[0].name].plus - pairs[made.matrices[0].name].minus) * hidden.unit
    assert float(weights.square().mean() * 64) == pytest.approx(2, rel=1e-4)
    assert float(readout.unit) == 1


def test_masks_let_their_cells_through():
    pair = Pairs(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[8.0, 16.0, 32.0]]))
    mask = Mask.cell([[True, False, True]], [[False, True, True]])
    assert masked_weights({"a": pair}, {"a": mask})["a"].tolist() == [[1.0, -16.0, -28.0]]


def test_masked_weights_are_those_of_the_executor():
    made = digits_network()
    pairs = drawn_pairs(made)
    for gate in ("pair", "cell"):
        executor = SupermaskExecutor(pairs, gate, noise=0.02).eval()  # type: ignore[arg-type]
        masked = masked_weights(pairs, executor.masks())
        for each in made.matrices:
            torch.testing.assert_close(masked[each.name], executor.weight(each).detach())


def test_flat_pairs_know_the_mean_alone():
    made = digits_network()
    pairs = drawn_pairs(made)
    flat = flat_pairs(pairs)
    cells = np.concatenate([cell.numpy().ravel() for pair in pairs.values() for cell in pair])
    for name, pair in flat.items():
        assert pair.plus.shape == pairs[name].plus.shape
        assert float(pair.plus.min()) == float(pair.minus.max()) == pytest.approx(cells.mean())


def test_outputs_do_not_depend_on_how_they_are_batched():
    splits = DIGITS.data(Path())
    made = digits_network().calibrate([splits.train.inputs[:100]]).freeze()
    made.use(TrainedWeights(made.first_weights)).train()
    outputs = outputs_of(made, splits.test)
    assert outputs.shape == (540, 10)
    torch.testing.assert_close(outputs[300:], made.eval()(splits.test.inputs[300:]).detach())
