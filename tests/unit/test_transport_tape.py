"""A tape keeps what crossed the wire, replays it, and names what was changed in it."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_protocol.framing import OVERHEAD_BYTES, FrameDecoder
from rramhil.errors import LinkLost, NotFound, TapeError
from rramhil.transport import Pipe, open_pipe
from rramhil.transport._tape_file import SIGNATURE, Direction, TapeWriter, load
from rramhil.transport._tape_frames import frames_of
from tests.support import conversation as talk


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return talk.record(tmp_path_factory.mktemp("tape") / "run.tape", talk.run())


def opened(path: Path) -> Pipe:
    return open_pipe(f"tape://{path}", lab_root=path.parent)


def answer(pipe: Pipe, sent: bytes) -> bytes:
    pipe.write(sent)
    return drained(pipe)


def drained(pipe: Pipe) -> bytes:
    data = b""
    while piece := pipe.read(0):
        data += piece
    return data


# --- recording -----------------------------------------------------------------------------


def test_a_tape_holds_every_byte_of_both_directions_in_order(tape):
    records, damages = load(tape)
    assert damages == []
    for direction, index in ((Direction.TO_BOARD, 0), (Direction.TO_HOST, 1)):
        kept = b"".join(record.data for record in records if record.direction == direction)
        said = b"".join(sent if index == 0 else b"".join(answers) for sent, answers in talk.run())
        assert kept == said
    times = [record.time_ns for record in records]
    assert times == sorted(times)


def test_a_tape_begins_with_the_address_and_the_software(tape):
    records, _ = load(tape)
    assert records[0].direction == Direction.NOTE
    assert b'"address": "tcp://192.0.2.1:7400"' in records[0].data
    assert b'"software": "rramhil ' in records[0].data


def test_a_tape_cut_between_records_is_whole_up_to_there(tape, tmp_path):
    content = tape.read_bytes()
    records, _ = load(tape)
    short = tmp_path / "short.tape"
    short.write_bytes(content[: records[4].offset])
    kept, damages = load(short)
    assert (kept, damages) == (records[:4], [])


def test_every_record_is_in_the_file_as_soon_as_its_bytes_passed(tmp_path):
    path = tmp_path / "run.tape"
    pipe = open_pipe(f"tape://{talk.record(tmp_path / 'old', talk.run())}", lab_root=tmp_path)
    pipe.close()
    with closing(open_pipe(f"tape://{tmp_path / 'old'}", lab_root=tmp_path, record=path)) as pipe:
        for sent, answers in talk.run()[:2]:
            assert answer(pipe, sent) == b"".join(answers)
            assert load(path)[0][-1].data == b"".join(answers)


def test_an_existing_tape_is_never_overwritten(tape):
    before = tape.read_bytes()
    with pytest.raises(TapeError, match="exists already"):
        open_pipe(f"tape://{tape}", lab_root=tape.parent, record=tape)
    assert tape.read_bytes() == before


def test_a_tape_that_cannot_be_created_is_refused(tape, tmp_path):
    with pytest.raises(TapeError, match=r"cannot be created \(No such file or directory\)"):
        open_pipe(f"tape://{tape}", lab_root=tmp_path, record=tmp_path / "no" / "run.tape")


def test_a_full_disk_is_reported(tmp_path):
    writer = TapeWriter(tmp_path / "run.tape", {})
    writer._file.close()
    with (
        open("/dev/full", "wb", buffering=0) as writer._file,
        pytest.raises(TapeError, match=r"cannot be written \(No space left on device\)"),
    ):
        writer.record(Direction.TO_HOST, b"x")


# --- replay --------------------------------------------------------------------------------


def test_a_tape_replays_as_the_board_it_recorded(tape):
    with closing(opened(tape)) as pipe:
        assert pipe.address == f"tape://{tape}"
        for sent, answers in talk.run():
            if sent[12:16] != bytes(4) or sent == talk.hello():
                assert answer(pipe, sent) == b"".join(answers)


def test_a_replay_takes_another_nonce_and_another_client(tape):
    with closing(opened(tape)) as pipe:
        assert answer(pipe, talk.hello(nonce=9, client="someone else")) == (
            talk.hello_reply(nonce=9)
        )
        assert answer(pipe, talk.pulse(1)) == talk.pulse_reply(1)


def test_a_repeated_nonce_gets_the_same_reply_and_a_new_one_the_next_session(tmp_path):
    again = [(talk.hello(nonce=2), [talk.hello_reply(8, nonce=2)])]
    path = talk.record(tmp_path / "run.tape", talk.run() + again)
    with closing(opened(path)) as pipe:
        for _ in range(2):
            assert answer(pipe, talk.hello(nonce=5)) == talk.hello_reply(nonce=5)
        assert answer(pipe, talk.hello(nonce=6)) == talk.hello_reply(8, nonce=6)
        with pytest.raises(TapeError, match=r"holds no more than 2 session\(s\)"):
            pipe.write(talk.hello(nonce=7))


def test_a_host_may_keep_more_in_flight_than_when_it_was_recorded(tape):
    sent = [talk.pulse(1), talk.read(2), talk.pulse(3, width_ns=2000)]
    with closing(opened(tape)) as pipe:
        answer(pipe, talk.hello())
        pipe.write(b"".join(sent))
        assert drained(pipe) == b"".join(
            [
                talk.pulse_reply(1),
                talk.chunk(2, 0),
                talk.chunk(2, 1),
                talk.read_reply(2),
                talk.pulse_reply(3),
            ]
        )


def test_frames_may_arrive_in_any_pieces(tape):
    with closing(opened(tape)) as pipe:
        data = b""
        for byte in talk.hello() + talk.pulse(1):
            data += answer(pipe, bytes([byte]))
        assert data == talk.hello_reply() + talk.pulse_reply(1)


def test_a_command_sent_again_is_answered_again(tape):
    with closing(opened(tape)) as pipe:
        answer(pipe, talk.hello())
        for _ in range(3):
            assert answer(pipe, talk.pulse(1)) == talk.pulse_reply(1)


def test_heartbeats_get_the_last_recorded_status_and_other_frames_without_number_nothing(tape):
    with closing(opened(tape)) as pipe:
        answer(pipe, talk.hello())
        assert answer(pipe, talk.status(99)) == talk.status_reply(2)
        assert answer(pipe, talk.encode(talk.Command.CREDIT, talk.SESSION, 0, b"", 8, 5)) == b""


def test_heartbeats_get_nothing_where_none_was_recorded(tmp_path):
    path = talk.record(tmp_path / "run.tape", talk.run()[:2])
    with closing(opened(path)) as pipe:
        answer(pipe, talk.hello())
        assert answer(pipe, talk.status()) == b""


def test_losses_of_the_recorded_link_do_not_come_back(tmp_path):
    lossy = [
        (talk.hello(), [talk.hello_reply()]),
        (talk.pulse(1), [talk.pulse_reply(1)]),
        (talk.pulse(3), [talk.expected(3, missing=2)]),
        (talk.read(2), [talk.chunk(2, 0), b"RH garbage", talk.chunk(2, 2), talk.read_reply(2)]),
        (talk.read(2), [talk.chunk(2, 1), talk.chunk(2, 2), talk.read_reply(2)]),
        (talk.pulse(3), [talk.pulse_reply(3)]),
    ]
    path = talk.record(tmp_path / "run.tape", lossy)
    with closing(opened(path)) as pipe:
        answer(pipe, talk.hello())
        pipe.write(talk.pulse(1) + talk.read(2) + talk.pulse(3))
        chunks = [talk.chunk(2, number) for number in range(3)]
        assert drained(pipe) == b"".join(
            [talk.pulse_reply(1), *chunks, talk.read_reply(2), talk.pulse_reply(3)]
        )


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (
            talk.pulse(1, width_ns=1001),
            r"PULSE_ROWS with sequence 1 is not what the tape .* recorded: byte ([\d,]+) of the "
            r"tape \(frame 3, host to board, .*width_ns.*\) is 0xe8, 0xe9 was sent",
        ),
        (talk.pulse(2), r"byte ([\d,]+) of the tape \(frame 7, .*type.*\) is 0x22, 0x20 was sent"),
        (
            talk.pulse(1, rows=5),
            r"byte ([\d,]+) of the tape \(frame 3, .*length.*\) is 0x[0-9a-f]{2}, 0x",
        ),
    ],
)
def test_a_command_that_is_not_the_recorded_one_is_named(tape, sent, words):
    with closing(opened(tape)) as pipe:
        answer(pipe, talk.hello())
        with pytest.raises(TapeError, match=words) as caught:
            pipe.write(sent)
        recorded = int(caught.value.sentence.split("byte ")[1].split(" ")[0].replace(",", ""))
        value = int(caught.value.sentence.split(" is 0x")[1][:2], 16)
        assert tape.read_bytes()[recorded] == value
        with pytest.raises(TapeError):
            pipe.read(0)
        with pytest.raises(TapeError):
            pipe.write(talk.pulse(1))


def test_a_hello_with_other_terms_is_named(tape):
    with closing(opened(tape)) as pipe, pytest.raises(TapeError, match=r"frame 1, .*window"):
        pipe.write(talk.hello(window=9))


def test_a_command_beyond_the_tape_is_refused(tape):
    with closing(opened(tape)) as pipe:
        answer(pipe, talk.hello())
        with pytest.raises(TapeError, match=r"no command with sequence 4 in session 7, and PULSE"):
            pipe.write(talk.pulse(4))


def test_a_command_that_was_never_answered_loses_the_link_after_what_was(tmp_path):
    path = talk.record(tmp_path / "run.tape", [*talk.run()[:2], (talk.read(2), [talk.chunk(2, 0)])])
    with closing(opened(path)) as pipe:
        answer(pipe, talk.hello())
        pipe.write(talk.pulse(1) + talk.read(2))
        pipe.write(talk.status())
        assert pipe.read(0) == talk.pulse_reply(1) + talk.chunk(2, 0)
        with pytest.raises(LinkLost, match=r"holds no reply to frame 5, .* READ_CELLS with seq"):
            pipe.read(60)


def test_a_wake_and_a_close_end_a_read_of_a_tape(tape):
    pipe = opened(tape)
    woken = threading.Event()
    lost: list[LinkLost] = []

    def read() -> None:
        try:
            while True:
                if pipe.read(60) == b"":
                    woken.set()
        except LinkLost as error:
            lost.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    pipe.wake()
    assert woken.wait(30)
    pipe.close()
    pipe.close()
    reader.join(30)
    assert "closed on this side" in str(lost[0])


# --- damage --------------------------------------------------------------------------------


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_one_changed_byte_is_named_with_its_values(tape, tmp_path, data):
    content = tape.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = data.draw(st.integers(1, 255))
    error = damaged(tmp_path, content, {at: content[at] ^ flipped})
    values = f"0x{content[at]:02x} became 0x{content[at] ^ flipped:02x}"
    assert (
        error.sentence.startswith(f"Byte {at:,} of the tape ")
        and error.sentence.endswith(values + ".")
    ) or f"byte {at:,} ({values})" in error.sentence


def test_a_changed_byte_of_a_frame_is_named_with_its_meaning(tape, tmp_path):
    frames = frames_of(load(tape)[0])
    content = tape.read_bytes()
    statuses = OVERHEAD_BYTES + talk.PulseRowsReply.SIZE - 4
    reply = frames[3]
    error = damaged(tmp_path, content, {reply.place(statuses + 3): 0x40})
    assert f"(frame 4, board to host, {reply.meaning(statuses + 3)})" in error.sentence
    assert "statuses[3]" in error.sentence
    assert error.sentence.endswith("0x00 became 0x40.")


def test_a_frame_across_records_is_still_one_frame(tmp_path):
    words = 20_000
    exchanges = [
        (talk.hello(), [talk.hello_reply()]),
        (talk.read(1), [talk.chunk(1, 0, words), talk.read_reply(1)]),
    ]
    path = talk.record(tmp_path / "long.tape", exchanges)
    frames = frames_of(load(path)[0])
    assert [item.frame.type for item in frames] == [1, 1, 34, 34, 34]
    at = frames[3].place(24 + talk.StreamChunk.SIZE + 2 * 15_000)
    content = path.read_bytes()
    error = damaged(tmp_path, content, {at: content[at] ^ 1})
    assert f"Byte {at:,} of" in error.sentence
    assert "words[15000]" in error.sentence


@pytest.mark.parametrize("place", ["data", "header"])
def test_more_than_one_changed_byte_is_said_to_be_that(tape, tmp_path, place):
    records, _ = load(tape)
    content = tape.read_bytes()
    start = records[5].offset + (20 if place == "data" else 0)
    changes = {at: content[at] ^ 0xA5 for at in range(start, start + 12, 3)}
    error = damaged(tmp_path, content, changes)
    assert error.sentence.startswith(
        f"More than one byte was changed in the record at byte {records[5].offset:,} of the tape"
    )


def test_further_damage_is_counted(tape, tmp_path):
    records, _ = load(tape)
    content = tape.read_bytes()
    places = [records[index].offset + 25 for index in (1, 3, 4)]
    error = damaged(tmp_path, content, {at: content[at] ^ 1 for at in places})
    assert f"Byte {places[0]:,} of the tape" in error.sentence
    assert "2 more records are damaged after it." in error.sentence


def test_an_empty_file_a_foreign_file_and_no_file_get_one_sentence_each(tmp_path):
    path = tmp_path / "x.tape"
    for content, words in (
        (b"", "is empty"),
        (b"PNG and more than sixteen bytes", "is no tape, or one of another version"),
        (SIGNATURE.replace(b"01", b"23"), "is no tape, or one of another version"),
        (SIGNATURE[:5], "was cut short: it ends at byte 5"),
        (SIGNATURE, "holds no session"),
    ):
        path.write_bytes(content)
        with pytest.raises(TapeError, match=words):
            opened(path)
    with pytest.raises(NotFound, match="There is no tape"):
        opened(tmp_path / "none.tape")
    for endless in (tmp_path, Path("/dev/zero")):
        with pytest.raises(TapeError, match="it is not a file"):
            opened(endless)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_tape_cut_within_a_record_is_said_to_be_cut_short(tape, tmp_path, data):
    content = tape.read_bytes()
    ends = {record.offset for record in load(tape)[0]} | {len(content)}
    cut = data.draw(st.integers(1, len(content) - 1).filter(lambda at: at not in ends))
    (tmp_path / "cut.tape").write_bytes(content[:cut])
    with pytest.raises(TapeError, match=f"was cut short: it ends at byte {cut:,}[,.]"):
        opened(tmp_path / "cut.tape")


def damaged(folder: Path, content: bytes, changes: dict[int, int]) -> TapeError:
    changed = bytearray(content)
    for at, value in changes.items():
        changed[at] = value
    path = folder / "damaged.tape"
    path.write_bytes(changed)
    with pytest.raises(TapeError) as caught:
        opened(path)
    return caught.value


def test_the_decoder_agrees_that_the_conversation_is_made_of_frames():
    stream = b"".join(sent + b"".join(answers) for sent, answers in talk.run())
    assert len(FrameDecoder().feed(stream)) == 14
