"""Comparisons: the same budget for every row, nothing done twice, honest replicates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="comparisons need the extra `train`")

from rramhil.comparison import (  # noqa: E402
    CompareRequest,
    Comparison,
    Replicate,
    Step,
    begin,
    compare,
    draw_comparison,
)
from rramhil.comparison.conditions import Condition, OFF_uS, under  # noqa: E402
from rramhil.comparison.kept import load_trained  # noqa: E402
from rramhil.comparison.rows import of_units, train_once  # noqa: E402
from rramhil.errors import RunError, UsageError  # noqa: E402
from rramhil.flow import STEPS, new_network  # noqa: E402
from rramhil.network import Pairs, plan  # noqa: E402
from rramhil.pruning import EpochRecord, TrainSettings, held_epochs, robust_noise  # noqa: E402
from rramhil.tasks import Examples, Splits, Task, final_splits, load  # noqa: E402
from rramhil.tasks.unet import UNet  # noqa: E402
from tests.support.networks import MACRO  # noqa: E402

DIGITS = load("digits")
_ALL = DIGITS.data(Path())
SPLITS = Splits(*(Examples(*(tensor[:192] for tensor in part)) for part in _ALL))
REQUEST = CompareRequest("digits", rows=("pair", "flat"), epochs=1, replicates=2)
DIGEST = "of the task"


def replicates(
    count: int = 2, task: Task = DIGITS, splits: Splits = SPLITS
) -> tuple[Replicate, ...]:
    network = new_network(task, splits)
    placement = plan(network, MACRO)
    made: list[Replicate] = []
    for seed in range(count):
        random = torch.Generator().manual_seed(seed)
        pairs = {
            each.name: Pairs(
                *(12 + 2 * torch.randn(each.outputs, each.inputs, generator=random) for _ in "+-")
            )
            for each in network.matrices
        }
        made.append(Replicate(seed, (f"chip{seed}",), (f"map{seed}",), pairs, 0.02, placement))
    return tuple(made)


def run(
    folder: Path, request: CompareRequest = REQUEST, stop_at: int | None = None
) -> tuple[Comparison, list[Step]]:
    steps: list[Step] = []
    trained = 0

    def on_epoch(record: EpochRecord) -> None:
        nonlocal trained
        trained += 1
        if trained == stop_at:
            raise KeyboardInterrupt

    kept = begin(request, folder, DIGEST, lambda: replicates(request.replicates))
    return compare(
        request, DIGITS, SPLITS, kept, folder, on_step=steps.append, on_epoch=on_epoch
    ), steps


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, list[Step], Path]:
    folder = tmp_path_factory.mktemp("comparison") / "one"
    return *run(folder), folder


def test_every_kind_of_weights_gets_the_same_budget(done: tuple[Comparison, list[Step], Path]):
    comparison, steps, _ = done
    trained = Counter(step.kind for step in steps if not step.is_kept)
    assert trained == {"trained": 3, "pair": 3, "flat": 3}  # two rates, then a second replicate
    assert {step.rate for step in steps} == {0.01, 0.003}
    said = comparison.as_dict()
    assert (said["settings_tried"], said["epochs"], said["units"]) == (2, 1, 192)
    assert [row["name"] for row in said["rows"]] == ["trained", "pair", "flat"]


def test_the_rate_is_chosen_on_validation_data(done: tuple[Comparison, list[Step], Path]):
    comparison, _, folder = done
    for row in comparison.rows:
        tried = {
            rate: load_trained(folder / f"training-{row.row.training}-0-{rate:g}.npz").validation
            for rate in REQUEST.rates
        }
        assert tried[row.rate] == max(tried.values())


def test_the_comparator_differs_from_itself_by_nothing(
    done: tuple[Comparison, list[Step], Path],
):
    trained, pair, _ = done[0].rows
    assert trained.difference == (0, 0, 0)
    assert pair.difference.value == pytest.approx(np.mean(pair.test) - np.mean(trained.test))
    assert pair.difference.low <= pair.difference.value <= pair.difference.high


def test_a_comparison_that_was_stopped_goes_on_to_the_same_end(
    done: tuple[Comparison, list[Step], Path], tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=5)
    again, steps = run(tmp_path)
    assert sum(step.is_kept for step in steps) > 4
    assert Counter(step.kind for step in steps if not step.is_kept).total() == 9 - 4
    for one, two in zip(done[0].rows, again.rows, strict=True):
        assert replace(one, seconds=0) == replace(two, seconds=0)


def test_a_finished_comparison_takes_everything_from_its_folder(
    done: tuple[Comparison, list[Step], Path],
):
    comparison, _, folder = done
    again, steps = run(folder)
    assert all(step.is_kept for step in steps)
    assert again.as_dict() == comparison.as_dict()


def test_rows_may_be_added_but_nothing_else_changed(
    done: tuple[Comparison, list[Step], Path],
):
    folder = done[2]
    more, steps = run(folder, replace(REQUEST, rows=("pair", "transfer-pair", "ternary")))
    assert all(step.is_kept for step in steps)
    names = [row.row.name for row in more.rows]
    assert names == ["trained", "pair", "ternary", "transfer-pair"]
    # a pair mask says nothing of another chip
    assert np.mean(more.rows[3].test) < np.mean(more.rows[1].test)
    with pytest.raises(RunError, match="other settings"):
        run(folder, replace(REQUEST, epochs=2))


def test_damaged_files_are_named(tmp_path: Path):
    request = replace(REQUEST, rows=("trained",), rates=(0.01,), replicates=1)
    run(tmp_path, request)
    path = tmp_path / "training-trained-0-0.01.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"training-trained-0-0\.01\.npz"):
        run(tmp_path, request)
    path.unlink()
    kept = tmp_path / "replicate-0.npz"
    kept.write_bytes(b"")
    with pytest.raises(match=r"replicate-0\.npz"):
        run(tmp_path, request)


def test_other_chips_masks_need_another_chip():
    alone = replace(REQUEST, rows=("cell", "transfer-cell"), replicates=1)
    assert [row.name for row in alone.chosen] == ["trained", "cell"]
    with pytest.raises(UsageError, match="nonsense"):
        replace(REQUEST, rows=("nonsense",))


def test_replicates_come_back_as_they_were(tmp_path: Path):
    (one,) = replicates(1)
    one.save(tmp_path / "kept.npz")
    found = Replicate.load(tmp_path / "kept.npz")
    assert (found.seed, found.chips, found.maps, found.noise) == (0, ("chip0",), ("map0",), 0.02)
    for name, pair in one.pairs.items():
        assert all(torch.equal(a, b) for a, b in zip(pair, found.pairs[name], strict=True))
    assert one.placement is not None
    assert found.placement is not None
    assert found.placement.id == one.placement.id


def test_codebooks_keep_to_their_budget_of_steps(tmp_path: Path):
    request = replace(REQUEST, rows=("cell", "codebook", "ternary"), rates=(0.01,), epochs=6)
    rows = {row.row.name: row for row in run(tmp_path, request)[0].rows}
    assert max(rows["codebook"].steps) <= STEPS < min(rows["cell"].steps)
    assert rows["trained"].steps == rows["ternary"].steps == ()
    assert np.mean(rows["codebook"].validation) > 0.3  # 18 steps of training


def test_robust_masks_see_noisier_cells_and_batch_norm_as_measured():
    (measured,) = replicates(1)

    def gates(kind: str, noise: float, epochs: int) -> list[bytes]:
        trained = train_once(
            kind,
            new_network(DIGITS, SPLITS),
            DIGITS,
            SPLITS,
            replace(measured, noise=noise),
            TrainSettings(epochs, batch=64),
        )
        return [mask.plus.tobytes() + mask.minus.tobytes() for mask in trained.masks.values()]

    noisy = robust_noise(0.02)
    assert gates("robust", 0.02, 1) == gates("cell", noisy, 1) != gates("cell", 0.02, 1)
    assert gates("robust", 0.02, 2) != gates("cell", noisy, 2)  # batch norm is held in the second
    assert robust_noise(0.3) == 0.3  # never less than there is
    assert [held_epochs(epochs) for epochs in (1, 2, 6, 11, 20, 80)] == [0, 1, 1, 2, 2, 8]


def test_a_comparison_of_before_placements_were_kept_takes_codebooks_too(tmp_path: Path):
    request = replace(REQUEST, rows=("pair",), rates=(0.01,))
    run(tmp_path, request)
    for path in tmp_path.glob("replicate-*.json"):
        path.unlink()
    pairs, steps = run(tmp_path, request)
    assert all(step.is_kept for step in steps)
    assert pairs.rows[1].steps == ()
    found = replicates()
    with pytest.raises(RunError, match="newer maps"):
        begin(
            replace(request, rows=("codebook",)),
            tmp_path,
            DIGEST,
            lambda: [replace(each, maps=("newer",)) for each in found],
        )
    more, steps = run(tmp_path, replace(request, rows=("pair", "codebook")))
    assert {step.kind for step in steps if not step.is_kept} == {"codebook"}
    assert len(more.rows[1].steps) == len(more.rows[2].steps) == 2
    assert len(list(tmp_path.glob("replicate-*.json"))) == 2


def test_a_folder_that_was_begun_with_another_task_is_refused(tmp_path: Path):
    run(tmp_path, replace(REQUEST, rows=(), rates=(0.01,)))
    with pytest.raises(RunError, match="another file, data or model") as told:
        begin(replace(REQUEST, rates=(0.01,)), tmp_path, "another", replicates)
    assert "--run" in str(told.value)


def test_what_a_folder_is_told_apart_by_stays_the_same():
    # folders are gone on with by later versions whose trainings are the same
    assert REQUEST.identity == {
        "which": "digits",
        "epochs": 1,
        "density": 0.5,
        "rates": [0.01, 0.003],
        "seed": 0,
        "replicates": 2,
        "overlay": False,
        "allow_digital": False,
        "version": 2,
    }


# --- a last training on all training data ---------------------------------------------------


def test_a_last_training_ends_with_its_last_epoch():
    best = iter(range(9, 0, -1))
    worse = replace(DIGITS, metric=lambda outputs, targets: float(next(best)))
    better = replace(DIGITS, metric=lambda outputs, targets: -float(next(best)))
    (one,) = replicates(1)

    def masks(task: Task, *, chooses: bool):
        trained = train_once(
            "cell",
            new_network(DIGITS, SPLITS),
            task,
            SPLITS,
            one,
            TrainSettings(3, chooses=chooses),
        )
        return trained.best_epoch, trained.masks["1"].plus, trained.state

    first, last, at_last = (
        masks(worse, chooses=True),
        masks(better, chooses=True),
        masks(worse, chooses=False),
    )
    assert (first[0], last[0], at_last[0]) == (1, 3, 3)
    assert next(best) == 3  # nothing was validated where nothing chooses
    assert (at_last[1] == last[1]).all()
    assert all(torch.equal(value, last[2][name]) for name, value in at_last[2].items())
    assert (at_last[1] != first[1]).any()


def test_the_first_replicate_chooses_and_all_are_trained_once_more_on_all_photographs(
    tmp_path: Path,
):
    phantom = replace(load("retina-phantom"), model=partial(UNet, (4, 6)))
    splits = phantom.data(tmp_path)
    final = final_splits(phantom, splits, tmp_path)
    assert (len(splits.train.inputs), len(final.train.inputs)) == (128, 160)
    assert torch.equal(final.train.inputs[:128], splits.train.inputs)
    splits, final = (  # a quarter of the patches will do
        each._replace(train=Examples(*(part[::4] for part in each.train)))
        for each in (splits, final)
    )
    plain = CompareRequest("retina-phantom", rows=("cell",), epochs=2, rates=(0.01,), replicates=2)
    request = replace(plain, final=True)

    def run_phantom(request: CompareRequest) -> tuple[Comparison, list[Step]]:
        steps: list[Step] = []
        kept = begin(request, tmp_path, DIGEST, lambda: replicates(2, phantom, splits))
        done = compare(
            request,
            phantom,
            splits,
            kept,
            tmp_path,
            final=final if request.final else None,
            on_step=steps.append,
        )
        return done, steps

    done, steps = run_phantom(request)
    new = [step for step in steps if not step.is_kept]
    assert Counter((step.kind, step.is_final) for step in new) == {
        ("trained", False): 1,
        ("trained", True): 2,
        ("cell", False): 1,
        ("cell", True): 2,
    }
    assert {step.replicate for step in new if not step.is_final} == {0}
    for row in done.rows:
        assert row.test_also.keys() == set(phantom.also)
        assert row.test_also["PR AUC"] != row.test
        chosen = next(
            load_trained(path) for path in tmp_path.glob(f"training-{row.row.name}-0-*.npz")
        )
        assert row.best_epochs == (chosen.best_epoch,) * 2
        assert row.validation == (chosen.validation,)
        assert {step.epochs for step in new if step.is_final and step.kind == row.row.name} == {
            chosen.best_epoch
        }
    assert done.as_dict()["final"]
    assert not done.as_dict()["overlay"]

    # the same folder serves the comparison without
    before, steps = run_phantom(plain)
    assert {(s.kind, s.replicate) for s in steps if not s.is_kept} == {("trained", 1), ("cell", 1)}
    assert before.rows[1].test != done.rows[1].test
    again, steps = run_phantom(request)
    assert all(step.is_kept for step in steps)
    assert again.as_dict() == done.as_dict()


# --- conditions -----------------------------------------------------------------------------


def test_read_noise_is_relative_and_drawn_for_each_cell():
    (one,) = replicates(1)
    before, after = (each.pairs["1"].plus for each in (one, under(Condition("noise", 0.1), one)))
    relative = after / before - 1
    assert float(relative.std()) == pytest.approx(0.1, rel=0.05)
    other = under(Condition("noise", 0.1), one, draw=1).pairs["1"].plus / before - 1
    both = torch.stack([relative.flatten(), other.flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.1


@pytest.mark.parametrize(("kind", "off"), [("stuck", 0.5), ("unformed", 1.0)])
def test_as_many_cells_are_hit_as_is_said(kind: str, off: float):
    (one,) = replicates(1)
    hurt = under(Condition(kind, 0.3), one)  # type: ignore[arg-type]
    before, after = one.pairs["1"].minus, hurt.pairs["1"].minus
    changed = before != after
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.02)
    share_off = float((after[changed] == torch.tensor(OFF_uS)).float().mean())
    assert share_off == pytest.approx(off, abs=0.05)


def test_conditions_are_measured_and_known_ones_trained_for(
    done: tuple[Comparison, list[Step], Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rramhil.comparison.comparing.DRAWS", 1)
    request = replace(REQUEST, rows=("pair", "flat"), conditions=True)
    comparison, steps = run(done[2], request)
    anew = [step for step in steps if not step.is_kept]
    assert {step.kind for step in anew} == {"pair"}  # a flat mask knows of nothing
    assert {step.condition.name for step in anew if step.condition} == {
        "stuck-0.05-known",
        "unformed-0.5-known",
    }
    found = {(each.row, each.condition.name): each for each in comparison.conditions}
    assert len(found) == 8 + 8 + 2
    assert found["pair", "stuck-0.1"].change.value < 0
    assert all(len(each.reestimated) == 2 for each in found.values())


def test_a_comparison_is_drawn_from_what_is_kept(
    done: tuple[Comparison, list[Step], Path], tmp_path: Path
):
    draw_comparison(done[0].as_dict(), tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_an_accuracy_is_the_mean_of_its_units():
    outputs = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    examples = Examples(torch.zeros(50, 1), torch.arange(50) % 10)
    scores = of_units(DIGITS, outputs, examples)
    assert set(scores) <= {0.0, 1.0}
    assert scores.mean() == pytest.approx(DIGITS.metric(outputs, examples.targets))
