"""Networks on a simulated board, through the driver: what the chip says, beside its map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")

from torch import Tensor  # noqa: E402

from calibration import Gains  # noqa: E402
from rramhil.driver import Board  # noqa: E402
from rramhil.errors import UsageError, VerificationFailed  # noqa: E402
from rramhil.inference import (  # noqa: E402
    Deployment,
    FrontEnd,
    KnownCells,
    OnBoard,
    OnMap,
    cells_in_steps,
    choose_ranges,
    converter_of,
    deploy,
    known_cells,
    lines_of,
    measured_gains,
    recorded_codes,
)
from rramhil.network import Network, convert, plan, weights_of  # noqa: E402
from rramhil.pruning import SupermaskExecutor, TrainSettings, fit  # noqa: E402
from rramhil.switching import Mask, Placement, compile_masks  # noqa: E402
from rramhil.tasks import Splits, digits, load  # noqa: E402
from tests.support.boards import served_board  # noqa: E402
from tests.support.networks import (  # noqa: E402
    MACRO,
    Programmed,
    cells_of_map,
    on_map,
    programmed_lab,
    quiet_board,
    random_network,
)

SEED = 3


@dataclass
class Trained:
    network: Network
    splits: Splits
    placement: Placement
    masks: dict[str, Mask]
    ranges: dict[str, int]

    def logits(self, executor: OnBoard | OnMap, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network.use(executor).eval()(inputs)


@pytest.fixture(scope="module")
def programmed(tmp_path_factory: pytest.TempPathFactory) -> Programmed:
    return programmed_lab(tmp_path_factory.mktemp("programmed") / "lab", SEED)


@pytest.fixture
def board(programmed: Programmed, lab_root: Path) -> Iterator[Board]:
    with Board.open(programmed.address, lab_root=programmed.copy(lab_root)) as board:
        yield board


@pytest.fixture(scope="module")
def trained(programmed: Programmed, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Digits, a few epochs, on the map as the board's references have it."""
    root = programmed.copy(tmp_path_factory.mktemp("trained") / "lab")
    with Board.open(programmed.address, lab_root=root) as board:
        facts, gains = board.description, measured_gains(board)
    torch.manual_seed(0)
    task = digits.task
    splits = task.data(root)
    network = convert(task.model(), task.bits, example_input=splits.train.inputs[:2])
    placement = plan(network, MACRO)
    known = {0: known_cells(programmed.measured, facts, gains)}
    pairs = {
        each.name: weights_of({0: known[0].own_uS}, placement, each) for each in network.matrices
    }
    settings = TrainSettings(5)
    masks = fit(network, task, splits, pairs, gate="cell", settings=settings, noise=0.02).masks
    cells = cells_in_steps(compile_masks(placement, masks, 0), masks, known, lines_of(facts))
    converter = converter_of(facts)
    exact = OnMap(cells, converter, dict.fromkeys(cells, 0))
    codes = recorded_codes(network, exact, [splits.validation.inputs])
    chosen = choose_ranges(cells, codes, converter, task.bits)
    ranges = {name: choice.range_index for name, choice in chosen.items()}
    return Trained(network, splits, placement, masks, ranges)


def test_digits_run_on_the_chip_as_the_map_predicts(
    board: Board, programmed: Programmed, trained: Trained
):
    deployment = deploy(board, trained.placement, trained.masks, trained.ranges)
    assert deployment.problems == ()
    on_board = OnBoard(deployment)
    known = cells_of_map(deployment, programmed.measured)
    predicted = on_map(deployment, known, trained.ranges)
    images, classes = trained.splits.test
    said = trained.logits(on_board, images)
    expected = trained.logits(predicted, images)
    same = (said.argmax(dim=1) == expected.argmax(dim=1)).float().mean()
    assert float(same) >= 0.97
    assert digits.accuracy(said, classes) > 0.88
    # the logits scatter as those of a board that is drawn by the map
    drawn = on_map(deployment, known, trained.ranges, noise="per_conversion")
    noise = (trained.logits(drawn, images) - expected).square().mean().sqrt()
    assert float((said - expected).square().mean().sqrt()) < 1.2 * float(noise)
    assert on_board.total.saturated == 0
    assert on_board.total.vectors == 2 * len(images)
    assert on_board.total.conversions == len(images) * 4 * 2 * (96 + 10)
    # 212 steps of four planes, 22 us each
    assert on_board.total.board_time_s == pytest.approx(len(images) * 212 * 4 * 22e-6, rel=0.01)
    steps_w = on_board.energy_j(12.35) / on_board.total.board_time_s
    assert 0.1 < steps_w < 10
    counted = board.counters(0)
    assert (counted.form_pulses, counted.set_pulses, counted.reset_pulses) == (512 * 512, 0, 0)


def test_a_board_over_tcp_says_the_same_bits_as_one_inside_the_process(
    programmed: Programmed, trained: Trained, tmp_path: Path
):
    said: list[Tensor] = []
    images = trained.splits.test.inputs[:200]
    for name in ("sim", "tcp"):
        root = programmed.copy(tmp_path / name)
        inside = nullcontext(programmed.address)
        with (
            served_board(root, seed=SEED) if name == "tcp" else inside as address,
            Board.open(address, lab_root=root) as board,
        ):
            on_board = OnBoard(deploy(board, trained.placement, trained.masks, trained.ranges))
            said += [trained.logits(on_board, images)]
            said += [on_board.row_sums(each) for each in trained.network.matrices]
    half = len(said) // 2
    assert all(torch.equal(*both) for both in zip(said[:half], said[half:], strict=True))


@pytest.mark.parametrize(
    ("shape", "gate", "range_index"),
    [((40, 30), "pair", 1), ((60, 400), "pair", 2), ((30, 700), "cell", 2)],
)
def test_products_are_off_by_the_predicted_noise_through_gains_offsets_and_wires(
    board: Board, programmed: Programmed, shape: tuple[int, int], gate: str, range_index: int
):
    network = random_network({"one": shape}, seed=5, gate=gate)
    deployment = deploy(board, network.placement, network.masks, range_index)
    known = cells_of_map(deployment, programmed.measured)
    predicted = on_map(deployment, known, {"one": range_index})
    matrix = network.matrices[0]
    codes = torch.from_numpy(network.codes(matrix, 300))
    on_board = OnBoard(deployment)
    products = on_board.multiply(matrix, codes)
    assert on_board.total.saturated == 0
    mean, sd = predicted.predict(matrix, codes)
    ratio = float(((products - mean) / sd).square().mean().sqrt())
    assert 0.75 < ratio < 1.2
    sums = on_board.row_sums(matrix) - predicted.row_sums(matrix)
    assert float(sums.abs().max()) < 0.02 * float(predicted.predict(matrix, codes).mean.std())
    # with gains and lines left aside it would not hold
    plain = {0: KnownCells(programmed.measured.read_uS)}
    naive = on_map(deployment, plain, {"one": range_index}).predict(matrix, codes).mean
    assert float(((products - naive) / sd).square().mean().sqrt()) > 1.5 * ratio


@pytest.mark.parametrize(("seed", "bits"), [(0, 1), (1, 4), (2, 8)])
def test_on_a_board_without_errors_products_are_exact_within_a_code_a_conversion(
    programmed: Programmed, lab_root: Path, seed: int, bits: int
):
    root = programmed.copy(lab_root)
    network = random_network({"a": (9, 40), "b": (30, 600)}, seed=seed, bits=bits, gate="cell")
    with (
        quiet_board(root, SEED, ideal=True) as (address, truth),
        Board.open(address, lab_root=root) as board,
    ):
        nominal = nominal_front_end(board)
        deployment = deploy(board, network.placement, network.masks, 2, front_end=nominal)
        on_board = OnBoard(deployment)
        exact = on_map(deployment, {0: KnownCells(truth)}, {"a": 2, "b": 2})
        for matrix in network.matrices:
            codes = torch.from_numpy(network.codes(matrix, 50, seed))
            tiles = sum(tile.first_output == 0 for tile in network.placement.tiles_of(matrix.name))
            # half a code of the conversion, half of its zero, of both rows and every tile
            most = 1.02 * 2 * tiles * 0.4 * ((1 << matrix.bits) - 1)
            wanted = exact.multiply(matrix, codes)
            error = (on_board.multiply(matrix, codes) - wanted).abs().max()
            assert float(error) < most


def test_two_networks_on_the_same_cells_are_swapped_as_if_each_were_alone(
    programmed: Programmed, lab_root: Path, tmp_path: Path
):
    networks = [random_network({"m": (20, 60)}, seed=seed) for seed in (1, 2)]
    assert networks[0].placement.id == networks[1].placement.id
    matrix = networks[0].matrices[0]
    codes = torch.from_numpy(networks[0].codes(matrix, 3))
    alone: list[Tensor] = []
    for number, network in enumerate(networks):
        root = programmed.copy(tmp_path / str(number))
        with quiet_board(root, SEED) as (address, _), Board.open(address, lab_root=root) as board:
            on_board = OnBoard(deploy(board, network.placement, network.masks, 1))
            alone.append(on_board.multiply(matrix, codes))
    root = programmed.copy(lab_root)
    with quiet_board(root, SEED) as (address, _), Board.open(address, lab_root=root) as board:
        before = board.counters(0)
        one = deploy(board, networks[0].placement, networks[0].masks, 1)
        other = deploy(
            board,
            networks[1].placement,
            networks[1].masks,
            1,
            front_end=one.front_end,
            first_slot=one.slots,
        )
        both = OnBoard(one), OnBoard(other)
        for _ in range(500):
            for on_board, wanted in zip(both, alone, strict=True):
                assert torch.equal(on_board.multiply(matrix, codes), wanted)
        after = board.counters(0)
        assert after.conversions > before.conversions
        for kind in ("form_pulses", "set_pulses", "reset_pulses"):
            assert getattr(after, kind) == getattr(before, kind)
    assert not torch.equal(*alone)


TASKS = {"digits": (64,), "spoken-digits": (1, 23, 20), "fashion-mnist": (1, 14, 14)}
"""Tasks that share a chip, and the shape of a sample."""


class Resident(NamedTuple):
    """A task's network with random masks of half of the cells it lies on, and samples."""

    network: Network
    placement: Placement
    masks: dict[str, Mask]
    inputs: Tensor

    def on(self, board: Board, *before: Deployment) -> Deployment:
        """Load it beside what is there."""
        return deploy(
            board,
            self.placement,
            self.masks,
            len(board.description.ranges) - 1,
            front_end=before[-1].front_end if before else None,
            first_slot=max((each.slots for each in before), default=0),
        )

    def said(self, deployment: Deployment) -> Tensor:
        with torch.no_grad():
            return self.network.use(OnBoard(deployment))(self.inputs)


def resident(name: str, programmed: Programmed) -> Resident:
    task, random = load(name), torch.Generator().manual_seed(5)
    inputs = torch.rand(2, *TASKS[name], generator=random)
    network = convert(task.model(), task.bits, example_input=inputs)
    placement = plan(network, MACRO)
    cells_uS = {0: programmed.measured.conductance_uS}
    pairs = {each.name: weights_of(cells_uS, placement, each) for each in network.matrices}
    masks_of = SupermaskExecutor(pairs, "cell", seed=1).eval()
    masks_of.prepare(network)
    network.use(masks_of).calibrate([inputs]).freeze().eval()
    return Resident(network, placement, masks_of.masks(), inputs)


def test_three_tasks_live_on_the_same_cells_and_not_a_pulse_is_between_them(
    programmed: Programmed, lab_root: Path, tmp_path: Path
):
    tasks = [resident(name, programmed) for name in TASKS]
    used = [each.placement.used(0) for each in tasks]
    # each pair of tasks has most cells of the smaller one in common
    for one, other in combinations(used, 2):
        assert (one & other).sum() > 0.5 * min(one.sum(), other.sum())
    alone: list[Tensor] = []
    for number, task in enumerate(tasks):
        root = programmed.copy(tmp_path / str(number))
        with quiet_board(root, SEED) as (address, _), Board.open(address, lab_root=root) as board:
            alone.append(task.said(task.on(board)))
    root = programmed.copy(lab_root)
    with quiet_board(root, SEED) as (address, _), Board.open(address, lab_root=root) as board:
        before = board.counters(0)
        loaded: list[Deployment] = []
        for task in tasks:
            loaded.append(task.on(board, *loaded))
        for _ in range(2):
            for task, deployment, wanted in zip(tasks, loaded, alone, strict=True):
                assert torch.equal(task.said(deployment), wanted)
        after = board.counters(0)
        assert after.conversions > before.conversions
        for kind in ("form_pulses", "set_pulses", "reset_pulses"):
            assert getattr(after, kind) == getattr(before, kind)
    assert all(float(said.std()) > 0 for said in alone)


def test_with_fewer_slots_than_tiles_schedules_are_loaded_as_they_are_needed(
    programmed: Programmed, lab_root: Path
):
    network = random_network({"a": (4, 10), "b": (5, 12), "c": (3, 700)}, seed=1)
    root = programmed.copy(lab_root)
    with quiet_board(root, SEED) as (address, _), Board.open(address, lab_root=root) as board:
        wide = deploy(board, network.placement, network.masks, 1)
        narrow = deploy(
            board,
            network.placement,
            network.masks,
            1,
            front_end=wide.front_end,
            first_slot=wide.slots,
            slots=1,
        )
        assert (wide.slots, narrow.slots) == (4, 5)
        for _ in range(2):
            for matrix in network.matrices:
                codes = torch.from_numpy(network.codes(matrix, 5))
                products = [OnBoard(each).multiply(matrix, codes) for each in (wide, narrow)]
                assert torch.equal(*products)
        with pytest.raises(UsageError, match="no 1 from slot 64 on"):
            deploy(board, network.placement, network.masks, 1, first_slot=64, slots=1)


def test_rows_whose_gates_are_all_closed_are_zero_and_saturation_is_counted(board: Board):
    network = random_network({"none": (3, 20), "all": (3, 400)}, seed=1)
    masks = {"none": Mask.pair(np.zeros((3, 20))), "all": Mask.pair(np.ones((3, 400)))}
    on_board = OnBoard(deploy(board, network.placement, masks, {"none": 0, "all": 0}))
    nothing, everything = network.matrices
    ones = torch.full((5, 20), 15, dtype=torch.uint8)
    assert not on_board.multiply(nothing, ones).any()
    assert not on_board.row_sums(nothing).any()
    assert on_board.multiply(everything, torch.zeros((0, 400), dtype=torch.uint8)).shape == (0, 3)
    on_board.multiply(everything, torch.full((2, 400), 15, dtype=torch.uint8))
    assert on_board.work["all"].saturated == on_board.work["all"].conversions == 2 * 4 * 6
    assert on_board.work["none"].conversions == 0


def test_a_switch_that_reads_back_wrong_is_said_and_nothing_is_multiplied(
    board: Board, monkeypatch: pytest.MonkeyPatch
):
    network = random_network({"m": (3, 20)}, seed=1)
    read = board.switches

    def wrong(chip: int) -> bytes:
        bits = bytearray(read(chip))
        bits[1] ^= 0b11 << 2  # line 5: from ground to RAIL_A or back
        return bytes(bits)

    monkeypatch.setattr(board, "switches", wrong)
    deployment = deploy(board, network.placement, network.masks, 1)
    with pytest.raises(VerificationFailed, match="Bit line 5 of chip 0 reads back"):
        OnBoard(deployment)


def nominal_front_end(board: Board) -> FrontEnd:
    """What is known of a board that is exactly what it says it is; no zeros yet."""
    facts = board.description
    per_code = np.tile([each.per_code_uS for each in facts.ranges], (facts.channels, 1))
    gains = Gains(
        per_code_uS=per_code,
        per_code_sd_uS=0 * per_code,
        zero_codes=0 * per_code + facts.pedestal,
        zero_sd_codes=0 * per_code,
        tolerance=0.0,
        temperature_k=board.status().temperature_mk / 1000,
        dead=np.zeros(per_code.shape, dtype=np.bool_),
    )
    return FrontEnd(board.identity.serial, gains, {})
