"""`rramhil program` and what follows from it, in processes of their own over the real wire."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from rramhil.lab import load_map
from rramhil.simulation import SimulatedBoardName, inspect
from sim_backend.cells import CellFlag
from tests.support.boards import endpoint
from tests.support.cli import Cli, Outcome, finished
from tests.support.proxy import TcpProxy

CELLS = 512 * 512
# The keys of DESIGN.md, section 7, on which others rely.
PROGRAM_KEYS = {
    *("chip", "board", "recipe", "cells", "pulses", "formed", "formed_fraction"),
    *("conductance_uS", "map", "heatmap", "board_time_s", "wall_time_s", "resumed", "unknown"),
}
INSPECT_KEYS = {"form_pulses_min", "form_pulses_max", "set_pulses", "reset_pulses", "formed"}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab whose simulated board 0 is programmed by the fixture `first`."""
    return Cli(tmp_path_factory.mktemp("programmed"))


@pytest.fixture(scope="module")
def first(cli: Cli) -> Outcome:
    return cli("program", "--chip", "0", "--json", "--notes", "die 7")


@pytest.fixture
def fresh(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_program_forms_every_cell_once_and_says_so_in_one_object(cli: Cli, first: Outcome) -> None:
    said = first.json
    assert said.keys() >= PROGRAM_KEYS
    assert said["board"].keys() >= {"serial", "simulated", "firmware"}
    assert said["conductance_uS"].keys() >= {"mean", "sd", "skew"}
    assert (said["cells"], said["pulses"], said["formed"]) == (CELLS, CELLS, CELLS)
    assert (said["recipe"], said["resumed"], said["unknown"]) == ("dense", False, 0)
    assert Path(said["map"]).is_file()
    assert Path(said["heatmap"]).read_bytes().startswith(b"\x89PNG")
    truth = cli("sim", "inspect", "--chip", "0", "--json").json
    assert truth.keys() >= INSPECT_KEYS
    assert (truth["form_pulses_min"], truth["form_pulses_max"]) == (1, 1)
    assert (truth["set_pulses"], truth["reset_pulses"], truth["formed"]) == (0, 0, CELLS)


def test_the_first_line_says_which_board_it_is_and_that_it_is_simulated(
    cli: Cli, first: Outcome
) -> None:
    line = first.stderr.splitlines()[0]
    assert line.startswith("Simulated board SIM-0 ")
    assert " at sim://" in line
    assert str(cli.lab) in line


def test_a_second_run_fires_nothing_says_so_and_reads_back(cli: Cli, first: Outcome) -> None:
    again = cli("program", "--chip", "0")
    assert "pulses       0" in again.stdout
    assert "had its one pulse" in again.stdout
    assert "wall time" in again.stdout
    assert "board time" in again.stdout
    maps = cli("map", "list", "--chip", "0", "--json").json["maps"]
    assert [each["kind"] for each in maps] == ["readback", "readback", "virgin"]
    assert maps[1]["notes"] == "die 7"


def test_a_dry_run_tells_pulses_time_and_energy_and_touches_nothing(fresh: Cli) -> None:
    said = fresh("program", "--recipe", "sparse", "--dry-run", "--json").json
    assert (said["dry_run"], said["recipe"], said["pulses"]) == (True, "sparse", CELLS)
    assert said["board_time_s"] > 5
    assert 0 < said["energy_j"] < 1
    assert inspect(SimulatedBoardName(fresh.lab), 0).conversions == 0
    assert "would get" in fresh("program", "--dry-run").stdout


def test_a_recipe_file_outside_the_limits_is_refused_before_anything_is_fired(fresh: Cli) -> None:
    (fresh.folder / "hot.toml").write_text(
        'name = "hot"\n[[steps]]\namplitude_v = 4.5\nwidth_ns = 100_000\ncompliance_a = 100e-6\n'
    )
    refused = fresh("program", "--recipe", "hot.toml", "--json", code=7)
    assert refused.json["error"]["exit_code"] == 7
    assert "4.5 V" in refused.json["error"]["sentence"]
    assert "limit" in refused.sentences
    truth = fresh("sim", "inspect", "--json").json
    assert (truth["form_pulses"], truth["conversions"]) == (0, 0)


def test_what_is_no_recipe_is_refused_without_a_board(fresh: Cli) -> None:
    refused = fresh("program", "--recipe", "dens", "--board", "tcp://127.0.0.1:1", code=3)
    assert "dense, sparse, ladder" in refused.sentences


def test_a_fresh_chip_is_programmed_again_and_the_old_one_is_retired(fresh: Cli) -> None:
    quarter = fresh.folder / "quarter.toml"
    quarter.write_text(
        'name = "quarter"\n[[steps]]\namplitude_v = 4.0\nwidth_ns = 100_000\n'
        'compliance_a = 100e-6\nrows = "0:128"\n'
    )
    first = fresh("program", "--recipe", str(quarter), "--reads", "1", "--json").json
    replaced = fresh("sim", "replace", "--shorts", "2", "--dead-rows", "3,7", "--json").json
    assert replaced["retired"] == first["chip_serial"]
    truth = inspect(SimulatedBoardName(fresh.lab), 0)
    assert (truth.serial, truth.form_pulses_max) == (replaced["serial"], 0)
    assert (truth.cells.flags == CellFlag.SHORTED).sum() == 2
    assert (truth.cells.flags == CellFlag.OPEN).all(axis=1).nonzero()[0].tolist() == [3, 7]
    planned = fresh("program", "--recipe", str(quarter), "--dry-run", "--json").json
    assert planned["chip_serial"] == replaced["serial"] != first["chip_serial"]
    assert planned["pulses"] == 128 * 512


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_the_board_idle_and_resume_ends_with_one_pulse_a_cell(
    fresh: Cli, stop: signal.Signals
) -> None:
    name = SimulatedBoardName(fresh.lab)
    with fresh.served("--tcp", "127.0.0.1:0") as (address,):
        # each answer is late, so that forming takes long enough to be interrupted
        with (
            TcpProxy(endpoint(address), delay_to_client_s=0.05) as proxy,
            fresh.start("program", "--board", proxy.address, "--json") as working,
        ):
            while inspect(name, 0).form_pulses_total == 0:
                assert working.poll() is None
                time.sleep(0.01)
            working.send_signal(stop)
            stopped = finished(working)
        assert stopped.code == 130, stopped
        assert stopped.json["error"]["type"] == "Interrupted"
        assert "--resume" in stopped.sentences
        assert "Traceback" not in stopped.stderr
        fired = inspect(name, 0).form_pulses_total
        assert 0 < fired < CELLS
        status = fresh("board", "info", "--board", address, "--json").json["status"]
        assert (status["state"], status["controller_session"]) == ("IDLE", 0)
        resumed = fresh("program", "--board", address, "--resume", "--json").json
    assert resumed["resumed"] is True
    assert (resumed["pulses"], resumed["unknown"]) == (CELLS - fired, 0)
    truth = fresh("sim", "inspect", "--json").json
    assert (truth["form_pulses_min"], truth["form_pulses_max"]) == (1, 1)


def test_a_recorded_programming_run_replays_as_a_board(fresh: Cli) -> None:
    tape = fresh.folder / "run.tape"
    asked = ("program", "--recipe", "sparse", "--reads", "2", "--json")
    elsewhere = Cli(fresh.folder, lab=fresh.folder / "elsewhere")
    measured = fresh(*asked, "--record", str(tape)).json
    replayed = elsewhere(*asked, "--board", f"tape://{tape}").json
    assert replayed["formed"] == measured["formed"]
    assert replayed["pulses"] == CELLS
    ours, theirs = (load_map(Path(result["map"])) for result in (measured, replayed))
    assert ours.codes.tobytes() == theirs.codes.tobytes()


def test_read_measures_chosen_cells_once_or_as_a_series(fresh: Cli) -> None:
    once = fresh("read", "--rows", "0:2", "--cols", "9,5", "--reads", "3", "--json").json
    assert (once["rows"], once["cols"], once["reads"]) == ([0, 1], [5, 9], 3)
    assert len(once["conductance_uS"]) == len(once["sd_uS"]) == 2
    assert 0 < once["conductance_uS"][0][0] < 1
    series = ("--reads", "3", "--every", "0.05", "--save")
    said = fresh("read", "--rows", "0", "--cols", "0:3", *series, "--json").json
    assert len(said["series"]) == 3
    assert [len(each["conductance_uS"][0]) for each in said["series"]] == [3, 3, 3]
    assert [each["late_s"] for each in said["series"]] == [0, 0, 0]
    times_s = [each["board_time_s"] for each in said["series"]]
    assert sorted(set(times_s)) == times_s
    hurried = fresh("read", "--rows", "0", "--cols", "0:3", "--reads", "3", "--every", "1e-6")
    assert hurried.stderr.count("later than asked for") == 1
    assert "--every 1e-06 s" in hurried.stderr
    kept = fresh("map", "show", said["map_id"], "--json").json
    assert (kept["kind"], kept["reads"], kept["rows"], kept["cols"]) == ("read", 3, 1, 3)
    assert "col 9" in fresh("read", "--rows", "0:2", "--cols", "5,9").stdout
    refused = fresh("read", "--rows", "0:x", "--cols", "0", "--json", code=2)
    assert refused.json["error"]["type"] == "UsageError"
