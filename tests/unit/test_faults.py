"""Faults as values and files, and what they do to a stream of frames; no board, no wall time."""

from __future__ import annotations

import re
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
        (
            '[[link]]\nfault = "gone"',
            r"\[\[link\]\] number 1 has fault 'gone': .*'lost', 'repeated'",
        ),
        ("[[board]]\nline = 1", r"\[\[board\]\] number 1 does not say which fault: .*'brown_out'"),
        ('[board]\nfault = "slow"', r"\[board\] has single brackets: write \[\[board\]\]"),
        ("link = 3", r"link is 3: tables are wanted, each with the heading \[\[link\]\]"),
        ("[[chip]]\ndead = 1", r"no table with the heading \[chip\], in single brackets"),
        ('[chip]\ndead_rows = "3"', r"\[chip\] dead_rows is '3': a list of integers is wanted"),
        ("[chip]\nstuk = 1", r"\[chip\] has no key 'stuk'; its keys are shorted, dead, "),
        (
            "[chip]\nstuck_on_cells = [[3, 4]]\nstuck_off_cells = [[1, 1], [3, 4]]",
            r"\[chip\]: cell \[3, 4\] is in stuck_on_cells and in stuck_off_cells; a cell has one",
        ),
        (
            "[chip]\ndead_cells = [[1]]",
            r"\[chip\] dead_cells\[0\] is \[1\]: \[row, column\] is wanted",
        ),
        ("[chip]\ndead_cells = 3", r"dead_cells is 3: a list is wanted, such as \[\[3, 5\]"),
        (
            '[[link]]\nfault = "lost"\ndirection = "up"\nevery = 1',
            r"number 1 \(lost\) direction is 'up': 'to_board' or 'to_host' is wanted",
        ),
        (
            '[[link]]\nfault = "lost"\ndirection = "to_host"',
            r"\[\[link\]\] number 1 \(lost\): exactly one of every, frames and probability",
        ),
        (
            '[[link]]\nfault = "lost"\ndirection = "to_host"\nprobability = 1.5',
            r"probability is 1\.5: at most 1",
        ),
        ('[[board]]\nfault = "brown_out"', r"number 1 \(brown_out\) has no 'operation'"),
        (f"{LOST}every = 1\nevry = 2", r"\(lost\) has no key 'evry'; its keys are .*every"),
        (f"{LOST}frames = [0]", r"frames\[0\] is 0: at least 1 is wanted"),
        (f"{LOST}frames = []", r"frames is \[\]: a list of at least one"),
        ("[chip]\nshorted = -1", r"\[chip\] shorted is -1: at least 0 is wanted"),
        ("colour = 1", "the file has no key 'colour'; its keys are seed, link, board, chip"),
        ("seed =", "is not TOML"),
        ("seed = true", "seed is True: an integer is wanted"),
        (f"{LOST}every = true", "every is True: an integer is wanted"),
        (f"{LOST}frames = [true]", "is True: an integer is wanted"),
        (f"{LOST}probability = true", "probability is True: a number is wanted"),
        ("[chip]\ndead_rows = [true]", r"dead_rows\[0\] is True: an integer is wanted"),
        ("[chip]\nshorted = true", "shorted is True: an integer is wanted"),
        (f"{DRIFT}codes_per_s = true", "codes_per_s is True: a number is wanted"),
        (f"{DRIFT}codes_per_s = nan", "codes_per_s is nan: a finite number is wanted"),
    ],
)
def test_a_file_that_asks_for_what_there_is_not_is_refused_in_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "faults.toml").write_text(text)
    with pytest.raises(FaultsError, match=sentence) as refusal:
        load(tmp_path / "faults.toml")
    assert str(refusal.value).count("\n") == 0
    assert not re.search("tuple|discriminator|keyword|input should|instance", str(refusal.value))


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
