"""Write the tables of docs/results.md from docs/results/*.json; `make docs` runs it.

Owns: what stands between `<!-- results: NAME -->` and `<!-- end -->` on that page. Single figures
are those of `measured.py`; targets are in `targets.py`. The files are what commands wrote:
`comparison.json` of `rramhil train TASK --compare`, kept as `compare-TASK.json`, as
`conditions-TASK.json` where conditions were measured by themselves, and as `codebook-TASK.json` of
fewer epochs; what `rramhil mask pareto TASK
--json` prints, as `pareto-TASK.json`; `infer-TASK.json` and `pulses-TASK.json`, of replicates.py;
and `study-TASK.json` of study.py. No figure is typed by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import mean

import measured
from measured import Facts
from targets import TARGETS

from rramhil._atomic import write_whole
from rramhil._units import POINTS, readable
from rramhil.cli._errors import Run, finish
from rramhil.errors import UsageError

PAGE = Path(__file__).parent / "results.md"
_BLOCK = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write the page; there are no arguments, but what is asked of this script is answered."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    with finish(Run(debug=parser.parse_args().debug)):
        write_page()


def write_page() -> None:
    """Write the tables into the page, whole."""
    page = filled(PAGE.read_text(encoding="utf-8"))
    write_whole(PAGE, page.encode())


def filled(page: str) -> str:
    """The page with every block as the files of results have it."""
    return _BLOCK.sub(lambda found: found[1] + block(found[2]) + found[3], page)


def block(name: str) -> str:
    """A block by its name: one of `_OF_ALL`, or a key of `_KINDS`, a hyphen and a task's name."""
    if name in _OF_ALL:
        return _OF_ALL[name]()
    kind, _, task = name.partition("-")
    if kind not in _KINDS:
        raise UsageError(
            f"{PAGE.name} has a block {name}, of no known kind.",
            f"Known are {', '.join((*_OF_ALL, *_KINDS))}.",
        )
    files, draw = _KINDS[kind]
    found = measured.first(files, task)
    if not measured.path(found).is_file():
        return f"*Not measured yet: there is no {measured.path(found).name}.*\n"
    return draw(measured.read(found))


def targets() -> str:
    """What was to be reached, beside what was."""
    lines = ["| target | | reached | held |", "|---|---|---|---|"]
    for target in TARGETS:
        try:
            value = target.figure()
        except FileNotFoundError:
            lines.append(f"| {target.what} | {target.said} | not measured yet | |")
            continue
        held = "yes" if target.low <= value <= target.high else "**no**"
        lines.append(f"| {target.what} | {target.said} | {value:{target.form}} | {held} |")
    return "\n".join(lines) + "\n"


def published() -> str:
    """The paper's improvements, and what masks gain over a frozen random network here."""
    lines = [
        "| | published improvement | cell less frozen | pair less frozen "
        "| cell less frozen-digital |",
        "|---|---|---|---|---|",
    ]
    for name, said in (
        ("fashion-mnist", "FashionMNIST | 17.3 % accuracy"),
        ("spoken-digits", "spoken digits | 19.9 % accuracy"),
    ):
        found = {row["name"] for row in measured.read(f"compare-{name}")["rows"]}
        gains = [
            f"{measured.less(name, row, base):+.1f} points"
            if {row, base} <= found
            else "not measured"
            for row, base in (("cell", "frozen"), ("pair", "frozen"), ("cell", "frozen-digital"))
        ]
        lines.append(f"| {said} | {' | '.join(gains)} |")
    lines += [
        "| DRIVE | 9.8 % area under precision and recall, 2 % under the ROC curve "
        "| not run: DRIVE is brought by the user | | |",
        "| energy | 78.3 %, 67.9 % and 99.7 % less "
        "| another comparator: see [switching](switching.md) | | |",
    ]
    return "\n".join(lines) + "\n"


def comparison(facts: Facts) -> str:
    """Every row of a comparison."""
    more = list(facts["rows"][0].get("test_also", ()))  # files of before have none
    lines = [
        f"`{command(facts)}`",
        "",
        f"{facts['metric'][0].upper()}{facts['metric'][1:]} of {facts['units']:,} test "
        f"{'samples' if facts['is_mean_of_units'] else 'images'}, %; mean of "
        f"{facts['replicates']} replicates (chips {_names(facts)}; seeds "
        f"{', '.join(map(str, facts['seeds']))}), in brackets each of them. "
        f"{facts['epochs']} epochs and {facts['settings_tried']} learning rates "
        f"({', '.join(f'{rate:g}' for rate in facts['rates_tried'])}) for every row; density "
        f"{facts['density']:g}. Epochs are those that validation data chose, s what one training "
        "took; steps are those of a sample, relative to a sample without masks."
        + _AT_LAST
        * facts.get("final", False),
        "",
        f"| row | test | {''.join(f'{name} | ' for name in more)}batch norm again | validation "
        f"| less {facts['comparator']}, 95 % | steps | epochs | s |",
        "|---|---|---|---|---|---|---|---|" + "---|" * len(more),
    ]
    for row in facts["rows"]:
        steps = _mean(row.get("steps", ()))  # files of before have none
        also = [row["test_also"][name] for name in more]
        validation = _mean([100 * value for value in row["validation"]])
        each = " ".join(f"{100 * value:.1f}" for value in row["test"])
        less = "" if row["name"] == facts["comparator"] else _points(row["difference"])
        lines.append(
            f"| {row['name']} | {_percent(row['test'])} ({each}) | "
            f"{''.join(f'{_percent(values)} | ' for values in also)}"
            f"{_percent(row['reestimated'])} "
            f"| {validation} | {less} | {steps} "
            f"| {' '.join(map(str, row['best_epochs']))} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def conditions(facts: Facts) -> str:
    """Masks under every condition, of a comparison or of a study."""
    facts = facts.get("comparison", facts)
    if not facts["conditions"]:
        return "*Not measured yet: the comparison was made without --conditions.*\n"
    lines = [
        f"`{command(facts)}`",
        "",
        "| masks | condition | in the map at training time | test, % | change, points, 95 % "
        "| batch norm again, % |",
        "|---|---|---|---|---|---|",
    ]
    sound = {row["name"]: row for row in facts["rows"]}
    for name, found in groupby(facts["conditions"], key=itemgetter("row")):
        tested, again = (_percent(sound[name][key]) for key in ("test", "reestimated"))
        lines.append(f"| {name} | none | | {tested} | | {again} |")
        lines += [
            f"| {name} | {_NAMES[each['condition']]} {each['level']:.0%} "
            f"| {'yes' if each['known'] else 'no'} | {_percent(each['test'])} "
            f"| {_points(each['change'])} | {_percent(each['reestimated'])} |"
            for each in found
        ]
    return "\n".join(lines) + "\n"


def ages(facts: Facts) -> str:
    """Masks on the chip, at every age: the worst of the ages, and the last."""
    lines = [
        f"`{facts['command']}` (seed {facts['seed']}, {facts['seconds']:,} s), "
        f"{facts['samples_on_chip']} test samples on the chip, {facts['metric']} in %, without / "
        "with reading the map again:",
        "",
    ]
    points = facts["ages"]
    shown = sorted({_decade(point) for point in points})
    lines += [
        f"| cells | masks | temperature | {' | '.join(f'{age:,} s' for age in shown)} |",
        "|---|---|---|" + "---|" * len(shown),
    ]
    keys = dict.fromkeys((p["technology"], p["run"], p["temperature_k"]) for p in points)
    for key in keys:
        own = [p for p in points if (p["technology"], p["run"], p["temperature_k"]) == key]
        cells = [
            " / ".join(
                f"{100 * p['value']:.1f}"
                for again in (False, True)
                for p in own
                if (_decade(p), p["is_reread"]) == (age, again)
            )
            for age in shown
        ]
        lines.append(f"| {key[0]} | {key[1]} | {key[2] - 273.15:.0f} °C | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def pareto(facts: Facts) -> str:
    """A task under several budgets of steps."""
    budgets = ",".join(_budget(trade) for trade in facts["trades"])
    overlay = " --overlay" if facts.get("overlay") else ""
    lines = [
        f"`rramhil mask pareto {facts['task']} --epochs {facts['epochs']} --rate "
        f"{facts['rate']:g} --seed {facts['seed']} --steps {budgets}{overlay}`, one chip; density "
        f"{facts['density']:g}, {facts['metric']} in %:",
        "",
        "| budget | steps of a sample | times the dense ones | validation | test | s an epoch |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {_budget(trade)} | {trade['steps']:,} | {trade['ratio']:.2f} "
        f"| {100 * trade['validation']:.2f} | {100 * trade['test']:.2f} | {trade['epoch_s']:.1f} |"
        for trade in facts["trades"]
    ]
    return "\n".join(lines) + "\n"


def on_chip(facts: Facts) -> str:
    """Runs on simulated chips, beside the same on their maps and in integers on the host."""
    where = facts["each"][0]["elsewhere"][0]["where"]
    lines = [
        f"`{facts['command']}` ({facts['seconds']:,} s):",
        "",
        f"| chip and seed | test samples | {facts['metric']} on the chip, % | on the map "
        "| chip less map, points | same answer, % | pulses | board time a sample "
        f"| energy a sample | {where} |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in facts["each"]:
        samples, host = each["samples"], each["elsewhere"][0]
        lines.append(
            f"| {each['seed']} | {samples:,} | {100 * each['value']:.2f} "
            f"| {100 * each['on_map_value']:.2f} | {measured.chip_less_map(each):{POINTS}} "
            f"| {_if_any(each['agreement'])} | {each['pulses']} "
            f"| {readable(each['board_time_s'] / samples, 's')} "
            f"| {readable(each['energy_j'] / samples, 'J')} "
            f"| {readable(host['time_s'], 's')}, {readable(host['energy_j'], 'J')} |"
        )
    return "\n".join(lines) + "\n"


def pulses(facts: Facts) -> str:
    """Masks written by pulses, without hysteresis and with it."""
    lines = [
        f"`{facts['command']}` ({facts['seconds']:,} s), without hysteresis / with:",
        "",
        f"| chip and seed | epochs | hysteresis | flips | fewer | validation, % | "
        f"{facts['metric']}, % | change, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in facts["each"]:
        without, kept = each["without"], each["with"]
        lines.append(
            f"| {each['seed']} | {each['epochs']} | {each['hysteresis']:g} "
            f"| {without['flips']:,} / {kept['flips']:,} | {measured.fewer(each):.1f} x "
            f"| {_if_any(without['validation'])} / {_if_any(kept['validation'])} "
            f"| {100 * without['test']:.2f} / {100 * kept['test']:.2f} "
            f"| {measured.lost(each):{POINTS}} |"
        )
    return "\n".join(lines) + "\n"


def command(facts: Facts) -> str:
    """The command that made a comparison."""
    more = "".join(f" --{flag}" for flag in ("final", "overlay") if facts.get(flag))
    more = " --conditions" * bool(facts["conditions"]) + more
    chips = len({chip for group in facts["chips"] for chip in group})
    return (
        f"rramhil train {facts['task']} --compare --chips 0-{chips - 1} --replicates "
        f"{facts['replicates']} --rows {','.join(row['name'] for row in facts['rows'])} --epochs "
        f"{facts['epochs']} --tries {facts['settings_tried']} --seed {facts['seeds'][0]}{more}"
    )


_AT_LAST = (
    " Rate and epoch were chosen on the first replicate; then every replicate was trained once "
    "more on all training data, of which validation data are a part."
)
_NAMES = {"noise": "read noise", "stuck": "stuck cells", "unformed": "unformed cells"}
_KINDS: dict[str, tuple[tuple[str, ...], Callable[[Facts], str]]] = {
    "compare": (("compare",), comparison),
    "codebook": (("codebook",), comparison),
    "conditions": (measured.CONDITIONS, conditions),
    "faults": (("study",), conditions),
    "ages": (("study",), ages),
    "pareto": (("pareto",), pareto),
    "infer": (("infer",), on_chip),
    "pulses": (("pulses",), pulses),
}
_OF_ALL: dict[str, Callable[[], str]] = {"targets": targets, "published": published}


def _budget(trade: Facts) -> str:
    return "free" if trade["budget"] is None else f"{trade['budget']:g}"


def _decade(point: Facts) -> int:
    """The age that was asked for: measuring the front end, and the map, comes on top."""
    return int(point["asked_s"])


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):.2f}" if values else ""


def _percent(values: list[float]) -> str:
    return f"{100 * mean(values):.2f}"


def _if_any(share: float | None) -> str:
    """A share in per cent: a task without classes has no answers to agree on."""
    return "" if share is None else f"{100 * share:.2f}"


def _points(difference: dict[str, float]) -> str:
    value, low, high = (100 * difference[key] for key in ("value", "low", "high"))
    return f"{value:{POINTS}} ({low:{POINTS}} to {high:{POINTS}})"


def _names(facts: Facts) -> str:
    return ", ".join(" ".join(chips) for chips in facts["chips"])


if __name__ == "__main__":
    main()
