"""Runs: the folder that a trained network is kept in, the only thing that is passed on.

Owns: what is in it, that it is written whole, and the refusal of a folder that is damaged, foreign
or does not hold together. Knows no board and no task.

    run.json            configuration, versions, metrics, and a SHA-256 of each other file
    state.safetensors   what stays digital: ranges, scales, biases, batch norm
    placement.json      where the matrices are
    masks.npz           which cells are let through, and the maps they were trained on
    history.json        what was known after each epoch; runs made before there was one lack it
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import safetensors.torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from rramhil._atomic import sync
from rramhil.errors import NotFound, RramhilError, RunError
from rramhil.lab import software_version, utc_now
from rramhil.network.network import Network
from rramhil.switching import GateKind, MaskSet, Placement

_RUN, _STATE, _PLACEMENT, _MASKS = "run.json", "state.safetensors", "placement.json", "masks.npz"
_HISTORY = "history.json"
_DAMAGED_HINT = "Take another copy, or train again."


class MatrixRecord(BaseModel):
    """A matrix of the network, as `Matrix` has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    outputs: int
    inputs: int
    bits: int
    vectors: int


class RunConfig(BaseModel):
    """How a run was made.

    Attributes
    ----------
    task : str
        As `rramhil.tasks.load` takes it.
    bits : int
    gate : "pair", "cell" or "codebook"
        The last one's masks gate cells.
    epochs, seed : int
    density : float or None
        Share of gates that were to be open; None where a threshold decided.
    noise : float
        Relative read noise of a cell, as the maps have it.
    allow_digital : bool
        Whether modules with weights were allowed to stay digital.
    settings : mapping
        Whatever else the trainer was told.
    ranges : mapping
        TIA range of each matrix, by name; empty where they were not chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    bits: int
    gate: GateKind | Literal["codebook"]
    epochs: int
    seed: int
    density: float | None = None
    noise: float = 0.0
    allow_digital: bool = False
    settings: dict[str, float | int | str | bool | None] = {}
    ranges: dict[str, int] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    run: Literal[1]
    config: RunConfig
    matrices: tuple[MatrixRecord, ...]
    metrics: dict[str, float]
    software: str
    created: str
    files: dict[str, str]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A trained network without its model's code.

    Attributes
    ----------
    config : RunConfig
    matrices : tuple of MatrixRecord
    state : mapping of str to Tensor
        State of the network, see `Network.state_dict`; no weights.
    placement : Placement
    masks : MaskSet
        It names the maps, by chip.
    metrics : mapping of str to float
        Such as validation and test.
    software, created : str
        Program and version; UTC, ISO 8601.
    history : tuple of mapping
        What was known after each epoch; empty where it was not kept.

    Raises
    ------
    RunError
        If masks, placement and matrices do not belong together.
    """

    config: RunConfig
    matrices: tuple[MatrixRecord, ...]
    state: Mapping[str, Tensor]
    placement: Placement
    masks: MaskSet
    metrics: Mapping[str, float]
    software: str
    created: str
    history: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        said = [(each.name, each.outputs, each.inputs) for each in self.matrices]
        placed = [(each.name, each.outputs, each.inputs) for each in self.placement.matrices]
        masked = [(name, *mask.shape) for name, mask in self.masks.masks.items()]
        if not sorted(said) == sorted(placed) == sorted(masked):
            raise RunError("The matrices of the run, of its placement and of its masks differ.")
        if self.masks.placement_id != self.placement.id:
            raise RunError(
                f"The masks of the run belong to placement {self.masks.placement_id}, not to "
                f"{self.placement.id}."
            )

    @classmethod
    def of(
        cls,
        network: Network,
        config: RunConfig,
        placement: Placement,
        masks: MaskSet,
        metrics: Mapping[str, float],
        history: Sequence[Mapping[str, Any]] = (),
    ) -> Run:
        """Make the run of a trained network."""
        return cls(
            config=config,
            matrices=_records(network),
            # copies: two tensors that share memory cannot be written
            state={
                name: value.detach().cpu().clone() for name, value in network.state_dict().items()
            },
            placement=placement,
            masks=masks,
            metrics=dict(metrics),
            software=software_version(),
            created=utc_now(),
            history=tuple(history),
        )

    def restore(self, network: Network) -> Network:
        """Give a freshly converted network its trained state, frozen and in evaluation mode.

        Raises
        ------
        RunError
            If the network is another one than the run's.
        """
        if _records(network) != self.matrices:
            raise RunError(
                "The run was made of a network with other matrices.",
                "Use the task file it was trained with, or train again.",
            )
        try:
            network.load_state_dict(dict(self.state))
        except RuntimeError as error:
            raise RunError(
                "The run was made of a network with another digital part.",
                "Use the task file it was trained with, or train again.",
            ) from error
        return network.freeze().eval()

    def save(self, path: Path) -> None:
        """Write the run as a new folder, whole or not at all.

        Raises
        ------
        RunError
            If there is something of that name already: runs are never overwritten.
        OSError
            If it cannot be written.
        """
        if os.path.lexists(path):  # a link to nowhere, too
            raise RunError(
                f"{path} exists, and runs are never overwritten.", "Name another folder."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.partial")
        temporary.mkdir()
        try:
            self._write(temporary)
            sync(temporary)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync(path.parent)

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read what `save` wrote, and verify that it is that.

        Raises
        ------
        NotFound
            If there is no such folder.
        RunError
            If it is damaged, or no run.
        """
        if not path.is_dir():
            raise NotFound(f"There is no run {path}.")
        try:
            said = _File.model_validate_json((path / _RUN).read_bytes())
            for name in (_STATE, _PLACEMENT, _MASKS, *_with_history(said.files)):
                if said.files.get(name) != _digest((path / name).read_bytes()):
                    raise RunError(
                        f"{path} cannot be read as a run: its {name} was changed.", _DAMAGED_HINT
                    )
            state = safetensors.torch.load((path / _STATE).read_bytes())
            return cls(
                config=said.config,
                matrices=said.matrices,
                state=state,
                placement=Placement.load(path / _PLACEMENT),
                masks=MaskSet.load(path / _MASKS),
                metrics=said.metrics,
                software=said.software,
                created=said.created,
                history=_history_in(path, said.files),
            )
        except RunError:
            raise
        except (OSError, ValidationError, SafetensorError, ValueError, RramhilError) as error:
            raise RunError(
                f"{path} cannot be read as a run: it is damaged or foreign.", _DAMAGED_HINT
            ) from error

    def _write(self, folder: Path) -> None:
        (folder / _STATE).write_bytes(safetensors.torch.save(dict(self.state)))
        self.placement.save(folder / _PLACEMENT)
        self.masks.save(folder / _MASKS)
        text = json.dumps([dict(each) for each in self.history], indent=1)
        (folder / _HISTORY).write_text(text + "\n", encoding="utf-8")
        said = _File(
            run=1,
            config=self.config,
            matrices=self.matrices,
            metrics=dict(self.metrics),
            software=self.software,
            created=self.created,
            files={
                name: _digest((folder / name).read_bytes())
                for name in (_STATE, _PLACEMENT, _MASKS, _HISTORY)
            },
        )
        (folder / _RUN).write_text(said.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for name in (_RUN, _STATE, _HISTORY):
            sync(folder / name)


def _records(network: Network) -> tuple[MatrixRecord, ...]:
    return tuple(MatrixRecord(**cast(dict[str, Any], vars(matrix))) for matrix in network.matrices)


def _with_history(files: Mapping[str, str]) -> tuple[str, ...]:
    return (_HISTORY,) if _HISTORY in files else ()


def _history_in(path: Path, files: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        each for name in _with_history(files) for each in json.loads((path / name).read_bytes())
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
