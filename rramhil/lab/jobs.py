"""Programming jobs as values.

Owns: what a job is and how it may stand. The journal keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil.lab import _bitmaps

BoolArray = npt.NDArray[np.bool_]

JOB_COLUMNS = "id, chip_serial, recipe, cells, state, opened, closed"


class JobState(StrEnum):
    """How a job stands. OPEN and INTERRUPTED ones are unfinished and can be resumed."""

    OPEN = "open"
    INTERRUPTED = "interrupted"
    DONE = "done"
    ABANDONED = "abandoned"


@dataclass(frozen=True, eq=False)
class Job:
    """A programming job: the cells that are to get their pulse, and by which recipe.

    Attributes
    ----------
    id : int
        The journal's number for it.
    chip_serial : str
        The chip.
    recipe_json : str
        The recipe as it was given.
    cells : (512, 512) bool
        Cells that the job is to pulse.
    state : JobState
        How it stands.
    opened, closed : str, str or None
        UTC, ISO 8601.
    """

    id: int
    chip_serial: str
    recipe_json: str
    cells: BoolArray
    state: JobState
    opened: str
    closed: str | None


def job_from_row(row: Sequence[Any]) -> Job:
    """Return the job in a row of JOB_COLUMNS."""
    job_id, chip_serial, recipe, cells, state, opened, closed = row
    return Job(job_id, chip_serial, recipe, _bitmaps.unpack(cells), JobState(state), opened, closed)
