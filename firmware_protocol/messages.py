"""Messages of the wire protocol. Generated from spec.toml; do not edit.

Every message is a NamedTuple with `SIZE` (bytes of its fixed part), `pack()` and `unpack(buffer)`.
Integers outside a field's range are refused with FieldError by both.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from firmware_protocol.fields import Buffer, check, decode_text, encode_bytes, encode_text, packed


MAGIC = 0x4852
VERSION = 1
HELLO_VERSION = 0
HELLO_MAX_BODY = 256
MAX_BODY = 1048576
OUTCOME_RING = 4096
MAX_COLUMNS = 512  # Columns that a column mask has room for.
MAX_ROWS = 512  # Rows that a row mask has room for.
MAX_RANGES = 4  # TIA ranges that DESCRIBE has room for.
MAX_CHANNELS = 8  # ADC channels that a step of a gate schedule has room for.
MAX_SAMPLES = 512  # Samples that a schedule may add to one accumulator: with 8 planes of 14-bit codes, 32 bits suffice.


class Flag(IntEnum):
    """Bits of the header's `flags` byte."""

    REPLY = 1
    """Board to host."""
    ERROR = 2
    """The body is an `Error`; nothing of the command was done."""
    STREAM = 4
    """A chunk of a bulk answer; the reply proper follows the last chunk."""
    RESEND = 8
    """CREDIT only: send again every kept chunk the host has not credited."""


class ErrorCode(IntEnum):
    """Why a frame or an operation was not done. `DONE` is the status of an operation that was."""

    DONE = 0
    """Executed."""
    SKIPPED = 1
    """An earlier operation failed; send CLEAR(sequence)."""
    ABORTED = 2
    """Dropped by ABORT before it began."""
    ESTOPPED = 3
    """The board is in emergency stop; CLEAR ends it."""
    VERSION = 16
    """No common protocol version; `low`..`high` is what the board speaks."""
    BUSY = 17
    """Another controller holds the lease; `value` is its remaining time in ms, `high` 1 if its link is up, `text` its name."""
    NO_SESSION = 18
    """The session is unknown, closed or expired."""
    EXPECTED = 19
    """A frame is missing; `value` is the sequence number awaited."""
    STALE = 20
    """The sequence number is older than the replies kept."""
    WORKING = 21
    """The command arrived earlier and is not finished; wait."""
    LEASE_LOST = 22
    """The lease ran out; open a new session."""
    OBSERVER = 23
    """Only the controller may send this command."""
    TOO_MANY_SESSIONS = 24
    """No room for another observer."""
    NOT_HALTED = 25
    """CLEAR names a sequence that did not halt the board."""
    UNKNOWN_COMMAND = 32
    """The board has no such command."""
    BAD_LENGTH = 33
    """The body does not have the command's length; `value` is its length, `low` the expected one."""
    BAD_FIELD = 34
    """A field is out of range: `text` names it, with `value`, `low`, `high`."""
    NO_CHIP = 35
    """No chip in that socket."""
    LIMIT_VOLTAGE = 48
    """Voltage outside the operation's envelope (microvolt)."""
    LIMIT_WIDTH = 49
    """Pulse width outside the operation's envelope (ns)."""
    LIMIT_COMPLIANCE = 50
    """Compliance outside the operation's envelope (nA)."""
    LIMIT_CURRENT = 51
    """Selected cells x compliance exceeds the rail's current limit (nA)."""
    LIMIT_INHIBIT = 52
    """The inhibit voltage does not match the pulse, so unselected cells would be stressed (microvolt)."""
    NOT_READY = 54
    """Something must be done first: `text` says what is missing and what to send, `value` is its number."""
    HARDWARE = 64
    """The board measured a fault of its own; `text` says which."""


class Role(IntEnum):
    """What a session may do."""

    OBSERVER = 0
    """May ask DESCRIBE, STATUS, CHIP, OUTCOME, SWITCHES; may always ESTOP."""
    CONTROLLER = 1
    """Holds the lease; may do everything."""


class Operation(IntEnum):
    """Kinds of pulse."""

    FORM = 1
    """Electroforming: source line at the voltage, selected bit lines at ground."""
    SET = 2
    """Back to the on state, polarity of forming."""
    RESET = 3
    """To the off state: selected bit lines at the voltage, source line and other bit lines at ground."""


class BoardState(IntEnum):
    """What the board is doing."""

    IDLE = 0
    """Ready."""
    WORKING = 1
    """Commands are queued or running."""
    HALTED = 2
    """An operation failed; array commands answer SKIPPED until CLEAR."""
    ESTOPPED = 3
    """Emergency stop; array commands answer ESTOPPED until CLEAR."""


class OutcomeKind(IntEnum):
    """What became of a pulse frame."""

    NOT_FIRED = 0
    """No operation of the frame was begun."""
    FIRED = 1
    """`operation` operations were executed, the later ones were not begun."""
    IN_DOUBT = 2
    """Operation `operation` was begun and not seen to end; earlier ones were executed, later ones not begun."""
    FORGOTTEN = 3
    """The frame is older than the ring of kept outcomes."""


class Feature(IntEnum):
    """Bits of `HelloReply.features`."""

    SIMULATED = 1
    """There is no chip behind this board."""


class Use(IntEnum):
    """What becomes of a sample of a gate schedule."""

    UNUSED = 0
    """The channel converts nothing; row and accumulator are not looked at."""
    ADD = 1
    """Added to its accumulator."""
    SUBTRACT = 2
    """Subtracted from it."""


class Rail(IntEnum):
    """Index into `DescribeReply.rails`."""

    SOURCE = 0
    """Drives the selected source line."""
    WORD = 1
    """Drives the selected word line; sets the compliance."""
    RAIL_A = 2
    """Bit-line rail A: the selected columns."""
    RAIL_B = 3
    """Bit-line rail B: the inhibited columns."""


class MeasureSource(IntEnum):
    """What MEASURE switches to the ADC channels in place of the array."""

    GROUND = 0
    """Ground, straight to the converter."""
    VOLTAGE = 1
    """The reference voltage, straight to the converter."""
    OPEN = 2
    """Nothing, at the input of the TIA."""
    RESISTOR = 3
    """The range's reference resistor from RAIL_A to the input of the TIA; one channel after the other."""
    RAIL = 4
    """A rail through the divider, to the converter."""


class Command(IntEnum):
    """Type of a frame."""

    HELLO = 1
    """Open a session. Session 0, sequence 0, header version 0, this layout for ever. A repeated nonce
gets the same reply; a new one opens a session numbered from the board's non-volatile counter."""
    STATUS = 2
    """What the board is doing. Sent with sequence 0 it is also the heartbeat."""
    CREDIT = 3
    """Carry the header's credit when no command does. Credit is the absolute number of chunks, modulo
2^16, that the host has room for in this session. With RESEND: the host saw a gap or waited in vain."""
    ABORT = 4
    """Stop after the running operation, drop what is queued (it answers ABORTED), go to the safe state."""
    ESTOP = 5
    """Emergency stop, allowed to everybody: as ABORT, and array commands are refused until CLEAR(0)."""
    BYE = 6
    """Close the session; a controller's lease ends and the board goes to the safe state."""
    CLEAR = 7
    """End the halt that the named frame caused (0: the emergency stop). Names it, so that no failure is cleared unseen."""
    DESCRIBE = 8
    """The board's description of itself. The host believes it, not constants of its own."""
    CHIP = 9
    """The chip in a socket: its serial number from the carrier's memory, and the board's non-volatile counts for it."""
    SWITCHES = 10
    """Read the bit-line shift registers back: two bits a bit line (0 FLOAT, 1 GND, 2 RAIL_A, 3 RAIL_B), line 0 in the lowest bits."""
    OUTCOME = 11
    """What became of a pulse frame of this or an earlier session."""
    PULSE_ROWS = 32
    """Fire pulses, one operation a row, in order. The outcome is recorded before the first pulse and after
the last. The first operation that fails stops the frame and halts the board until CLEAR."""
    WAIT = 36
    """Let board time pass between array commands; a longer wait takes several. Nothing else happens."""
    DARK = 33
    """Measure zeros: all bit lines grounded, `zero_conversions` conversions a row, summed and kept per row and range."""
    READ_CELLS = 34
    """Measure a rectangle of cells `reads` times. The codes come as a stream, in the order (read, row, column);
neighbouring rows of different channels are sampled at once. The reply proper follows the last chunk."""
    READ_POINTS = 35
    """Measure single cells in the order given, each with its own status."""
    LOAD_SCHEDULE = 37
    """Load a gate schedule into a slot, in one frame or in several, step 0 first and without gaps. The first
frame replaces what was in the slot; the schedule can be run when its last step is in. Schedules are
lost when the board is switched off. A frame that is refused changes nothing."""
    RUN_SCHEDULE = 38
    """Run a gate schedule on input vectors of integers, as planes of bits, in the order vector, step, plane.
The arithmetic is that of [Multiplying](#multiplying). The zero of every sampled row must have been
measured in its range; else the answer is NOT_READY."""
    MEASURE = 39
    """Measure a reference in place of the array, to calibrate by. The board goes to the safe state first, so
word lines are at zero and bit lines float; afterwards every rail is at zero again. Fields that a source has
no use for are zero."""


_RAIL_FACTS = Struct("<II")


class RailFacts(NamedTuple):
    """One voltage rail and its DAC channel."""

    full_scale_uv: int
    """Voltage of code 2^dac_bits. (uV)"""
    current_limit_ua: int
    """The most the rail may deliver. (uA)"""

    SIZE = 8

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_RAIL_FACTS, "RailFacts", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> RailFacts:
        """Read the message that begins at `offset`."""
        return cls(*_RAIL_FACTS.unpack_from(buffer, offset))


_RANGE_FACTS = Struct("<III")


class RangeFacts(NamedTuple):
    """One TIA range."""

    per_code_pS: int
    """Conductance of one code at the read voltage; 0 marks an unused entry. (pS)"""
    settle_ns: int
    """Settling time before a conversion. (ns)"""
    reference_nS: int
    """Conductance of the range's reference resistor. (nS)"""

    SIZE = 12

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_RANGE_FACTS, "RangeFacts", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> RangeFacts:
        """Read the message that begins at `offset`."""
        return cls(*_RANGE_FACTS.unpack_from(buffer, offset))


_ENVELOPE_FACTS = Struct("<IIIIII")


class EnvelopeFacts(NamedTuple):
    """Safe envelope of one kind of pulse."""

    voltage_min_uv: int
    """Lowest amplitude. (uV)"""
    voltage_max_uv: int
    """Highest amplitude; 0 marks an operation the board does not have. (uV)"""
    width_min_ns: int
    """Shortest pulse. (ns)"""
    width_max_ns: int
    """Longest pulse. (ns)"""
    compliance_min_na: int
    """Lowest compliance current a cell. (nA)"""
    compliance_max_na: int
    """Highest compliance current a cell. (nA)"""

    SIZE = 24

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_ENVELOPE_FACTS, "EnvelopeFacts", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> EnvelopeFacts:
        """Read the message that begins at `offset`."""
        return cls(*_ENVELOPE_FACTS.unpack_from(buffer, offset))


_ERROR = Struct("<HHIqqq64s")


class Error(NamedTuple):
    """Body of every reply whose ERROR flag is set, and the detail of a failed operation."""

    code: int
    """ErrorCode."""
    operation: int
    """Index of the operation in the frame; 0xFFFF for the whole frame."""
    sequence: int
    """Sequence number of the frame that caused it."""
    value: int
    """The value that was refused."""
    low: int
    """Lowest legal value."""
    high: int
    """Highest legal value."""
    text: str
    """Name of the field, the holder or the fault."""

    SIZE = 96

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.code, self.operation, self.sequence, self.value, self.low, self.high, encode_text("text", self.text, 64),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_ERROR, "Error", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> Error:
        """Read the message that begins at `offset`."""
        v = _ERROR.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
            decode_text(v[6]),
        )
        return message


_PULSE_ROW = Struct("<HHHHHHI64s")


class PulseRow(NamedTuple):
    """One pulse on one row: the selected columns see it, the others are inhibited."""

    row: int
    """Row, 0 at the top."""
    word_code: int
    """DAC code of the word line; sets the compliance."""
    source_code: int
    """DAC code of the source line."""
    bit_code: int
    """DAC code of RAIL_A, on the selected bit lines."""
    inhibit_code: int
    """DAC code of RAIL_B, on the other bit lines."""
    reserved: int
    """Zero."""
    width_ns: int
    """Time the word line is high. (ns)"""
    column_mask: bytes
    """Selected columns: column c is bit c mod 8 of byte c div 8."""

    SIZE = 80

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.row, self.word_code, self.source_code, self.bit_code, self.inhibit_code, self.reserved, self.width_ns, encode_bytes("column_mask", self.column_mask, 64),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("PulseRow.reserved", self.reserved, 0, 0)
        return packed(_PULSE_ROW, "PulseRow", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> PulseRow:
        """Read the message that begins at `offset`."""
        v = _PULSE_ROW.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
            v[6],
            v[7],
        )
        check("PulseRow.reserved", message.reserved, 0, 0)
        return message


_POINT = Struct("<HH")


class Point(NamedTuple):
    """One cell to measure."""

    row: int
    """Row."""
    column: int
    """Column."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_POINT, "Point", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> Point:
        """Read the message that begins at `offset`."""
        return cls(*_POINT.unpack_from(buffer, offset))


_POINT_RESULT = Struct("<HH")


class PointResult(NamedTuple):
    """What one cell read."""

    code: int
    """The ADC's code."""
    status: int
    """ErrorCode of this operation."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_POINT_RESULT, "PointResult", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> PointResult:
        """Read the message that begins at `offset`."""
        return cls(*_POINT_RESULT.unpack_from(buffer, offset))


_SAMPLE = Struct("<HHBB")


class Sample(NamedTuple):
    """What one ADC channel does in a step of a gate schedule."""

    row: int
    """Row; its number modulo the channels is the channel."""
    accumulator: int
    """Accumulator."""
    use: int
    """Use."""
    reserved: int
    """Zero."""

    SIZE = 6

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_SAMPLE, "Sample", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> Sample:
        """Read the message that begins at `offset`."""
        return cls(*_SAMPLE.unpack_from(buffer, offset))


_STEP = Struct("<BB64sHHBBHHBBHHBBHHBBHHBBHHBBHHBBHHBB")


class Step(NamedTuple):
    """A step of a gate schedule: bit lines that follow the input, and rows sampled then."""

    range: int
    """TIA range."""
    reserved: int
    """Zero."""
    gate: bytes
    """Bit lines that follow the input, the others are at ground: column c is bit c mod 8 of byte c div 8."""
    samples: tuple[Sample, ...]
    """By ADC channel; one at least is used."""

    SIZE = 114

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.range, self.reserved, encode_bytes("gate", self.gate, 64), *(number for part in self.samples for number in part),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_STEP, "Step", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> Step:
        """Read the message that begins at `offset`."""
        v = _STEP.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            (Sample(v[3], v[4], v[5], v[6]), Sample(v[7], v[8], v[9], v[10]), Sample(v[11], v[12], v[13], v[14]), Sample(v[15], v[16], v[17], v[18]), Sample(v[19], v[20], v[21], v[22]), Sample(v[23], v[24], v[25], v[26]), Sample(v[27], v[28], v[29], v[30]), Sample(v[31], v[32], v[33], v[34])),
        )
        return message


_STREAM_CHUNK = Struct("<IIQQ")


class StreamChunk(NamedTuple):
    """Head of a chunk of a bulk answer; raw little-endian u16 words follow it."""

    number: int
    """Number of this chunk in the session, from 0; credit counts these."""
    words: int
    """Words in this chunk."""
    first: int
    """Index of the first word in the whole answer."""
    board_time_ns: int
    """Board clock before the first conversion of this chunk. (ns)"""

    SIZE = 24

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_STREAM_CHUNK, "StreamChunk", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> StreamChunk:
        """Read the message that begins at `offset`."""
        return cls(*_STREAM_CHUNK.unpack_from(buffer, offset))


_HELLO_REQUEST = Struct("<16sBBBBIHHI64s")


class HelloRequest(NamedTuple):
    """HELLO: request."""

    nonce: bytes
    """128 random bits."""
    version_min: int
    """Lowest protocol version the host speaks."""
    version_max: int
    """Highest."""
    role: int
    """Role."""
    reserved: int
    """Zero."""
    max_body: int
    """Longest body the host takes. (bytes)"""
    window: int
    """Commands the host would keep in flight."""
    stream_window: int
    """Chunks the host can hold."""
    lease_ms: int
    """Lease asked for. (ms)"""
    client: str
    """Who asks: user, host, process."""

    SIZE = 96

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (encode_bytes("nonce", self.nonce, 16), self.version_min, self.version_max, self.role, self.reserved, self.max_body, self.window, self.stream_window, self.lease_ms, encode_text("client", self.client, 64),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("HelloRequest.role", self.role, 0, 1)
        check("HelloRequest.reserved", self.reserved, 0, 0)
        check("HelloRequest.window", self.window, 1, 65535)
        check("HelloRequest.stream_window", self.stream_window, 1, 65535)
        return packed(_HELLO_REQUEST, "HelloRequest", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> HelloRequest:
        """Read the message that begins at `offset`."""
        v = _HELLO_REQUEST.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
            v[6],
            v[7],
            v[8],
            decode_text(v[9]),
        )
        check("HelloRequest.role", message.role, 0, 1)
        check("HelloRequest.reserved", message.reserved, 0, 0)
        check("HelloRequest.window", message.window, 1, 65535)
        check("HelloRequest.stream_window", message.stream_window, 1, 65535)
        return message


_HELLO_REPLY = Struct("<16sBBBBIIHHII32s32s32s")


class HelloReply(NamedTuple):
    """HELLO: reply."""

    nonce: bytes
    """As in the request: on a shared line, late replies are told from ours."""
    version: int
    """Agreed protocol version."""
    role: int
    """Role granted."""
    chips: int
    """Chip sockets."""
    reserved: int
    """Zero."""
    session: int
    """Session number, never used before."""
    max_body: int
    """Longest body agreed, both directions. (bytes)"""
    window: int
    """Commands in flight agreed."""
    stream_window: int
    """Chunks agreed."""
    lease_ms: int
    """Lease granted. (ms)"""
    features: int
    """Feature bits."""
    board: str
    """Name of the board's kind."""
    serial: str
    """Serial number."""
    firmware: str
    """Firmware version."""

    SIZE = 136

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (encode_bytes("nonce", self.nonce, 16), self.version, self.role, self.chips, self.reserved, self.session, self.max_body, self.window, self.stream_window, self.lease_ms, self.features, encode_text("board", self.board, 32), encode_text("serial", self.serial, 32), encode_text("firmware", self.firmware, 32),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_HELLO_REPLY, "HelloReply", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> HelloReply:
        """Read the message that begins at `offset`."""
        v = _HELLO_REPLY.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
            v[6],
            v[7],
            v[8],
            v[9],
            v[10],
            decode_text(v[11]),
            decode_text(v[12]),
            decode_text(v[13]),
        )
        return message


_STATUS_REPLY = Struct("<BBHIIIQIII")


class StatusReply(NamedTuple):
    """STATUS: reply."""

    state: int
    """BoardState."""
    controller_linked: int
    """1 while the lease holder's link is up."""
    queued: int
    """Frames accepted and not yet answered."""
    halted_sequence: int
    """Sequence that halted the board; what CLEAR must name. 0 if none."""
    controller_session: int
    """Session that holds the lease, 0 if none."""
    lease_remaining_ms: int
    """Time left of the lease. (ms)"""
    board_time_ns: int
    """Board clock. (ns)"""
    temperature_mk: int
    """Temperature of the board. (mK)"""
    bad_frames: int
    """Frames dropped for a wrong checksum since the start."""
    resent_replies: int
    """Replies answered from the window since the start."""

    SIZE = 36

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_STATUS_REPLY, "StatusReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> StatusReply:
        """Read the message that begins at `offset`."""
        return cls(*_STATUS_REPLY.unpack_from(buffer, offset))


_ABORT_REPLY = Struct("<I")


class AbortReply(NamedTuple):
    """ABORT: reply."""

    dropped: int
    """Frames dropped."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_ABORT_REPLY, "AbortReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> AbortReply:
        """Read the message that begins at `offset`."""
        return cls(*_ABORT_REPLY.unpack_from(buffer, offset))


_ESTOP_REPLY = Struct("<I")


class EstopReply(NamedTuple):
    """ESTOP: reply."""

    dropped: int
    """Frames dropped."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_ESTOP_REPLY, "EstopReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> EstopReply:
        """Read the message that begins at `offset`."""
        return cls(*_ESTOP_REPLY.unpack_from(buffer, offset))


_CLEAR_REQUEST = Struct("<I")


class ClearRequest(NamedTuple):
    """CLEAR: request."""

    sequence: int
    """As in `StatusReply.halted_sequence`; 0 for an emergency stop."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_CLEAR_REQUEST, "ClearRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ClearRequest:
        """Read the message that begins at `offset`."""
        return cls(*_CLEAR_REQUEST.unpack_from(buffer, offset))


_DESCRIBE_REPLY = Struct("<HHBBBBHHHHIIIIIIIIIIIIHHHHIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIHHHH")


class DescribeReply(NamedTuple):
    """DESCRIBE: reply."""

    rows: int
    """Rows of a macro."""
    columns: int
    """Columns of a macro."""
    adc_channels: int
    """ADC channels; channel b serves the rows with r mod channels = b."""
    adc_bits: int
    """Bits of a code."""
    dac_bits: int
    """Bits of a DAC code."""
    zero_conversions: int
    """Conversions that a zero sums."""
    code_pedestal: int
    """Code of zero current."""
    max_pulse_rows: int
    """Operations that a pulse frame may carry."""
    max_points: int
    """Operations that a READ_POINTS frame may carry."""
    reserved: int
    """Zero."""
    read_voltage_uv: int
    """Bit-line voltage of a read. (uV)"""
    conversion_ns: int
    """Time of one conversion on all channels. (ns)"""
    switch_load_ns: int
    """Time to load the bit-line switches. (ns)"""
    dac_settle_ns: int
    """Settling time of a rail. (ns)"""
    word_threshold_uv: int
    """Word-line voltage at which the compliance current begins. (uV)"""
    compliance_per_volt_na: int
    """Compliance current per volt above the threshold. (nA/V)"""
    inhibit_tolerance_uv: int
    """How far the inhibit voltage may be from the pulse's. (uV)"""
    rail_accuracy_uv: int
    """The most by which a rail may differ from its code; the limits leave room for it. (uV)"""
    adc_span_uv: int
    """Voltage of the whole scale of the ADC. (uV)"""
    reference_voltage_uv: int
    """Reference voltage of MEASURE. (uV)"""
    divider_ppm: int
    """Part of a rail's voltage that MEASURE puts on the converters. (ppm)"""
    resistor_max_uv: int
    """The most that RAIL_A may put on a reference resistor. (uV)"""
    voltage_tolerance_ppm: int
    """Tolerance of the reference voltage. (ppm)"""
    divider_tolerance_ppm: int
    """Tolerance of the divider. (ppm)"""
    resistor_tolerance_ppm: int
    """Tolerance of the reference resistors. (ppm)"""
    reserved2: int
    """Zero."""
    bit_path_mohm: int
    """Nominal resistance from a bit line's driver to the wire. (mohm)"""
    bit_segment_mohm: int
    """The same of a bit line from one row to the next. (mohm)"""
    source_segment_mohm: int
    """The same of a source line from one column to the next. (mohm)"""
    source_path_mohm: int
    """The same from the wire to the virtual ground. (mohm)"""
    rails: tuple[RailFacts, ...]
    """By Rail."""
    ranges: tuple[RangeFacts, ...]
    """TIA ranges, finest first."""
    envelopes: tuple[EnvelopeFacts, ...]
    """FORM, SET, RESET."""
    schedule_slots: int
    """Gate schedules that the board keeps for a chip."""
    schedule_steps: int
    """Steps that a gate schedule may have."""
    schedule_accumulators: int
    """Accumulators that a gate schedule may have."""
    reserved3: int
    """Zero."""

    SIZE = 248

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.rows, self.columns, self.adc_channels, self.adc_bits, self.dac_bits, self.zero_conversions, self.code_pedestal, self.max_pulse_rows, self.max_points, self.reserved, self.read_voltage_uv, self.conversion_ns, self.switch_load_ns, self.dac_settle_ns, self.word_threshold_uv, self.compliance_per_volt_na, self.inhibit_tolerance_uv, self.rail_accuracy_uv, self.adc_span_uv, self.reference_voltage_uv, self.divider_ppm, self.resistor_max_uv, self.voltage_tolerance_ppm, self.divider_tolerance_ppm, self.resistor_tolerance_ppm, self.reserved2, self.bit_path_mohm, self.bit_segment_mohm, self.source_segment_mohm, self.source_path_mohm, *(number for part in self.rails for number in part), *(number for part in self.ranges for number in part), *(number for part in self.envelopes for number in part), self.schedule_slots, self.schedule_steps, self.schedule_accumulators, self.reserved3,)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_DESCRIBE_REPLY, "DescribeReply", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> DescribeReply:
        """Read the message that begins at `offset`."""
        v = _DESCRIBE_REPLY.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
            v[6],
            v[7],
            v[8],
            v[9],
            v[10],
            v[11],
            v[12],
            v[13],
            v[14],
            v[15],
            v[16],
            v[17],
            v[18],
            v[19],
            v[20],
            v[21],
            v[22],
            v[23],
            v[24],
            v[25],
            v[26],
            v[27],
            v[28],
            v[29],
            (RailFacts(v[30], v[31]), RailFacts(v[32], v[33]), RailFacts(v[34], v[35]), RailFacts(v[36], v[37])),
            (RangeFacts(v[38], v[39], v[40]), RangeFacts(v[41], v[42], v[43]), RangeFacts(v[44], v[45], v[46]), RangeFacts(v[47], v[48], v[49])),
            (EnvelopeFacts(v[50], v[51], v[52], v[53], v[54], v[55]), EnvelopeFacts(v[56], v[57], v[58], v[59], v[60], v[61]), EnvelopeFacts(v[62], v[63], v[64], v[65], v[66], v[67])),
            v[68],
            v[69],
            v[70],
            v[71],
        )
        return message


_CHIP_REQUEST = Struct("<B")


class ChipRequest(NamedTuple):
    """CHIP: request."""

    chip: int
    """Socket."""

    SIZE = 1

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_CHIP_REQUEST, "ChipRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ChipRequest:
        """Read the message that begins at `offset`."""
        return cls(*_CHIP_REQUEST.unpack_from(buffer, offset))


_CHIP_REPLY = Struct("<32sQQQQQ")


class ChipReply(NamedTuple):
    """CHIP: reply."""

    serial: str
    """Serial number of the chip."""
    form_pulses: int
    """Cells pulsed by FORM, counted once a pulse."""
    set_pulses: int
    """The same for SET."""
    reset_pulses: int
    """The same for RESET."""
    conversions: int
    """ADC conversions."""
    switch_loads: int
    """Loads of the bit-line switches."""

    SIZE = 72

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (encode_text("serial", self.serial, 32), self.form_pulses, self.set_pulses, self.reset_pulses, self.conversions, self.switch_loads,)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_CHIP_REPLY, "ChipReply", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ChipReply:
        """Read the message that begins at `offset`."""
        v = _CHIP_REPLY.unpack_from(buffer, offset)
        message = cls(
            decode_text(v[0]),
            v[1],
            v[2],
            v[3],
            v[4],
            v[5],
        )
        return message


_SWITCHES_REQUEST = Struct("<B")


class SwitchesRequest(NamedTuple):
    """SWITCHES: request."""

    chip: int
    """Socket."""

    SIZE = 1

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_SWITCHES_REQUEST, "SwitchesRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> SwitchesRequest:
        """Read the message that begins at `offset`."""
        return cls(*_SWITCHES_REQUEST.unpack_from(buffer, offset))


_SWITCHES_REPLY = Struct("<HH128s")


class SwitchesReply(NamedTuple):
    """SWITCHES: reply."""

    word_lines_on: int
    """Word lines that are high."""
    reserved: int
    """Zero."""
    bits: bytes
    """The 1,024 bits."""

    SIZE = 132

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.word_lines_on, self.reserved, encode_bytes("bits", self.bits, 128),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_SWITCHES_REPLY, "SwitchesReply", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> SwitchesReply:
        """Read the message that begins at `offset`."""
        v = _SWITCHES_REPLY.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
        )
        return message


_OUTCOME_REQUEST = Struct("<II")


class OutcomeRequest(NamedTuple):
    """OUTCOME: request."""

    session: int
    """Session of the frame."""
    sequence: int
    """Its sequence number."""

    SIZE = 8

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_OUTCOME_REQUEST, "OutcomeRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> OutcomeRequest:
        """Read the message that begins at `offset`."""
        return cls(*_OUTCOME_REQUEST.unpack_from(buffer, offset))


_OUTCOME_REPLY = Struct("<BBH")


class OutcomeReply(NamedTuple):
    """OUTCOME: reply."""

    kind: int
    """OutcomeKind."""
    reserved: int
    """Zero."""
    operation: int
    """See OutcomeKind."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_OUTCOME_REPLY, "OutcomeReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> OutcomeReply:
        """Read the message that begins at `offset`."""
        return cls(*_OUTCOME_REPLY.unpack_from(buffer, offset))


_PULSE_ROWS_REQUEST = Struct("<BBH")


class PulseRowsRequest(NamedTuple):
    """PULSE_ROWS: request."""

    chip: int
    """Socket."""
    operation: int
    """Operation."""
    operations: int
    """Operations in this frame."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("PulseRowsRequest.operation", self.operation, 1, 3)
        check("PulseRowsRequest.operations", self.operations, 1, 65535)
        return packed(_PULSE_ROWS_REQUEST, "PulseRowsRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> PulseRowsRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_PULSE_ROWS_REQUEST.unpack_from(buffer, offset))
        check("PulseRowsRequest.operation", message.operation, 1, 3)
        check("PulseRowsRequest.operations", message.operations, 1, 65535)
        return message


_PULSE_ROWS_REPLY = Struct("<HHIQHHIqqq64s")


class PulseRowsReply(NamedTuple):
    """PULSE_ROWS: reply."""

    operations: int
    """Operations of the request, and statuses that follow."""
    fired: int
    """Operations executed."""
    cells: int
    """Cells that saw a pulse."""
    board_time_ns: int
    """Board clock afterwards. (ns)"""
    error: Error
    """Detail of the first operation that failed; code DONE if none did."""

    SIZE = 112

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.operations, self.fired, self.cells, self.board_time_ns, *self.error.wire_values(),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_PULSE_ROWS_REPLY, "PulseRowsReply", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> PulseRowsReply:
        """Read the message that begins at `offset`."""
        v = _PULSE_ROWS_REPLY.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            Error(v[4], v[5], v[6], v[7], v[8], v[9], decode_text(v[10])),
        )
        return message


_WAIT_REQUEST = Struct("<Q")


class WaitRequest(NamedTuple):
    """WAIT: request."""

    duration_ns: int
    """How long, at most a minute. (ns)"""

    SIZE = 8

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("WaitRequest.duration_ns", self.duration_ns, 1, 60000000000)
        return packed(_WAIT_REQUEST, "WaitRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> WaitRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_WAIT_REQUEST.unpack_from(buffer, offset))
        check("WaitRequest.duration_ns", message.duration_ns, 1, 60000000000)
        return message


_WAIT_REPLY = Struct("<Q")


class WaitReply(NamedTuple):
    """WAIT: reply."""

    board_time_ns: int
    """Board clock afterwards. (ns)"""

    SIZE = 8

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_WAIT_REPLY, "WaitReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> WaitReply:
        """Read the message that begins at `offset`."""
        return cls(*_WAIT_REPLY.unpack_from(buffer, offset))


_DARK_REQUEST = Struct("<BBH64s")


class DarkRequest(NamedTuple):
    """DARK: request."""

    chip: int
    """Socket."""
    range: int
    """TIA range."""
    reserved: int
    """Zero."""
    row_mask: bytes
    """Rows: row r is bit r mod 8 of byte r div 8."""

    SIZE = 68

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.chip, self.range, self.reserved, encode_bytes("row_mask", self.row_mask, 64),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("DarkRequest.range", self.range, 0, 3)
        check("DarkRequest.reserved", self.reserved, 0, 0)
        return packed(_DARK_REQUEST, "DarkRequest", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> DarkRequest:
        """Read the message that begins at `offset`."""
        v = _DARK_REQUEST.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
        )
        check("DarkRequest.range", message.range, 0, 3)
        check("DarkRequest.reserved", message.reserved, 0, 0)
        return message


_DARK_REPLY = Struct("<HHQ")


class DarkReply(NamedTuple):
    """DARK: reply."""

    rows: int
    """Rows measured, and sums that follow."""
    reserved: int
    """Zero."""
    board_time_ns: int
    """Board clock afterwards. (ns)"""

    SIZE = 12

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_DARK_REPLY, "DarkReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> DarkReply:
        """Read the message that begins at `offset`."""
        return cls(*_DARK_REPLY.unpack_from(buffer, offset))


_READ_CELLS_REQUEST = Struct("<BBH64s64s")


class ReadCellsRequest(NamedTuple):
    """READ_CELLS: request."""

    chip: int
    """Socket."""
    range: int
    """TIA range."""
    reads: int
    """Repetitions."""
    row_mask: bytes
    """Rows."""
    column_mask: bytes
    """Columns."""

    SIZE = 132

    def wire_values(self) -> tuple[int | bytes, ...]:
        """The fields as they are packed, parts flattened."""
        return (self.chip, self.range, self.reads, encode_bytes("row_mask", self.row_mask, 64), encode_bytes("column_mask", self.column_mask, 64),)

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("ReadCellsRequest.range", self.range, 0, 3)
        check("ReadCellsRequest.reads", self.reads, 1, 65535)
        return packed(_READ_CELLS_REQUEST, "ReadCellsRequest", self.wire_values())

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ReadCellsRequest:
        """Read the message that begins at `offset`."""
        v = _READ_CELLS_REQUEST.unpack_from(buffer, offset)
        message = cls(
            v[0],
            v[1],
            v[2],
            v[3],
            v[4],
        )
        check("ReadCellsRequest.range", message.range, 0, 3)
        check("ReadCellsRequest.reads", message.reads, 1, 65535)
        return message


_READ_CELLS_REPLY = Struct("<HHIQQQQ")


class ReadCellsReply(NamedTuple):
    """READ_CELLS: reply."""

    rows: int
    """Rows read, and zero sums that follow."""
    reserved: int
    """Zero."""
    reserved2: int
    """Zero."""
    words: int
    """Codes measured by this command."""
    saturated: int
    """Codes at either end of the scale."""
    start_ns: int
    """Board clock before. (ns)"""
    stop_ns: int
    """Board clock after. (ns)"""

    SIZE = 40

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_READ_CELLS_REPLY, "ReadCellsReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ReadCellsReply:
        """Read the message that begins at `offset`."""
        return cls(*_READ_CELLS_REPLY.unpack_from(buffer, offset))


_READ_POINTS_REQUEST = Struct("<BBH")


class ReadPointsRequest(NamedTuple):
    """READ_POINTS: request."""

    chip: int
    """Socket."""
    range: int
    """TIA range."""
    operations: int
    """Operations in this frame."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("ReadPointsRequest.range", self.range, 0, 3)
        check("ReadPointsRequest.operations", self.operations, 1, 65535)
        return packed(_READ_POINTS_REQUEST, "ReadPointsRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ReadPointsRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_READ_POINTS_REQUEST.unpack_from(buffer, offset))
        check("ReadPointsRequest.range", message.range, 0, 3)
        check("ReadPointsRequest.operations", message.operations, 1, 65535)
        return message


_READ_POINTS_REPLY = Struct("<HHQ")


class ReadPointsReply(NamedTuple):
    """READ_POINTS: reply."""

    operations: int
    """Results that follow."""
    reserved: int
    """Zero."""
    board_time_ns: int
    """Board clock afterwards. (ns)"""

    SIZE = 12

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_READ_POINTS_REPLY, "ReadPointsReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> ReadPointsReply:
        """Read the message that begins at `offset`."""
        return cls(*_READ_POINTS_REPLY.unpack_from(buffer, offset))


_LOAD_SCHEDULE_REQUEST = Struct("<BBHHHHH")


class LoadScheduleRequest(NamedTuple):
    """LOAD_SCHEDULE: request."""

    chip: int
    """Socket."""
    reserved: int
    """Zero."""
    slot: int
    """Slot, from 0."""
    accumulators: int
    """Accumulators of the schedule; the same in each of its frames."""
    total: int
    """Steps of the schedule; the same in each of its frames."""
    first: int
    """Number of the first step in this frame."""
    steps: int
    """Steps in this frame."""

    SIZE = 12

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("LoadScheduleRequest.reserved", self.reserved, 0, 0)
        check("LoadScheduleRequest.accumulators", self.accumulators, 1, 65535)
        check("LoadScheduleRequest.total", self.total, 1, 65535)
        check("LoadScheduleRequest.steps", self.steps, 1, 65535)
        return packed(_LOAD_SCHEDULE_REQUEST, "LoadScheduleRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> LoadScheduleRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_LOAD_SCHEDULE_REQUEST.unpack_from(buffer, offset))
        check("LoadScheduleRequest.reserved", message.reserved, 0, 0)
        check("LoadScheduleRequest.accumulators", message.accumulators, 1, 65535)
        check("LoadScheduleRequest.total", message.total, 1, 65535)
        check("LoadScheduleRequest.steps", message.steps, 1, 65535)
        return message


_LOAD_SCHEDULE_REPLY = Struct("<HH")


class LoadScheduleReply(NamedTuple):
    """LOAD_SCHEDULE: reply."""

    loaded: int
    """Steps that are in the slot."""
    reserved: int
    """Zero."""

    SIZE = 4

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_LOAD_SCHEDULE_REPLY, "LoadScheduleReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> LoadScheduleReply:
        """Read the message that begins at `offset`."""
        return cls(*_LOAD_SCHEDULE_REPLY.unpack_from(buffer, offset))


_RUN_SCHEDULE_REQUEST = Struct("<BBHBBHHHI")


class RunScheduleRequest(NamedTuple):
    """RUN_SCHEDULE: request."""

    chip: int
    """Socket."""
    bits: int
    """Planes of a vector."""
    slot: int
    """Slot, from 0."""
    is_signed: int
    """1: the top plane subtracts."""
    reserved: int
    """Zero."""
    vectors: int
    """Input vectors."""
    first_column: int
    """First column of the inputs; those outside are 0."""
    columns: int
    """Columns of the inputs."""
    plane_bytes: int
    """What follows: vectors x bits x ceil(columns / 8). (bytes)"""

    SIZE = 16

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("RunScheduleRequest.bits", self.bits, 1, 8)
        check("RunScheduleRequest.is_signed", self.is_signed, 0, 1)
        check("RunScheduleRequest.reserved", self.reserved, 0, 0)
        check("RunScheduleRequest.vectors", self.vectors, 1, 65535)
        check("RunScheduleRequest.columns", self.columns, 1, 65535)
        return packed(_RUN_SCHEDULE_REQUEST, "RunScheduleRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> RunScheduleRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_RUN_SCHEDULE_REQUEST.unpack_from(buffer, offset))
        check("RunScheduleRequest.bits", message.bits, 1, 8)
        check("RunScheduleRequest.is_signed", message.is_signed, 0, 1)
        check("RunScheduleRequest.reserved", message.reserved, 0, 0)
        check("RunScheduleRequest.vectors", message.vectors, 1, 65535)
        check("RunScheduleRequest.columns", message.columns, 1, 65535)
        return message


_RUN_SCHEDULE_REPLY = Struct("<HHIIIQQ")


class RunScheduleReply(NamedTuple):
    """RUN_SCHEDULE: reply."""

    vectors: int
    """As in the request."""
    accumulators: int
    """Accumulators of the schedule."""
    values: int
    """What follows: vectors x accumulators."""
    saturated: int
    """Codes at either end of the scale."""
    reserved: int
    """Zero."""
    conversions: int
    """Conversions of this command."""
    board_time_ns: int
    """Board clock afterwards. (ns)"""

    SIZE = 32

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_RUN_SCHEDULE_REPLY, "RunScheduleReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> RunScheduleReply:
        """Read the message that begins at `offset`."""
        return cls(*_RUN_SCHEDULE_REPLY.unpack_from(buffer, offset))


_MEASURE_REQUEST = Struct("<BBBBHHH")


class MeasureRequest(NamedTuple):
    """MEASURE: request."""

    source: int
    """MeasureSource."""
    rail: int
    """Rail to measure, of RAIL only."""
    range: int
    """TIA range, of OPEN and RESISTOR only."""
    reserved: int
    """Zero."""
    dac_code: int
    """DAC code of RAIL_A (RESISTOR) or of the rail measured (RAIL)."""
    conversions: int
    """Conversions summed for each channel."""
    channel_mask: int
    """ADC channels: channel b is bit b."""

    SIZE = 10

    def pack(self) -> bytes:
        """The bytes of this message."""
        check("MeasureRequest.source", self.source, 0, 4)
        check("MeasureRequest.rail", self.rail, 0, 3)
        check("MeasureRequest.range", self.range, 0, 3)
        check("MeasureRequest.reserved", self.reserved, 0, 0)
        check("MeasureRequest.conversions", self.conversions, 1, 65535)
        check("MeasureRequest.channel_mask", self.channel_mask, 1, 65535)
        return packed(_MEASURE_REQUEST, "MeasureRequest", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> MeasureRequest:
        """Read the message that begins at `offset`."""
        message = cls(*_MEASURE_REQUEST.unpack_from(buffer, offset))
        check("MeasureRequest.source", message.source, 0, 4)
        check("MeasureRequest.rail", message.rail, 0, 3)
        check("MeasureRequest.range", message.range, 0, 3)
        check("MeasureRequest.reserved", message.reserved, 0, 0)
        check("MeasureRequest.conversions", message.conversions, 1, 65535)
        check("MeasureRequest.channel_mask", message.channel_mask, 1, 65535)
        return message


_MEASURE_REPLY = Struct("<HHIQ")


class MeasureReply(NamedTuple):
    """MEASURE: reply."""

    channels: int
    """Channels measured, and sums that follow."""
    reserved: int
    """Zero."""
    temperature_mk: int
    """Temperature of the board. (mK)"""
    board_time_ns: int
    """Board clock afterwards. (ns)"""

    SIZE = 16

    def pack(self) -> bytes:
        """The bytes of this message."""
        return packed(_MEASURE_REPLY, "MeasureReply", self)

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> MeasureReply:
        """Read the message that begins at `offset`."""
        return cls(*_MEASURE_REPLY.unpack_from(buffer, offset))


class CommandFacts(NamedTuple):
    """What the session machines need to know of a command."""

    controller_only: bool
    ordered: bool
    immediate: bool
    array: bool
    answered: bool
    pulse: bool
    stream: bool
    request_size: int
    request_item_size: int
    reply_size: int
    reply_item_size: int


COMMANDS: dict[Command, CommandFacts] = {
    Command.HELLO: CommandFacts(False, False, True, False, True, False, False, 96, 0, 136, 0),
    Command.STATUS: CommandFacts(False, True, True, False, True, False, False, 0, 0, 36, 0),
    Command.CREDIT: CommandFacts(True, False, True, False, False, False, False, 0, 0, 0, 0),
    Command.ABORT: CommandFacts(True, False, True, False, True, False, False, 0, 0, 4, 0),
    Command.ESTOP: CommandFacts(False, False, True, False, True, False, False, 0, 0, 4, 0),
    Command.BYE: CommandFacts(False, True, False, False, True, False, False, 0, 0, 0, 0),
    Command.CLEAR: CommandFacts(True, True, False, False, True, False, False, 4, 0, 0, 0),
    Command.DESCRIBE: CommandFacts(False, True, False, False, True, False, False, 0, 0, 248, 0),
    Command.CHIP: CommandFacts(False, True, False, False, True, False, False, 1, 0, 72, 0),
    Command.SWITCHES: CommandFacts(False, True, False, False, True, False, False, 1, 0, 132, 0),
    Command.OUTCOME: CommandFacts(False, True, False, False, True, False, False, 8, 0, 4, 0),
    Command.PULSE_ROWS: CommandFacts(True, True, False, True, True, True, False, 4, 80, 112, 1),
    Command.WAIT: CommandFacts(True, True, False, True, True, False, False, 8, 0, 8, 0),
    Command.DARK: CommandFacts(True, True, False, True, True, False, False, 68, 0, 12, 4),
    Command.READ_CELLS: CommandFacts(True, True, False, True, True, False, True, 132, 0, 40, 4),
    Command.READ_POINTS: CommandFacts(True, True, False, True, True, False, False, 4, 4, 12, 4),
    Command.LOAD_SCHEDULE: CommandFacts(True, True, False, True, True, False, False, 12, 114, 4, 0),
    Command.RUN_SCHEDULE: CommandFacts(True, True, False, True, True, False, False, 16, 1, 32, 4),
    Command.MEASURE: CommandFacts(True, True, False, True, True, False, False, 10, 0, 16, 4),
}
