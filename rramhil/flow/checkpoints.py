"""Trainings that are under way: a hidden folder of the lab, from which one can be continued.

Owns: `LAB/runs/.NAME.training`, never taken for a run, what is in it, and finding one. Each file is
whole or not there, so a process may be killed at any moment. What is lost then is an epoch at most,
or what a few seconds hold where epochs are shorter.

    start.json          request, maps, digest of the task, threads, SHA-256 of the next two
    placement.json      where the matrices are
    cells.safetensors   conductances that the training began with
    state.bin           where it stands; missing before its first epoch is kept
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import safetensors.numpy
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError

from rramhil._atomic import sync, write_whole
from rramhil.errors import NotFound, RramhilError, RunError
from rramhil.flow.requests import TrainRequest
from rramhil.flow.starts import Start
from rramhil.lab import software_version, utc_now
from rramhil.pruning import TrainState
from rramhil.switching import Placement

_START, _PLACEMENT, _CELLS, _STATE = (
    "start.json",
    "placement.json",
    "cells.safetensors",
    "state.bin",
)
_EVERY_S = 2.0
"""States are kept no more often than this: to bring one to the disk takes time."""


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    training: Literal[1]
    request: dict[str, Any]
    noise: float
    map_ids: dict[int, str]
    digest: str
    threads: int
    torch: str
    software: str
    created: str
    files: dict[str, str]

    def write(self, path: Path) -> None:
        """Write it whole, with a digest of itself."""
        said = {"own": self._own, **self.model_dump()}
        write_whole(path, (json.dumps(said, indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> _Head:
        """Read what `write` wrote; OSError if it is not there, ValueError if it was changed."""
        said = json.loads(path.read_bytes())
        own = said.pop("own", None) if isinstance(said, dict) else None
        head = cls.model_validate(said)
        if head._own != own:
            raise ValueError(f"{path} was changed")
        return head

    @property
    def _own(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Checkpoint:
    """The folder of one training.

    Parameters
    ----------
    run_path : Path
        Folder of the run that is to be.

    Attributes
    ----------
    epochs_kept : int
        Epochs that need not be trained again, as far as this process has seen.
    """

    def __init__(self, run_path: Path) -> None:
        self.run_path = run_path
        self.folder = folder_of(run_path)
        self.epochs_kept = 0
        self._pending: tuple[bytes, int] | None = None
        self._kept_at_s = -_EVERY_S

    @property
    def has_begun(self) -> bool:
        """Whether there is a training to continue."""
        # os.path: its name may be longer than any of a file
        return os.path.isfile(self.folder / _START)

    @property
    def name(self) -> str:
        """What the run will be called."""
        return self.run_path.name

    def goes_on(self, which: str) -> str:
        """The command that continues it, a training of this task."""
        return f"rramhil train {which} --resume {self.name}"

    def begin(self, start: Start) -> None:
        """Write down what the training starts from.

        Raises
        ------
        RunError
            There is an unfinished training of that name.
        OSError
            It cannot be written.
        """
        if self.has_begun:
            raise RunError(
                f"There is an unfinished training {self.name}.",
                f"`{self.goes_on(start.request.which)}` continues it; to begin again, remove "
                f"{self.folder}.",
            )
        self.remove()  # what a kill left of one that had not begun, or had ended
        self.folder.mkdir(parents=True)
        start.placement.save(self.folder / _PLACEMENT)
        cells = {f"map:{chip}": each for chip, each in start.maps_uS.items()}
        cells |= {f"spread:{chip}": each for chip, each in start.spreads_uS.items()}
        cells |= {f"pulsed:{chip}": each for chip, each in start.pulsed.items()}
        write_whole(self.folder / _CELLS, safetensors.numpy.save(cells))
        head = _Head(
            training=1,
            request=start.request.as_dict(),
            noise=start.noise,
            map_ids=dict(start.map_ids),
            digest=start.digest,
            threads=start.threads,
            torch=torch.__version__,
            software=software_version(),
            created=utc_now(),
            files={name: _digest(self.folder / name) for name in (_PLACEMENT, _CELLS)},
        )
        # the last one: a folder without it is of a training that never began
        head.write(self.folder / _START)
        sync(self.folder.parent)

    def load(self) -> tuple[Start, TrainState | None]:
        """Read what the training started from, and where it stands.

        Raises
        ------
        RunError
            It is damaged.
        """
        try:
            head = _Head.read(self.folder / _START)
            if any(_digest(self.folder / name) != said for name, said in head.files.items()):
                raise ValueError("a file was changed")
            cells: Mapping[str, Any] = safetensors.numpy.load_file(self.folder / _CELLS)
            start = Start(
                request=TrainRequest.from_dict(head.request),
                placement=Placement.load(self.folder / _PLACEMENT),
                maps_uS=_of_chips(cells, "map"),
                spreads_uS=_of_chips(cells, "spread"),
                noise=head.noise,
                map_ids=head.map_ids,
                digest=head.digest,
                threads=head.threads,
                pulsed=_of_chips(cells, "pulsed"),
            )
            file = self.folder / _STATE
            state = TrainState.from_bytes(file.read_bytes()) if file.exists() else None
        except (OSError, TypeError, ValueError, SafetensorError, RramhilError) as error:
            raise self._damaged() from error
        self.epochs_kept = 0 if state is None else len(state.history)
        return start, state

    def is_of(self, which: str, sockets: tuple[int, ...] | None) -> bool:
        """Whether it is of a task, and on these chips and no others; None is for any.

        Raises
        ------
        RunError
            It is damaged.
        """
        try:
            head = _Head.read(self.folder / _START)
            placement = Placement.load(self.folder / _PLACEMENT)
        except (OSError, ValueError, RramhilError) as error:
            raise self._damaged() from error
        is_there = sockets is None or set(placement.chips) <= set(sockets)
        return head.request.get("which") == which and is_there

    def keep(self, state: TrainState) -> None:
        """Keep where the training stands: at once, or with the next state if one was just kept."""
        self._pending = state.to_bytes(), len(state.history)
        if time.monotonic() - self._kept_at_s >= _EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Bring the newest state to the disk."""
        if self._pending is not None:
            content, self.epochs_kept = self._pending
            write_whole(self.folder / _STATE, content)
            self._pending, self._kept_at_s = None, time.monotonic()

    def remove(self) -> None:
        """Forget the training: it is a run now, or came to nothing."""
        # first what makes it one, so that half a folder is none
        (self.folder / _START).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _damaged(self) -> RunError:
        return RunError(
            f"The unfinished training {self.name} cannot be continued: it is damaged.",
            f"Remove {self.folder}, and train again.",
        )


def folder_of(run_path: Path) -> Path:
    """Where the training of a run is kept."""
    return run_path.with_name(f".{run_path.name}.training")


def find_unfinished(
    lab_root: Path, which: str, sockets: tuple[int, ...] | None, name: str | None = None
) -> Checkpoint:
    """Find the newest unfinished training of a task on chips, or the one of a name.

    Parameters
    ----------
    sockets : tuple of int or None
        It is on these and no others; None for any.

    Raises
    ------
    NotFound
        There is none.
    RunError
        The one of that name is damaged, or of another task or other chips.
    """
    runs = lab_root / "runs"
    if name is not None:
        found = Checkpoint(runs / name)
        if not found.has_begun:
            raise NotFound(f"There is no unfinished training {name}.", _others(runs))
        if not found.is_of(which, sockets):
            raise RunError(
                f"The unfinished training {name} is of another task or other chips.", _others(runs)
            )
        return found
    for found in unfinished_trainings(lab_root):
        with suppress(RunError):  # a damaged one is nobody's newest
            if found.is_of(which, sockets):
                return found
    where = "" if sockets is None else f" on chip {', '.join(map(str, sockets))}"
    raise NotFound(f"There is no unfinished training of {which}{where}.", _others(runs))


def unfinished_trainings(lab_root: Path) -> list[Checkpoint]:
    """Every training of a lab that can be continued, or is damaged; the newest first."""
    runs = lab_root / "runs"
    folders = sorted(runs.glob(".*.training"), key=_last_written, reverse=True)
    found = [Checkpoint(runs / _name_of(folder)) for folder in folders]
    # killed between the last two steps: the run is there already
    return [each for each in found if each.has_begun and not each.run_path.exists()]


def _others(runs: Path) -> str:
    names = [_name_of(start.parent) for start in runs.glob(f".*.training/{_START}")]
    return f"There are {', '.join(sorted(names)[:5])}." if names else "There is none at all."


def _name_of(folder: Path) -> str:
    return folder.name.removeprefix(".").removesuffix(".training")


def _last_written(folder: Path) -> tuple[int, str]:
    return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0), folder.name


def _of_chips(cells: Mapping[str, Any], kind: str) -> dict[int, Any]:
    wanted = ((name.partition(":"), each) for name, each in cells.items())
    return {int(chip): each for (part, _, chip), each in wanted if part == kind}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
