"""What `rramhil train` says: of each epoch, and of the run at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rramhil._units import metric
from rramhil.cli._networks import listed

if TYPE_CHECKING:
    from rramhil.flow import TrainedRun, Training
    from rramhil.pruning import EpochRecord

_MAPS_TOLD = 4
"""Maps that are listed by their ids; the run has them all."""


def epoch_line(record: EpochRecord, name: str) -> str:
    """Say what an epoch came to."""
    parts = [f"loss {record.loss:.3f}"]
    if record.validation is not None:
        parts.append(f"{name} {metric(record.validation)}")
    if record.density is not None and record.flips is not None:
        parts += [f"density {record.density:.1%}", f"{record.flips:,} flips"]
    if record.pulses is not None:
        parts.append(f"{record.pulses:,} pulses")
    return ", ".join([*parts, f"{record.seconds:.1f} s"])


def run_facts(trained: TrainedRun, training: Training) -> dict[str, Any]:
    """What `--json` has."""
    from rramhil.flow import count_steps, pulse_price

    result, run = trained.result, trained.run
    path, task, request = training.checkpoint.run_path, training.task, training.start.request
    count = count_steps(run)
    facts = {
        "task": run.config.task,
        "gate": run.config.gate,
        "robust": request.robust,
        "epochs": run.config.epochs,
        "best_epoch": result.best_epoch,
        "resumed_after": training.epochs_done,
        "metric": task.metric_name,
        "validation": result.validation,
        "test": result.test,
        "test_also": result.test_also,
        "density": result.density,
        "masks": str(path / "masks.npz"),
        "masks_id": run.masks.id,
        "run": str(path),
        "maps": {str(chip): each for chip, each in run.masks.map_ids.items()},
        "epoch_s": result.epoch_s,
        "steps": count.steps,
        "dense_steps": count.dense,
        "chip_share": trained.share.weights,
        "chip_share_multiplications": trained.share.multiplications,
        "device": request.device,
        "threads": training.start.threads,
        "history": [record.as_dict() for record in result.history],
    }
    if result.written is not None:
        fired = training.bench.fired(training.start)
        facts["by_reset"] = {
            **pulse_price(result.written, fired, training.bench.board.description),
            "first_pulses": result.written.first,
            # of all epochs; without a loop the pulses above are those up to the best one
            "flips": sum(record.pulses or 0 for record in result.history),
            "in_the_chip": {str(chip): each.as_dict() for chip, each in trained.written.items()},
        }
    return facts


def print_run(facts: dict[str, Any]) -> None:
    """Say it to people."""
    from rramhil.cli._output import print_facts

    maps = ", ".join(f"{each} of chip {chip}" for chip, each in facts["maps"].items())
    if len(facts["maps"]) > _MAPS_TOLD:
        maps = f"of chips {listed(int(chip) for chip in facts['maps'])}"
    print_facts(
        (
            "task",
            f"{facts['task']}, {'robust ' * facts['robust']}{facts['gate']} gating, "
            f"{facts['density']:.1%} of the cells",
        ),
        (
            facts["metric"],
            f"{metric(facts['test'])} test, {_validation(facts)}after epoch "
            f"{facts['best_epoch']} of {facts['epochs']}",
        ),
        *((name, f"{metric(value)} test") for name, value in facts["test_also"].items()),
        ("on the chip", chip_share(facts)),
        (
            "steps",
            f"{facts['steps']:,} a sample, {facts['steps'] / facts['dense_steps']:.3g} times the "
            "dense schedule",
        ),
        *([("by RESET", _by_reset(facts["by_reset"]))] if "by_reset" in facts else []),
        ("map", maps or "none: for any chip"),
        ("time", f"{facts['epoch_s']:.3f} s an epoch"),
        ("run", facts["run"]),
    )


def _validation(facts: dict[str, Any]) -> str:
    if facts["validation"] is None:
        return "trained on all training data, "
    return f"{metric(facts['validation'])} validation, "


def _by_reset(facts: dict[str, Any]) -> str:
    written = "written" if facts["in_the_chip"] else "would take"
    return (
        f"{written} {facts['reset_pulses']:,} RESET and {facts['set_pulses']:,} SET pulses, "
        f"{facts['most_of_a_cell']} at most a cell, {1e3 * facts['energy_j']:.3g} mJ at most; "
        f"{facts['flips']:,} flips after the first masks, in all epochs"
    )


def chip_share(facts: dict[str, Any]) -> str:
    """Say which part of a network is on the chip."""
    return (
        f"{facts['chip_share']:.1%} of the weights, "
        f"{facts['chip_share_multiplications']:.1%} of the multiplications"
    )
