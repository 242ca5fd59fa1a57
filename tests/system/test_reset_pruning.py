"""The same masks twice on one chip: as gates, and as cells that RESET has pruned."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from torch import Tensor  # noqa: E402

from rramhil.driver import Board  # noqa: E402
from rramhil.errors import MaskError  # noqa: E402
from rramhil.flow import (  # noqa: E402
    Applied,
    KnownChip,
    TrainRequest,
    apply_run,
    infer,
    known_chips,
    new_network,
    plan_run,
    predictions,
    prune_by_reset,
    refuse_what_is_not_reset,
    train_run,
)
from rramhil.inference import OnBoard, OnMap  # noqa: E402
from rramhil.lab import Lab  # noqa: E402
from rramhil.network import Matrix, Run  # noqa: E402
from rramhil.tasks import Examples, digits  # noqa: E402
from tests.support.networks import programmed_lab  # noqa: E402

SEED = 11
_VECTORS = 200


def rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def known(board: Board, lab: Lab, applied: Applied) -> dict[int, KnownChip]:
    return known_chips(board, lab, (0,), applied.deployment.front_end.gains)


def exact_map(applied: Applied, run: Run, chips: dict[int, KnownChip]) -> OnMap:
    return predictions(applied.deployment, run, chips)[0]


def test_gates_and_reset_of_the_same_masks_agree_within_the_measured_residual(tmp_path: Path):
    programmed = programmed_lab(tmp_path / "lab", SEED)
    task, splits = digits.task, digits.task.data(tmp_path)
    examples = Examples(splits.test.inputs[:_VECTORS], splits.test.targets[:_VECTORS])
    with (
        Board.open(programmed.address, lab_root=programmed.root) as board,
        Lab(programmed.root) as lab,
    ):
        chips = known_chips(board, lab, (0,))
        run = train_run(
            TrainRequest("digits", epochs=1), task, splits, chips, board.description
        ).run
        network = new_network(task, splits)
        run.restore(network)
        matrices = network.matrices
        random = torch.Generator().manual_seed(0)
        codes = {
            each.name: torch.randint(
                0, 16, (_VECTORS, each.inputs), dtype=torch.uint8, generator=random
            )
            for each in matrices
        }

        # by gates
        gates = apply_run(board, run)
        gated = products(OnBoard(gates.deployment), matrices, codes)
        by_gates = infer(gates, run, network, task, examples, known(board, lab, gates))
        assert gates.pulses == 0
        with pytest.raises(MaskError, match=r"were not RESET.*`rramhil mask apply a --by"):
            refuse_what_is_not_reset("a", run, lab, chips)

        # by RESET, every gate open; the map is read again
        (done,) = prune_by_reset(board, lab, run, chips).values()
        assert done.residual_uS is not None
        assert 0.5 < done.residual_uS < 1.5
        pulses = done.reset_pulses
        # pulses fail now and then, and only where they have another follows
        assert 0 < done.still_on < pulses // 200
        (again,) = prune_by_reset(board, lab, run, known_chips(board, lab, (0,))).values()
        assert (again.reset_pulses, again.set_pulses) == (done.still_on, 0)
        (last,) = prune_by_reset(board, lab, run, known_chips(board, lab, (0,))).values()
        assert (last.reset_pulses, last.set_pulses, last.still_on) == (0, 0, 0)
        after = known_chips(board, lab, (0,))
        refuse_what_is_not_reset("a", run, lab, after)
        opened = apply_run(board, run, gated=False)
        dense = products(OnBoard(opened.deployment), matrices, codes)
        after = known(board, lab, opened)
        by_reset = infer(opened, run, network, task, examples, after)

        # what they differ by is what the map measured of the residual, within the noise of both
        dense_map, gated_map = (exact_map(each, run, after) for each in (opened, gates))
        for matrix in matrices:
            name = matrix.name
            expected = [each.predict(matrix, codes[name]) for each in (dense_map, gated_map)]
            residual = expected[0].mean - expected[1].mean
            sd = torch.hypot(expected[0].sd, expected[1].sd)
            difference = dense[name] - gated[name]
            assert rms((difference - residual) / sd) < 1.2
            # and it is there: without it they would not agree
            assert rms(difference / sd) > 1.5 * rms((difference - residual) / sd)
        assert by_gates.noise_ratio < 1.2
        assert by_reset.noise_ratio < 1.2
        assert by_reset.agreement is not None
        assert by_reset.agreement > 0.95
        assert abs(by_reset.value - by_gates.value) < 0.05

        # the report has both prices: gates cost steps, RESET pulses
        report = plan_run(run, board.description, {}).report
        assert report.reset is not None
        assert report.reset.reset_pulses == pulses
        assert report.total.gated.steps == sum(t.schedule.steps for t in gates.deployment.tiles)
        assert report.total.dense.steps == sum(t.schedule.steps for t in opened.deployment.tiles)
        assert by_gates.board_time_s == pytest.approx(
            report.total.gated.board_time_s * _VECTORS, rel=0.01
        )
        assert by_reset.board_time_s == pytest.approx(
            report.total.dense.board_time_s * _VECTORS, rel=0.01
        )


def products(
    on_board: OnBoard, matrices: tuple[Matrix, ...], codes: dict[str, Tensor]
) -> dict[str, Tensor]:
    said = {each.name: on_board.multiply(each, codes[each.name]) for each in matrices}
    assert on_board.total.saturated == 0
    return said
