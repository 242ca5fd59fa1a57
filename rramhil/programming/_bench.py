"""What one run of programming works with, and what stands in the journal besides the pulses.

Owns: the bundle of board, chip, lab and watcher, and the order of a job as the journal keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from rramhil.driver import Board, Chip
from rramhil.errors import LabUnusable, RecipeError, UsageError
from rramhil.lab import Job, Lab
from rramhil.programming.progress import Progress
from rramhil.programming.recipes import Recipe

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bench:
    """A chip on a board, the lab that keeps what is known of it, and who watches."""

    board: Board
    chip: Chip
    lab: Lab
    progress: Progress

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the chip."""
        return self.board.description.rows, self.board.description.columns

    def board_time_ns(self) -> int:
        """Ask for the board's clock."""
        return self.board.status().board_time_ns


class JobOrder(BaseModel):
    """What the journal keeps as a job's recipe.

    Attributes
    ----------
    recipe : Recipe
        What was ordered.
    board_serial : str
        Board that the job's frames were sent to: no other can say what became of them.
    virgin : str or None
        Id of the map that was read before the first pulse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    board_serial: str
    virgin: str | None = None


def order_of(job: Job) -> JobOrder:
    """Return the order of a job.

    Raises
    ------
    LabUnusable
        If it cannot be read: it was written by another version, or is damaged.
    """
    try:
        return JobOrder.model_validate_json(job.recipe_json)
    except (ValidationError, RecipeError) as error:
        raise LabUnusable(
            f"The order of job {job.id} on chip {job.chip_serial} in the lab's journal cannot be "
            "read.",
            "Use the version of rramhil that began it.",
        ) from error


def refuse_other_geometry(shape: tuple[int, int], kept: tuple[int, int]) -> None:
    """Refuse an array that the journal has no room for."""
    if shape[0] > kept[0] or shape[1] > kept[1]:
        raise UsageError(
            f"The board's array has {shape[0]} x {shape[1]} cells; the journal has room for "
            f"{kept[0]} x {kept[1]}."
        )


def on_chip(cells: BoolArray, shape: tuple[int, int]) -> BoolArray:
    """Return the part of the journal's cells that a chip has."""
    return cells[: shape[0], : shape[1]]


def in_journal(cells: BoolArray, kept: tuple[int, int]) -> BoolArray:
    """Return a chip's cells as the journal keeps them."""
    whole = np.zeros(kept, dtype=np.bool_)
    whole[: cells.shape[0], : cells.shape[1]] = cells
    return whole
