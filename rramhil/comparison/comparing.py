"""A task on several chips, in every way there is to get weights: one table.

Owns: the order of trainings and measurements, the budget that is the same for every row, and what
follows from them. A training or measurement that a folder has is taken from there, so that a
comparison that was killed goes on where it was.

Each kind of weights is trained with each learning rate on the first replicate; the one with the
best validation metric is taken for the other replicates. Validation data choose the epoch of each
training. Test data are measured on once, with what was chosen. Or, with `final`, rate and epoch are
those of the first replicate, and what is measured was trained once more on all training data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from rramhil._atomic import write_whole
from rramhil.comparison.conditions import DRAWS, KNOWN, UNKNOWN, ConditionResult
from rramhil.comparison.replicates import Replicate, kept_replicates, replicate_paths
from rramhil.comparison.request import CompareRequest, Step
from rramhil.comparison.rows import COMPARATOR, Measured, Row, Trained
from rramhil.comparison.work import Work
from rramhil.errors import RunError
from rramhil.lab import software_version
from rramhil.pruning import EpochRecord, Interval, paired_difference
from rramhil.tasks import Splits, Task

Ahead = Callable[[Sequence[Step]], None]
"""Trains what it is given, each once, in any order."""

_REQUEST, _RESULT = "request.json", "comparison.json"
_DIGEST = "task_digest"


@dataclass(frozen=True)
class RowResult:
    """A row of the table.

    Attributes
    ----------
    row : Row
    rate : float
        Learning rate that validation data chose.
    best_epochs : tuple of int
        Of each replicate's training.
    seconds : float
        A training took, mean over replicates.
    validation, test, reestimated : tuple of float
        The task's metric of each replicate; the last is `test` with batch norm estimated again.
        Where trainings were final, validation is that of the training that chose, for rows on the
        weights it had, else empty.
    test_also : mapping of str to tuple of float
        The task's further metrics of the test data, by name.
    difference, reestimated_difference : Interval
        Of the test metric to the comparator's, paired by unit, mean over replicates.
    steps : tuple of float
        That a sample takes with each replicate's masks, relative to a sample without masks; empty
        for weights that are no masks on a chip of their own.
    """

    row: Row
    rate: float
    best_epochs: tuple[int, ...]
    seconds: float
    validation: tuple[float, ...]
    test: tuple[float, ...]
    reestimated: tuple[float, ...]
    test_also: Mapping[str, tuple[float, ...]]
    difference: Interval
    reestimated_difference: Interval
    steps: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        said = {key: value for key, value in vars(self).items() if key != "row"}
        return {"name": self.row.name, "what": self.row.what} | {
            key: value._asdict() if isinstance(value, Interval) else value
            for key, value in said.items()
        }


@dataclass(frozen=True)
class Comparison:
    """The table.

    Attributes
    ----------
    request : CompareRequest
    metric : str
    epochs, units : int
        Of each training; of the test data.
    is_mean_of_units : bool
        Whether the metric is the mean over units, which the intervals are of.
    chips, maps : tuple of tuple of str
        Of each replicate.
    rows : tuple of RowResult
    conditions : tuple of ConditionResult
        Empty unless asked for.
    software : str
    """

    request: CompareRequest
    metric: str
    epochs: int
    units: int
    is_mean_of_units: bool
    chips: tuple[tuple[str, ...], ...]
    maps: tuple[tuple[str, ...], ...]
    rows: tuple[RowResult, ...]
    conditions: tuple[ConditionResult, ...]
    software: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        said = {key: getattr(self, key) for key in ("metric", "epochs", "units", "chips", "maps")}
        request = self.request
        return {
            "task": request.which,
            **said,
            "is_mean_of_units": self.is_mean_of_units,
            "replicates": len(self.chips),
            "seeds": [request.seed + number for number in range(len(self.chips))],
            "rates_tried": request.rates,
            "settings_tried": len(request.rates),
            "density": request.density,
            "comparator": COMPARATOR,
            "final": request.final,
            "overlay": request.overlay,
            "rows": [row.as_dict() for row in self.rows],
            "conditions": [each.as_dict() for each in self.conditions],
            "software": self.software,
        }


def begin(
    request: CompareRequest, folder: Path, digest: str, find: Callable[[], Sequence[Replicate]]
) -> tuple[Replicate, ...]:
    """Make the folder of a comparison, or take up one that was begun.

    Parameters
    ----------
    digest : str
        Of the task, as `rramhil.flow.digest_of` gives it.
    find : callable
        Gives the replicates where the folder has none; they are kept, so that what is trained
        later sees the same cells.

    Raises
    ------
    RunError
        The folder is of another comparison, or its task was another one; or it was begun before
        placements were kept, what is asked for needs them, and the chips have other maps by now.
    """
    said, paths = request.identity, replicate_paths(folder, request.replicates)
    if (folder / _REQUEST).is_file():
        before = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
        digest_before = before.pop(_DIGEST, digest)  # folders of before have none
        if before != said:
            raise RunError(
                f"{folder} was begun with other settings.", "Choose another name with --run."
            )
        if digest_before != digest:
            raise RunError(
                f"The task {request.which} has another file, data or model than when {folder} was "
                "begun.",
                "Put it back as it was, or choose another name with --run.",
            )
        kept = kept_replicates(folder, request.replicates)
        if request.needs_placement and any(each.placement is None for each in kept):
            kept = _placed_again(kept, find(), folder)
            for replicate, path in zip(kept, paths, strict=True):
                replicate.save_placement(path)
        return kept
    replicates = tuple(find())
    folder.mkdir(parents=True, exist_ok=True)
    for replicate, path in zip(replicates, paths, strict=True):
        replicate.save(path)
    write_whole(folder / _REQUEST, json.dumps(said | {_DIGEST: digest}, indent=2).encode())
    return replicates


def compare(
    request: CompareRequest,
    task: Task,
    splits: Splits,
    replicates: Sequence[Replicate],
    folder: Path,
    *,
    final: Splits | None = None,
    ahead: Ahead | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Comparison:
    """Train and measure every row on every replicate.

    Parameters
    ----------
    replicates : sequence of Replicate
        As `begin` gives them.
    folder : Path
        Of this comparison; what it has is not done again.
    final : Splits, optional
        As `final_splits` gives them, to train on once more; goes with `request.final`.
    ahead : callable, optional
        Told what is to be trained next and is not there; it may train that, in any order, into the
        folder.
    on_step, on_epoch : callable
        Told before each training, and after each of its epochs.

    Raises
    ------
    ValueError
        There are no such data where they are asked for, or the other way round.
    """
    if request.final != (final is not None):
        raise ValueError("data to train on at last go with a request for that")
    work = Work(request, task, splits, tuple(replicates), folder, on_step, on_epoch, final)
    kinds = dict.fromkeys(row.training for row in request.chosen)
    numbers = range(len(replicates))
    _train_ahead(ahead, (work.chooses(kind, 0, rate) for kind in kinds for rate in request.rates))
    rates = {kind: work.search(kind) for kind in kinds}
    _train_ahead(ahead, (work.counts(kind, n, rates[kind]) for kind in kinds for n in numbers))
    trained = {
        kind: tuple(work.that_counts(kind, number, rates[kind]) for number in numbers)
        for kind in kinds
    }
    measured = {row.name: work.measured(row, trained[row.training]) for row in request.chosen}
    theirs = [each["test"] for each in measured[COMPARATOR]]
    rows = tuple(
        _row(
            row,
            rates[row.training],
            trained[row.training],
            measured[row.name],
            theirs,
            work.steps(trained[row.training]) if _is_on_own_chip(row, trained) else (),
        )
        for row in request.chosen
    )
    done = Comparison(
        request=request,
        metric=task.metric_name,
        epochs=request.epochs or task.epochs,
        units=len(theirs[0].of_units),
        is_mean_of_units=all(abs(each.value - each.of_units.mean()) < 1e-6 for each in theirs),
        chips=tuple(replicate.chips for replicate in replicates),
        maps=tuple(replicate.maps for replicate in replicates),
        rows=rows,
        conditions=(
            tuple(_conditions(work, rates, trained, measured, ahead)) if request.conditions else ()
        ),
        software=software_version(),
    )
    write_whole(folder / _RESULT, (json.dumps(done.as_dict(), indent=2) + "\n").encode())
    return done


def _conditions(
    work: Work,
    rates: Mapping[str, float],
    trained: Mapping[str, Sequence[Trained]],
    measured: Mapping[str, Sequence[Mapping[str, Measured]]],
    ahead: Ahead | None,
) -> Iterator[ConditionResult]:
    """Measure every row of masks on its own chip under every condition."""
    rows = [row for row in work.request.chosen if _is_on_own_chip(row, trained)]
    kinds = [row.training for row in rows if row.on == "own"]
    numbers = range(len(work.replicates))
    _train_ahead(
        ahead,
        (
            work.counts(kind, number, rates[kind], condition)
            for kind in kinds
            for condition in KNOWN
            for number in numbers
        ),
    )
    for row in rows:
        sound = [each["test"] for each in measured[row.name]]
        knowing = KNOWN if row.on == "own" else ()
        for condition in (*UNKNOWN, *knowing):
            masks, draws = trained[row.training], DRAWS
            if condition.is_known:
                kind, draws = row.training, 1
                masks = [work.that_counts(kind, n, rates[kind], condition) for n in numbers]
            found = work.under(row, masks, condition, draws)
            yield ConditionResult(
                row=row.name,
                condition=condition,
                test=_values(found, "test"),
                reestimated=_values(found, "reestimated"),
                change=_difference(found, "test", sound),
                reestimated_change=_difference(found, "reestimated", sound),
            )


def _train_ahead(ahead: Ahead | None, steps: Iterable[Step]) -> None:
    """Let trainings that are not there be done, if somebody does them; else look nothing up."""
    if ahead is not None:
        ahead([step for step in dict.fromkeys(steps) if not step.is_kept])


def _is_on_own_chip(row: Row, trained: Mapping[str, Sequence[Trained]]) -> bool:
    """Whether a row is of masks on the chip that they are for."""
    return row.on != "other" and row.name != "ternary" and bool(trained[row.training][0].masks)


def _row(
    row: Row,
    rate: float,
    trained: Sequence[Trained],
    measured: Sequence[dict[str, Measured]],
    theirs: Sequence[Measured],
    steps: tuple[float, ...],
) -> RowResult:
    return RowResult(
        row=row,
        rate=rate,
        best_epochs=tuple(each.best_epoch for each in trained),
        seconds=mean(each.seconds for each in trained),
        validation=_validation(row, trained, measured),
        test=_values(measured, "test"),
        reestimated=_values(measured, "reestimated"),
        test_also={
            name: tuple(each["test"].also[name] for each in measured)
            for name in measured[0]["test"].also
        },
        difference=_difference(measured, "test", theirs),
        reestimated_difference=_difference(measured, "reestimated", theirs),
        steps=steps,
    )


def _values(measured: Sequence[Mapping[str, Measured]], name: str) -> tuple[float, ...]:
    return tuple(each[name].value for each in measured)


def _validation(
    row: Row, trained: Sequence[Trained], measured: Sequence[Mapping[str, Measured]]
) -> tuple[float, ...]:
    if all("validation" in each for each in measured):
        return _values(measured, "validation")
    chose = trained[0].validation
    return (chose,) if row.on == "own" and chose is not None else ()


def _difference(
    measured: Sequence[Mapping[str, Measured]], name: str, theirs: Sequence[Measured]
) -> Interval:
    """Of replicates to those of another row, unit by unit."""
    return paired_difference(
        np.stack([each[name].of_units for each in measured]),
        np.stack([each.of_units for each in theirs]),
    )


def _placed_again(
    kept: Sequence[Replicate], found: Sequence[Replicate], folder: Path
) -> tuple[Replicate, ...]:
    """Give replicates the placement that they had: it follows from the same chips and maps."""
    if [(each.chips, each.maps) for each in kept] != [(each.chips, each.maps) for each in found]:
        raise RunError(
            f"{folder} does not say where its networks lie, and its chips have newer maps by now.",
            "Leave out the row codebook, or begin another comparison with --run.",
        )
    return tuple(
        replace(one, placement=other.placement) for one, other in zip(kept, found, strict=True)
    )
