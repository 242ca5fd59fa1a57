"""Supermasks: gates, gradients, densities, noise; and digits end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rramhil.inference import Converter, OnMap, cells_of, choose_ranges, recorded_codes  # noqa: E402
from rramhil.network import Matrix, Network, Pairs, TrainedWeights, convert, plan, weights_of  # noqa: E402
from rramhil.pruning import SupermaskExecutor, TrainSettings, evaluate, fit, train  # noqa: E402
from rramhil.pruning.thresholds import exact, places_of, sampled  # noqa: E402
from rramhil.switching import Geometry, Noise  # noqa: E402
from rramhil.tasks import Splits, Task, load  # noqa: E402

MATRIX = Matrix("layer", 7, 11, 4, 1)


def pairs(seed: int = 0, shape: tuple[int, int] = (7, 11)) -> dict[str, Pairs]:
    random = torch.Generator().manual_seed(seed)
    plus, minus = (12 + 2 * torch.randn(shape, generator=random) for _ in range(2))
    return {"layer": Pairs(plus, minus)}


# --- gates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.0, 0.3, 0.5, 1.0])
def test_pair_gating_keeps_differences_and_cell_gating_cells(density: float):
    given_pairs = pairs()
    plus, minus = given_pairs["layer"]
    pair = SupermaskExecutor(given_pairs, "pair", density=density).eval()
    mask = pair.masks()["layer"]
    keep = torch.tensor(mask.plus)
    assert torch.equal(pair.weight(MATRIX), (plus - minus) * keep)
    assert mask.kind == "pair"
    assert mask.plus.sum() == round(77 * density)
    cell = SupermaskExecutor(given_pairs, "cell", density=density).eval()
    gates = cell.masks()["layer"]
    wanted = plus * torch.tensor(gates.plus) - minus * torch.tensor(gates.minus)
    torch.testing.assert_close(cell.weight(MATRIX), wanted)
    assert gates.plus.sum() + gates.minus.sum() == round(154 * density)
    assert gates.density == pytest.approx(density, abs=0.01)


def test_without_a_density_gates_are_open_where_scores_are_not_negative():
    executor = SupermaskExecutor(pairs(), "cell", density=None).eval()
    with torch.no_grad():
        executor.scores[0].fill_(-1.0)
        executor.scores[0][1, 2, 3] = 0.0
    mask = executor.masks()["layer"]
    assert not mask.plus.any()
    assert [(int(a), int(b)) for a, b in zip(*np.nonzero(mask.minus), strict=True)] == [(2, 3)]


def test_densities_may_differ_by_matrix():
    two = {"a": pairs()["layer"], "b": pairs(1)["layer"]}
    masks = SupermaskExecutor(two, "pair", density={"a": 0.2, "b": 0.8}).masks()
    assert masks["a"].plus.sum() == round(77 * 0.2)
    assert masks["b"].plus.sum() == round(77 * 0.8)


def test_a_density_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"1\.5"):
        SupermaskExecutor(pairs(), "pair", density=1.5)


def test_the_gradient_of_a_score_is_what_its_gate_lets_through():
    given_pairs = pairs()
    plus, minus = given_pairs["layer"]
    push = torch.randn(7, 11, generator=torch.Generator().manual_seed(1))
    for gate, wanted in {
        "pair": (push * (plus - minus))[None],
        "cell": torch.stack([push * plus, -push * minus]),
    }.items():
        executor = SupermaskExecutor(given_pairs, gate, noise=0.1).train()
        executor.weight(MATRIX).backward(push)
        torch.testing.assert_close(executor.scores[0].grad, wanted)


def test_noise_is_drawn_in_each_call_of_training_and_never_in_evaluation():
    executor = SupermaskExecutor(pairs(), "cell", density=1.0, noise=0.05)
    still = executor.eval().weight(MATRIX)
    assert torch.equal(still, executor.weight(MATRIX))
    executor.train()
    reads = torch.stack([executor.weight(MATRIX).detach() for _ in range(400)])
    plus, minus = pairs()["layer"]
    spread = torch.hypot(plus * 0.05, minus * 0.05)
    torch.testing.assert_close(reads.mean(dim=0), still, atol=0.25, rtol=0)
    assert float((reads.std(dim=0) / spread).mean()) == pytest.approx(1.0, abs=0.02)


def test_a_step_prepares_a_read_of_each_matrix_and_a_second_call_sees_another():
    executor = SupermaskExecutor(pairs(), "cell", density=1.0, noise=0.05).train()
    torch.manual_seed(1)
    called = [executor.weight(MATRIX), executor.weight(MATRIX)]
    torch.manual_seed(1)
    executor.before_step(0, 0.0)
    stepped = [executor.weight(MATRIX), executor.weight(MATRIX)]
    assert torch.equal(torch.stack(called), torch.stack(stepped))
    assert not torch.equal(*stepped)
    push = torch.randn(7, 11, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward(stepped, [push, push])
    plus, minus = pairs()["layer"]
    twice = torch.stack([2 * push * plus, -2 * push * minus])
    torch.testing.assert_close(executor.scores[0].grad, twice)


def test_what_a_step_prepared_is_not_used_in_evaluation_or_once_cells_are_measured_anew():
    executor = SupermaskExecutor(pairs(), "cell", density=1.0, noise=0.05, live=True)
    still = executor.eval().weight(MATRIX)
    executor.train().before_step(0, 0.0)
    assert torch.equal(executor.eval().weight(MATRIX), still)
    executor.train().before_step(1, 0.0)
    executor.renew({"layer": Pairs(torch.full((7, 11), 3.0), torch.zeros(7, 11))})
    assert float(executor.weight(MATRIX).detach().mean()) == pytest.approx(3.0, abs=0.5)


def test_noise_may_be_measured_cell_by_cell():
    given_pairs = pairs()
    still = Pairs(*(torch.zeros(7, 11) for _ in range(2)))
    loud = Pairs(still.plus.clone(), still.minus)
    loud.plus[3, 4] = 2.0
    executor = SupermaskExecutor(given_pairs, "pair", density=1.0, noise={"layer": loud}).train()
    reads = torch.stack([executor.weight(MATRIX).detach() for _ in range(50)]).std(dim=0)
    assert [(int(a), int(b)) for a, b in torch.nonzero(reads > 1e-4)] == [(3, 4)]


@pytest.mark.parametrize("gate", ["pair", "cell"])
def test_activations_keep_their_variance(gate: str):
    torch.manual_seed(0)
    layers = [part for _ in range(4) for part in (nn.Linear(64, 64, bias=False), nn.ReLU())]
    network = convert(nn.Sequential(*layers), 8, example_input=torch.zeros(2, 64))
    cells = {
        each.name: Pairs(*(12 + 2 * torch.randn(64, 64) for _ in range(2)))
        for each in network.matrices
    }
    executor = SupermaskExecutor(cells, gate)
    executor.prepare(network)
    inputs = torch.randn(500, 64)
    with torch.no_grad():
        outputs = network.use(executor).calibrate([inputs]).eval()(inputs)
    # behind a rectifier, the mean square is what the next layer's variance follows
    assert 0.2 < float(outputs.square().mean() / inputs.square().mean()) < 5


# --- thresholds -----------------------------------------------------------------------------


@given(
    values=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60, unique=True),
    share=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_the_exact_threshold_keeps_exactly_as_many_as_asked(values: list[float], share: float):
    scores = torch.tensor(values)
    kept = round(share * len(values))
    assert int((scores >= exact(scores, kept)).sum()) == kept


def test_the_sampled_threshold_keeps_about_as_many():
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(400_000, generator=random)
    places = places_of(len(scores), random)
    assert places is not None
    for share in (0.05, 0.5, 0.9):
        kept = float((scores >= sampled(scores, share, places)).float().mean())
        assert kept == pytest.approx(share, abs=0.015)
    assert places_of(100, random) is None


# --- digits, end to end ---------------------------------------------------------------------

GEOMETRY = Geometry(512, 512, 8)


@pytest.fixture(scope="module")
def digits() -> tuple[Task, Splits]:
    task = load("digits")
    return task, task.data(Path())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def a_map(seed: int) -> dict[int, np.ndarray]:
    """A chip of which every cell is formed, in uS."""
    sd = np.sqrt(np.log1p((1.86 / 12.35) ** 2))
    return {0: np.random.default_rng(seed).lognormal(np.log(12.35) - sd**2 / 2, sd, (512, 512))}


def converted(task: Task, splits: Splits) -> Network:
    torch.manual_seed(0)
    return convert(task.model(), task.bits, example_input=splits.train.inputs[:2])


def cells(network: Network, chip: dict[int, np.ndarray]) -> dict[str, Pairs]:
    placement = plan(network, GEOMETRY)
    return {each.name: weights_of(chip, placement, each) for each in network.matrices}


def test_digits_prune_as_well_as_they_train(digits: tuple[Task, Splits]):
    task, splits = digits
    ordinary = converted(task, splits)
    weights = TrainedWeights(ordinary.first_weights)
    train(ordinary, weights, task, splits, TrainSettings(10, seed=0, rate=0.005))
    trained = evaluate(ordinary, task, splits.test)
    found = {"trained": trained}
    for gate in ("pair", "cell"):
        network = converted(task, splits)
        on_chip = cells(network, a_map(1))
        result = fit(
            network, task, splits, on_chip, gate=gate, settings=TrainSettings(10), noise=0.02
        )
        found[gate] = result.test
        assert result.density == pytest.approx(0.5, abs=0.01)
        assert result.validation == max(record.validation for record in result.history)
        assert result.history[result.best_epoch - 1].validation == result.validation
    print(", ".join(f"{name} {value:.1%}" for name, value in found.items()))
    assert found["trained"] > 0.93
    assert found["pair"] > 0.9
    assert found["cell"] > 0.93


def test_training_is_the_same_each_time_and_leaves_the_callers_random_numbers(
    digits: tuple[Task, Splits],
):
    task, splits = digits

    def once(seed: int) -> dict[str, np.ndarray]:
        network = converted(task, splits)
        torch.manual_seed(123)
        result = fit(
            network,
            task,
            splits,
            cells(network, a_map(1)),
            gate="cell",
            settings=TrainSettings(2, seed=seed),
            noise=0.02,
        )
        assert float(torch.rand(())) == pytest.approx(0.2961, abs=1e-4)
        return {name: mask.plus for name, mask in result.masks.items()}

    one, two, other = once(4), once(4), once(5)
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_masks_belong_to_their_chip(digits: tuple[Task, Splits]):
    """The same masks on another chip's cells: pair gating falls, on its own chip it does not."""
    task, splits = digits
    network = converted(task, splits)
    own, others = cells(network, a_map(1)), cells(network, a_map(2))
    result = fit(network, task, splits, own, gate="pair", settings=TrainSettings(6), noise=0.02)

    class Elsewhere:
        def weight(self, matrix: Matrix) -> Tensor:
            plus, minus = others[matrix.name]
            return (plus - minus) * torch.tensor(result.masks[matrix.name].plus)

    assert evaluate(network.use(Elsewhere()), task, splits.test) < result.test - 0.3


def test_a_trained_network_says_the_same_on_the_map(digits: tuple[Task, Splits]):
    task, splits = digits
    chip = a_map(1)
    network = converted(task, splits)
    placement = plan(network, GEOMETRY)
    result = fit(
        network,
        task,
        splits,
        cells(network, chip),
        gate="cell",
        settings=TrainSettings(6),
        noise=0.02,
    )
    converter = Converter((0.00625, 0.05, 0.4), 256, 16383, Noise(0.02, 0.75, 16))
    gated = cells_of(placement, result.masks, chip, 0.02)
    plain = OnMap(gated, converter, dict.fromkeys(result.masks, 2))
    codes = recorded_codes(network, plain, [splits.train.inputs[:200]])
    chosen = choose_ranges(gated, codes, converter, task.bits)
    ranges = {name: choice.range_index for name, choice in chosen.items()}
    assert evaluate(network, task, splits.test) == pytest.approx(result.test, abs=0.005)
    board = OnMap(gated, converter, ranges, noise="per_conversion")
    noisy = evaluate(network.use(board), task, splits.test)
    print(f"exact {result.test:.1%}, converted with noise {noisy:.1%}, ranges {ranges}")
    assert noisy > result.test - 0.03
    assert sum(board.saturated.values()) == 0


def test_read_noise_follows_the_seed_of_the_epoch_and_nothing_before_it():
    executor = SupermaskExecutor(pairs(), "cell", noise=0.05, seed=3).train()
    executor.weight(MATRIX)
    torch.manual_seed(11)
    first = executor.weight(MATRIX).detach()
    executor.weight(MATRIX)
    torch.manual_seed(11)
    assert torch.equal(executor.weight(MATRIX), first)
