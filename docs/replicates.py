"""Measure masks on three simulated chips, each with a training seed of its own, by the commands.

Owns: `docs/results/infer-TASK.json` and `docs/results/pulses-TASK.json`. Programs the chips in a
lab that is thrown away, trains on each, then

    infer       sends all test samples to the chip: `rramhil infer`
    pulses      trains twice for masks that are written by pulses, without hysteresis and with it

A file is written after each chip. One that has chips already, measured with the same options, is
added to: after an interruption, or with a larger N. Remove it to measure them again.

    python docs/replicates.py infer TASK [--chips N] [--to FOLDER] [-- OPTIONS OF TRAIN]
    python docs/replicates.py pulses TASK [--hysteresis 0.2] [-- OPTIONS OF TRAIN]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measured import read_file

from rramhil._atomic import write_whole
from rramhil._units import metric
from rramhil.cli import _errors
from rramhil.datasets import data_root
from rramhil.lab import software_version
from rramhil.settings import resolve
from rramhil.tasks import load

RESULTS = Path(__file__).parent / "results"
_ALWAYS_OURS = ("--chip", "--chips", "--run", "--seed", "--board", "--lab", "--json")
_OURS = {"infer": _ALWAYS_OURS, "pulses": (*_ALWAYS_OURS, "--by", "--hysteresis")}
"""Options of `train` that are given here, not by the user."""


class Bench(NamedTuple):
    """Where commands are given: a lab of its own, a board with so many chips."""

    lab: Path
    chips: int
    data: Path

    def __call__(self, *words: str) -> dict[str, Any]:
        """Give a command; what it prints as JSON. Ends as the command does, if that fails."""
        board = f"sim://?seed=0&chips={self.chips}"
        command = [sys.executable, "-m", "rramhil", *words, "--board", board, "--json"]
        done = subprocess.run(
            [*command, "--lab", str(self.lab)],
            stdout=subprocess.PIPE,
            env=os.environ | {"RRAMHIL_DATA": str(self.data)},
            check=False,
        )
        if done.returncode:
            sys.exit(done.returncode)  # it has said why
        return json.loads(done.stdout)


def main() -> None:
    """Read the command line, and measure what it asks for."""
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    parser = _parser()
    asked, options = parser.parse_args(words[:split]), words[split + 1 :]
    for option in options:
        if option.partition("=")[0] in _OURS[asked.what]:
            parser.error(f"{option} is given to `rramhil train` by this script; leave it")
    with _errors.finish(_errors.Run(debug=asked.debug)):
        measure(asked, options)


def measure(asked: argparse.Namespace, options: Sequence[str]) -> None:
    """Measure on fresh chips with these options of `train`, and write the file."""
    task = load(asked.task)
    asked.to.mkdir(exist_ok=True)
    path = asked.to / f"{asked.what}-{task.name}.json"
    before = measured_before(path, asked, options)
    each, spent_s, began_s = before["each"], before["seconds"], time.perf_counter()
    if len(each) >= asked.chips:
        print(f"{path.name}: {len(each)} chips are measured already")
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), asked.chips, asked.data or data_root(resolve().lab))
        for chip in range(asked.chips):
            bench("program", "--chip", str(chip))
        of_chip = on_chip if asked.what == "infer" else by_pulses
        for chip in range(len(each), asked.chips):
            each.append(of_chip(bench, asked, options, chip))
            facts = {
                "command": " ".join(["python docs/replicates.py", *sys.argv[1:]]),
                "task": asked.task,
                "metric": task.metric_name,
                "options": list(options),
                "each": each,
                "seconds": round(spent_s + time.perf_counter() - began_s),
                "software": software_version(),
            }
            write_whole(path, (json.dumps(facts, indent=1) + "\n").encode())
    print(f"{path.name}: {facts['seconds']} s")


def measured_before(
    path: Path, asked: argparse.Namespace, options: Sequence[str]
) -> dict[str, Any]:
    """What a file has of the same measurement, by the same software."""
    found = read_file(path) if path.is_file() else {}
    said = {"task": asked.task, "options": list(options), "software": software_version()}
    is_same = said.items() <= found.items()
    if is_same and asked.what == "pulses":
        is_same = all(each["hysteresis"] == asked.hysteresis for each in found["each"])
    return found if is_same else {"each": [], "seconds": 0}


def on_chip(
    bench: Bench, asked: argparse.Namespace, options: Sequence[str], chip: int
) -> dict[str, Any]:
    """Train on a chip, with its number as the seed, and infer there."""
    which = ("--chip", str(chip), "--run", f"chip-{chip}")
    trained = bench("train", asked.task, *which, "--seed", str(chip), *options)
    facts = bench("infer", asked.task, *which)
    value, on_map = metric(facts["value"]), metric(facts["on_map_value"])
    print(f"chip {chip}: {value}, {on_map} on the map", flush=True)
    return {"seed": chip, "epochs": trained["epochs"], "epoch_s": trained["epoch_s"], **facts}


def by_pulses(
    bench: Bench, asked: argparse.Namespace, options: Sequence[str], chip: int
) -> dict[str, Any]:
    """Train masks of a chip that are written by pulses, without hysteresis and with it."""
    said: dict[str, Any] = {"seed": chip, "hysteresis": asked.hysteresis}
    for name, hysteresis in (("without", 0.0), ("with", asked.hysteresis)):
        which = ("--chip", str(chip), "--run", f"{name}-{chip}", "--seed", str(chip))
        more = ("--by", "reset", "--hysteresis", str(hysteresis))
        trained = bench("train", asked.task, *which, *more, *options)
        flips = trained["by_reset"]["flips"]
        said["epochs"] = trained["epochs"]
        said[name] = {"flips": flips, **{key: trained[key] for key in ("validation", "test")}}
        print(f"chip {chip}, {name}: {flips:,} flips, {metric(trained['test'])}", flush=True)
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="What follows -- are options of `rramhil train`, such as --rate 0.003.",
    )
    parser.add_argument("what", choices=("infer", "pulses"), help="What to measure.")
    parser.add_argument(
        "task", metavar="TASK", help="A built-in task, or my_task.py:task of one's own."
    )
    parser.add_argument(
        "--chips", type=int, default=3, choices=range(1, 9), metavar="N", help="1 to 8; else 3."
    )
    parser.add_argument(
        "--hysteresis", type=hysteresis, default=0.2, metavar="X", help="Of pulses; else 0.2."
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="Folder of the data sets; else that of `rramhil data`.",
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="Where the file goes, in place of one that is there; else docs/results.",
    )
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def hysteresis(text: str) -> float:
    """A hysteresis as `train` takes it; refused here, before anything is trained without one."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


if __name__ == "__main__":
    main()
