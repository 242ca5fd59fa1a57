"""The lab folder, its database, its chips and its locks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rramhil.errors import BoardHeld, LabUnusable, NotFound
from rramhil.lab import Lab, default_root


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_lab_is_created_with_its_parents_and_opened_again(tmp_path: Path):
    root = tmp_path / "some" / "where" / "lab"
    with Lab(root) as lab:
        lab.chips.see("chip-1", "board-1", 0)
    with Lab(root) as lab:
        assert lab.root == root
        assert lab.chips.get("chip-1").slot == 0
        assert lab.maps.list() == []


@pytest.mark.parametrize("place", ["lab", "file/lab", "file/deeper/lab"])
def test_a_lab_that_cannot_be_made_says_which_path_and_why(tmp_path: Path, place: str):
    blocked = tmp_path / place.split("/")[0]
    blocked.write_text("a file, not a folder")
    with pytest.raises(LabUnusable) as refusal:
        Lab(tmp_path / place)
    assert refusal.value.exit_code == 2
    assert str(tmp_path / place) in refusal.value.sentence
    assert refusal.value.sentence.count(". ") == 0
    assert "--lab" in refusal.value.next_step
    assert blocked.read_text() == "a file, not a folder"


def test_a_lab_whose_parts_are_blocked_is_refused(lab_root: Path):
    lab_root.mkdir()
    (lab_root / "maps").write_text("")
    with pytest.raises(LabUnusable, match="maps"):
        Lab(lab_root)


def test_a_database_that_is_none_is_refused(lab_root: Path):
    lab_root.mkdir()
    (lab_root / "lab.sqlite3").write_bytes(b"nothing that SQLite wrote" * 100)
    with pytest.raises(LabUnusable, match=r"lab\.sqlite3 is damaged") as refusal:
        Lab(lab_root)
    assert refusal.value.next_step.startswith("Restore it from a copy")


def test_a_database_damaged_in_use_is_refused_likewise(lab_root: Path):
    with Lab(lab_root) as lab:
        lab.chips.see("chip-1", "board-1", 0)
    path = lab_root / "lab.sqlite3"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(LabUnusable, match=r"lab\.sqlite3 is damaged"), Lab(lab_root) as lab:
        lab.chips.get("chip-1")


def test_a_database_of_a_newer_version_is_refused_and_left_alone(lab_root: Path):
    Lab(lab_root).close()
    with sqlite3.connect(lab_root / "lab.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LabUnusable, match="schema 99"):
        Lab(lab_root)


def test_the_database_is_as_durable_as_promised(lab_root: Path):
    with Lab(lab_root) as lab, lab._database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_several_processes_may_create_and_use_one_lab_at_once(lab_root: Path):
    code = """
import sys
from pathlib import Path
from rramhil.lab import Lab
sys.stdin.readline()
with Lab(Path(sys.argv[1])) as lab:
    for n in range(20):
        lab.chips.see(f"chip-{sys.argv[2]}-{n}", "board", n)
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(lab_root), str(n)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    complaints = []
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        complaints.append(worker.communicate(timeout=60)[1])
    assert [worker.returncode for worker in workers] == [0, 0, 0], complaints
    with Lab(lab_root) as lab:
        assert len(lab.chips.list()) == 60


def test_one_lab_serves_several_threads(lab_root: Path):
    with Lab(lab_root) as lab:
        threads = [
            threading.Thread(target=lambda n=n: lab.chips.see(f"chip-{n}", "board", n))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {chip.slot for chip in lab.chips.list()} == set(range(8))


def test_the_default_folder_is_what_the_user_named_else_their_own(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("RRAMHIL_LAB", str(tmp_path / "named"))
    assert default_root() == tmp_path / "named"
    monkeypatch.delenv("RRAMHIL_LAB")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert default_root() == tmp_path / "home" / "rramhil" / "lab"


# --- chips ------------------------------------------------------------------------------------


def test_a_chip_that_moves_keeps_its_first_sighting(lab_root: Path):
    with Lab(lab_root) as lab:
        first = lab.chips.see("chip-1", "board-1", 0)
        moved = lab.chips.see("chip-1", "board-2", 3)
    assert moved.first_seen == first.first_seen
    assert moved.last_seen > first.last_seen
    assert (moved.board_serial, moved.slot) == ("board-2", 3)


def test_a_retired_chip_leaves_its_slot_and_stays_on_record(lab_root: Path):
    with Lab(lab_root) as lab:
        lab.chips.see("chip-1", "board-1", 0)
        lab.chips.see("chip-2", "board-1", 0)
        assert lab.chips.in_slot("board-1", 0) == lab.chips.get("chip-2")
        retired = lab.chips.retire("chip-2")
        assert retired.retired is not None
        assert lab.chips.retire("chip-2") == retired
        assert lab.chips.in_slot("board-1", 0) == lab.chips.get("chip-1")
        assert lab.chips.see("chip-2", "board-1", 0).retired is None
        assert lab.chips.in_slot("board-1", 7) is None


def test_a_chip_nobody_saw_is_not_found(lab_root: Path):
    with Lab(lab_root) as lab:
        with pytest.raises(NotFound, match="chip-9"):
            lab.chips.get("chip-9")
        with pytest.raises(NotFound):
            lab.chips.retire("chip-9")


# --- locks ------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from rramhil.lab import Lab
with Lab(Path(sys.argv[1])).lock("SN 7/a"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_board_held_by_another_process_says_who_holds_it(lab_root: Path):
    with Lab(lab_root) as lab:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(lab_root)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(BoardHeld) as refusal, lab.lock("SN 7/a"):
                pass
            assert refusal.value.exit_code == 5
            assert "SN 7/a" in refusal.value.sentence
            assert f"process {holder.pid}" in refusal.value.sentence
            with lab.lock("SN 7_a"):  # same once sanitised, yet another board
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        # The note of the killed process is still there, and holds nobody up.
        with lab.lock("SN 7/a") as now:
            assert now.pid == os.getpid()


def test_a_board_is_held_against_the_same_process_too_and_freed_at_the_end(lab_root: Path):
    with Lab(lab_root) as lab, Lab(lab_root) as other:
        with lab.lock("b"), pytest.raises(BoardHeld), other.lock("b"):
            pass
        with other.lock("b"):
            pass
        with pytest.raises(ZeroDivisionError), lab.lock("b"):
            _ = 1 / 0
        with lab.lock("b"):
            pass
        assert list((lab_root / "locks").glob("*.json")) == []


def test_a_holder_whose_note_cannot_be_read_still_holds(lab_root: Path):
    with Lab(lab_root) as lab, lab.lock("b"):
        (lab_root / "locks" / "b.holder.json").write_text("{half")
        with pytest.raises(BoardHeld, match="another program"), lab.lock("b"):
            pass


@pytest.mark.parametrize("serial", ["", ".", "../../etc/passwd", "x" * 500, "a\0b", "日本"])
def test_no_serial_leads_out_of_the_folder_of_locks(lab_root: Path, serial: str):
    with Lab(lab_root) as lab, lab.lock(serial):
        assert len(list((lab_root / "locks").iterdir())) == 2
        with pytest.raises(BoardHeld), lab.lock(serial):
            pass


# --- what is imported -------------------------------------------------------------------------


def test_the_lab_loads_neither_torch_nor_matplotlib_nor_numba():
    code = (
        "import sys, rramhil.lab, rramhil.lab.exchange\n"
        "print([m for m in ('torch', 'matplotlib', 'numba') if m in sys.modules])"
    )
    assert run_python(code).stdout == "[]\n"
