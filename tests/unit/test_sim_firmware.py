"""The firmware layer: commands, their limits, and one status an operation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.executor import Answer, Chunk, FrameId, Refused
from firmware_protocol.fields import FieldError
from firmware_protocol.layouts import POINT, POINT_RESULT, PULSE_ROW
from firmware_protocol.messages import (
    ChipReply,
    Command,
    DarkReply,
    DarkRequest,
    DescribeReply,
    ErrorCode,
    Feature,
    Operation,
    OutcomeKind,
    OutcomeReply,
    OutcomeRequest,
    PulseRowsReply,
    PulseRowsRequest,
    ReadCellsReply,
    ReadCellsRequest,
    ReadPointsReply,
    ReadPointsRequest,
    StreamChunk,
    SwitchesReply,
    WaitReply,
    WaitRequest,
)
from sim_backend.board import SimulatedBoard
from sim_backend.cells import CellFlag
from sim_backend.firmware import Firmware

FULL, NONE = b"\xff" * 64, bytes(64)
MAX_BODY = 1 << 20


class Bench:
    """A firmware and the calls that tests make of it."""

    def __init__(self, board: SimulatedBoard) -> None:
        self.board = board
        self.firmware = Firmware(board)
        self.session = self.firmware.open_session()
        self.sequence = 0

    def answer(self, command: Command, body: bytes = b"", max_body: int = MAX_BODY) -> Answer:
        self.sequence += 1
        frame = FrameId(self.session, self.sequence)
        answer = self.firmware.execute(frame, command, body, max_body)
        assert isinstance(answer, Answer)
        return answer

    def pulse(
        self, rows: np.ndarray, chip: int = 0, operation: int = 1
    ) -> tuple[PulseRowsReply, list[int], bool]:
        request = PulseRowsRequest(chip, operation, len(rows)).pack()
        answer = self.answer(Command.PULSE_ROWS, request + rows.tobytes())
        statuses = list(answer.body[PulseRowsReply.SIZE :])
        return PulseRowsReply.unpack(answer.body), statuses, answer.halted

    def read(
        self, request: ReadCellsRequest, max_body: int = MAX_BODY
    ) -> tuple[list[Chunk], ReadCellsReply, np.ndarray]:
        self.sequence += 1
        frame = FrameId(self.session, self.sequence)
        stream = self.firmware.execute(frame, Command.READ_CELLS, request.pack(), max_body)
        assert not isinstance(stream, Answer)
        chunks: list[Chunk] = []
        while True:
            try:
                chunks.append(next(stream))
            except StopIteration as end:
                body = end.value.body
                zeros = np.frombuffer(body, "<u4", offset=ReadCellsReply.SIZE)
                return chunks, ReadCellsReply.unpack(body), zeros


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SimulatedBoard(tmp_path, 3, 2) as board:
        yield Bench(board)


def form_rows(count: int, first: int = 0) -> np.ndarray:
    """FORM rows at the dense recipe's point: 4.0 V, 1 ms, 100 uA, half of the columns."""
    rows = np.zeros(count, dtype=PULSE_ROW)
    rows["row"] = first + np.arange(count)
    rows["source_code"] = rows["inhibit_code"] = round(4.0 / 5 * 65536)
    rows["word_code"] = round(1.6 / 5 * 65536)
    rows["width_ns"] = 1_000_000
    rows["column_mask"] = 0x55
    return rows


def mask(*lines: int) -> bytes:
    bits = np.zeros(512, dtype=np.uint8)
    bits[list(lines)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def test_the_board_says_who_and_what_it_is(bench: Bench):
    facts = bench.firmware.facts()
    assert (facts.serial, facts.chips, facts.features) == ("SIM-3", 2, Feature.SIMULATED)
    described = DescribeReply.unpack(bench.answer(Command.DESCRIBE).body)
    assert (described.rows, described.columns, described.adc_channels) == (512, 512, 8)
    chip = ChipReply.unpack(bench.answer(Command.CHIP, b"\x01").body)
    assert chip == ("R40-3-1-0", 0, 0, 0, 0, 0)


def test_a_frame_of_pulses_forms_its_cells_and_no_others(bench: Bench):
    reply, statuses, halted = bench.pulse(form_rows(512))
    assert (reply.fired, reply.cells, halted) == (512, 131_072, False)
    assert statuses == [ErrorCode.DONE] * 512
    assert reply.error.code == ErrorCode.DONE
    flags = bench.board.chips[0].cells.flags
    assert flags[:, 0::2].all()
    assert not flags[:, 1::2].any()
    assert reply.board_time_ns == 512 * (1_000_000 + 6_400 + 5_000)
    assert not bench.board.chips[1].cells.flags.any()


def test_limits_are_inclusive_and_the_nearest_code_is_legal(bench: Bench):
    rows = form_rows(4)
    rows["source_code"] = rows["inhibit_code"] = [13107, 13108, 55050, 55051]  # 1.0 and 4.2 V
    rows["width_ns"] = [1_000, 10_000_000, 1_000, 1_000]
    rows["word_code"] = round(1.85 / 5 * 65536)  # 125 uA: 256 cells take the rail's 32 mA
    assert bench.pulse(rows)[1] == [ErrorCode.DONE] * 4


VOLTAGE, CURRENT = "source_code - bit_code", "selected cells x compliance"
LIMITS = [
    ("reserved", 1, ErrorCode.BAD_FIELD, ("reserved", 1, 0, 0)),
    ("row", 512, ErrorCode.BAD_FIELD, ("row", 512, 0, 511)),
    ("column_mask", 0, ErrorCode.BAD_FIELD, ("column_mask", 0, 1, 512)),
    ("source_code", 55_100, ErrorCode.LIMIT_VOLTAGE, (VOLTAGE, 4_203_796, 1_000_000, 4_200_000)),
    ("bit_code", 45_000, ErrorCode.LIMIT_VOLTAGE, (VOLTAGE, 566_787, 1_000_000, 4_200_000)),
    ("width_ns", 999, ErrorCode.LIMIT_WIDTH, ("width_ns", 999, 1_000, 10_000_000)),
    ("width_ns", 10_000_001, ErrorCode.LIMIT_WIDTH, ("width_ns", 10_000_001, 1_000, 10_000_000)),
    ("word_code", 0, ErrorCode.LIMIT_COMPLIANCE, ("word_code", 0, 10_000, 150_000)),
    ("word_code", 65_535, ErrorCode.LIMIT_COMPLIANCE, ("word_code", 439_992, 10_000, 150_000)),
    ("column_mask", 0xFF, ErrorCode.LIMIT_CURRENT, (CURRENT, 51_201_536, 0, 32_000_000)),
    ("inhibit_code", 0, ErrorCode.LIMIT_INHIBIT, ("inhibit_code", 0, 3_990_015, 4_010_015)),
]


@pytest.mark.parametrize(("field", "value", "code", "detail"), LIMITS)
def test_the_board_itself_stops_a_frame_at_the_first_pulse_outside_its_limits(
    bench: Bench, field: str, value: int, code: ErrorCode, detail: tuple[str, int, int, int]
):
    rows = form_rows(5)
    rows[field][2] = value
    reply, statuses, halted = bench.pulse(rows)
    assert halted
    skipped = ErrorCode.SKIPPED
    assert statuses == [ErrorCode.DONE, ErrorCode.DONE, code, skipped, skipped]
    assert (reply.operations, reply.fired, reply.cells) == (5, 2, 512)
    error = reply.error
    assert (error.code, error.operation, error.sequence) == (code, 2, bench.sequence)
    assert (error.text, error.value, error.low, error.high) == detail
    assert bench.board.chips[0].pulse_totals() == (512, 0, 0)
    outcome = bench.answer(Command.OUTCOME, OutcomeRequest(bench.session, error.sequence).pack())
    assert OutcomeReply.unpack(outcome.body) == (OutcomeKind.FIRED, 0, 2)


def test_a_frame_whose_first_pulse_is_refused_fires_nothing(bench: Bench):
    rows = form_rows(2)
    rows["width_ns"][0] = 1
    reply, statuses, halted = bench.pulse(rows)
    assert (reply.fired, halted) == (0, True)
    assert statuses == [ErrorCode.LIMIT_WIDTH, ErrorCode.SKIPPED]
    outcome = bench.answer(Command.OUTCOME, OutcomeRequest(bench.session, bench.sequence).pack())
    assert OutcomeReply.unpack(outcome.body).kind == OutcomeKind.NOT_FIRED
    assert bench.board.clock_ns == 0


def set_rows(count: int) -> np.ndarray:
    """SET rows: 1.8 V, 100 us, 100 uA, half of the columns."""
    rows = form_rows(count)
    rows["source_code"] = rows["inhibit_code"] = round(1.8 / 5 * 65536)
    rows["width_ns"] = 100_000
    return rows


def reset_rows(count: int) -> np.ndarray:
    """RESET rows: bit lines at 1.8 V, 100 us, word line full on, an eighth of the columns."""
    rows = form_rows(count)
    rows["source_code"] = rows["inhibit_code"] = 0
    rows["bit_code"] = round(1.8 / 5 * 65536)
    rows["word_code"] = round(3.3 / 5 * 65536)
    rows["width_ns"] = 100_000
    rows["column_mask"] = 0x01
    return rows


def test_reset_and_set_switch_their_cells_and_no_others(bench: Bench):
    bench.pulse(form_rows(8))
    chip = bench.board.chips[0]
    formed = chip.cells.conductance_ps.copy()
    reply, statuses, _ = bench.pulse(reset_rows(8), operation=Operation.RESET)
    assert (reply.fired, reply.cells, statuses) == (8, 512, [ErrorCode.DONE] * 8)
    off = (chip.cells.flags & CellFlag.OFF) != 0
    assert off[:8, ::8].mean() > 0.98
    assert np.array_equal(chip.cells.conductance_ps[~off], formed[~off])
    bench.pulse(set_rows(8), operation=Operation.SET)
    assert ((chip.cells.flags & CellFlag.OFF) != 0).sum() <= 8
    assert chip.pulse_totals() == (2048, 2048, 512)
    assert not chip.cells.flags[:, 1::2].any()


def limits_of(operation: Operation) -> list[tuple[str, int, ErrorCode, str]]:
    driven = "bit_code" if operation == Operation.RESET else "source_code"
    voltage = "bit_code - source_code" if driven == "bit_code" else "source_code - bit_code"
    return [
        (driven, round(0.49 / 5 * 65536), ErrorCode.LIMIT_VOLTAGE, voltage),
        (driven, round(2.51 / 5 * 65536), ErrorCode.LIMIT_VOLTAGE, voltage),
        ("width_ns", 999, ErrorCode.LIMIT_WIDTH, "width_ns"),
        ("width_ns", 10_000_001, ErrorCode.LIMIT_WIDTH, "width_ns"),
        ("word_code", 0, ErrorCode.LIMIT_COMPLIANCE, "word_code"),
        ("word_code", 65_535, ErrorCode.LIMIT_COMPLIANCE, "word_code"),
        ("column_mask", 0, ErrorCode.BAD_FIELD, "column_mask"),
        ("row", 512, ErrorCode.BAD_FIELD, "row"),
        ("inhibit_code", 10_000, ErrorCode.LIMIT_INHIBIT, "inhibit_code"),
    ]


@pytest.mark.parametrize(
    ("operation", "field", "value", "code", "text"),
    [
        *((Operation.SET, *limit) for limit in limits_of(Operation.SET)),
        *((Operation.RESET, *limit) for limit in limits_of(Operation.RESET)),
        # the polarity of the other operation, a full row, a lifted source line
        (Operation.SET, "bit_code", 45_000, ErrorCode.LIMIT_VOLTAGE, "source_code - bit_code"),
        (Operation.RESET, "source_code", 1_000, ErrorCode.LIMIT_VOLTAGE, "source_code"),
        (Operation.RESET, "column_mask", 0xFF, ErrorCode.LIMIT_CURRENT, CURRENT),
        (Operation.RESET, "bit_code", 0, ErrorCode.LIMIT_VOLTAGE, "bit_code - source_code"),
    ],
)
def test_set_and_reset_outside_their_limits_fire_nothing(
    bench: Bench, operation: Operation, field: str, value: int, code: ErrorCode, text: str
):
    rows = set_rows(3) if operation == Operation.SET else reset_rows(3)
    if (operation, field) == (Operation.SET, "source_code"):
        rows["inhibit_code"][0] = value
    rows[field][0] = value
    reply, statuses, halted = bench.pulse(rows, operation=operation)
    assert (statuses, halted) == ([code, ErrorCode.SKIPPED, ErrorCode.SKIPPED], True)
    assert (reply.fired, reply.error.code, reply.error.text) == (0, code, text)
    assert bench.board.chips[0].pulse_totals() == (0, 0, 0)


def test_a_form_frame_called_reset_is_refused_and_a_reset_frame_called_form(bench: Bench):
    for rows, operation in (
        (form_rows(1), Operation.RESET),
        (form_rows(1), Operation.SET),
        (reset_rows(1), Operation.FORM),
        (reset_rows(1), Operation.SET),
    ):
        assert bench.pulse(rows, operation=operation)[1] == [ErrorCode.LIMIT_VOLTAGE]
    assert bench.board.chips[0].pulse_totals() == (0, 0, 0)


@pytest.mark.parametrize("operation", [0, 4, 255])
def test_an_operation_that_does_not_exist_is_refused(bench: Bench, operation: int):
    body = bytearray(PulseRowsRequest(0, 1, 1).pack() + form_rows(1).tobytes())
    body[1] = operation
    with pytest.raises(FieldError, match="operation"):
        bench.answer(Command.PULSE_ROWS, bytes(body))


def test_waiting_moves_the_clock_and_nothing_else(bench: Bench):
    answer = bench.answer(Command.WAIT, WaitRequest(1_500_000_000).pack())
    assert WaitReply.unpack(answer.body).board_time_ns == 1_500_000_000
    assert bench.board.clock_ns == 1_500_000_000
    assert bench.board.chips[0].conversions == 0


@pytest.mark.parametrize("duration_ns", [0, 60_000_000_001, 2**64 - 1])
def test_a_wait_is_at_most_a_minute(bench: Bench, duration_ns: int):
    with pytest.raises(FieldError, match="duration_ns"):
        bench.answer(Command.WAIT, duration_ns.to_bytes(8, "little"))
    assert bench.board.clock_ns == 0


@pytest.mark.parametrize(
    ("command", "body", "code"),
    [
        (Command.PULSE_ROWS, PulseRowsRequest(2, 1, 1).pack() + bytes(80), ErrorCode.NO_CHIP),
        (Command.PULSE_ROWS, PulseRowsRequest(0, 1, 2).pack() + bytes(80), ErrorCode.BAD_LENGTH),
        (Command.PULSE_ROWS, PulseRowsRequest(0, 1, 1025).pack(), ErrorCode.BAD_FIELD),
        (Command.DARK, DarkRequest(0, 3, 0, FULL).pack(), ErrorCode.BAD_FIELD),
        (Command.DARK, DarkRequest(0, 0, 0, NONE).pack(), ErrorCode.BAD_FIELD),
        (Command.READ_CELLS, ReadCellsRequest(9, 0, 1, FULL, FULL).pack(), ErrorCode.NO_CHIP),
        (Command.READ_CELLS, ReadCellsRequest(0, 0, 1, FULL, NONE).pack(), ErrorCode.BAD_FIELD),
        (Command.READ_POINTS, ReadPointsRequest(0, 0, 3).pack(), ErrorCode.BAD_LENGTH),
        (Command.CHIP, b"\x02", ErrorCode.NO_CHIP),
        (Command.SWITCHES, b"\x02", ErrorCode.NO_CHIP),
        (Command.HELLO, b"", ErrorCode.UNKNOWN_COMMAND),
    ],
)
def test_a_frame_that_makes_no_sense_is_refused_whole(
    bench: Bench, command: Command, body: bytes, code: ErrorCode
):
    with pytest.raises(Refused) as refused:
        bench.answer(command, body)
    assert refused.value.error.code == code
    assert bench.board.clock_ns == 0


def test_reserved_fields_must_be_zero(bench: Bench):
    body = bytearray(DarkRequest(0, 0, 0, FULL).pack())
    body[2] = 1
    with pytest.raises(FieldError, match="reserved"):
        bench.answer(Command.DARK, bytes(body))


def test_a_read_streams_every_code_once_in_order(bench: Bench):
    bench.pulse(form_rows(16))
    dark = bench.answer(Command.DARK, DarkRequest(0, 0, 0, mask(*range(8))).pack())
    sums = np.frombuffer(dark.body, "<u4", offset=DarkReply.SIZE)
    start_ns = bench.board.clock_ns
    request = ReadCellsRequest(0, 0, 3, mask(*range(16)), FULL)
    chunks, reply, zeros = bench.read(request, max_body=StreamChunk.SIZE + 2 * 1500)
    words = [len(chunk.words) // 2 for chunk in chunks]
    assert words == [1024] * 24  # whole rows: 1,500 words have room for two
    assert [c.first for c in chunks] == list(range(0, 24_576, 1024))
    assert [c.board_time_ns for c in chunks] == sorted(c.board_time_ns for c in chunks)
    assert chunks[0].board_time_ns == start_ns
    assert (reply.rows, reply.words, reply.start_ns) == (16, 24_576, start_ns)
    assert reply.stop_ns == start_ns + 3 * 2 * (6_400 + 512 * 25_000)
    assert zeros[:8].tolist() == sums.tolist()
    assert not zeros[8:].any()
    codes = np.frombuffer(b"".join(c.words for c in chunks), "<u2").reshape(3, 16, 512)
    assert abs(codes[:, :, 0::2].mean() - codes[:, :, 1::2].mean() - 1825) < 40  # less wires


@pytest.mark.parametrize("room", [1, 7, 512, 5000])
def test_codes_do_not_depend_on_the_size_of_chunks(tmp_path: Path, room: int):
    request = ReadCellsRequest(1, 1, 2, mask(0, 3, 8, 9), mask(*range(0, 512, 7)))
    results = []
    for max_body in (MAX_BODY, StreamChunk.SIZE + 2 * room):
        with SimulatedBoard(tmp_path / str(max_body), 3, 2) as board:
            chunks, reply, _ = Bench(board).read(request, max_body)
            results.append((b"".join(c.words for c in chunks), reply, board.clock_ns))
    assert results[0] == results[1]


def test_single_cells_answer_one_status_each(bench: Bench):
    points = np.zeros(4, dtype=POINT)
    points["row"] = [1, 2, 512, 3]
    body = ReadPointsRequest(0, 0, 4).pack() + points.tobytes()
    answer = bench.answer(Command.READ_POINTS, body)
    results = np.frombuffer(answer.body, POINT_RESULT, offset=ReadPointsReply.SIZE)
    assert answer.halted
    assert results["status"].tolist() == [0, 0, ErrorCode.BAD_FIELD, ErrorCode.SKIPPED]
    assert (results["code"][:2] > 200).all()
    assert not results["code"][2:].any()
    assert bench.board.chips[0].conversions == 2


def switches(bench: Bench) -> np.ndarray:
    reply = SwitchesReply.unpack(bench.answer(Command.SWITCHES, b"\x00").body)
    assert reply.word_lines_on == 0
    packed = np.frombuffer(reply.bits, np.uint8)
    return (packed[:, None] >> np.array([0, 2, 4, 6]) & 3).ravel()


def test_switches_read_back_what_was_loaded_last_and_float_when_safe(bench: Bench):
    assert not switches(bench).any()
    bench.pulse(form_rows(1))
    assert switches(bench).tolist() == [2, 3] * 256
    bench.answer(Command.DARK, DarkRequest(0, 0, 0, FULL).pack())
    assert switches(bench).tolist() == [1] * 512
    bench.read(ReadCellsRequest(0, 0, 1, mask(0), mask(1, 5)))
    assert switches(bench).nonzero()[0].tolist() == list(range(512))
    assert (switches(bench) == 2).nonzero()[0].tolist() == [5]
    bench.firmware.make_safe()
    assert not switches(bench).any()
