/* Wire protocol of the board. Generated from spec.toml; do not edit. Little endian. */
#ifndef RRAMHIL_PROTOCOL_H
#define RRAMHIL_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#define RRAM_MAGIC 0x4852u
#define RRAM_VERSION 1u
#define RRAM_HELLO_VERSION 0u
#define RRAM_HELLO_MAX_BODY 256u
#define RRAM_MAX_BODY 1048576u
#define RRAM_OUTCOME_RING 4096u
#define RRAM_MAX_COLUMNS 512u /* Columns that a column mask has room for. */
#define RRAM_MAX_ROWS 512u /* Rows that a row mask has room for. */
#define RRAM_MAX_RANGES 4u /* TIA ranges that DESCRIBE has room for. */
#define RRAM_MAX_CHANNELS 8u /* ADC channels that a step of a gate schedule has room for. */
#define RRAM_MAX_SAMPLES 512u /* Samples that a schedule may add to one accumulator: with 8 planes of 14-bit codes, 32 bits suffice. */

/* The 24 bytes before every body; a CRC-32 (zlib) of header and body follows the body. */
typedef struct __attribute__((packed)) {
    uint16_t magic;
    uint8_t version;
    uint8_t flags;
    uint16_t type;
    uint16_t credit;
    uint32_t session;
    uint32_t sequence;
    uint32_t length;
    uint16_t reserved;
    uint16_t crc16; /* CRC-16/CCITT-FALSE of the 22 bytes before it */
} rram_header_t;
_Static_assert(sizeof(rram_header_t) == 24, "rram_header_t");

enum rram_command {
    RRAM_CMD_HELLO = 1,
    RRAM_CMD_STATUS = 2,
    RRAM_CMD_CREDIT = 3,
    RRAM_CMD_ABORT = 4,
    RRAM_CMD_ESTOP = 5,
    RRAM_CMD_BYE = 6,
    RRAM_CMD_CLEAR = 7,
    RRAM_CMD_DESCRIBE = 8,
    RRAM_CMD_CHIP = 9,
    RRAM_CMD_SWITCHES = 10,
    RRAM_CMD_OUTCOME = 11,
    RRAM_CMD_PULSE_ROWS = 32,
    RRAM_CMD_WAIT = 36,
    RRAM_CMD_DARK = 33,
    RRAM_CMD_READ_CELLS = 34,
    RRAM_CMD_READ_POINTS = 35,
    RRAM_CMD_LOAD_SCHEDULE = 37,
    RRAM_CMD_RUN_SCHEDULE = 38,
    RRAM_CMD_MEASURE = 39,
};

/* Bits of the header's `flags` byte. */
enum rram_flag {
    RRAM_FLAG_REPLY = 1, /* Board to host. */
    RRAM_FLAG_ERROR = 2, /* The body is an `Error`; nothing of the command was done. */
    RRAM_FLAG_STREAM = 4, /* A chunk of a bulk answer; the reply proper follows the last chunk. */
    RRAM_FLAG_RESEND = 8, /* CREDIT only: send again every kept chunk the host has not credited. */
};

/* Why a frame or an operation was not done. `DONE` is the status of an operation that was. */
enum rram_error_code {
    RRAM_ERROR_CODE_DONE = 0, /* Executed. */
    RRAM_ERROR_CODE_SKIPPED = 1, /* An earlier operation failed; send CLEAR(sequence). */
    RRAM_ERROR_CODE_ABORTED = 2, /* Dropped by ABORT before it began. */
    RRAM_ERROR_CODE_ESTOPPED = 3, /* The board is in emergency stop; CLEAR ends it. */
    RRAM_ERROR_CODE_VERSION = 16, /* No common protocol version; `low`..`high` is what the board speaks. */
    RRAM_ERROR_CODE_BUSY = 17, /* Another controller holds the lease; `value` is its remaining time in ms, `high` 1 if its link is up, `text` its name. */
    RRAM_ERROR_CODE_NO_SESSION = 18, /* The session is unknown, closed or expired. */
    RRAM_ERROR_CODE_EXPECTED = 19, /* A frame is missing; `value` is the sequence number awaited. */
    RRAM_ERROR_CODE_STALE = 20, /* The sequence number is older than the replies kept. */
    RRAM_ERROR_CODE_WORKING = 21, /* The command arrived earlier and is not finished; wait. */
    RRAM_ERROR_CODE_LEASE_LOST = 22, /* The lease ran out; open a new session. */
    RRAM_ERROR_CODE_OBSERVER = 23, /* Only the controller may send this command. */
    RRAM_ERROR_CODE_TOO_MANY_SESSIONS = 24, /* No room for another observer. */
    RRAM_ERROR_CODE_NOT_HALTED = 25, /* CLEAR names a sequence that did not halt the board. */
    RRAM_ERROR_CODE_UNKNOWN_COMMAND = 32, /* The board has no such command. */
    RRAM_ERROR_CODE_BAD_LENGTH = 33, /* The body does not have the command's length; `value` is its length, `low` the expected one. */
    RRAM_ERROR_CODE_BAD_FIELD = 34, /* A field is out of range: `text` names it, with `value`, `low`, `high`. */
    RRAM_ERROR_CODE_NO_CHIP = 35, /* No chip in that socket. */
    RRAM_ERROR_CODE_LIMIT_VOLTAGE = 48, /* Voltage outside the operation's envelope (microvolt). */
    RRAM_ERROR_CODE_LIMIT_WIDTH = 49, /* Pulse width outside the operation's envelope (ns). */
    RRAM_ERROR_CODE_LIMIT_COMPLIANCE = 50, /* Compliance outside the operation's envelope (nA). */
    RRAM_ERROR_CODE_LIMIT_CURRENT = 51, /* Selected cells x compliance exceeds the rail's current limit (nA). */
    RRAM_ERROR_CODE_LIMIT_INHIBIT = 52, /* The inhibit voltage does not match the pulse, so unselected cells would be stressed (microvolt). */
    RRAM_ERROR_CODE_NOT_READY = 54, /* Something must be done first: `text` says what is missing and what to send, `value` is its number. */
    RRAM_ERROR_CODE_HARDWARE = 64, /* The board measured a fault of its own; `text` says which. */
};

/* What a session may do. */
enum rram_role {
    RRAM_ROLE_OBSERVER = 0, /* May ask DESCRIBE, STATUS, CHIP, OUTCOME, SWITCHES; may always ESTOP. */
    RRAM_ROLE_CONTROLLER = 1, /* Holds the lease; may do everything. */
};

/* Kinds of pulse. */
enum rram_operation {
    RRAM_OPERATION_FORM = 1, /* Electroforming: source line at the voltage, selected bit lines at ground. */
    RRAM_OPERATION_SET = 2, /* Back to the on state, polarity of forming. */
    RRAM_OPERATION_RESET = 3, /* To the off state: selected bit lines at the voltage, source line and other bit lines at ground. */
};

/* What the board is doing. */
enum rram_board_state {
    RRAM_BOARD_STATE_IDLE = 0, /* Ready. */
    RRAM_BOARD_STATE_WORKING = 1, /* Commands are queued or running. */
    RRAM_BOARD_STATE_HALTED = 2, /* An operation failed; array commands answer SKIPPED until CLEAR. */
    RRAM_BOARD_STATE_ESTOPPED = 3, /* Emergency stop; array commands answer ESTOPPED until CLEAR. */
};

/* What became of a pulse frame. */
enum rram_outcome_kind {
    RRAM_OUTCOME_KIND_NOT_FIRED = 0, /* No operation of the frame was begun. */
    RRAM_OUTCOME_KIND_FIRED = 1, /* `operation` operations were executed, the later ones were not begun. */
    RRAM_OUTCOME_KIND_IN_DOUBT = 2, /* Operation `operation` was begun and not seen to end; earlier ones were executed, later ones not begun. */
    RRAM_OUTCOME_KIND_FORGOTTEN = 3, /* The frame is older than the ring of kept outcomes. */
};

/* Bits of `HelloReply.features`. */
enum rram_feature {
    RRAM_FEATURE_SIMULATED = 1, /* There is no chip behind this board. */
};

/* What becomes of a sample of a gate schedule. */
enum rram_use {
    RRAM_USE_UNUSED = 0, /* The channel converts nothing; row and accumulator are not looked at. */
    RRAM_USE_ADD = 1, /* Added to its accumulator. */
    RRAM_USE_SUBTRACT = 2, /* Subtracted from it. */
};

/* Index into `DescribeReply.rails`. */
enum rram_rail {
    RRAM_RAIL_SOURCE = 0, /* Drives the selected source line. */
    RRAM_RAIL_WORD = 1, /* Drives the selected word line; sets the compliance. */
    RRAM_RAIL_RAIL_A = 2, /* Bit-line rail A: the selected columns. */
    RRAM_RAIL_RAIL_B = 3, /* Bit-line rail B: the inhibited columns. */
};

/* What MEASURE switches to the ADC channels in place of the array. */
enum rram_measure_source {
    RRAM_MEASURE_SOURCE_GROUND = 0, /* Ground, straight to the converter. */
    RRAM_MEASURE_SOURCE_VOLTAGE = 1, /* The reference voltage, straight to the converter. */
    RRAM_MEASURE_SOURCE_OPEN = 2, /* Nothing, at the input of the TIA. */
    RRAM_MEASURE_SOURCE_RESISTOR = 3, /* The range's reference resistor from RAIL_A to the input of the TIA; one channel after the other. */
    RRAM_MEASURE_SOURCE_RAIL = 4, /* A rail through the divider, to the converter. */
};

/* One voltage rail and its DAC channel. */
typedef struct __attribute__((packed)) {
    uint32_t full_scale_uv; /* Voltage of code 2^dac_bits. */
    uint32_t current_limit_ua; /* The most the rail may deliver. */
} rram_rail_facts_t;
_Static_assert(sizeof(rram_rail_facts_t) == 8, "rram_rail_facts_t");
_Static_assert(offsetof(rram_rail_facts_t, full_scale_uv) == 0, "rram_rail_facts_t.full_scale_uv");
_Static_assert(offsetof(rram_rail_facts_t, current_limit_ua) == 4, "rram_rail_facts_t.current_limit_ua");

/* One TIA range. */
typedef struct __attribute__((packed)) {
    uint32_t per_code_pS; /* Conductance of one code at the read voltage; 0 marks an unused entry. */
    uint32_t settle_ns; /* Settling time before a conversion. */
    uint32_t reference_nS; /* Conductance of the range's reference resistor. */
} rram_range_facts_t;
_Static_assert(sizeof(rram_range_facts_t) == 12, "rram_range_facts_t");
_Static_assert(offsetof(rram_range_facts_t, per_code_pS) == 0, "rram_range_facts_t.per_code_pS");
_Static_assert(offsetof(rram_range_facts_t, settle_ns) == 4, "rram_range_facts_t.settle_ns");
_Static_assert(offsetof(rram_range_facts_t, reference_nS) == 8, "rram_range_facts_t.reference_nS");

/* Safe envelope of one kind of pulse. */
typedef struct __attribute__((packed)) {
    uint32_t voltage_min_uv; /* Lowest amplitude. */
    uint32_t voltage_max_uv; /* Highest amplitude; 0 marks an operation the board does not have. */
    uint32_t width_min_ns; /* Shortest pulse. */
    uint32_t width_max_ns; /* Longest pulse. */
    uint32_t compliance_min_na; /* Lowest compliance current a cell. */
    uint32_t compliance_max_na; /* Highest compliance current a cell. */
} rram_envelope_facts_t;
_Static_assert(sizeof(rram_envelope_facts_t) == 24, "rram_envelope_facts_t");
_Static_assert(offsetof(rram_envelope_facts_t, voltage_min_uv) == 0, "rram_envelope_facts_t.voltage_min_uv");
_Static_assert(offsetof(rram_envelope_facts_t, voltage_max_uv) == 4, "rram_envelope_facts_t.voltage_max_uv");
_Static_assert(offsetof(rram_envelope_facts_t, width_min_ns) == 8, "rram_envelope_facts_t.width_min_ns");
_Static_assert(offsetof(rram_envelope_facts_t, width_max_ns) == 12, "rram_envelope_facts_t.width_max_ns");
_Static_assert(offsetof(rram_envelope_facts_t, compliance_min_na) == 16, "rram_envelope_facts_t.compliance_min_na");
_Static_assert(offsetof(rram_envelope_facts_t, compliance_max_na) == 20, "rram_envelope_facts_t.compliance_max_na");

/* Body of every reply whose ERROR flag is set, and the detail of a failed operation. */
typedef struct __attribute__((packed)) {
    uint16_t code; /* ErrorCode. */
    uint16_t operation; /* Index of the operation in the frame; 0xFFFF for the whole frame. */
    uint32_t sequence; /* Sequence number of the frame that caused it. */
    int64_t value; /* The value that was refused. */
    int64_t low; /* Lowest legal value. */
    int64_t high; /* Highest legal value. */
    char text[64]; /* Name of the field, the holder or the fault. */
} rram_error_t;
_Static_assert(sizeof(rram_error_t) == 96, "rram_error_t");
_Static_assert(offsetof(rram_error_t, code) == 0, "rram_error_t.code");
_Static_assert(offsetof(rram_error_t, operation) == 2, "rram_error_t.operation");
_Static_assert(offsetof(rram_error_t, sequence) == 4, "rram_error_t.sequence");
_Static_assert(offsetof(rram_error_t, value) == 8, "rram_error_t.value");
_Static_assert(offsetof(rram_error_t, low) == 16, "rram_error_t.low");
_Static_assert(offsetof(rram_error_t, high) == 24, "rram_error_t.high");
_Static_assert(offsetof(rram_error_t, text) == 32, "rram_error_t.text");

/* One pulse on one row: the selected columns see it, the others are inhibited. */
typedef struct __attribute__((packed)) {
    uint16_t row; /* Row, 0 at the top. */
    uint16_t word_code; /* DAC code of the word line; sets the compliance. */
    uint16_t source_code; /* DAC code of the source line. */
    uint16_t bit_code; /* DAC code of RAIL_A, on the selected bit lines. */
    uint16_t inhibit_code; /* DAC code of RAIL_B, on the other bit lines. */
    uint16_t reserved; /* Zero. */
    uint32_t width_ns; /* Time the word line is high. */
    uint8_t column_mask[64]; /* Selected columns: column c is bit c mod 8 of byte c div 8. */
} rram_pulse_row_t;
_Static_assert(sizeof(rram_pulse_row_t) == 80, "rram_pulse_row_t");
_Static_assert(offsetof(rram_pulse_row_t, row) == 0, "rram_pulse_row_t.row");
_Static_assert(offsetof(rram_pulse_row_t, word_code) == 2, "rram_pulse_row_t.word_code");
_Static_assert(offsetof(rram_pulse_row_t, source_code) == 4, "rram_pulse_row_t.source_code");
_Static_assert(offsetof(rram_pulse_row_t, bit_code) == 6, "rram_pulse_row_t.bit_code");
_Static_assert(offsetof(rram_pulse_row_t, inhibit_code) == 8, "rram_pulse_row_t.inhibit_code");
_Static_assert(offsetof(rram_pulse_row_t, reserved) == 10, "rram_pulse_row_t.reserved");
_Static_assert(offsetof(rram_pulse_row_t, width_ns) == 12, "rram_pulse_row_t.width_ns");
_Static_assert(offsetof(rram_pulse_row_t, column_mask) == 16, "rram_pulse_row_t.column_mask");

/* One cell to measure. */
typedef struct __attribute__((packed)) {
    uint16_t row; /* Row. */
    uint16_t column; /* Column. */
} rram_point_t;
_Static_assert(sizeof(rram_point_t) == 4, "rram_point_t");
_Static_assert(offsetof(rram_point_t, row) == 0, "rram_point_t.row");
_Static_assert(offsetof(rram_point_t, column) == 2, "rram_point_t.column");

/* What one cell read. */
typedef struct __attribute__((packed)) {
    uint16_t code; /* The ADC's code. */
    uint16_t status; /* ErrorCode of this operation. */
} rram_point_result_t;
_Static_assert(sizeof(rram_point_result_t) == 4, "rram_point_result_t");
_Static_assert(offsetof(rram_point_result_t, code) == 0, "rram_point_result_t.code");
_Static_assert(offsetof(rram_point_result_t, status) == 2, "rram_point_result_t.status");

/* What one ADC channel does in a step of a gate schedule. */
typedef struct __attribute__((packed)) {
    uint16_t row; /* Row; its number modulo the channels is the channel. */
    uint16_t accumulator; /* Accumulator. */
    uint8_t use; /* Use. */
    uint8_t reserved; /* Zero. */
} rram_sample_t;
_Static_assert(sizeof(rram_sample_t) == 6, "rram_sample_t");
_Static_assert(offsetof(rram_sample_t, row) == 0, "rram_sample_t.row");
_Static_assert(offsetof(rram_sample_t, accumulator) == 2, "rram_sample_t.accumulator");
_Static_assert(offsetof(rram_sample_t, use) == 4, "rram_sample_t.use");
_Static_assert(offsetof(rram_sample_t, reserved) == 5, "rram_sample_t.reserved");

/* A step of a gate schedule: bit lines that follow the input, and rows sampled then. */
typedef struct __attribute__((packed)) {
    uint8_t range; /* TIA range. */
    uint8_t reserved; /* Zero. */
    uint8_t gate[64]; /* Bit lines that follow the input, the others are at ground: column c is bit c mod 8 of byte c div 8. */
    rram_sample_t samples[8]; /* By ADC channel; one at least is used. */
} rram_step_t;
_Static_assert(sizeof(rram_step_t) == 114, "rram_step_t");
_Static_assert(offsetof(rram_step_t, range) == 0, "rram_step_t.range");
_Static_assert(offsetof(rram_step_t, reserved) == 1, "rram_step_t.reserved");
_Static_assert(offsetof(rram_step_t, gate) == 2, "rram_step_t.gate");
_Static_assert(offsetof(rram_step_t, samples) == 66, "rram_step_t.samples");

/* Head of a chunk of a bulk answer; raw little-endian u16 words follow it. */
typedef struct __attribute__((packed)) {
    uint32_t number; /* Number of this chunk in the session, from 0; credit counts these. */
    uint32_t words; /* Words in this chunk. */
    uint64_t first; /* Index of the first word in the whole answer. */
    uint64_t board_time_ns; /* Board clock before the first conversion of this chunk. */
} rram_stream_chunk_t;
_Static_assert(sizeof(rram_stream_chunk_t) == 24, "rram_stream_chunk_t");
_Static_assert(offsetof(rram_stream_chunk_t, number) == 0, "rram_stream_chunk_t.number");
_Static_assert(offsetof(rram_stream_chunk_t, words) == 4, "rram_stream_chunk_t.words");
_Static_assert(offsetof(rram_stream_chunk_t, first) == 8, "rram_stream_chunk_t.first");
_Static_assert(offsetof(rram_stream_chunk_t, board_time_ns) == 16, "rram_stream_chunk_t.board_time_ns");

/* HELLO: request. */
typedef struct __attribute__((packed)) {
    uint8_t nonce[16]; /* 128 random bits. */
    uint8_t version_min; /* Lowest protocol version the host speaks. */
    uint8_t version_max; /* Highest. */
    uint8_t role; /* Role. */
    uint8_t reserved; /* Zero. */
    uint32_t max_body; /* Longest body the host takes. */
    uint16_t window; /* Commands the host would keep in flight. */
    uint16_t stream_window; /* Chunks the host can hold. */
    uint32_t lease_ms; /* Lease asked for. */
    char client[64]; /* Who asks: user, host, process. */
} rram_hello_request_t;
_Static_assert(sizeof(rram_hello_request_t) == 96, "rram_hello_request_t");
_Static_assert(offsetof(rram_hello_request_t, nonce) == 0, "rram_hello_request_t.nonce");
_Static_assert(offsetof(rram_hello_request_t, version_min) == 16, "rram_hello_request_t.version_min");
_Static_assert(offsetof(rram_hello_request_t, version_max) == 17, "rram_hello_request_t.version_max");
_Static_assert(offsetof(rram_hello_request_t, role) == 18, "rram_hello_request_t.role");
_Static_assert(offsetof(rram_hello_request_t, reserved) == 19, "rram_hello_request_t.reserved");
_Static_assert(offsetof(rram_hello_request_t, max_body) == 20, "rram_hello_request_t.max_body");
_Static_assert(offsetof(rram_hello_request_t, window) == 24, "rram_hello_request_t.window");
_Static_assert(offsetof(rram_hello_request_t, stream_window) == 26, "rram_hello_request_t.stream_window");
_Static_assert(offsetof(rram_hello_request_t, lease_ms) == 28, "rram_hello_request_t.lease_ms");
_Static_assert(offsetof(rram_hello_request_t, client) == 32, "rram_hello_request_t.client");

/* HELLO: reply. */
typedef struct __attribute__((packed)) {
    uint8_t nonce[16]; /* As in the request: on a shared line, late replies are told from ours. */
    uint8_t version; /* Agreed protocol version. */
    uint8_t role; /* Role granted. */
    uint8_t chips; /* Chip sockets. */
    uint8_t reserved; /* Zero. */
    uint32_t session; /* Session number, never used before. */
    uint32_t max_body; /* Longest body agreed, both directions. */
    uint16_t window; /* Commands in flight agreed. */
    uint16_t stream_window; /* Chunks agreed. */
    uint32_t lease_ms; /* Lease granted. */
    uint32_t features; /* Feature bits. */
    char board[32]; /* Name of the board's kind. */
    char serial[32]; /* Serial number. */
    char firmware[32]; /* Firmware version. */
} rram_hello_reply_t;
_Static_assert(sizeof(rram_hello_reply_t) == 136, "rram_hello_reply_t");
_Static_assert(offsetof(rram_hello_reply_t, nonce) == 0, "rram_hello_reply_t.nonce");
_Static_assert(offsetof(rram_hello_reply_t, version) == 16, "rram_hello_reply_t.version");
_Static_assert(offsetof(rram_hello_reply_t, role) == 17, "rram_hello_reply_t.role");
_Static_assert(offsetof(rram_hello_reply_t, chips) == 18, "rram_hello_reply_t.chips");
_Static_assert(offsetof(rram_hello_reply_t, reserved) == 19, "rram_hello_reply_t.reserved");
_Static_assert(offsetof(rram_hello_reply_t, session) == 20, "rram_hello_reply_t.session");
_Static_assert(offsetof(rram_hello_reply_t, max_body) == 24, "rram_hello_reply_t.max_body");
_Static_assert(offsetof(rram_hello_reply_t, window) == 28, "rram_hello_reply_t.window");
_Static_assert(offsetof(rram_hello_reply_t, stream_window) == 30, "rram_hello_reply_t.stream_window");
_Static_assert(offsetof(rram_hello_reply_t, lease_ms) == 32, "rram_hello_reply_t.lease_ms");
_Static_assert(offsetof(rram_hello_reply_t, features) == 36, "rram_hello_reply_t.features");
_Static_assert(offsetof(rram_hello_reply_t, board) == 40, "rram_hello_reply_t.board");
_Static_assert(offsetof(rram_hello_reply_t, serial) == 72, "rram_hello_reply_t.serial");
_Static_assert(offsetof(rram_hello_reply_t, firmware) == 104, "rram_hello_reply_t.firmware");

/* STATUS: reply. */
typedef struct __attribute__((packed)) {
    uint8_t state; /* BoardState. */
    uint8_t controller_linked; /* 1 while the lease holder's link is up. */
    uint16_t queued; /* Frames accepted and not yet answered. */
    uint32_t halted_sequence; /* Sequence that halted the board; what CLEAR must name. 0 if none. */
    uint32_t controller_session; /* Session that holds the lease, 0 if none. */
    uint32_t lease_remaining_ms; /* Time left of the lease. */
    uint64_t board_time_ns; /* Board clock. */
    uint32_t temperature_mk; /* Temperature of the board. */
    uint32_t bad_frames; /* Frames dropped for a wrong checksum since the start. */
    uint32_t resent_replies; /* Replies answered from the window since the start. */
} rram_status_reply_t;
_Static_assert(sizeof(rram_status_reply_t) == 36, "rram_status_reply_t");
_Static_assert(offsetof(rram_status_reply_t, state) == 0, "rram_status_reply_t.state");
_Static_assert(offsetof(rram_status_reply_t, controller_linked) == 1, "rram_status_reply_t.controller_linked");
_Static_assert(offsetof(rram_status_reply_t, queued) == 2, "rram_status_reply_t.queued");
_Static_assert(offsetof(rram_status_reply_t, halted_sequence) == 4, "rram_status_reply_t.halted_sequence");
_Static_assert(offsetof(rram_status_reply_t, controller_session) == 8, "rram_status_reply_t.controller_session");
_Static_assert(offsetof(rram_status_reply_t, lease_remaining_ms) == 12, "rram_status_reply_t.lease_remaining_ms");
_Static_assert(offsetof(rram_status_reply_t, board_time_ns) == 16, "rram_status_reply_t.board_time_ns");
_Static_assert(offsetof(rram_status_reply_t, temperature_mk) == 24, "rram_status_reply_t.temperature_mk");
_Static_assert(offsetof(rram_status_reply_t, bad_frames) == 28, "rram_status_reply_t.bad_frames");
_Static_assert(offsetof(rram_status_reply_t, resent_replies) == 32, "rram_status_reply_t.resent_replies");

/* ABORT: reply. */
typedef struct __attribute__((packed)) {
    uint32_t dropped; /* Frames dropped. */
} rram_abort_reply_t;
_Static_assert(sizeof(rram_abort_reply_t) == 4, "rram_abort_reply_t");
_Static_assert(offsetof(rram_abort_reply_t, dropped) == 0, "rram_abort_reply_t.dropped");

/* ESTOP: reply. */
typedef struct __attribute__((packed)) {
    uint32_t dropped; /* Frames dropped. */
} rram_estop_reply_t;
_Static_assert(sizeof(rram_estop_reply_t) == 4, "rram_estop_reply_t");
_Static_assert(offsetof(rram_estop_reply_t, dropped) == 0, "rram_estop_reply_t.dropped");

/* CLEAR: request. */
typedef struct __attribute__((packed)) {
    uint32_t sequence; /* As in `StatusReply.halted_sequence`; 0 for an emergency stop. */
} rram_clear_request_t;
_Static_assert(sizeof(rram_clear_request_t) == 4, "rram_clear_request_t");
_Static_assert(offsetof(rram_clear_request_t, sequence) == 0, "rram_clear_request_t.sequence");

/* DESCRIBE: reply. */
typedef struct __attribute__((packed)) {
    uint16_t rows; /* Rows of a macro. */
    uint16_t columns; /* Columns of a macro. */
    uint8_t adc_channels; /* ADC channels; channel b serves the rows with r mod channels = b. */
    uint8_t adc_bits; /* Bits of a code. */
    uint8_t dac_bits; /* Bits of a DAC code. */
    uint8_t zero_conversions; /* Conversions that a zero sums. */
    uint16_t code_pedestal; /* Code of zero current. */
    uint16_t max_pulse_rows; /* Operations that a pulse frame may carry. */
    uint16_t max_points; /* Operations that a READ_POINTS frame may carry. */
    uint16_t reserved; /* Zero. */
    uint32_t read_voltage_uv; /* Bit-line voltage of a read. */
    uint32_t conversion_ns; /* Time of one conversion on all channels. */
    uint32_t switch_load_ns; /* Time to load the bit-line switches. */
    uint32_t dac_settle_ns; /* Settling time of a rail. */
    uint32_t word_threshold_uv; /* Word-line voltage at which the compliance current begins. */
    uint32_t compliance_per_volt_na; /* Compliance current per volt above the threshold. */
    uint32_t inhibit_tolerance_uv; /* How far the inhibit voltage may be from the pulse's. */
    uint32_t rail_accuracy_uv; /* The most by which a rail may differ from its code; the limits leave room for it. */
    uint32_t adc_span_uv; /* Voltage of the whole scale of the ADC. */
    uint32_t reference_voltage_uv; /* Reference voltage of MEASURE. */
    uint32_t divider_ppm; /* Part of a rail's voltage that MEASURE puts on the converters. */
    uint32_t resistor_max_uv; /* The most that RAIL_A may put on a reference resistor. */
    uint16_t voltage_tolerance_ppm; /* Tolerance of the reference voltage. */
    uint16_t divider_tolerance_ppm; /* Tolerance of the divider. */
    uint16_t resistor_tolerance_ppm; /* Tolerance of the reference resistors. */
    uint16_t reserved2; /* Zero. */
    uint32_t bit_path_mohm; /* Nominal resistance from a bit line's driver to the wire. */
    uint32_t bit_segment_mohm; /* The same of a bit line from one row to the next. */
    uint32_t source_segment_mohm; /* The same of a source line from one column to the next. */
    uint32_t source_path_mohm; /* The same from the wire to the virtual ground. */
    rram_rail_facts_t rails[4]; /* By Rail. */
    rram_range_facts_t ranges[4]; /* TIA ranges, finest first. */
    rram_envelope_facts_t envelopes[3]; /* FORM, SET, RESET. */
    uint16_t schedule_slots; /* Gate schedules that the board keeps for a chip. */
    uint16_t schedule_steps; /* Steps that a gate schedule may have. */
    uint16_t schedule_accumulators; /* Accumulators that a gate schedule may have. */
    uint16_t reserved3; /* Zero. */
} rram_describe_reply_t;
_Static_assert(sizeof(rram_describe_reply_t) == 248, "rram_describe_reply_t");
_Static_assert(offsetof(rram_describe_reply_t, rows) == 0, "rram_describe_reply_t.rows");
_Static_assert(offsetof(rram_describe_reply_t, columns) == 2, "rram_describe_reply_t.columns");
_Static_assert(offsetof(rram_describe_reply_t, adc_channels) == 4, "rram_describe_reply_t.adc_channels");
_Static_assert(offsetof(rram_describe_reply_t, adc_bits) == 5, "rram_describe_reply_t.adc_bits");
_Static_assert(offsetof(rram_describe_reply_t, dac_bits) == 6, "rram_describe_reply_t.dac_bits");
_Static_assert(offsetof(rram_describe_reply_t, zero_conversions) == 7, "rram_describe_reply_t.zero_conversions");
_Static_assert(offsetof(rram_describe_reply_t, code_pedestal) == 8, "rram_describe_reply_t.code_pedestal");
_Static_assert(offsetof(rram_describe_reply_t, max_pulse_rows) == 10, "rram_describe_reply_t.max_pulse_rows");
_Static_assert(offsetof(rram_describe_reply_t, max_points) == 12, "rram_describe_reply_t.max_points");
_Static_assert(offsetof(rram_describe_reply_t, reserved) == 14, "rram_describe_reply_t.reserved");
_Static_assert(offsetof(rram_describe_reply_t, read_voltage_uv) == 16, "rram_describe_reply_t.read_voltage_uv");
_Static_assert(offsetof(rram_describe_reply_t, conversion_ns) == 20, "rram_describe_reply_t.conversion_ns");
_Static_assert(offsetof(rram_describe_reply_t, switch_load_ns) == 24, "rram_describe_reply_t.switch_load_ns");
_Static_assert(offsetof(rram_describe_reply_t, dac_settle_ns) == 28, "rram_describe_reply_t.dac_settle_ns");
_Static_assert(offsetof(rram_describe_reply_t, word_threshold_uv) == 32, "rram_describe_reply_t.word_threshold_uv");
_Static_assert(offsetof(rram_describe_reply_t, compliance_per_volt_na) == 36, "rram_describe_reply_t.compliance_per_volt_na");
_Static_assert(offsetof(rram_describe_reply_t, inhibit_tolerance_uv) == 40, "rram_describe_reply_t.inhibit_tolerance_uv");
_Static_assert(offsetof(rram_describe_reply_t, rail_accuracy_uv) == 44, "rram_describe_reply_t.rail_accuracy_uv");
_Static_assert(offsetof(rram_describe_reply_t, adc_span_uv) == 48, "rram_describe_reply_t.adc_span_uv");
_Static_assert(offsetof(rram_describe_reply_t, reference_voltage_uv) == 52, "rram_describe_reply_t.reference_voltage_uv");
_Static_assert(offsetof(rram_describe_reply_t, divider_ppm) == 56, "rram_describe_reply_t.divider_ppm");
_Static_assert(offsetof(rram_describe_reply_t, resistor_max_uv) == 60, "rram_describe_reply_t.resistor_max_uv");
_Static_assert(offsetof(rram_describe_reply_t, voltage_tolerance_ppm) == 64, "rram_describe_reply_t.voltage_tolerance_ppm");
_Static_assert(offsetof(rram_describe_reply_t, divider_tolerance_ppm) == 66, "rram_describe_reply_t.divider_tolerance_ppm");
_Static_assert(offsetof(rram_describe_reply_t, resistor_tolerance_ppm) == 68, "rram_describe_reply_t.resistor_tolerance_ppm");
_Static_assert(offsetof(rram_describe_reply_t, reserved2) == 70, "rram_describe_reply_t.reserved2");
_Static_assert(offsetof(rram_describe_reply_t, bit_path_mohm) == 72, "rram_describe_reply_t.bit_path_mohm");
_Static_assert(offsetof(rram_describe_reply_t, bit_segment_mohm) == 76, "rram_describe_reply_t.bit_segment_mohm");
_Static_assert(offsetof(rram_describe_reply_t, source_segment_mohm) == 80, "rram_describe_reply_t.source_segment_mohm");
_Static_assert(offsetof(rram_describe_reply_t, source_path_mohm) == 84, "rram_describe_reply_t.source_path_mohm");
_Static_assert(offsetof(rram_describe_reply_t, rails) == 88, "rram_describe_reply_t.rails");
_Static_assert(offsetof(rram_describe_reply_t, ranges) == 120, "rram_describe_reply_t.ranges");
_Static_assert(offsetof(rram_describe_reply_t, envelopes) == 168, "rram_describe_reply_t.envelopes");
_Static_assert(offsetof(rram_describe_reply_t, schedule_slots) == 240, "rram_describe_reply_t.schedule_slots");
_Static_assert(offsetof(rram_describe_reply_t, schedule_steps) == 242, "rram_describe_reply_t.schedule_steps");
_Static_assert(offsetof(rram_describe_reply_t, schedule_accumulators) == 244, "rram_describe_reply_t.schedule_accumulators");
_Static_assert(offsetof(rram_describe_reply_t, reserved3) == 246, "rram_describe_reply_t.reserved3");

/* CHIP: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
} rram_chip_request_t;
_Static_assert(sizeof(rram_chip_request_t) == 1, "rram_chip_request_t");
_Static_assert(offsetof(rram_chip_request_t, chip) == 0, "rram_chip_request_t.chip");

/* CHIP: reply. */
typedef struct __attribute__((packed)) {
    char serial[32]; /* Serial number of the chip. */
    uint64_t form_pulses; /* Cells pulsed by FORM, counted once a pulse. */
    uint64_t set_pulses; /* The same for SET. */
    uint64_t reset_pulses; /* The same for RESET. */
    uint64_t conversions; /* ADC conversions. */
    uint64_t switch_loads; /* Loads of the bit-line switches. */
} rram_chip_reply_t;
_Static_assert(sizeof(rram_chip_reply_t) == 72, "rram_chip_reply_t");
_Static_assert(offsetof(rram_chip_reply_t, serial) == 0, "rram_chip_reply_t.serial");
_Static_assert(offsetof(rram_chip_reply_t, form_pulses) == 32, "rram_chip_reply_t.form_pulses");
_Static_assert(offsetof(rram_chip_reply_t, set_pulses) == 40, "rram_chip_reply_t.set_pulses");
_Static_assert(offsetof(rram_chip_reply_t, reset_pulses) == 48, "rram_chip_reply_t.reset_pulses");
_Static_assert(offsetof(rram_chip_reply_t, conversions) == 56, "rram_chip_reply_t.conversions");
_Static_assert(offsetof(rram_chip_reply_t, switch_loads) == 64, "rram_chip_reply_t.switch_loads");

/* SWITCHES: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
} rram_switches_request_t;
_Static_assert(sizeof(rram_switches_request_t) == 1, "rram_switches_request_t");
_Static_assert(offsetof(rram_switches_request_t, chip) == 0, "rram_switches_request_t.chip");

/* SWITCHES: reply. */
typedef struct __attribute__((packed)) {
    uint16_t word_lines_on; /* Word lines that are high. */
    uint16_t reserved; /* Zero. */
    uint8_t bits[128]; /* The 1,024 bits. */
} rram_switches_reply_t;
_Static_assert(sizeof(rram_switches_reply_t) == 132, "rram_switches_reply_t");
_Static_assert(offsetof(rram_switches_reply_t, word_lines_on) == 0, "rram_switches_reply_t.word_lines_on");
_Static_assert(offsetof(rram_switches_reply_t, reserved) == 2, "rram_switches_reply_t.reserved");
_Static_assert(offsetof(rram_switches_reply_t, bits) == 4, "rram_switches_reply_t.bits");

/* OUTCOME: request. */
typedef struct __attribute__((packed)) {
    uint32_t session; /* Session of the frame. */
    uint32_t sequence; /* Its sequence number. */
} rram_outcome_request_t;
_Static_assert(sizeof(rram_outcome_request_t) == 8, "rram_outcome_request_t");
_Static_assert(offsetof(rram_outcome_request_t, session) == 0, "rram_outcome_request_t.session");
_Static_assert(offsetof(rram_outcome_request_t, sequence) == 4, "rram_outcome_request_t.sequence");

/* OUTCOME: reply. */
typedef struct __attribute__((packed)) {
    uint8_t kind; /* OutcomeKind. */
    uint8_t reserved; /* Zero. */
    uint16_t operation; /* See OutcomeKind. */
} rram_outcome_reply_t;
_Static_assert(sizeof(rram_outcome_reply_t) == 4, "rram_outcome_reply_t");
_Static_assert(offsetof(rram_outcome_reply_t, kind) == 0, "rram_outcome_reply_t.kind");
_Static_assert(offsetof(rram_outcome_reply_t, reserved) == 1, "rram_outcome_reply_t.reserved");
_Static_assert(offsetof(rram_outcome_reply_t, operation) == 2, "rram_outcome_reply_t.operation");

/* PULSE_ROWS: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t operation; /* Operation. */
    uint16_t operations; /* Operations in this frame. */
} rram_pulse_rows_request_t;
_Static_assert(sizeof(rram_pulse_rows_request_t) == 4, "rram_pulse_rows_request_t");
_Static_assert(offsetof(rram_pulse_rows_request_t, chip) == 0, "rram_pulse_rows_request_t.chip");
_Static_assert(offsetof(rram_pulse_rows_request_t, operation) == 1, "rram_pulse_rows_request_t.operation");
_Static_assert(offsetof(rram_pulse_rows_request_t, operations) == 2, "rram_pulse_rows_request_t.operations");

/* PULSE_ROWS: reply. */
typedef struct __attribute__((packed)) {
    uint16_t operations; /* Operations of the request, and statuses that follow. */
    uint16_t fired; /* Operations executed. */
    uint32_t cells; /* Cells that saw a pulse. */
    uint64_t board_time_ns; /* Board clock afterwards. */
    rram_error_t error; /* Detail of the first operation that failed; code DONE if none did. */
} rram_pulse_rows_reply_t;
_Static_assert(sizeof(rram_pulse_rows_reply_t) == 112, "rram_pulse_rows_reply_t");
_Static_assert(offsetof(rram_pulse_rows_reply_t, operations) == 0, "rram_pulse_rows_reply_t.operations");
_Static_assert(offsetof(rram_pulse_rows_reply_t, fired) == 2, "rram_pulse_rows_reply_t.fired");
_Static_assert(offsetof(rram_pulse_rows_reply_t, cells) == 4, "rram_pulse_rows_reply_t.cells");
_Static_assert(offsetof(rram_pulse_rows_reply_t, board_time_ns) == 8, "rram_pulse_rows_reply_t.board_time_ns");
_Static_assert(offsetof(rram_pulse_rows_reply_t, error) == 16, "rram_pulse_rows_reply_t.error");

/* WAIT: request. */
typedef struct __attribute__((packed)) {
    uint64_t duration_ns; /* How long, at most a minute. */
} rram_wait_request_t;
_Static_assert(sizeof(rram_wait_request_t) == 8, "rram_wait_request_t");
_Static_assert(offsetof(rram_wait_request_t, duration_ns) == 0, "rram_wait_request_t.duration_ns");

/* WAIT: reply. */
typedef struct __attribute__((packed)) {
    uint64_t board_time_ns; /* Board clock afterwards. */
} rram_wait_reply_t;
_Static_assert(sizeof(rram_wait_reply_t) == 8, "rram_wait_reply_t");
_Static_assert(offsetof(rram_wait_reply_t, board_time_ns) == 0, "rram_wait_reply_t.board_time_ns");

/* DARK: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t range; /* TIA range. */
    uint16_t reserved; /* Zero. */
    uint8_t row_mask[64]; /* Rows: row r is bit r mod 8 of byte r div 8. */
} rram_dark_request_t;
_Static_assert(sizeof(rram_dark_request_t) == 68, "rram_dark_request_t");
_Static_assert(offsetof(rram_dark_request_t, chip) == 0, "rram_dark_request_t.chip");
_Static_assert(offsetof(rram_dark_request_t, range) == 1, "rram_dark_request_t.range");
_Static_assert(offsetof(rram_dark_request_t, reserved) == 2, "rram_dark_request_t.reserved");
_Static_assert(offsetof(rram_dark_request_t, row_mask) == 4, "rram_dark_request_t.row_mask");

/* DARK: reply. */
typedef struct __attribute__((packed)) {
    uint16_t rows; /* Rows measured, and sums that follow. */
    uint16_t reserved; /* Zero. */
    uint64_t board_time_ns; /* Board clock afterwards. */
} rram_dark_reply_t;
_Static_assert(sizeof(rram_dark_reply_t) == 12, "rram_dark_reply_t");
_Static_assert(offsetof(rram_dark_reply_t, rows) == 0, "rram_dark_reply_t.rows");
_Static_assert(offsetof(rram_dark_reply_t, reserved) == 2, "rram_dark_reply_t.reserved");
_Static_assert(offsetof(rram_dark_reply_t, board_time_ns) == 4, "rram_dark_reply_t.board_time_ns");

/* READ_CELLS: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t range; /* TIA range. */
    uint16_t reads; /* Repetitions. */
    uint8_t row_mask[64]; /* Rows. */
    uint8_t column_mask[64]; /* Columns. */
} rram_read_cells_request_t;
_Static_assert(sizeof(rram_read_cells_request_t) == 132, "rram_read_cells_request_t");
_Static_assert(offsetof(rram_read_cells_request_t, chip) == 0, "rram_read_cells_request_t.chip");
_Static_assert(offsetof(rram_read_cells_request_t, range) == 1, "rram_read_cells_request_t.range");
_Static_assert(offsetof(rram_read_cells_request_t, reads) == 2, "rram_read_cells_request_t.reads");
_Static_assert(offsetof(rram_read_cells_request_t, row_mask) == 4, "rram_read_cells_request_t.row_mask");
_Static_assert(offsetof(rram_read_cells_request_t, column_mask) == 68, "rram_read_cells_request_t.column_mask");

/* READ_CELLS: reply. */
typedef struct __attribute__((packed)) {
    uint16_t rows; /* Rows read, and zero sums that follow. */
    uint16_t reserved; /* Zero. */
    uint32_t reserved2; /* Zero. */
    uint64_t words; /* Codes measured by this command. */
    uint64_t saturated; /* Codes at either end of the scale. */
    uint64_t start_ns; /* Board clock before. */
    uint64_t stop_ns; /* Board clock after. */
} rram_read_cells_reply_t;
_Static_assert(sizeof(rram_read_cells_reply_t) == 40, "rram_read_cells_reply_t");
_Static_assert(offsetof(rram_read_cells_reply_t, rows) == 0, "rram_read_cells_reply_t.rows");
_Static_assert(offsetof(rram_read_cells_reply_t, reserved) == 2, "rram_read_cells_reply_t.reserved");
_Static_assert(offsetof(rram_read_cells_reply_t, reserved2) == 4, "rram_read_cells_reply_t.reserved2");
_Static_assert(offsetof(rram_read_cells_reply_t, words) == 8, "rram_read_cells_reply_t.words");
_Static_assert(offsetof(rram_read_cells_reply_t, saturated) == 16, "rram_read_cells_reply_t.saturated");
_Static_assert(offsetof(rram_read_cells_reply_t, start_ns) == 24, "rram_read_cells_reply_t.start_ns");
_Static_assert(offsetof(rram_read_cells_reply_t, stop_ns) == 32, "rram_read_cells_reply_t.stop_ns");

/* READ_POINTS: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t range; /* TIA range. */
    uint16_t operations; /* Operations in this frame. */
} rram_read_points_request_t;
_Static_assert(sizeof(rram_read_points_request_t) == 4, "rram_read_points_request_t");
_Static_assert(offsetof(rram_read_points_request_t, chip) == 0, "rram_read_points_request_t.chip");
_Static_assert(offsetof(rram_read_points_request_t, range) == 1, "rram_read_points_request_t.range");
_Static_assert(offsetof(rram_read_points_request_t, operations) == 2, "rram_read_points_request_t.operations");

/* READ_POINTS: reply. */
typedef struct __attribute__((packed)) {
    uint16_t operations; /* Results that follow. */
    uint16_t reserved; /* Zero. */
    uint64_t board_time_ns; /* Board clock afterwards. */
} rram_read_points_reply_t;
_Static_assert(sizeof(rram_read_points_reply_t) == 12, "rram_read_points_reply_t");
_Static_assert(offsetof(rram_read_points_reply_t, operations) == 0, "rram_read_points_reply_t.operations");
_Static_assert(offsetof(rram_read_points_reply_t, reserved) == 2, "rram_read_points_reply_t.reserved");
_Static_assert(offsetof(rram_read_points_reply_t, board_time_ns) == 4, "rram_read_points_reply_t.board_time_ns");

/* LOAD_SCHEDULE: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t reserved; /* Zero. */
    uint16_t slot; /* Slot, from 0. */
    uint16_t accumulators; /* Accumulators of the schedule; the same in each of its frames. */
    uint16_t total; /* Steps of the schedule; the same in each of its frames. */
    uint16_t first; /* Number of the first step in this frame. */
    uint16_t steps; /* Steps in this frame. */
} rram_load_schedule_request_t;
_Static_assert(sizeof(rram_load_schedule_request_t) == 12, "rram_load_schedule_request_t");
_Static_assert(offsetof(rram_load_schedule_request_t, chip) == 0, "rram_load_schedule_request_t.chip");
_Static_assert(offsetof(rram_load_schedule_request_t, reserved) == 1, "rram_load_schedule_request_t.reserved");
_Static_assert(offsetof(rram_load_schedule_request_t, slot) == 2, "rram_load_schedule_request_t.slot");
_Static_assert(offsetof(rram_load_schedule_request_t, accumulators) == 4, "rram_load_schedule_request_t.accumulators");
_Static_assert(offsetof(rram_load_schedule_request_t, total) == 6, "rram_load_schedule_request_t.total");
_Static_assert(offsetof(rram_load_schedule_request_t, first) == 8, "rram_load_schedule_request_t.first");
_Static_assert(offsetof(rram_load_schedule_request_t, steps) == 10, "rram_load_schedule_request_t.steps");

/* LOAD_SCHEDULE: reply. */
typedef struct __attribute__((packed)) {
    uint16_t loaded; /* Steps that are in the slot. */
    uint16_t reserved; /* Zero. */
} rram_load_schedule_reply_t;
_Static_assert(sizeof(rram_load_schedule_reply_t) == 4, "rram_load_schedule_reply_t");
_Static_assert(offsetof(rram_load_schedule_reply_t, loaded) == 0, "rram_load_schedule_reply_t.loaded");
_Static_assert(offsetof(rram_load_schedule_reply_t, reserved) == 2, "rram_load_schedule_reply_t.reserved");

/* RUN_SCHEDULE: request. */
typedef struct __attribute__((packed)) {
    uint8_t chip; /* Socket. */
    uint8_t bits; /* Planes of a vector. */
    uint16_t slot; /* Slot, from 0. */
    uint8_t is_signed; /* 1: the top plane subtracts. */
    uint8_t reserved; /* Zero. */
    uint16_t vectors; /* Input vectors. */
    uint16_t first_column; /* First column of the inputs; those outside are 0. */
    uint16_t columns; /* Columns of the inputs. */
    uint32_t plane_bytes; /* What follows: vectors x bits x ceil(columns / 8). */
} rram_run_schedule_request_t;
_Static_assert(sizeof(rram_run_schedule_request_t) == 16, "rram_run_schedule_request_t");
_Static_assert(offsetof(rram_run_schedule_request_t, chip) == 0, "rram_run_schedule_request_t.chip");
_Static_assert(offsetof(rram_run_schedule_request_t, bits) == 1, "rram_run_schedule_request_t.bits");
_Static_assert(offsetof(rram_run_schedule_request_t, slot) == 2, "rram_run_schedule_request_t.slot");
_Static_assert(offsetof(rram_run_schedule_request_t, is_signed) == 4, "rram_run_schedule_request_t.is_signed");
_Static_assert(offsetof(rram_run_schedule_request_t, reserved) == 5, "rram_run_schedule_request_t.reserved");
_Static_assert(offsetof(rram_run_schedule_request_t, vectors) == 6, "rram_run_schedule_request_t.vectors");
_Static_assert(offsetof(rram_run_schedule_request_t, first_column) == 8, "rram_run_schedule_request_t.first_column");
_Static_assert(offsetof(rram_run_schedule_request_t, columns) == 10, "rram_run_schedule_request_t.columns");
_Static_assert(offsetof(rram_run_schedule_request_t, plane_bytes) == 12, "rram_run_schedule_request_t.plane_bytes");

/* RUN_SCHEDULE: reply. */
typedef struct __attribute__((packed)) {
    uint16_t vectors; /* As in the request. */
    uint16_t accumulators; /* Accumulators of the schedule. */
    uint32_t values; /* What follows: vectors x accumulators. */
    uint32_t saturated; /* Codes at either end of the scale. */
    uint32_t reserved; /* Zero. */
    uint64_t conversions; /* Conversions of this command. */
    uint64_t board_time_ns; /* Board clock afterwards. */
} rram_run_schedule_reply_t;
_Static_assert(sizeof(rram_run_schedule_reply_t) == 32, "rram_run_schedule_reply_t");
_Static_assert(offsetof(rram_run_schedule_reply_t, vectors) == 0, "rram_run_schedule_reply_t.vectors");
_Static_assert(offsetof(rram_run_schedule_reply_t, accumulators) == 2, "rram_run_schedule_reply_t.accumulators");
_Static_assert(offsetof(rram_run_schedule_reply_t, values) == 4, "rram_run_schedule_reply_t.values");
_Static_assert(offsetof(rram_run_schedule_reply_t, saturated) == 8, "rram_run_schedule_reply_t.saturated");
_Static_assert(offsetof(rram_run_schedule_reply_t, reserved) == 12, "rram_run_schedule_reply_t.reserved");
_Static_assert(offsetof(rram_run_schedule_reply_t, conversions) == 16, "rram_run_schedule_reply_t.conversions");
_Static_assert(offsetof(rram_run_schedule_reply_t, board_time_ns) == 24, "rram_run_schedule_reply_t.board_time_ns");

/* MEASURE: request. */
typedef struct __attribute__((packed)) {
    uint8_t source; /* MeasureSource. */
    uint8_t rail; /* Rail to measure, of RAIL only. */
    uint8_t range; /* TIA range, of OPEN and RESISTOR only. */
    uint8_t reserved; /* Zero. */
    uint16_t dac_code; /* DAC code of RAIL_A (RESISTOR) or of the rail measured (RAIL). */
    uint16_t conversions; /* Conversions summed for each channel. */
    uint16_t channel_mask; /* ADC channels: channel b is bit b. */
} rram_measure_request_t;
_Static_assert(sizeof(rram_measure_request_t) == 10, "rram_measure_request_t");
_Static_assert(offsetof(rram_measure_request_t, source) == 0, "rram_measure_request_t.source");
_Static_assert(offsetof(rram_measure_request_t, rail) == 1, "rram_measure_request_t.rail");
_Static_assert(offsetof(rram_measure_request_t, range) == 2, "rram_measure_request_t.range");
_Static_assert(offsetof(rram_measure_request_t, reserved) == 3, "rram_measure_request_t.reserved");
_Static_assert(offsetof(rram_measure_request_t, dac_code) == 4, "rram_measure_request_t.dac_code");
_Static_assert(offsetof(rram_measure_request_t, conversions) == 6, "rram_measure_request_t.conversions");
_Static_assert(offsetof(rram_measure_request_t, channel_mask) == 8, "rram_measure_request_t.channel_mask");

/* MEASURE: reply. */
typedef struct __attribute__((packed)) {
    uint16_t channels; /* Channels measured, and sums that follow. */
    uint16_t reserved; /* Zero. */
    uint32_t temperature_mk; /* Temperature of the board. */
    uint64_t board_time_ns; /* Board clock afterwards. */
} rram_measure_reply_t;
_Static_assert(sizeof(rram_measure_reply_t) == 16, "rram_measure_reply_t");
_Static_assert(offsetof(rram_measure_reply_t, channels) == 0, "rram_measure_reply_t.channels");
_Static_assert(offsetof(rram_measure_reply_t, reserved) == 2, "rram_measure_reply_t.reserved");
_Static_assert(offsetof(rram_measure_reply_t, temperature_mk) == 4, "rram_measure_reply_t.temperature_mk");
_Static_assert(offsetof(rram_measure_reply_t, board_time_ns) == 8, "rram_measure_reply_t.board_time_ns");

#endif
