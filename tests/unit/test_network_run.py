"""Runs: written whole, read back the same, refused where anything is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from torch import nn  # noqa: E402

from rramhil.errors import NotFound, RunError  # noqa: E402
from rramhil.network import Network, Run, RunConfig, convert, plan, weights_of  # noqa: E402
from rramhil.switching import Geometry, Mask, MaskSet  # noqa: E402

FILES = ["run.json", "state.safetensors", "placement.json", "masks.npz", "history.json"]


def network(hidden: int = 5, kind: type[nn.Module] = nn.BatchNorm1d) -> Network:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, hidden), kind(hidden), nn.ReLU(), nn.Linear(hidden, 3))
    made = convert(model, 4, example_input=torch.zeros(2, 6))
    return made.calibrate([torch.randn(20, 6)])


def a_run(of: Network | None = None) -> Run:
    trained = of or network()
    placement = plan(trained, Geometry(32, 32, 8))
    draw = np.random.default_rng(0)
    masks = {
        each.name: Mask.cell(*(draw.random((2, each.outputs, each.inputs)) < 0.5))
        for each in trained.matrices
    }
    config = RunConfig(task="digits", bits=4, gate="cell", epochs=3, seed=1, density=0.5)
    owned = MaskSet(masks, placement.id, {0: "abc"})
    return Run.of(trained, config, placement, owned, {"validation": 0.9, "test": 0.8})


def test_a_run_comes_back_as_it_was(tmp_path: Path):
    trained = network().eval()
    run = a_run(trained)
    run.save(tmp_path / "runs" / "one")
    assert sorted(path.name for path in (tmp_path / "runs" / "one").iterdir()) == sorted(FILES)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["one"]
    found = Run.load(tmp_path / "runs" / "one")
    assert (found.config, found.metrics) == (run.config, run.metrics)
    assert found.masks.id == run.masks.id
    assert dict(found.masks.map_ids) == {0: "abc"}
    assert found.placement.id == run.placement.id
    assert (found.software, found.created) == (run.software, run.created)

    other = found.restore(network())
    assert all(
        torch.equal(value, other.state_dict()[name]) for name, value in trained.state_dict().items()
    )
    assert not other.training
    before = other.state_dict()["model.0.matrix.quantiser.range"].clone()
    other.train()(100 * torch.randn(20, 6))
    assert torch.equal(before, other.state_dict()["model.0.matrix.quantiser.range"])


def test_a_run_is_never_overwritten(tmp_path: Path):
    a_run().save(tmp_path / "one")
    with pytest.raises(RunError, match="never overwritten"):
        a_run().save(tmp_path / "one")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(self: MaskSet, path: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(MaskSet, "save", fail)
    with pytest.raises(OSError, match="no space"):
        a_run().save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there_is_not_found(tmp_path: Path):
    with pytest.raises(NotFound, match="no run"):
        Run.load(tmp_path / "none")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(tmp_path: Path, name: str):
    a_run().save(tmp_path / "one")
    (tmp_path / "one" / name).unlink()
    with pytest.raises(RunError, match="cannot be read as a run"):
        Run.load(tmp_path / "one")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_changed_byte_is_refused(tmp_path: Path, name: str, place: float):
    a_run().save(tmp_path / "one")
    path = tmp_path / "one" / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(RunError, match="cannot be read as a run"):
        Run.load(tmp_path / "one")


def test_foreign_json_is_refused(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text(json.dumps({"run": 2}))
    with pytest.raises(RunError, match="foreign"):
        Run.load(tmp_path / "one")


def test_parts_of_two_runs_are_refused(tmp_path: Path):
    a_run().save(tmp_path / "one")
    a_run(network(hidden=7)).save(tmp_path / "two")
    shutil.copy(tmp_path / "two" / "masks.npz", tmp_path / "one" / "masks.npz")
    with pytest.raises(RunError, match=r"masks\.npz was changed"):
        Run.load(tmp_path / "one")


def test_masks_of_another_placement_are_refused():
    run = a_run()
    with pytest.raises(RunError, match="belong to placement"):
        replace(run, masks=MaskSet(run.masks.masks, "elsewhere", {}))
    with pytest.raises(RunError, match="differ"):
        replace(run, matrices=run.matrices[:1])


def test_a_run_restores_only_the_network_it_was_made_of():
    run = a_run()
    with pytest.raises(RunError, match="other matrices"):
        run.restore(network(hidden=7))
    with pytest.raises(RunError, match="digital part"):
        run.restore(network(kind=nn.Identity))


def test_pairs_are_gathered_from_the_lines_of_the_placement():
    made = network()
    placement = plan(made, Geometry(32, 32, 8))
    values = np.arange(32.0 * 32).reshape(32, 32)
    for matrix in made.matrices:
        (tile,) = placement.tiles_of(matrix.name)
        plus, minus = weights_of({0: values}, placement, matrix)
        assert plus.shape == (matrix.outputs, matrix.inputs)
        assert float(plus[1, 2]) == 32 * tile.rows[1, 0] + tile.columns[2]
        assert float(minus[1, 2]) == 32 * tile.rows[1, 1] + tile.columns[2]
