"""What a chip is to be given: steps of pulses, each over a region, each cell once at most.

Owns: recipes as values, the built-in ones, and their TOML form. Knows neither a board nor a chip;
how many rows and columns there are, and what the board allows, is settled when a recipe is planned.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from rramhil.errors import NotFound, RecipeError

MAX_STEPS = 256
"""Steps that a recipe may have; beyond, the check of all pairs would take seconds."""

LADDER_V = (3.2, 3.25, 3.3, 3.35, 3.4, 3.45, 3.5, 3.55, 3.6, 3.7)
"""Amplitudes of the built-in ladder, in volts: from 2 % to 99 % of the measured cells formed."""

# Lines are numbered by 16 bits on the wire; a region "to the end" ends here before it is planned.
_LINES_MAX = 1 << 16

_COMPLIANCE_A = 100e-6  # assumed: the measured cells' forming conditions are not published


class Lines(NamedTuple):
    """Rows or columns `start`, `start + stride`, ... below `stop`; `stop` None means to the end."""

    start: int = 0
    stop: int | None = None
    stride: int = 1

    def within(self, count: int) -> range:
        """Return the line numbers on an array that has `count` of these lines."""
        return range(self.start, count if self.stop is None else self.stop, self.stride)

    def __str__(self) -> str:
        text = f"{self.start}:{'' if self.stop is None else self.stop}"
        return text if self.stride == 1 else f"{text}:{self.stride}"


def _lines(value: Any) -> Any:
    """Take "start:stop:stride" as well as [start, stop] and [start, stop, stride]."""
    if not isinstance(value, str):
        if isinstance(value, list | tuple) and len(value) not in (2, 3):
            raise ValueError("lines are [start, stop] or [start, stop, stride]")
        return value
    parts = value.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        raise ValueError('lines are written "start:stop" or "start:stop:stride"')
    start, stop, stride = (*numbers, None)[:3]
    return Lines(start or 0, stop, 1 if stride is None else stride)


def _proper(lines: Lines) -> Lines:
    stop = _LINES_MAX if lines.stop is None else lines.stop
    if not 0 <= lines.start < stop <= _LINES_MAX or lines.stride < 1:
        raise ValueError(
            f"lines must run upwards from 0 by 1 or more, to {_LINES_MAX} at most, got {lines}"
        )
    return lines


Region = Annotated[Lines, BeforeValidator(_lines), AfterValidator(_proper)]


class Step(BaseModel):
    """One pulse for each cell where `rows` and `cols` cross.

    Attributes
    ----------
    amplitude_v : float
        Source-line voltage, in volts.
    width_ns : int
        Time the word line is high, in ns.
    compliance_a : float
        Compliance current of a cell, in amperes.
    rows, cols : Lines
        The region; all lines where none is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # strict: neither true nor "3.5" is a number; an integer is one for a float
    amplitude_v: float = Field(gt=0, strict=True)
    width_ns: int = Field(gt=0, lt=1 << 32, strict=True)
    compliance_a: float = Field(gt=0, strict=True)
    rows: Region = Lines()
    cols: Region = Lines()


class Recipe(BaseModel):
    """Steps of pulses whose regions do not overlap.

    Attributes
    ----------
    name, description : str
        What people call it, and what it is for.
    steps : tuple of Step
        1 to 256 steps, fired in this order.

    Raises
    ------
    RecipeError
        If two steps would pulse the same cell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    description: str = ""
    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _pulse_no_cell_twice(self) -> Self:
        for (i, first), (j, second) in combinations(enumerate(self.steps), 2):
            row = _common_line(first.rows, second.rows)
            col = _common_line(first.cols, second.cols)
            if row is not None and col is not None:
                raise RecipeError(
                    f"Steps {i + 1} and {j + 1} of recipe {self.name!r} both pulse the cell in "
                    f"row {row}, column {col}; a cell gets one pulse, ever.",
                    "Give every step a region of its own.",
                )
        return self


def dense() -> Recipe:
    """Form every cell: 4.0 V for 1 ms, 5.5 standard deviations above the mean breakdown."""
    step = Step(amplitude_v=4.0, width_ns=1_000_000, compliance_a=_COMPLIANCE_A)
    return Recipe(name="dense", description="Every cell forms.", steps=(step,))


def sparse() -> Recipe:
    """Form about half the cells: the mean breakdown voltage, 3.433 V."""
    step = Step(amplitude_v=3.433, width_ns=100_000, compliance_a=_COMPLIANCE_A)
    return Recipe(name="sparse", description="About half the cells form.", steps=(step,))


def ladder(amplitudes_v: Sequence[float] = LADDER_V) -> Recipe:
    """Measure the forming curve: as many groups of rows as amplitudes, one amplitude each.

    Group k has the rows k, k + n, k + 2n, ...: interleaved, so that a gradient along the array
    is the same in all groups and does not look like an effect of the amplitude.

    Parameters
    ----------
    amplitudes_v : sequence of float
        1 to 256 amplitudes, in volts.

    Raises
    ------
    RecipeError
        If there are none, too many, or one that is not positive.
    """
    count = len(amplitudes_v)
    try:
        steps = tuple(
            Step(
                amplitude_v=amplitude_v,
                width_ns=100_000,
                compliance_a=_COMPLIANCE_A,
                rows=Lines(k, None, count),
            )
            for k, amplitude_v in enumerate(amplitudes_v)
        )
        return Recipe(
            name="ladder",
            description="The forming curve: one amplitude for each group of rows.",
            steps=steps,
        )
    except ValidationError as error:
        raise RecipeError(f"The ladder cannot be built: {_first_fault(error)}.") from error


BUILT_IN = {"dense": dense, "sparse": sparse, "ladder": ladder}
"""The recipes that have a name of their own."""


def find_recipe(name_or_path: str) -> Recipe:
    """Return a built-in recipe by its name, or the one in a TOML file.

    Raises
    ------
    NotFound
        If it is neither.
    RecipeError
        If the file is not a recipe.
    """
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]()
    path = Path(name_or_path)
    if not path.is_file():
        raise NotFound(
            f"There is no recipe {name_or_path!r}: it is neither one of {', '.join(BUILT_IN)} "
            "nor a file.",
            "Name one of these, or the path of a TOML file.",
        )
    return load_recipe(path)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a TOML file.

    The file has the recipe's fields, and a table for each step. Regions are written as slices of
    rows and columns, "start:stop" or "start:stop:stride", or as [start, stop]; left out, they are
    the whole array::

        name = "halves"
        description = "The upper half dense, the lower half sparse."

        [[steps]]
        amplitude_v = 4.0
        width_ns = 1_000_000
        compliance_a = 100e-6
        rows = "0:256"

        [[steps]]
        amplitude_v = 3.433
        width_ns = 100_000
        compliance_a = 100e-6
        rows = "256:"
        cols = [0, 512]

    Raises
    ------
    RecipeError
        If the file cannot be read, or does not say what a recipe must say; the sentence names the
        file, the key, its value and the cause.
    """
    try:
        said = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"Recipe {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"Recipe {path} is not UTF-8 text: byte {error.start}.") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"Recipe {path} is not TOML: {error}.") from error
    try:
        return Recipe.model_validate(said)
    except ValidationError as error:
        raise RecipeError(
            f"Recipe {path}: {_first_fault(error)}.",
            "The user guide shows a recipe file.",
        ) from error


def read_recipe(text: str) -> Recipe:
    """Return the recipe in a JSON text, as jobs and maps keep it.

    Raises
    ------
    RecipeError
        If it is none.
    """
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise RecipeError(f"A kept recipe cannot be read: {_first_fault(error)}.") from error


def _common_line(first: Lines, second: Lines) -> int | None:
    """Return the lowest line that both have, or None."""
    stop = min(_LINES_MAX if lines.stop is None else lines.stop for lines in (first, second))
    gap = max(0, second.start - first.start)
    begin = first.start + -(-gap // first.stride) * first.stride
    # The two patterns repeat together after `second.stride` of the first one's lines at most.
    candidates = range(begin, stop, first.stride)[: second.stride]
    other = range(second.start, stop, second.stride)
    return next((line for line in candidates if line in other), None)


def _first_fault(error: ValidationError) -> str:
    """Say key, value and cause of the first thing that is wrong."""
    fault = error.errors(include_url=False)[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    cause = fault["msg"].removeprefix("Value error, ")
    cause = cause[0].lower() + cause[1:]
    if fault["type"] == "missing":
        return f"{key.lstrip('.')} is missing"
    value = fault["input"]
    shown = "" if isinstance(value, dict) else f" = {value!r}"
    return f"{key.lstrip('.') or 'it'}{shown}: {cause}"
