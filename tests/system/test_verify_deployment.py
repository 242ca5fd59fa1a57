"""Proof of deployments: each simulated fault is found and named, sound chips raise no alarm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")

from firmware_protocol.layouts import PULSE_ROW  # noqa: E402
from firmware_protocol.messages import Operation, Rail  # noqa: E402
from rramhil.driver import Board  # noqa: E402
from rramhil.errors import VerificationFailed  # noqa: E402
from rramhil.inference import OnBoard, deploy, known_cells, verify_deployment  # noqa: E402
from rramhil.switching import Verification  # noqa: E402
from sim_backend.faults import DeadChannel, Faults, StuckSwitch  # noqa: E402
from tests.support.boards import served_board  # noqa: E402
from tests.support.networks import (  # noqa: E402
    Programmed,
    RandomNetwork,
    cells_of_map,
    programmed_lab,
    random_network,
)

SEED = 8
NETWORK = random_network({"a": (100, 64), "b": (20, 300)}, seed=4, gate="cell")
RANGES = {"a": 1, "b": 2}


@pytest.fixture(scope="module")
def programmed(tmp_path_factory: pytest.TempPathFactory) -> Programmed:
    return programmed_lab(tmp_path_factory.mktemp("programmed") / "lab", SEED)


@contextmanager
def opened(programmed: Programmed, root: Path, *faults: object) -> Iterator[Board]:
    programmed.copy(root)
    wrong = Faults(board=tuple(faults))  # type: ignore[arg-type]
    with (
        served_board(root, seed=SEED, faults=wrong) as address,
        Board.open(address, lab_root=root) as board,
    ):
        yield board


def verified(board: Board, programmed: Programmed, network: RandomNetwork) -> Verification:
    deployment = deploy(board, network.placement, network.masks, RANGES)
    verdicts = verify_deployment(deployment, cells_of_map(deployment, programmed.measured))
    assert list(verdicts) == [0]
    return verdicts[0]


def test_a_sound_chip_is_clean(programmed: Programmed, lab_root: Path):
    with opened(programmed, lab_root) as board:
        for _ in range(5):
            verdict = verified(board, programmed, NETWORK)
            assert verdict.clean, verdict.findings
            assert 0.6 < verdict.rms_sigma < 1.15
        # both parts of every sampled row
        assert verdict.samples == 2 * 2 * (100 + 20)


@pytest.mark.parametrize("state", ["GND", "FLOAT", "RAIL_A"])
def test_a_stuck_switch_is_named(programmed: Programmed, lab_root: Path, state: str):
    line = int(NETWORK.placement.tiles[0].columns[20])
    stuck = StuckSwitch(line=line, state=state)  # type: ignore[arg-type]
    with opened(programmed, lab_root, stuck) as board:
        verdict = verified(board, programmed, NETWORK)
    found = [(each.fault, each.line) for each in verdict.findings]
    assert found == [("switch", line)]
    closed = "stuck closed, and the zeros of all rows hold its current"
    assert (closed if state == "RAIL_A" else "stuck open") in verdict.findings[0].sentence


def test_a_dead_channel_is_named_and_nothing_runs_on_it(programmed: Programmed, lab_root: Path):
    with opened(programmed, lab_root, DeadChannel(channel=3, code=700)) as board:
        deployment = deploy(board, NETWORK.placement, NETWORK.masks, RANGES)
        known = cells_of_map(deployment, programmed.measured)
        verdict = verify_deployment(deployment, known)[0]
    assert deployment.problems == ("ADC channel 3 does not react to its reference: it is dead.",)
    assert [(each.fault, each.line) for each in verdict.findings] == [("dead channel", 3)]
    with pytest.raises(VerificationFailed, match="ADC channel 3 does not react"):
        OnBoard(deployment)


def test_a_row_that_drifted_is_named(programmed: Programmed, lab_root: Path):
    row = int(NETWORK.placement.tiles[0].rows[7, 1])
    with opened(programmed, lab_root) as board:
        reset_some(board, row)
        verdict = verified(board, programmed, NETWORK)
    assert [(each.fault, each.line) for each in verdict.findings] == [("row", row)]


def test_a_channel_whose_gain_moved_is_named(programmed: Programmed, lab_root: Path):
    """The map as it was read, on a channel that read 3 % too much."""
    with opened(programmed, lab_root) as board:
        deployment = deploy(board, NETWORK.placement, NETWORK.masks, RANGES)
        known = cells_of_map(deployment, programmed.measured)[0]
        own = known.own_uS.copy()
        own[5::8] *= 1.03
        moved = {0: type(known)(own, known.noise, known.cell_error, known.channel_error)}
        verdict = verify_deployment(deployment, moved)[0]
    assert [(each.fault, each.line) for each in verdict.findings] == [("channel gain", 5)]
    # the lines of a dense row take a sixth of what its cells have more
    assert re.search(r"reads 2\.[45]\d% less", verdict.findings[0].sentence)


def test_a_map_without_measured_gains_is_believed_less(programmed: Programmed, lab_root: Path):
    with opened(programmed, lab_root) as board:
        deployment = deploy(board, NETWORK.placement, NETWORK.masks, RANGES)
        nominal = known_cells(programmed.measured, board.description)
        assert nominal.channel_error > 0.01
        verdict = verify_deployment(deployment, {0: nominal})[0]
    assert verdict.clean, verdict.findings


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_sound_runs_raise_no_alarm(tmp_path: Path):
    for seed in range(20):
        one = programmed_lab(tmp_path / f"{seed}", seed)
        with Board.open(one.address, lab_root=one.root) as board:
            for number in range(5):
                network = random_network(
                    {"a": (100, 64), "b": (20, 300)}, seed=number, gate=("pair", "cell")[number % 2]
                )
                verdict = verified(board, one, network)
                assert verdict.clean, (seed, number, verdict.findings)


def reset_some(board: Board, row: int) -> None:
    """RESET every eighth cell of a row."""
    pulses = np.zeros(1, dtype=PULSE_ROW)
    facts = board.description
    envelope = facts.envelopes[Operation.RESET]
    pulses["row"] = row
    pulses["bit_code"] = facts.dac_code(Rail.RAIL_A, 2.4)
    pulses["word_code"] = facts.word_code(envelope.compliance_max_a)
    pulses["width_ns"] = envelope.width_min_ns * 10
    pulses["column_mask"] = 0x01
    assert board.chip(0).pulse(pulses, Operation.RESET).error is None
