"""Trainings of a comparison side by side, each in a process of its own, with one thread.

Owns: the processes, none of which outlives this one. Each leaves a file in the comparison's folder,
as a training in this process does; who compares takes it from there. Measures nothing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from rramhil._workers import begin_worker
from rramhil.comparison.replicates import kept_replicates
from rramhil.comparison.request import CompareRequest, Step
from rramhil.comparison.work import Work
from rramhil.errors import RunError
from rramhil.tasks import final_splits, load


def train_side_by_side(
    request: CompareRequest,
    folder: Path,
    root: Path,
    steps: Sequence[Step],
    *,
    jobs: int,
    on_done: Callable[[Step], None] = lambda step: None,
) -> None:
    """Do trainings that a folder has not, several at a time.

    Parameters
    ----------
    folder : Path
        Of the comparison, which has its replicates.
    root : Path
        Folder of data sets.
    jobs : int
        Processes, at least 1. Each holds the task's data.
    on_done : callable
        Told of each training when it is there.

    Raises
    ------
    RunError
        A process was killed, for instance for want of memory.
    """
    # not forked: torch's threads do not survive that
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(steps) or 1), fresh, begin_worker) as pool:
        doing = {pool.submit(_train, request, folder, root, step): step for step in steps}
        try:
            for done in as_completed(doing):
                done.result()
                on_done(doing[done])
        except BaseException as error:
            # what was not finished leaves nothing behind, and nobody is to wait for it
            for child in multiprocessing.active_children():
                child.terminate()
            if isinstance(error, BrokenProcessPool):
                raise RunError(
                    f"One of {jobs} processes that trained side by side was killed.",
                    "Give the command again with fewer --jobs: what was trained is kept.",
                ) from error
            raise


def _train(request: CompareRequest, folder: Path, root: Path, step: Step) -> None:
    torch.set_num_threads(1)
    task = load(request.which)
    splits = task.data(root)
    final = final_splits(task, splits, root) if request.final else None
    replicates = kept_replicates(folder, request.replicates)
    work = Work(
        request, task, splits, replicates, folder, lambda step: None, lambda record: None, final
    )
    work.trained(step)
