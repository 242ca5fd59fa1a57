"""The conversion: what is taken, what is refused by name, and what its numbers say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rramhil.errors import ModelRefused  # noqa: E402
from rramhil.network import Exact, Quantiser, TrainedWeights, convert  # noqa: E402


class Shared(nn.Module):
    """A layer that is used twice, below two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.again = self.one

    def forward(self, inputs: Tensor) -> Tensor:
        return self.again(self.one(inputs))


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 10),
    )


def test_matrices_have_names_shapes_and_multiplications():
    network = convert(small(), 4, example_input=torch.zeros(2, 1, 8, 8))
    conv, linear = network.matrices
    assert (conv.name, conv.outputs, conv.inputs, conv.bits) == ("0", 4, 9, 4)
    assert (conv.vectors, conv.multiplications) == (64, 64 * 36)
    assert (linear.name, linear.vectors, linear.multiplications) == ("5", 1, 640)
    assert network.chip_share == (1.0, 1.0)


def test_the_model_itself_is_not_changed():
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = convert(model, 4, example_input=torch.zeros(2, 1, 8, 8)).train()
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert type(model[0]) is nn.Conv2d
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_model_may_be_one_layer():
    network = convert(nn.Linear(3, 2), 4, example_input=torch.zeros(5, 3))
    assert [matrix.name for matrix in network.matrices] == ["model"]


def test_a_layer_used_twice_is_one_matrix_with_two_vectors():
    network = convert(Shared(), 4, example_input=torch.zeros(5, 3))
    assert [(matrix.name, matrix.vectors) for matrix in network.matrices] == [("one", 2)]


def test_tied_and_frozen_weights_are_matrices_of_their_own():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).requires_grad_(False)
    model[1].weight = model[0].weight
    network = convert(model, 4, example_input=torch.zeros(5, 3))
    assert [matrix.name for matrix in network.matrices] == ["0", "1"]


def test_groups_are_matrices_of_their_own():
    layer = nn.Conv2d(4, 6, 3, groups=2)
    network = convert(nn.Sequential(layer), 4, example_input=torch.zeros(1, 4, 5, 5))
    assert [matrix.name for matrix in network.matrices] == ["0.group0", "0.group1"]
    assert {(matrix.outputs, matrix.inputs) for matrix in network.matrices} == {(3, 18)}


def test_an_rnn_is_two_matrices_and_the_first_hidden_state_costs_nothing():
    network = convert(nn.RNN(20, 32, batch_first=True), 3, example_input=torch.zeros(2, 4, 20))
    assert [(matrix.name, matrix.inputs, matrix.vectors) for matrix in network.matrices] == [
        ("model.input", 20, 4),
        ("model.hidden", 32, 3),
    ]


@pytest.mark.parametrize(
    ("layer", "inputs", "named"),
    [
        (nn.LSTM(3, 4), torch.zeros(2, 3, 3), "LSTM"),
        (nn.RNN(3, 4, num_layers=2), torch.zeros(2, 3, 3), "more than one layer"),
        (nn.RNN(3, 4, bidirectional=True), torch.zeros(2, 3, 3), "more than one layer"),
        (nn.Conv1d(3, 4, 3), torch.zeros(2, 3, 9), "Conv1d"),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), torch.zeros(2, 3, 9, 9), "reflect"),
        (nn.LayerNorm(3), torch.zeros(2, 3), "LayerNorm"),
        (nn.Embedding(5, 3), torch.zeros(2, 3, dtype=torch.int64), "Embedding"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), torch.zeros(2, 3), "Linear"),
    ],
)
def test_what_has_weights_and_no_matrix_is_refused_by_name(
    layer: nn.Module, inputs: Tensor, named: str
):
    model = nn.Sequential(nn.Identity(), layer)
    with pytest.raises(ModelRefused, match=named) as caught:
        convert(model, 4, example_input=inputs)
    assert "1" in caught.value.sentence
    assert "allow" in caught.value.next_step


def test_what_is_allowed_stays_digital_and_is_counted():
    model = nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4), nn.Linear(4, 4, bias=False))
    model.append(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.raises(ModelRefused):
        convert(model, 4, example_input=torch.zeros(2, 8))
    network = convert(model, 4, example_input=torch.zeros(2, 8), allow_digital=True)
    assert [matrix.name for matrix in network.matrices] == ["0", "2"]
    share = network.chip_share
    assert 0 < share.weights < 1
    assert 0 < share.multiplications <= 1


class Scaled(nn.Module):
    """A layer, and parameters of no module's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)
        self.scales = nn.Parameter(torch.ones(6))
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs * self.scales * self.one)


@pytest.mark.parametrize(
    ("model", "digital"),
    [
        (Scaled(), 7),
        (nn.Sequential(nn.Linear(6, 2), nn.LayerNorm(2)), 2),
        (nn.Sequential(nn.GroupNorm(2, 6), nn.Linear(6, 2)), 6),
        (nn.Sequential(nn.BatchNorm1d(6), nn.PReLU(6), nn.Linear(6, 2)), 0),
    ],
)
def test_the_share_counts_every_weight_that_had_to_be_allowed(model: nn.Module, digital: int):
    network = convert(model, 4, example_input=torch.zeros(2, 6), allow_digital=True)
    assert network.chip_share.weights == pytest.approx(12 / (12 + digital))
    assert (network.chip_share.multiplications < 1) == (digital > 0)


def test_a_conv1d_that_stays_digital_counts_its_positions():
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.Linear(7, 2))
    network = convert(model, 4, example_input=torch.zeros(2, 3, 9), allow_digital=True)
    assert [module.name for module in network.digital] == ["0"]
    assert network.digital[0].weights == 36


class Reaching(nn.Module):
    """A model that does something with its layer instead of calling it."""

    def __init__(self, reach: Callable[[nn.Module, Tensor], Tensor], first: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3) if first else nn.Identity()
        self.layer = nn.Linear(3, 3)
        self.reach = reach

    def forward(self, inputs: Tensor) -> Tensor:
        return self.reach(self.layer, self.first(inputs))


def test_a_model_that_reads_a_weight_is_refused_by_the_layer():
    model = Reaching(lambda layer, inputs: nn.functional.linear(inputs, layer.weight))
    told = "Layer layer of the model Reaching cannot be on the chip: its `weight` is read"
    with pytest.raises(ModelRefused, match=told) as caught:
        convert(model, 4, example_input=torch.zeros(2, 3))
    assert caught.value.next_step


@pytest.mark.parametrize("in_training", [True, False])
def test_a_weight_that_is_read_in_one_mode_is_found(in_training: bool):
    def reach(layer: nn.Module, inputs: Tensor) -> Tensor:
        if layer.training == in_training:
            return inputs @ layer.weight
        return layer(inputs)

    with pytest.raises(ModelRefused, match=r"Layer layer .* `weight` is read"):
        convert(Reaching(reach), 4, example_input=torch.zeros(2, 3))


def test_a_module_of_torch_that_reads_the_weights_of_its_layers_is_refused():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    with pytest.raises(ModelRefused, match=r"Layer 0.linear1 .* `weight` is read"):
        convert(model, 4, example_input=torch.zeros(2, 5, 8), allow_digital=True)


def test_what_the_conversion_breaks_is_told_from_what_never_ran():
    def picky(layer: nn.Module, inputs: Tensor) -> Tensor:
        if not isinstance(layer, nn.Linear):
            raise KeyError("Linear")
        return layer(inputs)

    with pytest.raises(ModelRefused, match=r"Reaching cannot be run with its layers .* KeyError"):
        convert(Reaching(picky), 4, example_input=torch.zeros(2, 3))
    with pytest.raises(ModelRefused, match=r"Linear cannot be run on the example .* RuntimeError"):
        convert(nn.Linear(3, 3), 4, example_input=torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (lambda layer: False, "Layer layer of the model is never called"),
        (lambda layer: layer.training, "Layer layer of the model is called in training only"),
        (lambda layer: not layer.training, "Layer layer of the model is called in evaluation only"),
    ],
)
def test_a_layer_that_is_not_called_in_both_modes_is_refused(
    called: Callable[[nn.Module], bool], told: str
):
    def reach(layer: nn.Module, inputs: Tensor) -> Tensor:
        return layer(inputs) if called(layer) else inputs

    with pytest.raises(ModelRefused, match=told) as caught:
        convert(Reaching(reach, first=True), 4, example_input=torch.zeros(1, 3))
    assert caught.value.next_step


def test_layers_that_are_not_called_are_all_named():
    model = Reaching(lambda layer, inputs: layer(inputs))
    model.spare = nn.ModuleList([nn.Linear(3, 3), nn.RNN(3, 3)])
    with pytest.raises(ModelRefused, match=r"Each of the layers spare.0, spare.1 .* never called"):
        convert(model, 4, example_input=torch.zeros(2, 3))


def test_a_layer_that_training_passes_over_by_chance_is_taken():
    def reach(layer: nn.Module, inputs: Tensor) -> Tensor:
        return inputs if layer.training and torch.rand(()) < 0.5 else layer(inputs)

    for seed in range(10):
        torch.manual_seed(seed)
        network = convert(Reaching(reach), 4, example_input=torch.zeros(1, 3))
        assert [matrix.name for matrix in network.matrices] == ["layer"]


def test_a_layer_that_is_called_once_for_a_whole_batch_counts_for_a_sample():
    model = Reaching(lambda layer, inputs: inputs + layer(torch.ones(3)))
    (matrix,) = convert(model, 4, example_input=torch.zeros(2, 3)).matrices
    assert matrix.vectors == 1


def test_the_conversion_leaves_no_trace_of_its_runs():
    seen: list[int] = []

    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, inputs: Tensor) -> Tensor:
            self.calls += 1
            seen.append(self.training)
            return self.layers(inputs) + torch.rand(())

    model = Remembering()
    before = torch.get_rng_state()
    network = convert(model, 4, example_input=torch.ones(1, 3))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(seen) == {True, False}
    assert network.model.calls == model.calls == 0
    assert torch.equal(network.model.layers[1].running_mean, torch.zeros(3))
    with pytest.raises(ValueError, match="calibrate"):
        network.eval()(torch.ones(1, 3))


def test_ranges_must_be_known_before_anything_is_computed():
    network = convert(nn.Linear(3, 2), 4, example_input=torch.ones(5, 3)).eval()
    with pytest.raises(ValueError, match="calibrate"):
        network(torch.ones(5, 3))
    with pytest.raises(ValueError, match="calibrate"):
        network.use(Exact(network.first_weights))(torch.ones(5, 3))


def test_ranges_move_in_training_and_stay_when_frozen_or_evaluated():
    network = convert(nn.Linear(3, 2), 4, example_input=torch.ones(5, 3)).train()
    quantiser = next(network.products()).quantiser
    network(torch.rand(50, 3))
    first = quantiser.range.clone()
    network.eval()(10 * torch.rand(50, 3))
    assert torch.equal(quantiser.range, first)
    network.train()(10 * torch.rand(50, 3))
    assert quantiser.range[1] > 2 * first[1]
    moved = quantiser.range.clone()
    network.freeze()(100 * torch.rand(50, 3))
    assert torch.equal(quantiser.range, moved)


def test_calibrating_moves_ranges_and_nothing_else():
    network = convert(small(), 4, example_input=torch.zeros(2, 1, 8, 8)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.calibrate([torch.randn(4, 1, 8, 8)])
    changed = {
        name
        for name, value in network.state_dict().items()
        if not torch.equal(before[name].nan_to_num(), value.nan_to_num())
    }
    assert changed
    assert all(".quantiser." in name for name in changed)
    assert network.training


def test_state_restores_a_network_without_its_weights():
    torch.manual_seed(0)
    inputs = torch.randn(4, 1, 8, 8)
    network = convert(small(), 4, example_input=inputs).calibrate([inputs]).eval()
    torch.manual_seed(1)
    other = convert(small(), 4, example_input=inputs).eval()
    other.load_state_dict(network.state_dict())
    other.use(TrainedWeights(network.first_weights))
    assert torch.equal(network(inputs), other(inputs))


@given(
    bits=st.integers(1, 8),
    low=st.floats(-100, 100),
    span=st.floats(0, 100),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_codes_stand_for_what_the_rounded_values_are(bits: int, low: float, span: float, seed: int):
    torch.manual_seed(seed)
    values = low + span * torch.rand(7, 9)
    quantiser = Quantiser(bits).train()
    quantiser.observe(values)
    quantiser.eval()
    codes = quantiser.codes(values)
    assert codes.dtype == torch.uint8
    assert int(codes.max()) < 1 << bits
    torch.testing.assert_close(quantiser.values(codes), quantiser(values), atol=1e-4, rtol=1e-5)
    assert float(quantiser(torch.zeros(1))) == 0.0
    if low >= 0:
        assert int(quantiser.zero_point) == 0
    if low + span <= 0 and low < -1e-3:
        assert int(quantiser.zero_point) == (1 << bits) - 1


def test_eight_bits_lose_little_and_the_gradient_passes_what_is_not_clipped():
    torch.manual_seed(0)
    values = torch.randn(1000, requires_grad=True)
    quantiser = Quantiser(8).train()
    quantiser.observe(values)
    rounded = quantiser(values)
    inside = (values > quantiser.range[0]) & (values < quantiser.range[1])
    assert (rounded - values)[inside].abs().max() < quantiser.step
    rounded.sum().backward()
    assert values.grad is not None
    assert set(values.grad[inside].tolist()) == {1.0}


def test_few_bits_cut_a_long_tail_off():
    torch.manual_seed(0)
    values = torch.cat([torch.rand(4000), torch.tensor([3.0])])
    quantiser = Quantiser(3).train()
    quantiser.observe(values)
    assert quantiser.range[1] < 2


def test_a_quantiser_of_nine_bits_is_refused():
    with pytest.raises(ValueError, match="9"):
        Quantiser(9)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_rounding_and_its_gradient_are_those_of_torchs_operator(bits: int):
    torch.manual_seed(0)
    quantiser = Quantiser(bits).train()
    quantiser.observe(torch.randn(1000))
    ours = (3 * torch.randn(5000)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    rounded = quantiser(ours)
    reference = torch.fake_quantize_per_tensor_affine(
        theirs, quantiser.step, quantiser.zero_point, 0, quantiser.top
    )
    torch.testing.assert_close(rounded, reference, atol=1e-5, rtol=1e-5)
    push = torch.randn(5000)
    rounded.backward(push)
    reference.backward(push)
    assert torch.equal(ours.grad, theirs.grad)
