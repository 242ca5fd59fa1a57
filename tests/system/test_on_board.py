"""Networks on a simulated board, through the driver: what the chip says, beside its map."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")

from torch import Tensor  # noqa: E402

from rramhil.driver import Board  # noqa: E402
from rramhil.inference import (  # noqa: E402
    Deployment,
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
from rramhil.lab import ConductanceMap, Lab  # noqa: E402
from rramhil.network import Network, convert, plan, weights_of  # noqa: E402
from rramhil.programming import program  # noqa: E402
from rramhil.pruning import TrainSettings, fit  # noqa: E402
from rramhil.switching import Geometry, Mask, Placement, compile_masks  # noqa: E402
from rramhil.tasks import Splits, digits  # noqa: E402

SIM = "sim://?seed=3"


@dataclass
class Programmed:
    """A lab with a dense chip, and its map."""

    root: Path
    measured: ConductanceMap

    def copy(self, root: Path) -> Path:
        shutil.copytree(self.root, root)
        return root


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
    root = tmp_path_factory.mktemp("programmed") / "lab"
    with Board.open(SIM, lab_root=root) as board, Lab(root) as lab:
        return Programmed(root, program(board, lab, 0).measured)


@pytest.fixture
def board(programmed: Programmed, lab_root: Path) -> Iterator[Board]:
    with Board.open(SIM, lab_root=programmed.copy(lab_root)) as board:
        yield board


@pytest.fixture(scope="module")
def trained(programmed: Programmed, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Digits, a few epochs, on the map as the board's references have it."""
    root = programmed.copy(tmp_path_factory.mktemp("trained") / "lab")
    with Board.open(SIM, lab_root=root) as board:
        facts, gains = board.description, measured_gains(board)
    torch.manual_seed(0)
    task = digits.task
    splits = task.data(root)
    network = convert(task.model(), task.bits, example_input=splits.train.inputs[:2])
    placement = plan(network, Geometry(facts.rows, facts.columns, facts.channels))
    known = {0: known_cells(programmed.measured, facts, gains)}
    pairs = {
        each.name: weights_of({0: known[0].own_uS}, placement, each) for each in network.matrices
    }
    masks = fit(
        network, task, splits, pairs, gate="cell", settings=TrainSettings(5), noise=0.02
    ).masks
    cells = cells_in_steps(compile_masks(placement, masks, 0), masks, known, lines_of(facts))
    converter = converter_of(facts)
    exact = OnMap(cells, converter, dict.fromkeys(cells, 0))
    codes = recorded_codes(network, exact, [splits.validation.inputs])
    chosen = choose_ranges(cells, codes, converter, task.bits)
    ranges = {name: choice.range_index for name, choice in chosen.items()}
    return Trained(network, splits, placement, masks, ranges)


def on_map(deployment: Deployment, measured: ConductanceMap, ranges: dict[str, int]) -> OnMap:
    facts = deployment.board.description
    known = {0: known_cells(measured, facts, deployment.front_end.gains)}
    compiled = [each.compiled for each in deployment.tiles]
    cells = cells_in_steps(compiled, deployment.masks, known, lines_of(facts))
    return OnMap(cells, converter_of(facts), ranges)


def test_digits_run_on_the_chip_as_the_map_predicts(
    board: Board, programmed: Programmed, trained: Trained
):
    deployment = deploy(board, trained.placement, trained.masks, trained.ranges)
    assert deployment.problems == ()
    on_board = OnBoard(deployment)
    predicted = on_map(deployment, programmed.measured, trained.ranges)
    images, classes = trained.splits.test
    said = trained.logits(on_board, images)
    expected = trained.logits(predicted, images)
    same = (said.argmax(dim=1) == expected.argmax(dim=1)).float().mean()
    assert float(same) >= 0.97
    assert digits.accuracy(said, classes) > 0.88
    # first layer: the codes are the same on both
    first = trained.network.matrices[0]
    codes = recorded_codes(trained.network, predicted, [images], most=len(images))[first.name]
    mean, sd = predicted.predict(first, codes)
    error = (on_board.multiply(first, codes) - mean) / sd
    assert 0.8 < float(error.square().mean().sqrt()) < 1.2
    assert on_board.total.saturated == 0
    assert board.counters(0).form_pulses == 512 * 512
    assert board.counters(0).set_pulses == board.counters(0).reset_pulses == 0
