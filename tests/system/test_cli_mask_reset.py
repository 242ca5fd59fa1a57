"""`rramhil mask apply --by reset`: masks as pulses, by the counts of the simulated chip itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need the extra `train`")

from tests.support.cli import Cli

CELLS = 2 * (64 * 96 + 96 * 10)


@pytest.mark.slow
def test_what_is_pruned_is_reset_once_and_what_failed_again(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli("program", "--reads", "4")
    cli("train", "digits", "--epochs", "1", "--run", "small")
    foreseen = cli("mask", "apply", "digits", "--by", "reset", "--dry-run", "--json").json
    assert (foreseen["reset_pulses"], foreseen["set_pulses"]) == (CELLS // 2, 0)
    assert cli("sim", "inspect", "--json").json["reset_pulses"] == 0
    told = cli("infer", "digits", "--by", "reset", code=2).sentences
    assert "conduct by its newest map" in told
    assert "mask apply small --by reset" in told

    done = cli("mask", "apply", "digits", "--by", "reset", "--json").json
    chip = done["chips"]["0"]
    assert (done["pulses"], chip["pruned"]) == (CELLS // 2, CELLS // 2)
    assert 0 < chip["residual_uS"] < 2
    assert cli("sim", "inspect", "--json").json["reset_pulses"] == CELLS // 2

    # a second time only those that a RESET failed on, by the simulated chip itself; then none
    failed = CELLS // 2 - cli("sim", "inspect", "--json").json["off"]
    assert 0 < failed < CELLS // 200
    assert chip["still_on"] == failed
    left = cli("mask", "apply", "digits", "--by", "reset", "--dry-run", "--json").json
    assert left["reset_pulses"] == failed
    again = cli("mask", "apply", "digits", "--by", "reset", "--json").json
    assert (again["pulses"], again["chips"]["0"]["still_on"]) == (failed, 0)
    last = cli("mask", "apply", "digits", "--by", "reset")
    assert "Nothing to pulse" in last.stdout
    truth = cli("sim", "inspect", "--json").json
    assert (truth["reset_pulses"], truth["off"]) == (CELLS // 2 + failed, CELLS // 2)
    # gates of the same masks on the cells that are left: the newest map knows what they read
    assert cli("mask", "verify", "digits", "--json").json["clean"]
    # with every gate open, in as few steps as without a mask
    by_gate, by_reset = (
        cli("infer", "digits", "--by", way, "--samples", "100", "--json").json
        for way in ("gate", "reset")
    )
    assert by_reset["noise_ratio"] < 1.2
    assert (by_reset["by"], by_reset["pulses"]) == ("reset", 0)
    assert abs(by_reset["value"] - by_gate["value"]) < 0.08
    assert by_reset["board_time_s"] < 0.3 * by_gate["board_time_s"]
