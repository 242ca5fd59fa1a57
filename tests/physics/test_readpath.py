"""The read path: what codes say of conductances, with offset, noise, pedestal and clipping."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.executor import FrameId
from firmware_protocol.messages import Operation
from sim_backend.board import SimulatedBoard
from sim_backend.wires import resistances, unrounded_ps
from tests.physics.test_forming import pulses

ALL = np.arange(512)
PER_CODE_US = (0.00625, 0.05, 0.4)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimulatedBoard]:
    """A chip whose even rows are formed."""
    with SimulatedBoard(tmp_path, 5, 1) as opened:
        opened.pulse(FrameId(1, 1), 0, Operation.FORM, pulses(ALL[::2], 4.0, 1_000_000))
        yield opened


def codes(board: SimulatedBoard, rows: np.ndarray, reads: int, range_index: int = 0) -> np.ndarray:
    parts = [p.codes for p in board.read(0, rows, ALL, reads, range_index, 1 << 19)]
    return np.concatenate(parts).reshape(reads, len(rows), 512)


def effective_uS(board: SimulatedBoard, rows: np.ndarray) -> np.ndarray:
    """What the wires leave of the cells' conductances, rows sampled eight at a time."""
    conductance_ps = board.chips[0].cells.conductance_ps
    wires = resistances(board.profile)
    groups = np.split(rows, np.arange(8, len(rows), 8))
    return np.concatenate([unrounded_ps(conductance_ps, group, wires) for group in groups]) / 1e6


def seen_uS(board: SimulatedBoard, rows: np.ndarray, range_index: int) -> np.ndarray:
    """What the amplifiers of these rows make of the truth, at the nominal scale."""
    gain = board.front.read.gain[rows % 8, range_index] * PER_CODE_US[range_index] * 1e6 / 2**42
    return effective_uS(board, rows) * gain[:, None]


@pytest.mark.parametrize("range_index", [0, 1, 2])
def test_codes_less_the_zero_are_the_conductance_times_the_gain_of_the_channel(
    board: SimulatedBoard, range_index: int
):
    rows = ALL[:32]
    zero = board.measure_zeros(0, rows, range_index) / 16
    read = codes(board, rows, 64, range_index).mean(axis=0)
    measured_uS = (read - zero[:, None]) * PER_CODE_US[range_index]
    expected_uS = seen_uS(board, rows, range_index)
    spread_uS = np.hypot(0.02 * expected_uS, 0.75 * PER_CODE_US[range_index])
    error = (measured_uS - expected_uS).mean(axis=1)
    noise = spread_uS.mean(axis=1) / np.sqrt(64 * 512) + 0.75 * PER_CODE_US[range_index] / 4
    # what the converter adds: 0.2 % of gain, 0.1 % of INL at these codes, and the DNL of few codes
    converter_uS = 0.003 * expected_uS.mean(axis=1) + 0.4 * PER_CODE_US[range_index]
    assert (abs(error) < 5 * noise + converter_uS).all()
    # a host that takes the nominal gain is off by a per cent or two, by channel
    nominal = (measured_uS / effective_uS(board, rows)).mean(axis=1)[::2]
    assert 0.005 < np.ptp(nominal) < 0.035
    assert abs(nominal - 1).max() < 0.026


def test_a_read_spreads_by_two_per_cent_of_the_conductance_and_the_converter(
    board: SimulatedBoard,
):
    read = codes(board, ALL[:64], 200)
    sd = read.std(axis=0, ddof=1)
    expected = np.sqrt((0.02 * seen_uS(board, ALL[:64], 0) / 0.00625) ** 2 + 0.75**2 + 1 / 12)
    ratio = (sd / expected).mean(axis=1)
    assert abs(ratio - 1).max() < 0.03  # codes are not all of one width


def test_noise_of_different_cells_reads_and_rows_is_independent(board: SimulatedBoard):
    read = codes(board, ALL[:16:2], 128).astype(np.float64)
    noise = (read - read.mean(axis=0)) / read.std(axis=0)
    for a, b in (
        (noise[1:], noise[:-1]),
        (noise[:, 1:], noise[:, :-1]),
        (noise[:, :, 1:], noise[:, :, :-1]),
    ):
        assert abs((a * b).mean() + (a.shape[0] == 127) / 128) < 4 / np.sqrt(a.size)


def test_zeros_are_pedestal_and_the_offset_of_channel_and_range(board: SimulatedBoard):
    for range_index in range(3):
        zeros = board.measure_zeros(0, ALL, range_index) / 16
        channels = zeros.reshape(64, 8)
        offset = channels.mean(axis=0)
        assert abs(offset - 256).max() < 0.002 / (1.8 / 2**14) + 0.2
        assert np.ptp(offset) > 1
        # within a channel only the converter's noise, averaged over 16 conversions
        assert (channels - offset).std() == pytest.approx(np.hypot(0.75, 1 / 12**0.5) / 4, rel=0.15)


def test_conductance_beyond_the_scale_clips_and_is_counted(board: SimulatedBoard):
    board.chips[0].cells.conductance_ps[0] = 150_000_000
    board.pulse(
        FrameId(1, 2), 0, Operation.FORM, pulses(ALL[:1], 1.0)
    )  # a pulse: the row is looked at anew
    parts = list(board.read(0, ALL[:2], ALL, 1, 0, 4096))
    # so much current that only cells near the amplifier keep their voltage
    assert (parts[0].codes[496:512] == 16383).all()
    assert sum(part.saturated for part in parts) == (parts[0].codes == 16383).sum() >= 16
    coarse = codes(board, ALL[:1], 8, 2).mean(axis=0)[0]
    alone_uS = effective_uS(board, ALL[:1])[0]
    zero = board.measure_zeros(0, ALL[:1], 2)[0] / 16
    assert coarse - zero == pytest.approx(alone_uS / 0.4, rel=0.05)


def test_a_pulse_is_seen_by_the_next_read_of_every_range(board: SimulatedBoard):
    rows = ALL[1:2]
    before = [codes(board, rows, 1, r).mean() for r in range(3)]
    before_uS = effective_uS(board, rows).mean()
    board.pulse(FrameId(1, 2), 0, Operation.FORM, pulses(rows, 4.0, 1_000_000))
    after = [codes(board, rows, 1, r).mean() for r in range(3)]
    gained_uS = effective_uS(board, rows).mean() - before_uS
    for was, now, per_code in zip(before, after, PER_CODE_US, strict=True):
        assert now - was == pytest.approx(gained_uS / per_code, rel=0.03)


def test_rows_of_different_channels_are_sampled_at_once(board: SimulatedBoard):
    before_ns = board.clock_ns
    codes(board, ALL, 1)
    full_ns = board.clock_ns - before_ns
    assert full_ns == 64 * (6_400 + 512 * 25_000)
    before_ns = board.clock_ns
    codes(board, ALL[::8], 1)  # one channel: nothing to share
    assert board.clock_ns - before_ns == full_ns
