"""Faults as values and files, and what they do to a stream of frames; no board, no wall time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_protocol.framing import FrameDecoder, encode
from sim_backend.defects import Defects
from sim_backend.errors import FaultsError, NoFaultsFile
from sim_backend.faults import (
    BrownOut,
    Cut,
    Delayed,
    Faults,
    Flipped,
    Lost,
    Merged,
    Repeated,
    Split,
    StuckSwitch,
    load,
)
from sim_backend.faults.lanes import Lane, Schedule
from sim_backend.faults.supply import Supply

FRAMES = [encode(7, 1, n, bytes([n]) * (3 * n)) for n in range(1, 13)]
FILE = """
seed = 5

[[link]]
fault = "lost"
direction = "to_board"
every = 10

[[board]]
fault = "stuck_switch"
line = 17
state = "RAIL_A"

[chip]
shorted = 3
dead_rows = [4]
"""
LOST = '[[link]]\nfault = "lost"\ndirection = "to_board"\n'
DRIFT = '[[board]]\nfault = "drifting_tia"\nchannel = 1\nrange = 0\n'


def lane(*faults: Any, seed: int = 0) -> Lane:
    return Lane(Schedule(Faults(seed=seed, link=faults), "to_board"))


def through(one: Lane, frames: list[bytes] = FRAMES, now_s: float = 0.0) -> list[bytes]:
    """What comes out at once, fed frame by frame."""
    out: list[bytes] = []
    for frame in frames:
        one.feed(frame, now_s)
        out += one.take(now_s)
    return out


def struck(fault: type, **options: Any) -> Any:
    return fault(direction="to_board", **{"frames": (3,), **options})


# --- the file -----------------------------------------------------------------------------------


def test_a_file_says_what_python_says(tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text(FILE)
    assert load(tmp_path / "faults.toml") == Faults(
        seed=5,
        link=(Lost(direction="to_board", every=10),),
        board=(StuckSwitch(line=17, state="RAIL_A"),),
        chip=Defects(shorted=3, dead_rows=(4,)),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[link]]\nfault = "gone"', r"link\.0: input tag 'gone' .* 'lost', 'repeated'"),
        (
            '[[link]]\nfault = "lost"\ndirection = "up"\nevery = 1',
            r"link\.0\.lost\.direction is 'up': input should be 'to_board' or 'to_host'",
        ),
        (
            '[[link]]\nfault = "lost"\ndirection = "to_host"',
            r"link\.0\.lost: exactly one of every, frames and probability",
        ),
        (
            '[[link]]\nfault = "lost"\ndirection = "to_host"\nprobability = 1.5',
            r"probability is 1\.5: input should be less than or equal to 1",
        ),
        ('[[board]]\nfault = "brown_out"', r"board\.0\.brown_out\.operation: field required"),
        ("[chip]\nshort = 1", r"chip\.short is 1: .*"),
        ("[chip]\nshorted = -1", r"chip\.shorted is -1: input should be greater than or equal"),
        ("colour = 1", "colour is 1: extra inputs are not permitted"),
        ("seed =", "is not TOML"),
        ("seed = true", "seed is True: input should be a valid integer"),
        (f"{LOST}every = true", "every is True: input should be a valid integer"),
        (f"{LOST}frames = [true]", "is True: input should be a valid integer"),
        (f"{LOST}probability = true", "probability is True: input should be a valid number"),
        ("[chip]\ndead_rows = [true]", "is True: input should be a valid integer"),
        ("[chip]\nshorted = true", "shorted is True: input should be a valid integer"),
        (f"{DRIFT}codes_per_s = true", "codes_per_s is True: input should be a number"),
    ],
)
def test_a_file_that_asks_for_what_there_is_not_is_refused_in_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "faults.toml").write_text(text)
    with pytest.raises(FaultsError, match=sentence) as refusal:
        load(tmp_path / "faults.toml")
    assert str(refusal.value).count("\n") == 0


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoFaultsFile, match="There is no file of faults"):
        load(tmp_path / "faults.toml")


# --- the link -----------------------------------------------------------------------------------


def test_every_third_frame_is_lost() -> None:
    kept = [frame for n, frame in enumerate(FRAMES, 1) if n % 3]
    assert through(lane(Lost(direction="to_board", every=3))) == kept


def test_faults_of_the_other_direction_do_nothing() -> None:
    assert through(lane(Lost(direction="to_host", every=1))) == FRAMES


def test_a_repeated_frame_comes_again_so_many_times() -> None:
    out = through(lane(struck(Repeated, times=2)))
    assert out == [*FRAMES[:2], *FRAMES[2:3] * 3, *FRAMES[3:]]


def test_a_delayed_frame_is_overtaken_by_so_many_others() -> None:
    out = through(lane(struck(Delayed, by_frames=2)))
    assert out == [*FRAMES[:2], *FRAMES[3:5], FRAMES[2], *FRAMES[5:]]


def test_a_delayed_frame_is_late_by_so_many_seconds() -> None:
    one = lane(struck(Delayed, by_s=0.5))
    assert through(one) == FRAMES[:2] + FRAMES[3:]
    assert one.due_s() == 0.5
    assert one.take(0.49) == []
    assert one.take(0.5) == [FRAMES[2]]
    assert one.due_s() is None


def test_so_many_bits_are_flipped_at_places_of_the_seed() -> None:
    def damage(seed: int) -> int:
        out = through(lane(struck(Flipped, bits=2), seed=seed))
        assert out[:2] + out[3:] == FRAMES[:2] + FRAMES[3:]
        return int.from_bytes(out[2]) ^ int.from_bytes(FRAMES[2])

    assert damage(1).bit_count() == damage(2).bit_count() == 2
    assert damage(1) == damage(1) != damage(2)


def test_a_cut_frame_lacks_its_tail() -> None:
    out = through(lane(struck(Cut, missing=9)))
    assert out == [*FRAMES[:2], FRAMES[2][:-9], *FRAMES[3:]]


def test_merged_frames_arrive_in_one_piece() -> None:
    out = through(lane(struck(Merged, count=3)))
    assert out == [*FRAMES[:2], b"".join(FRAMES[2:5]), *FRAMES[5:]]


def test_a_merged_frame_does_not_wait_for_ever() -> None:
    one = lane(struck(Merged, count=3, within_s=0.1))
    assert through(one, FRAMES[:4]) == FRAMES[:2]
    assert one.due_s() == pytest.approx(0.1)
    assert one.take(0.1) == [b"".join(FRAMES[2:4])]


def test_a_split_frame_arrives_in_pieces_and_nothing_comes_between() -> None:
    one = lane(struck(Split, pieces=3, pause_s=1.0))
    out = through(one, FRAMES[:4])
    assert b"".join(out) == b"".join(FRAMES[:2]) + FRAMES[2][:13]
    assert one.take(1.0) == [FRAMES[2][13:26]]
    assert one.take(2.0) == [FRAMES[2][26:], FRAMES[3]]


def test_a_probability_strikes_the_same_frames_every_time_and_about_as_many_as_it_says() -> None:
    frames = [encode(7, 1, n) for n in range(4000)]

    def lost(seed: int) -> set[bytes]:
        fault = Lost(direction="to_board", probability=0.25)
        return set(frames) - set(through(lane(fault, seed=seed), frames))

    assert lost(1) == lost(1) != lost(2)
    assert 850 < len(lost(1)) < 1150


@given(st.data())
def test_however_the_bytes_are_cut_the_same_frames_are_struck(data: st.DataObject) -> None:
    stream = b"\x00garbage" + b"".join(FRAMES) + b"RR"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
    one = lane(Lost(direction="to_board", every=4))
    out = b""
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        one.feed(stream[start:stop], 0.0)
        out += b"".join(one.take(0.0))
    kept = [frame for n, frame in enumerate(FRAMES, 1) if n % 4]
    assert out.startswith(b"\x00garbage" + b"".join(kept))
    assert [frame.sequence for frame in FrameDecoder().feed(out)] == [
        n for n in range(1, 13) if n % 4
    ]


# --- the supply ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
@pytest.mark.parametrize(("moment", "begun"), [("before", 9), ("during", 10)])
def test_the_supply_fails_at_the_operation_asked_for_and_once(
    batch: int, moment: Any, begun: int
) -> None:
    supply = Supply((BrownOut(operation=10, moment=moment, off_s=0.1),))
    done = 0
    while (dip := supply.draw(batch)) is None:
        done += batch
    assert (done + dip.ended, done + dip.begun) == (9, begun)
    assert all(supply.draw(batch) is None for _ in range(100))
