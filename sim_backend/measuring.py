"""MEASURE: the board's references in place of the array, from the request to the reply.

Owns what each source switches where, its limits, its time and the noise of its conversions. The
channels' measurement counts are the board's and non-volatile; what stands at the converters is the
front end's.
"""

from __future__ import annotations

import numpy as np

from firmware_protocol.executor import Answer, Refused
from firmware_protocol.messages import (
    DescribeReply,
    ErrorCode,
    MeasureReply,
    MeasureRequest,
    MeasureSource,
    Rail,
)
from sim_backend import tables
from sim_backend._jit import Integer, kernel
from sim_backend.board import SimulatedBoard
from sim_backend.fixedpoint import Int64Array, ReadNumbers
from sim_backend.frontend import FrontEnd, quantised
from sim_backend.limits import stated_volts
from sim_backend.randomness import Stream, board_key, child, children
from sim_backend.readpath import NoiseKeys, UInt32Array, UInt64Array, noise_place
from sim_backend.tables import Int32Array

_AMPLIFIED = (MeasureSource.OPEN, MeasureSource.RESISTOR)
_DRIVEN = (MeasureSource.RESISTOR, MeasureSource.RAIL)


def measure(board: SimulatedBoard, facts: DescribeReply, body: bytes) -> Answer:
    """Carry out one MEASURE.

    Raises
    ------
    Refused, FieldError
        Nothing was done.
    """
    request = MeasureRequest.unpack(body)
    source = MeasureSource(request.source)
    channels = _channels(request.channel_mask, facts.adc_channels)
    _check(request, source, facts)
    board.spend(1)
    board.registers.make_safe()
    levels = _levels(board.front, source, request)
    if board.drifts is not None and source in _AMPLIFIED:
        levels = levels + board.drifts.added(request.range, board.clock_ns)
    sums = np.empty(len(channels), dtype=np.uint32)
    keys, normal = _noise_keys(board.seed, facts.adc_channels), tables.load().normal
    counts = board.measurements
    _sum(channels, request.conversions, levels, counts, board.front.read, keys, normal, sums)
    board.clock_ns += _time_ns(board, source, request, len(channels))
    reply = MeasureReply(len(channels), 0, board.temperature_mk, board.clock_ns)
    return Answer(reply.pack() + sums.astype("<u4").tobytes())


def _channels(mask: int, count: int) -> Int64Array:
    """Channels of a mask, ascending."""
    if mask >> count:
        raise Refused(ErrorCode.BAD_FIELD, mask, 1, (1 << count) - 1, "channel_mask")
    return np.array([channel for channel in range(count) if mask >> channel & 1], dtype=np.int64)


def _check(request: MeasureRequest, source: MeasureSource, facts: DescribeReply) -> None:
    ranges = sum(1 for entry in facts.ranges if entry.per_code_pS)
    highest = {
        "rail": (request.rail, len(Rail) - 1 if source == MeasureSource.RAIL else 0),
        "range": (request.range, ranges - 1 if source in _AMPLIFIED else 0),
        "dac_code": (request.dac_code, (1 << facts.dac_bits) - 1 if source in _DRIVEN else 0),
    }
    for name, (value, high) in highest.items():
        if value > high:
            raise Refused(ErrorCode.BAD_FIELD, value, 0, high, name)
    if source == MeasureSource.RESISTOR:
        code = np.array([request.dac_code])
        at_uv = int(stated_volts(facts)(code, Rail.RAIL_A)[0])
        if at_uv > facts.resistor_max_uv:
            raise Refused(ErrorCode.LIMIT_VOLTAGE, at_uv, 0, facts.resistor_max_uv, "dac_code")


def _levels(front: FrontEnd, source: MeasureSource, request: MeasureRequest) -> Int64Array:
    """What stands at every converter; (channels,) int64, 65536 a code."""
    match source:
        case MeasureSource.GROUND:
            return front.ground()
        case MeasureSource.VOLTAGE:
            return front.voltage()
        case MeasureSource.OPEN:
            return front.open_inputs(request.range)
        case MeasureSource.RESISTOR:
            return front.resistor(request.range, request.dac_code)
        case MeasureSource.RAIL:
            return front.rail(Rail(request.rail), request.dac_code)


def _time_ns(
    board: SimulatedBoard, source: MeasureSource, request: MeasureRequest, channels: int
) -> int:
    """Switches, settling and conversions; there is one resistor a range, so channels take turns."""
    timing = board.timing
    settled_ns = timing.dac_settle_ns if source in _DRIVEN else 0
    if source in _AMPLIFIED:
        settled_ns += timing.settle_ns[request.range]
    turns = channels if source == MeasureSource.RESISTOR else 1
    return turns * (timing.load_ns + settled_ns + request.conversions * timing.conversion_ns)


def _noise_keys(seed: int, channels: int) -> NoiseKeys:
    """Keys of a board's measurements, a key a channel."""
    key = board_key(seed)
    return NoiseKeys(
        children(child(key, Stream.MEASUREMENT), channels),
        children(child(key, Stream.MEASUREMENT_TAIL), channels),
    )


@kernel
def _sum(
    channels: Int64Array,
    conversions: Integer,
    levels: Int64Array,
    counts: UInt64Array,
    numbers: ReadNumbers,
    keys: NoiseKeys,
    normal: Int32Array,
    sums: UInt32Array,
) -> None:
    """Sum `conversions` codes of each channel; `counts` is advanced."""
    for n in range(channels.size):
        channel = channels[n]
        transfer = numbers.transfer[channel]
        total = 0
        for _ in range(conversions):
            place = noise_place(keys.conversion[channel], keys.tail[channel], counts[channel])
            counts[channel] += np.uint64(1)
            total += quantised(levels[channel], numbers.adc_noise, normal[place], transfer)
        sums[n] = np.uint32(total)
