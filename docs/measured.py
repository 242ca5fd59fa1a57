"""Figures from the files of docs/results: what was measured, by task, row and condition.

Owns: where the files are, and how a figure is found in them. All raise `FileNotFoundError` where it
was not measured yet. Accuracies are in %, and differences in points.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rramhil.errors import UsageError

RESULTS = Path(__file__).parent / "results"
CONDITIONS = ("conditions", "compare")
"""Kinds of files that may have what masks are worth under faults, the first that there is."""

Facts = dict[str, Any]


def path(name: str) -> Path:
    """A file by its name, such as `compare-digits`."""
    return RESULTS / f"{name}.json"


def first(kinds: Sequence[str], task: str) -> str:
    """Name of a task's file of the first of several kinds that there is, or of the last one."""
    names = [f"{kind}-{task}" for kind in kinds]
    return next((name for name in names if path(name).is_file()), names[-1])


def read(name: str) -> Facts:
    """What a file says, by its name; as `read_file`."""
    return read_file(path(name))


def read_file(file: Path) -> Facts:
    """What a file says.

    Raises
    ------
    UsageError
        It is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"{file} is damaged: {error}.",
            "Remove it and make it anew with its command, which the head of docs/results.py names.",
        ) from error


def on_test(task: str, row: str, kind: str = "compare") -> float:
    """Metric of the test data, mean over replicates."""
    return 100 * mean(_row(task, row, kind)["test"])


def also(task: str, row: str, metric: str) -> float:
    """A further metric of the test data, mean over replicates, 0 to 1."""
    return mean(_row(task, row)["test_also"][metric])


def less(task: str, row: str, base: str, kind: str = "compare") -> float:
    """Metric of the test data, less that of another row."""
    return on_test(task, row, kind) - on_test(task, base, kind)


def steps(task: str, row: str, kind: str) -> float:
    """Steps of a sample, relative to a sample without masks, mean over replicates."""
    return mean(_row(task, row, kind)["steps"])


def least(task: str, row: str) -> float:
    """Lower bound of the difference to the comparator."""
    return 100 * _row(task, row)["difference"]["low"]


def change(task: str, row: str, condition: str, level: float, known: bool) -> float:
    """What a condition changes a row's test metric by."""
    found = read(first(CONDITIONS, task))["conditions"]
    if not found:
        raise FileNotFoundError
    each = _only(found, row=row, condition=condition, level=level, known=known)
    return 100 * each["change"]["value"]


def on_chip_less_map(task: str) -> float:
    """Difference between chip and map, mean over chips."""
    return mean(chip_less_map(each) for each in read(f"infer-{task}")["each"])


def chip_less_map(each: Facts) -> float:
    """Difference between a run on a chip and on its map."""
    return 100 * (each["value"] - each["on_map_value"])


def by_hysteresis(task: str, of_one: Callable[[Facts], float]) -> float:
    """`fewer` or `lost`, mean over chips."""
    return mean(of_one(each) for each in read(f"pulses-{task}")["each"])


def fewer(each: Facts) -> float:
    """How many times fewer flips a chip takes with hysteresis."""
    return each["without"]["flips"] / max(1, each["with"]["flips"])


def lost(each: Facts) -> float:
    """What the hysteresis changes the test metric of a chip by."""
    return 100 * (each["with"]["test"] - each["without"]["test"])


def _row(task: str, name: str, kind: str = "compare") -> Facts:
    return _only(read(f"{kind}-{task}")["rows"], name=name)


def _only(found: Sequence[Facts], **said: Any) -> Facts:
    """The one of which this is said."""
    (one,) = (each for each in found if said.items() <= each.items())
    return one
