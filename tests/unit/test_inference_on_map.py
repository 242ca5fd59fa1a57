"""The executor on a map: the board's arithmetic, its noise, its ranges."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rramhil.inference import (  # noqa: E402
    Converter,
    OnMap,
    TileCells,
    accumulate,
    assemble,
    cells_of,
    choose_ranges,
    nominal_readout,
    recorded_codes,
)
from rramhil.network import Matrix, convert, weights_of  # noqa: E402
from rramhil.switching import (  # noqa: E402
    Geometry,
    Mask,
    MatrixShape,
    Noise,
    Placement,
    compile_tile,
    expected,
    pack,
)

GEOMETRY = Geometry(32, 24, 8)
QUIET = Converter((0.00625, 0.05, 0.4), 256, 16383, Noise(0.0, 0.0, 16))
NOISY = Converter((0.00625, 0.05, 0.4), 256, 16383, Noise(0.02, 0.75, 16))


class Bench:
    """Random masks on a random map, tiled over two chips."""

    def __init__(self, seed: int, outputs: int, inputs: int, bits: int, noise: float = 0.0) -> None:
        draw = np.random.default_rng(seed)
        self.matrix = Matrix("layer", outputs, inputs, bits, 1)
        self.placement: Placement = pack(
            [MatrixShape("layer", outputs, inputs)], GEOMETRY, chips=(0, 1, 2, 3)
        )
        shape = (GEOMETRY.rows, GEOMETRY.columns)
        self.maps = {chip: draw.lognormal(2.5, 0.15, shape) for chip in range(4)}
        self.mask = Mask.cell(*(draw.random((2, outputs, inputs)) < 0.5))
        self.cells = cells_of(self.placement, {"layer": self.mask}, self.maps, noise)
        self.codes = torch.from_numpy(
            draw.integers(0, 1 << bits, (20, inputs), dtype=np.uint8, endpoint=False)
        )

    def executor(self, converter: Converter, range_index: int, **more: object) -> OnMap:
        return OnMap(self.cells, converter, {"layer": range_index}, **more)

    def exact(self) -> np.ndarray:
        """Masked products in float64, from the whole matrix."""
        plus, minus = self.placement.gather("layer", self.maps)
        weights = plus * self.mask.plus - minus * self.mask.minus
        return self.codes.numpy().astype(np.float64) @ weights.T


@given(
    seed=st.integers(0, 999),
    outputs=st.integers(1, 30),
    inputs=st.integers(1, 40),
    bits=st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_products_are_those_of_the_masked_conductances(
    seed: int, outputs: int, inputs: int, bits: int
):
    bench = Bench(seed, outputs, inputs, bits)
    exact = bench.exact()
    ideal = bench.executor(QUIET, 1).multiply(bench.matrix, bench.codes).numpy()
    np.testing.assert_allclose(ideal, exact, rtol=1e-5, atol=1e-2)
    converted = bench.executor(QUIET, 1, noise="per_conversion")
    products = converted.multiply(bench.matrix, bench.codes).numpy()
    # half a code a conversion, of two rows and each part of the inputs
    parts = sum(tile.first_output == 0 for tile in bench.placement.tiles)
    assert np.abs(products - exact).max() <= 1.01 * parts * 0.05 * ((1 << bits) - 1)
    assert not converted.saturated["layer"]
    sums = converted.row_sums(bench.matrix).numpy()
    plus, minus = bench.placement.gather("layer", bench.maps)
    weights = plus * bench.mask.plus - minus * bench.mask.minus
    np.testing.assert_allclose(sums, weights.sum(axis=1), rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 999), bits=st.integers(1, 8), range_index=st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_accumulators_are_the_boards_bit_for_bit(seed: int, bits: int, range_index: int):
    """Against the contract, in integers: sum of (ADC(G_eff . (plane and gate)) - zero) 2^plane."""
    bench = Bench(seed, 9, 17, bits)
    cells = bench.cells["layer"][0]
    draw = np.random.default_rng(seed + 1)
    zeros = draw.integers(250, 262, len(cells.mean_uS), dtype=np.int32)
    inputs = bench.codes[:, cells.tile.inputs]
    done = accumulate(cells, inputs, bits, QUIET, range_index, torch.from_numpy(zeros))

    per_code_ps = round(1e6 * QUIET.per_code_uS[range_index])
    cells_ps = np.round(cells.mean_uS.numpy().astype(np.float64) * 1e6).astype(np.int64)
    exact = cells._replace(mean_uS=torch.from_numpy(cells_ps / 1e6).to(torch.float32))
    wanted = np.zeros(done.accumulators.shape, dtype=np.int64)
    saturated = 0
    for plane in range(bits):
        driven = (inputs.numpy().astype(np.int64) >> plane) & 1
        sums_ps = driven @ cells_ps.T
        codes = np.clip((2 * sums_ps + per_code_ps) // (2 * per_code_ps) + 256, 0, 16383)
        saturated += int((codes == 16383).sum())
        wanted += (codes - zeros) << plane
    wanted *= cells.sampled.numpy()
    again = accumulate(exact, inputs, bits, QUIET, range_index, torch.from_numpy(zeros))
    # a sum on the edge of two codes may fall to either side in float32
    assert np.abs(again.accumulators.numpy() - wanted).max() <= (1 << bits) - 1
    assert np.mean(again.accumulators.numpy() != wanted) < 0.02
    assert done.saturated == pytest.approx(saturated, abs=3)


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("range_index", [1, 2])
def test_noise_is_as_large_as_predicted(bits: int, range_index: int):
    bench = Bench(3, 8, 20, bits, noise=0.02)
    ideal = bench.executor(NOISY, range_index).multiply(bench.matrix, bench.codes)
    sd = bench.executor(NOISY, range_index).predicted_sd(bench.matrix, bench.codes)
    errors: list[Tensor] = []
    board = bench.executor(NOISY, range_index, noise="per_conversion", seed=5)
    for _ in range(60):
        board.redraw()
        errors.append((board.multiply(bench.matrix, bench.codes) - ideal) / sd)
    scatter = torch.stack(errors)
    assert float(scatter.square().mean().sqrt()) == pytest.approx(1.0, abs=0.05)
    assert abs(float(scatter.mean())) < 0.05


def test_noise_per_weight_stays_until_it_is_drawn_again():
    bench = Bench(3, 8, 20, 4, noise=0.02)
    board = bench.executor(NOISY, 1, noise="per_weight")
    first = board.multiply(bench.matrix, bench.codes)
    assert torch.equal(first, board.multiply(bench.matrix, bench.codes))
    board.redraw()
    second = board.multiply(bench.matrix, bench.codes)
    assert not torch.equal(first, second)
    np.testing.assert_allclose(second.numpy(), bench.exact(), rtol=0.3, atol=250)


def test_the_same_seed_gives_the_same_noise():
    bench = Bench(3, 8, 20, 4, noise=0.02)
    one, two, other = (
        bench.executor(NOISY, 1, noise="per_conversion", seed=seed).multiply(
            bench.matrix, bench.codes
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_means_and_predicted_noise_are_those_of_the_gate_schedule(bits: int):
    """The same numbers as `switching.expected`, which knows steps and lines instead of tensors."""
    bench = Bench(4, 10, 20, bits, noise=0.02)
    (tile,) = bench.placement.tiles
    compiled = compile_tile(tile, bench.mask, GEOMETRY, 1)
    lines = tile.spread(bench.codes.numpy(), GEOMETRY.columns)
    codes = bench.maps[tile.chip] / 0.05
    told = expected(compiled.schedule, codes, lines, bits, False, NOISY.noise)
    ours = bench.executor(NOISY, 1)
    difference = 0.05 * (told.mean[:, 0::2] - told.mean[:, 1::2])
    ideal = ours.multiply(bench.matrix, bench.codes).numpy()
    np.testing.assert_allclose(ideal, difference, rtol=1e-4, atol=1e-2)
    sd = 0.05 * np.hypot(told.sd[:, 0::2], told.sd[:, 1::2])
    mine = ours.predicted_sd(bench.matrix, bench.codes).numpy()
    # it counts a zero's rounding, which the readout takes away
    assert (mine <= sd * 1.0001).all()
    assert (mine >= 0.75 * sd).all()


def test_gains_and_rests_of_zeros_are_taken_out_digitally():
    bench = Bench(5, 6, 12, 4)
    (cells,) = bench.cells["layer"]
    rows = len(cells.mean_uS)
    gain = torch.linspace(0.98, 1.02, rows, dtype=torch.float64)
    # a channel that shows more codes for the same conductance, and zeros 0.3 codes off
    seen = cells._replace(mean_uS=(cells.mean_uS.double() * gain[:, None]).float())
    board = Converter(QUIET.per_code_uS, 256, 16383, QUIET.noise)
    zeros = torch.full((rows,), 256, dtype=torch.int32)
    done = accumulate(seen, bench.codes, 4, board, 0, zeros)
    rest = torch.full((rows,), 0.3, dtype=torch.float64) * cells.sampled
    shifted = done.accumulators + torch.round(15 * rest).to(torch.int32)
    nominal = nominal_readout(cells.tile, 0.00625)
    corrected = nominal._replace(per_code_uS=nominal.per_code_uS / gain, zero_rest=rest)
    products = assemble(bench.matrix, [(corrected, shifted)], len(bench.codes)).numpy()
    uncorrected = assemble(bench.matrix, [(nominal, shifted)], len(bench.codes)).numpy()
    largest = 0.00625 * (15 + 1)
    assert np.abs(products - bench.exact()).max() < largest
    assert np.abs(uncorrected - bench.exact()).max() > 10 * largest


def test_the_finest_range_that_does_not_saturate_is_chosen():
    def choose(inputs: int, conductance_uS: float):
        mask = Mask.pair(np.ones((2, inputs)))
        shape = [MatrixShape("layer", 2, inputs)]
        placement = pack(shape, Geometry(8, 512, 8))
        maps = {0: np.full((8, 512), conductance_uS)}
        cells = cells_of(placement, {"layer": mask}, maps, 0.0)
        codes = {"layer": torch.full((3, inputs), 15, dtype=torch.uint8)}
        return choose_ranges(cells, codes, QUIET, 4)["layer"]

    assert choose(4, 12.0).range_index == 0
    assert choose(40, 12.0).range_index == 1
    assert choose(512, 12.0).range_index == 2
    hopeless = choose(512, 50.0)
    assert hopeless.range_index == 2
    assert hopeless.saturated == 1.0
    assert choose(40, 12.0).largest_code == pytest.approx(40 * 12 / 0.05 + 256)


def test_few_saturating_conversions_may_be_accepted():
    mask = Mask.pair(np.ones((1, 40)))
    placement = pack([MatrixShape("layer", 1, 40)], Geometry(8, 64, 8))
    cells = cells_of(placement, {"layer": mask}, {0: np.full((8, 64), 12.0)}, 0.0)
    vectors = torch.zeros((100, 40), dtype=torch.uint8)
    vectors[0] = 1
    converter = Converter((0.00625, 0.05), 256, 16383, QUIET.noise)
    strict = choose_ranges(cells, {"layer": vectors}, converter, 1)["layer"]
    loose = choose_ranges(cells, {"layer": vectors}, converter, 1, saturated_share=0.02)["layer"]
    assert (strict.range_index, loose.range_index) == (1, 0)
    assert loose.saturated == pytest.approx(0.01)


def test_saturation_is_counted_and_clips():
    mask = Mask.cell(np.ones((1, 40)), np.zeros((1, 40)))
    placement = pack([MatrixShape("layer", 1, 40)], Geometry(8, 64, 8))
    cells = cells_of(placement, {"layer": mask}, {0: np.full((8, 64), 12.0)}, 0.0)
    board = OnMap(cells, QUIET, {"layer": 0}, noise="per_conversion")
    matrix = Matrix("layer", 1, 40, 2, 1)
    products = board.multiply(matrix, torch.full((5, 40), 3, dtype=torch.uint8))
    assert board.saturated["layer"] == 10
    assert board.conversions["layer"] == 10
    assert float(products[0, 0]) == pytest.approx(3 * (16383 - 256) * 0.00625)


def test_a_whole_network_runs_on_the_map_as_with_its_weights():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
    )
    inputs = torch.randn(6, 1, 4, 4)
    network = convert(model, 4, example_input=inputs)
    draw = np.random.default_rng(0)
    shapes = [MatrixShape(each.name, each.outputs, each.inputs) for each in network.matrices]
    placement = pack(shapes, Geometry(32, 64, 8))
    masks = {
        each.name: Mask.cell(*(draw.random((2, each.outputs, each.inputs)) < 0.5))
        for each in network.matrices
    }
    maps = {0: draw.lognormal(2.5, 0.15, (32, 64))}

    class Masked:
        def weight(self, matrix: Matrix) -> Tensor:
            plus, minus = weights_of(maps, placement, matrix)
            mask = masks[matrix.name]
            return plus * torch.tensor(mask.plus) - minus * torch.tensor(mask.minus)

    network.use(Masked()).calibrate([inputs]).eval()
    with torch.no_grad():
        by_weights = network(inputs)
        cells = cells_of(placement, masks, maps, 0.0)
        exact = OnMap(cells, QUIET, dict.fromkeys(masks, 2))
        codes = recorded_codes(network, exact, [inputs])
        on_map = network(inputs)
        chosen = choose_ranges(cells, codes, QUIET, 4)
        ranges = {name: choice.range_index for name, choice in chosen.items()}
        board = OnMap(cells, QUIET, ranges, noise="per_conversion")
        converted = network.use(board)(inputs)
    assert set(codes) == {"0", "4"}
    size = by_weights.std()
    torch.testing.assert_close(on_map / size, by_weights / size, atol=1e-3, rtol=0)
    # half a code moves an activation that lies on the edge of two codes by a whole one
    errors = (converted - by_weights).abs() / size
    assert float(errors.median()) < 0.01
    assert float(errors.max()) < 0.3
    assert board.conversions["0"] > 0


def test_rows_without_an_open_gate_are_not_converted():
    mask = Mask.cell(np.zeros((2, 4)), np.ones((2, 4)))
    placement = pack([MatrixShape("layer", 2, 4)], Geometry(8, 8, 8))
    cells: dict[str, tuple[TileCells, ...]] = cells_of(
        placement, {"layer": mask}, {0: np.full((8, 8), 12.0)}, 0.0
    )
    board = OnMap(cells, NOISY, {"layer": 0}, noise="per_conversion")
    board.multiply(Matrix("layer", 2, 4, 1, 1), torch.ones((3, 4), dtype=torch.uint8))
    assert board.conversions["layer"] == 3 * 2
