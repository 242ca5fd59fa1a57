"""Write the tables of docs/results.md from docs/results/*.json; `make docs` runs it.

Owns: what stands between `<!-- results: NAME -->` and `<!-- end -->` on that page. The files are
what commands wrote: `comparison.json` of `rramhil train TASK --compare`, kept as
`compare-TASK.json`; what `rramhil mask pareto TASK --json` and `rramhil infer TASK --json` print,
as `pareto-TASK.json` and `infer-TASK.json`; and `study-TASK.json` of docs/study.py. No figure is
typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rramhil._units import readable

HERE = Path(__file__).parent
PAGE, RESULTS = HERE / "results.md", HERE / "results"
_BLOCK = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Facts = dict[str, Any]


def main() -> None:
    """Write the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with every block as the files of results have it."""
    return _BLOCK.sub(lambda found: found[1] + block(found[2]) + found[3], page)


def block(name: str) -> str:
    """A block by its name: a key of `_KINDS`, a hyphen, and the task's name."""
    kind, _, task = name.partition("-")
    file, draw = _KINDS[kind]
    path = RESULTS / f"{file}-{task}.json"
    if not path.is_file():
        return f"*Not measured yet: there is no {path.name}.*\n"
    return draw(json.loads(path.read_text(encoding="utf-8")))


def comparison(facts: Facts) -> str:
    """Every row of a comparison."""
    more = list(facts["rows"][0].get("test_also", ()))  # files of before have none
    lines = [
        f"`{command(facts)}`",
        "",
        f"{facts['metric'].capitalize()} of {facts['units']:,} test "
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
        "| masks | condition | in the map at training time | test, % | change, points, 95 % "
        "| batch norm again, % |",
        "|---|---|---|---|---|---|",
    ]
    for each in facts["conditions"]:
        lines.append(
            f"| {each['row']} | {_NAMES[each['condition']]} {each['level']:.0%} "
            f"| {'yes' if each['known'] else 'no'} | {_percent(each['test'])} "
            f"| {_points(each['change'])} | {_percent(each['reestimated'])} |"
        )
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
    lines = [
        f"`rramhil mask pareto {facts['task']} --epochs {facts['epochs']} --rate "
        f"{facts['rate']:g} --seed {facts['seed']} --steps {budgets}`, one chip; density "
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
    """A run on the simulated chip, beside the same on the map and in floats."""
    samples = facts["samples"]
    host = facts["elsewhere"][0]
    lines = [
        f"`rramhil infer {facts['task']} --json`, {facts['gate']} gating:",
        "",
        f"| test samples | {facts['metric']} on the chip, % | on the map | chip less map, points "
        "| same answer, % | pulses | board time a sample | energy a sample | "
        f"{host['where']} |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| {samples:,} | {100 * facts['value']:.2f} | {100 * facts['on_map_value']:.2f} "
        f"| {100 * (facts['value'] - facts['on_map_value']):+.2f} "
        f"| {100 * facts['agreement']:.2f} | {facts['pulses']} "
        f"| {readable(facts['board_time_s'] / samples, 's')} "
        f"| {readable(facts['energy_j'] / samples, 'J')} "
        f"| {readable(host['time_s'], 's')}, {readable(host['energy_j'], 'J')} |",
    ]
    return "\n".join(lines) + "\n"


def command(facts: Facts) -> str:
    """The command that made a comparison."""
    more = " --conditions" * bool(facts["conditions"]) + " --final" * facts.get("final", False)
    chips = len({chip for group in facts["chips"] for chip in group})
    return (
        f"rramhil train {facts['task']} --compare --chips 0-{chips - 1} --replicates "
        f"{facts['replicates']} --epochs {facts['epochs']} --tries {facts['settings_tried']} "
        f"--seed {facts['seeds'][0]}{more}"
    )


_AT_LAST = (
    " Rate and epoch were chosen on the first replicate; then every replicate was trained once "
    "more on all training data, of which validation data are a part."
)
_NAMES = {"noise": "read noise", "stuck": "stuck cells", "unformed": "unformed cells"}
_KINDS: dict[str, tuple[str, Callable[[Facts], str]]] = {
    "compare": ("compare", comparison),
    "conditions": ("compare", conditions),
    "faults": ("study", conditions),
    "ages": ("study", ages),
    "pareto": ("pareto", pareto),
    "infer": ("infer", on_chip),
}


def _budget(trade: Facts) -> str:
    return "free" if trade["budget"] is None else f"{trade['budget']:g}"


def _decade(point: Facts) -> int:
    """The age that was asked for: measuring the front end, and the map, comes on top."""
    return int(point["asked_s"])


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):.2f}" if values else ""


def _percent(values: list[float]) -> str:
    return f"{100 * mean(values):.2f}"


def _points(difference: dict[str, float]) -> str:
    value, low, high = (100 * difference[key] for key in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _names(facts: Facts) -> str:
    return ", ".join(" ".join(chips) for chips in facts["chips"])


if __name__ == "__main__":
    main()
