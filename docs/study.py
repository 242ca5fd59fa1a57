"""Study what masks are worth on chips that age or are not as their maps say; `make study` runs it.

Owns: `docs/results/study-TASK.json` and `docs/images/study.png`. Programs fresh simulated chips in
a lab that is thrown away, trains pair and cell masks, then

    ages        sends test samples to the chip after 1 s to 1e5 s of board time, at two
                temperatures, for the board's own cells and for a technology whose relaxation was
                measured; without and with reading the map again
    conditions  measures the masks on maps with read noise, stuck and unformed cells, on three
                chips, see `rramhil.comparison.conditions`

    python docs/study.py [TASK] [--data FOLDER]      TASK is `digits` unless it is said
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rramhil._atomic import replacing, write_whole
from rramhil.cli import _errors
from rramhil.comparison import AgeingStudy, AgePoint, CompareRequest, begin, compare, replicates_of
from rramhil.datasets import data_root
from rramhil.driver import Board
from rramhil.flow import TrainRequest, digest_of, known_chips, new_network, train_run
from rramhil.inference import measured_gains
from rramhil.lab import Lab, software_version
from rramhil.network import Run
from rramhil.programming import program
from rramhil.settings import resolve
from rramhil.simulation import SimulatedBoardName, replace
from rramhil.tasks import Examples, Splits, Task, load

HERE = Path(__file__).parent
SEED = 0
AGES_S = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
TEMPERATURES_K = (298.15, 358.15)
TECHNOLOGIES = ("rram40", "tech_c")
"""The board's own cells, whose ageing is assumed and small; and cells whose ageing was measured."""
SAMPLES = 300
GATES = ("pair", "cell")

_COLOURS = {"pair": "#c47a2c", "cell": "#35456c"}


def main() -> None:
    """Read the command line, and measure what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "task",
        nargs="?",
        default="digits",
        metavar="TASK",
        help="A built-in task, or my_task.py:task of one's own; else digits.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="Folder of the data sets; else that of `rramhil data`.",
    )
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    asked = parser.parse_args()
    with _errors.finish(_errors.Run(debug=asked.debug)):
        measure(asked.task, asked.data)


def measure(which: str, data: Path | None) -> None:
    """Measure a task, on data of a folder or those of `rramhil data`; write and draw."""
    task = load(which)
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        splits = task.data(data or data_root(resolve().lab))
        facts: dict[str, Any] = {
            "command": f"python docs/study.py {which}",
            "task": which,
            "metric": task.metric_name,
            "epochs": task.epochs,
            "seed": SEED,
            "samples_on_chip": min(SAMPLES, len(splits.test.inputs)),
            "ages": list(ages(which, task, splits, Path(folder))),
            "comparison": conditions(which, task, splits, Path(folder)),
            "software": software_version(),
        }
    facts["seconds"] = round(time.perf_counter() - began_s)
    (HERE / "results").mkdir(exist_ok=True)
    path = HERE / "results" / f"study-{task.name}.json"
    write_whole(path, (json.dumps(facts, indent=1) + "\n").encode())
    draw(facts, HERE / "images" / "study.png")
    print(f"{path.name}, images/study.png: {facts['seconds']} s")


def ages(which: str, task: Task, splits: Splits, folder: Path) -> Iterator[dict[str, Any]]:
    """Follow masks on the chip through time; one fresh chip for each temperature."""
    for technology in TECHNOLOGIES:
        for temperature_k in TEMPERATURES_K:
            root = folder / f"{technology}-{temperature_k:g}"
            name = SimulatedBoardName(root, SEED)
            runs = _trained(name, technology, which, task, splits)
            sent = Examples(*(part[:SAMPLES] for part in splits.test))
            study = AgeingStudy(name, runs, task, splits, sent)
            for point in study.follow(AGES_S, temperature_k):
                print(_line(technology, point), flush=True)
                yield {"technology": technology, **point._asdict()}


def conditions(which: str, task: Task, splits: Splits, folder: Path) -> dict[str, Any]:
    """Compare pair and cell masks on three chips, under all conditions."""
    root = folder / "conditions"
    request = CompareRequest(which, rows=("trained", *GATES, "flat"), conditions=True)
    with (
        Board.open(f"sim://?seed={SEED}&chips={request.replicates}", lab_root=root) as board,
        Lab(root) as lab,
    ):
        sockets = range(request.replicates)
        for number in sockets:
            program(board, lab, number)
        network = new_network(task, splits)
        replicates = replicates_of(board, lab, sockets, network, count=request.replicates)
    digest = digest_of(which, splits, network)
    kept = begin(request, root / "comparison", digest, lambda: replicates)
    done = compare(request, task, splits, kept, root / "comparison")
    return done.as_dict()


def draw(facts: dict[str, Any], path: Path) -> None:
    """Draw ages above, conditions below."""
    figure = Figure(figsize=(9.5, 6.4), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplot_mosaic("AAABBB;CCDDEE", sharey=True)
    for axes, technology in zip((panels["A"], panels["B"]), TECHNOLOGIES, strict=True):
        _draw_ages(axes, [p for p in facts["ages"] if p["technology"] == technology])
        axes.set_title(f"on a chip of {technology} cells", loc="left", fontsize=10)
    for axes, kind, title in zip(
        (panels["C"], panels["D"]),
        ("stuck", "noise"),
        ("stuck cells (%)", "read noise (% of a cell)"),
        strict=True,
    ):
        _draw_levels(axes, facts["comparison"], kind)
        axes.set_xlabel(title)
    _draw_unformed(panels["E"], facts["comparison"])
    panels["C"].set_title("on the map", loc="left", fontsize=10)
    for axes in (panels["A"], panels["C"]):
        axes.set_ylabel(f"{facts['metric']} (%)")
        axes.legend(frameon=False, fontsize=7.5, loc="lower left")
    for axes in panels.values():
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle(f"{facts['task']}: masks and time", x=0.01, ha="left", fontweight="bold")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _trained(
    name: SimulatedBoardName, technology: str, which: str, task: Task, splits: Splits
) -> dict[str, Run]:
    """Program a fresh chip, and learn masks of both kinds on its map."""
    with Board.open(str(name), lab_root=name.lab_root):
        pass  # so that there is a board
    replace(name, 0, technology=technology)
    with Board.open(str(name), lab_root=name.lab_root) as board, Lab(name.lab_root) as lab:
        program(board, lab, 0)
        chips = known_chips(board, lab, (0,), measured_gains(board))
        return {
            gate: train_run(
                TrainRequest(which, gate=gate, seed=SEED), task, splits, chips, board.description
            ).run
            for gate in GATES
        }


def _line(technology: str, point: AgePoint) -> str:
    again = "read again" if point.is_reread else ""
    return (
        f"{technology} {point.temperature_k:g} K {point.age_s:12,.1f} s  {point.run:5}"
        f"{point.value:8.2%} {again}"
    )


def _draw_ages(axes: Axes, points: list[dict[str, Any]]) -> None:
    for gate in GATES:
        for temperature_k, line in zip(TEMPERATURES_K, ("-", "--"), strict=True):
            for is_reread, marker in ((False, "o"), (True, "^")):
                chosen = [
                    p
                    for p in points
                    if (p["run"], p["temperature_k"], p["is_reread"])
                    == (gate, temperature_k, is_reread)
                ]
                axes.plot(
                    [p["age_s"] for p in chosen],
                    [100 * p["value"] for p in chosen],
                    line + marker,
                    color=_COLOURS[gate],
                    alpha=1.0 if is_reread else 0.55,
                    markersize=4,
                    label=f"{gate}, {temperature_k - 273.15:g} °C"
                    + (", read again" if is_reread else ""),
                )
    axes.set_xscale("log")
    axes.set_xlabel("board time since training (s)")


def _draw_levels(axes: Axes, comparison: dict[str, Any], kind: str) -> None:
    sound = {row["name"]: row["test"] for row in comparison["rows"]}
    for gate in GATES:
        found = [c for c in comparison["conditions"] if c["row"] == gate and c["condition"] == kind]
        points = [(0.0, sound[gate])]
        points += [(c["level"], c["test"]) for c in found if not c["known"]]
        axes.plot(
            [100 * level for level, _ in points],
            [100 * sum(test) / len(test) for _, test in points],
            "-o",
            color=_COLOURS[gate],
            markersize=4,
            label=gate,
        )
        known = [(c["level"], c["test"]) for c in found if c["known"]]
        if known:
            axes.plot(
                [100 * level for level, _ in known],
                [100 * sum(test) / len(test) for _, test in known],
                "*",
                color=_COLOURS[gate],
                markersize=10,
                label=f"{gate}, in the map at training time",
            )


def _draw_unformed(axes: Axes, comparison: dict[str, Any]) -> None:
    found = [c for c in comparison["conditions"] if c["condition"] == "unformed"]
    for place, gate in enumerate(GATES):
        for known, shift in ((False, -0.2), (True, 0.2)):
            for each in found:
                if (each["row"], each["known"]) == (gate, known):
                    height = 100 * sum(each["test"]) / len(each["test"])
                    axes.bar(
                        place + shift,
                        height,
                        0.36,
                        color=_COLOURS[gate],
                        alpha=1.0 if known else 0.45,
                    )
                    axes.text(
                        place + shift,
                        height,
                        "known" if known else "unknown",
                        ha="center",
                        va="bottom",
                        fontsize=7,
                    )
    axes.set_xticks(range(len(GATES)), GATES)
    axes.set_xlabel("half of the cells unformed")


if __name__ == "__main__":
    main()
