"""Every converted layer: the same with weights, with vectors, and as torch has it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rramhil.network import Exact, Network, convert  # noqa: E402

EFFORT = settings(max_examples=25, deadline=None)
SIZES = st.integers(1, 3)


def converted(layer: nn.Module, inputs: Tensor, bits: int = 4) -> Network:
    network = convert(layer, bits, example_input=inputs).eval()
    return network.calibrate([inputs])


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


@torch.no_grad()
def check(layer: nn.Module, inputs: Tensor, bits: int = 4) -> None:
    """Weights and vectors agree; and with the layer itself, fed what the codes stand for."""
    network = converted(layer, inputs, bits)
    by_weights = first(network(inputs))
    by_vectors = first(network.use(Exact(network.first_weights))(inputs))
    assert by_weights.shape == by_vectors.shape
    size = by_weights.abs().max().clamp(min=1)
    torch.testing.assert_close(by_vectors / size, by_weights / size, atol=2e-5, rtol=0)
    if not isinstance(layer, nn.RNN):
        quantiser = next(network.products()).quantiser
        torch.testing.assert_close(by_weights, layer(quantiser(inputs)), atol=1e-5, rtol=1e-5)


@given(
    seed=st.integers(0, 999),
    shape=st.lists(SIZES, min_size=0, max_size=3),
    features=st.integers(1, 20),
    bits=st.integers(1, 8),
    bias=st.booleans(),
)
@EFFORT
def test_linear_is_the_same_with_weights_and_with_vectors(
    seed: int, shape: list[int], features: int, bits: int, bias: bool
):
    torch.manual_seed(seed)
    check(nn.Linear(features, 5, bias=bias), torch.randn(*shape, features), bits)


@given(
    seed=st.integers(0, 999),
    kernel=st.tuples(SIZES, SIZES),
    stride=st.tuples(SIZES, SIZES),
    dilation=st.tuples(SIZES, SIZES),
    padding=st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.just("same")),
    groups=SIZES,
    is_batch=st.booleans(),
    non_negative=st.booleans(),
)
@EFFORT
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch about the layer itself
def test_conv2d_is_the_same_with_weights_and_with_vectors(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int] | str,
    groups: int,
    is_batch: bool,
    non_negative: bool,
):
    torch.manual_seed(seed)
    stride = (1, 1) if padding == "same" else stride
    layer = nn.Conv2d(2 * groups, 3 * groups, kernel, stride, padding, dilation, groups)
    inputs = torch.randn(*([2] if is_batch else []), 2 * groups, 8, 9)
    check(layer, inputs.relu() if non_negative else inputs)


@given(
    seed=st.integers(0, 999),
    kernel=st.tuples(SIZES, SIZES),
    stride=st.tuples(SIZES, SIZES),
    dilation=st.tuples(SIZES, SIZES),
    padding=st.integers(0, 2),
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=SIZES,
    bias=st.booleans(),
)
@EFFORT
def test_transposed_conv2d_is_the_same_with_weights_and_with_vectors(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: int,
    more: tuple[int, int],
    groups: int,
    bias: bool,
):
    torch.manual_seed(seed)
    output_padding = tuple(min(more[axis], stride[axis] - 1) for axis in range(2))
    layer = nn.ConvTranspose2d(
        2 * groups, 3 * groups, kernel, stride, padding, output_padding, groups, bias, dilation
    )
    check(layer, torch.randn(2, 2 * groups, 5, 6))


@given(
    seed=st.integers(0, 999),
    steps=st.integers(1, 5),
    kind=st.sampled_from(["relu", "tanh"]),
    batch_first=st.booleans(),
    is_batch=st.booleans(),
    bias=st.booleans(),
    has_state=st.booleans(),
)
@EFFORT
def test_rnn_is_the_same_with_weights_and_with_vectors(
    seed: int,
    steps: int,
    kind: str,
    batch_first: bool,
    is_batch: bool,
    bias: bool,
    has_state: bool,
):
    torch.manual_seed(seed)
    layer = nn.RNN(4, 6, nonlinearity=kind, batch_first=batch_first, bias=bias)
    shape = (steps, 4) if not is_batch else (3, steps, 4) if batch_first else (steps, 3, 4)
    inputs = torch.randn(shape)
    state = (torch.rand((1, 3, 6) if is_batch else (1, 6)),) if has_state else ()
    network = convert(layer, 5, example_input=(inputs, *state)).eval()
    network.calibrate([(inputs, *state)])
    with torch.no_grad():
        outputs, last = network(inputs, *state)
        by_vectors, last_by_vectors = network.use(Exact(network.first_weights))(inputs, *state)
        ours, own = outputs, layer(inputs, *state)
    # a hidden state on the edge between two codes may fall to either side: one code further
    far = 1.01 * float(network.model.hidden.quantiser.step) if steps > 1 or has_state else 1e-5
    assert (ours - by_vectors).abs().max() <= far * 3
    assert (last - last_by_vectors).abs().max() <= far * 3
    assert ours.shape == own[0].shape
    assert last.shape == own[1].shape


def test_an_rnn_of_many_bits_is_nearly_the_layer_itself():
    torch.manual_seed(0)
    layer = nn.RNN(6, 8, nonlinearity="tanh")
    inputs = torch.randn(5, 40, 6)
    network = converted(layer, inputs, bits=8)
    with torch.no_grad():
        ours, own = network(inputs)[0], layer(inputs)[0]
        vectors = network.use(Exact(network.first_weights))(inputs)[0]
    assert (ours - own).square().mean().sqrt() < 0.02
    assert (vectors - ours).square().mean().sqrt() < 0.003
    assert not torch.equal(ours, own)


def test_the_hidden_state_is_quantised_at_each_step():
    torch.manual_seed(0)
    layer = nn.RNN(3, 4, nonlinearity="relu")
    inputs = torch.randn(4, 20, 3)
    network = converted(layer, inputs, bits=2)
    seen: list[Tensor] = []

    class Listening(Exact):
        def multiply(self, matrix, codes):
            if matrix.name.endswith(".hidden"):
                seen.append(codes)
            return super().multiply(matrix, codes)

    with torch.no_grad():
        network.use(Listening(network.first_weights))(inputs)
    assert len(seen) == 3
    assert all(codes.dtype == torch.uint8 and int(codes.max()) <= 3 for codes in seen)


def test_padding_is_the_code_of_zero():
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 1, 3, padding=1)
    inputs = torch.randn(1, 1, 4, 4) + 0.5
    network = converted(layer, inputs)
    seen: list[Tensor] = []

    class Listening(Exact):
        def multiply(self, matrix, codes):
            seen.append(codes)
            return super().multiply(matrix, codes)

    with torch.no_grad():
        network.use(Listening(network.first_weights))(inputs)
    zero_point = int(next(network.products()).quantiser.zero_point)
    assert zero_point > 0
    assert seen[0].shape == (16, 9)
    assert seen[0][0, :4].tolist() == [zero_point] * 4  # above and left of the first pixel
