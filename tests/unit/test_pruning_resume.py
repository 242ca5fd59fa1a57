"""Trainings that go on from a state end as those that were never interrupted, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pruning needs the extra `train`")

from rramhil.network import Pairs, TrainedWeights, convert, plan  # noqa: E402
from rramhil.pruning import (  # noqa: E402
    Economy,
    EpochRecord,
    FitResult,
    Reread,
    TrainSettings,
    TrainState,
    fit,
    train,
)
from rramhil.switching import Geometry, deal_steps, tile_rows  # noqa: E402
from rramhil.tasks import Splits, Task, load  # noqa: E402


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def digits() -> tuple[Task, Splits]:
    task = load("digits")
    return task, task.data(Path())


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def once(
    digits: tuple[Task, Splits],
    *,
    stop_after: int | None = None,
    start: bytes | None = None,
    **more: Any,
) -> tuple[FitResult | None, bytes]:
    """Train digits for four epochs; the result, and the last state as bytes."""
    task, splits = digits
    torch.manual_seed(0)
    network = convert(task.model(), task.bits, example_input=splits.train.inputs[:2])
    random = torch.Generator().manual_seed(1)
    pairs = {
        each.name: Pairs(
            *(12 + 2 * torch.randn(each.outputs, each.inputs, generator=random) for _ in range(2))
        )
        for each in network.matrices
    }
    if more.pop("reads", False):
        more["reads"] = {
            name: Pairs(*(torch.stack([side, 1.02 * side, 0.98 * side]) for side in each))
            for name, each in pairs.items()
        }
    if more.get("gate") == "codebook":
        vectors = {each.name: each.vectors for each in network.matrices}
        more["gate"] = deal_steps(tile_rows(plan(network, Geometry(512, 512, 8))), vectors, 1.25)
    if more.pop("reread", False):
        # what a chip says differs each time, but follows from how often it was asked
        asked = [0 if start is None else 10]

        def read(masks: Any) -> dict[str, Pairs]:
            asked[0] += 1
            shift = 1 + 0.01 * asked[0]
            return {name: Pairs(*(side * shift for side in each)) for name, each in pairs.items()}

        more["reread"] = Reread(3, read)
    states: list[bytes] = []

    def on_state(state: TrainState) -> None:
        states.append(state.to_bytes())
        if len(state.history) == stop_after:
            raise Stopped

    try:
        result = fit(
            network,
            task,
            splits,
            pairs,
            settings=TrainSettings(4, seed=3, held=more.pop("held", 0)),
            noise=0.02,
            start=None if start is None else TrainState.from_bytes(start),
            on_state=on_state,
            **{"gate": "cell", **more},
        )
    except Stopped:
        return None, states[-1]
    return result, states[-1] if states else b""


def same_masks(one: FitResult | None, other: FitResult | None) -> bool:
    assert one is not None
    assert other is not None
    return all(
        np.array_equal(mask.rows, other.masks[name].rows) for name, mask in one.masks.items()
    )


def plain(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [record._replace(seconds=0.0) for record in history]


@pytest.mark.parametrize(
    "how",
    [
        {"gate": "cell"},
        {"gate": "pair", "density": None},
        {"reads": True},
        {"per_conversion": True},
        {"economy": Economy(hysteresis=0.3, begin=0.6, run_pulses=20_000, every=2, off_uS=1.0)},
        {"economy": Economy(every=3, off_uS=1.0), "reread": True},
        {"gate": "codebook"},
        {"held": 1},
        {"held": 3},
    ],
    ids=[
        "gates",
        "pairs",
        "reads",
        "conversions",
        "pulses",
        "pulses-in-the-loop",
        "codebook",
        "before-batch-norm-is-held",
        "while-batch-norm-is-held",
    ],
)
def test_a_training_that_goes_on_ends_as_one_that_was_not_interrupted(
    digits: tuple[Task, Splits], how: dict[str, Any]
):
    undisturbed, last = once(digits, **how)
    _, kept = once(digits, stop_after=2, **how)
    resumed, last_resumed = once(digits, start=kept, **how)
    assert same_masks(undisturbed, resumed)
    assert undisturbed is not None
    assert resumed is not None
    assert plain(undisturbed.history) == plain(resumed.history)
    assert undisturbed.test == resumed.test
    assert undisturbed.written == resumed.written
    one, other = TrainState.from_bytes(last), TrainState.from_bytes(last_resumed)
    for part in ("now", "best", "optimiser"):
        first, second = getattr(one, part), getattr(other, part)
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[name]) for name, value in first.items()), part


def test_a_training_that_was_over_goes_on_to_the_same_end(digits: tuple[Task, Splits]):
    """Killed after its last epoch, before its run was saved."""
    undisturbed, last = once(digits)
    resumed, _ = once(digits, start=last, stop_after=4)
    assert same_masks(undisturbed, resumed)


def test_a_state_of_another_training_is_refused(digits: tuple[Task, Splits]):
    _, kept = once(digits, stop_after=1)
    task, splits = digits
    network = convert(task.model(), task.bits, example_input=splits.train.inputs[:2])
    weights = TrainedWeights(network.first_weights)
    state = TrainState.from_bytes(kept)
    with pytest.raises(ValueError, match="another training"):
        train(network, weights, task, splits, TrainSettings(4), start=state)


def test_fresh_conductances_are_used_and_belong_to_the_state(digits: tuple[Task, Splits]):
    plainly, _ = once(digits)
    in_the_loop, last = once(digits, reread=True)
    assert not same_masks(plainly, in_the_loop)
    # 16 steps an epoch: readings before steps 3, 6, ..., 63
    cells = [value for name, value in TrainState.from_bytes(last).now.items() if "cells_uS" in name]
    assert float(cells[0].abs().mean()) == pytest.approx(12 * 1.21, rel=0.01)
    _, kept = once(digits, reread=True, stop_after=2)
    resumed, _ = once(digits, reread=True, start=kept)
    assert same_masks(in_the_loop, resumed)


def test_a_record_says_density_flips_and_pulses(digits: tuple[Task, Splits]):
    gated, _ = once(digits)
    assert gated is not None
    assert all(record.pulses is None for record in gated.history)
    assert all(record.density == pytest.approx(0.5, abs=1e-3) for record in gated.history)
    assert all(record.flips and record.flips > 0 for record in gated.history)
    written, _ = once(digits, economy=Economy())
    assert written is not None
    assert written.written is not None
    # every change on the way counts, also what is changed back within the epoch
    assert all((record.pulses or 0) >= (record.flips or 0) for record in written.history)
    upto = sum(record.pulses or 0 for record in written.history[: written.best_epoch])
    assert written.written.changes == upto


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_state_is_refused(damage: bytes):
    with pytest.raises(ValueError, match="no state"):
        TrainState.from_bytes(damage)
