"""What faults can be asked for, as values that check themselves, from Python or from TOML.

Owns names, units and ranges. Limits that depend on a board (its lines, channels, sockets) are
checked where the board is opened.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sim_backend.defects import Defects
from sim_backend.errors import FaultsError, NoFaultsFile
from sim_backend.faults.refusal import first_mistake

Direction = Literal["to_board", "to_host"]
LineStateName = Literal["FLOAT", "GND", "RAIL_A", "RAIL_B"]
# strict: neither true nor "3" is a number; an integer is one for a float
Count = Annotated[int, Field(ge=1, le=1 << 32, strict=True)]
Number = Annotated[int, Field(ge=0, le=1 << 16, strict=True)]
Seconds = Annotated[float, Field(ge=0, le=3600, strict=True)]


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    return value


CodesPerSecond = Annotated[Decimal, BeforeValidator(_no_truth), Field(ge=-1_000_000, le=1_000_000)]
T = TypeVar("T")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _OnFrames(_Part):
    """A fault of the link: which way, and which frames it strikes.

    Attributes
    ----------
    direction : str
    every : int, optional
        Every n-th frame of that direction.
    frames : tuple of int, optional
        These frames, counted from 1.
    probability : float, optional
        Each frame with this probability, drawn by the seed and the frame's number.

    Frames are counted over all links since the board is served.
    """

    direction: Direction
    every: Count | None = None
    frames: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    probability: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None

    @model_validator(mode="after")
    def _one_way_to_say_when(self) -> _OnFrames:
        said = [self.every, self.frames, self.probability]
        if sum(one is not None for one in said) != 1:
            raise ValueError("exactly one of every, frames and probability says which frames")
        return self


class Lost(_OnFrames):
    """The frame never arrives."""

    fault: Literal["lost"] = "lost"


class Repeated(_OnFrames):
    """The frame arrives again `times` times, at once."""

    fault: Literal["repeated"] = "repeated"
    times: Annotated[int, Field(ge=1, le=100, strict=True)] = 1


class Delayed(_OnFrames):
    """The frame arrives after `by_frames` later ones, or `by_s` seconds late; others overtake."""

    fault: Literal["delayed"] = "delayed"
    by_frames: Count | None = None
    by_s: Seconds | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> Delayed:
        if (self.by_frames is None) == (self.by_s is None):
            raise ValueError("exactly one of by_frames and by_s says how late")
        return self


class Flipped(_OnFrames):
    """So many bits of the frame, at places drawn by the seed, arrive inverted."""

    fault: Literal["flipped"] = "flipped"
    bits: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1


class Cut(_OnFrames):
    """The last `missing` bytes of the frame never arrive; a shorter frame loses all but one."""

    fault: Literal["cut"] = "cut"
    missing: Annotated[int, Field(ge=1, le=1 << 24, strict=True)] = 1


class Merged(_OnFrames):
    """The frame and those after it, `count` in all, arrive in one piece.

    It waits for them `within_s` seconds at most.
    """

    fault: Literal["merged"] = "merged"
    count: Annotated[int, Field(ge=2, le=1000, strict=True)] = 2
    within_s: Seconds = 0.05


class Split(_OnFrames):
    """The frame arrives in `pieces` pieces, `pause_s` seconds apart."""

    fault: Literal["split"] = "split"
    pieces: Annotated[int, Field(ge=2, le=1000, strict=True)] = 2
    pause_s: Seconds = 0.01


class BrownOut(_Part):
    """The supply fails once, at one array operation, counted from 1 since the board was opened.

    Attributes
    ----------
    operation : int
        Each pulse of a row and each point of READ_POINTS is an operation; so is each READ_CELLS,
        DARK and WAIT.
    moment : str
        Whether that operation, if it is a pulse, had begun: its cells are then pulsed, and the
        board does not know it. Measurements are lost either way.
    off_s : float
        Wall time until the board is there again.
    """

    fault: Literal["brown_out"] = "brown_out"
    operation: Count
    moment: Literal["before", "during"] = "during"
    off_s: Seconds = 0.5


class StuckSwitch(_Part):
    """A bit line does this whatever its register says; read-back is of the register."""

    fault: Literal["stuck_switch"] = "stuck_switch"
    chip: Number = 0
    line: Number
    state: LineStateName


class DeadChannel(_Part):
    """An ADC channel that always answers one code."""

    fault: Literal["dead_channel"] = "dead_channel"
    channel: Number
    code: Number = 0


class DriftingTia(_Part):
    """The offset of a channel in a range moves with board time, from `since_s` on."""

    fault: Literal["drifting_tia"] = "drifting_tia"
    channel: Number
    range: Number
    codes_per_s: CodesPerSecond
    since_s: Annotated[Decimal, BeforeValidator(_no_truth), Field(ge=0, le=10**9)] = Decimal(0)


class Slow(_Part):
    """Each command that reaches the board's firmware takes so much more wall time."""

    fault: Literal["slow"] = "slow"
    command_s: Seconds


LinkFault = Annotated[
    Lost | Repeated | Delayed | Flipped | Cut | Merged | Split, Field(discriminator="fault")
]
BoardFault = Annotated[
    BrownOut | StuckSwitch | DeadChannel | DriftingTia | Slow, Field(discriminator="fault")
]


class Faults(_Part):
    """All that is wrong with a board.

    Attributes
    ----------
    seed : int
        Decides what faults draw: frames, bits.
    link : tuple of link faults
        Where several strike a frame, they act in this order.
    board : tuple of board faults
    chip : Defects
        Of every chip that is made while they are in force; see `sim_backend.defects`.
    """

    seed: Annotated[int, Field(ge=0, le=(1 << 32) - 1, strict=True)] = 0
    link: tuple[LinkFault, ...] = ()
    board: tuple[BoardFault, ...] = ()
    chip: Defects = Defects()

    def of_board(self, kind: type[T]) -> tuple[T, ...]:
        """Board faults of one kind."""
        return tuple(fault for fault in self.board if isinstance(fault, kind))


NONE = Faults()
"""Nothing is wrong."""


def load(path: Path) -> Faults:
    """Read faults from a TOML file.

    Raises
    ------
    FaultsError
        The file cannot be read, is not TOML, or asks for what there is not.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoFaultsFile(f"There is no file of faults {path}.") from error
    except OSError as error:
        raise FaultsError(f"Faults {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise FaultsError(f"Faults {path} is not TOML: {str(error).rstrip('.')}.") from error
    try:
        return Faults.model_validate(said)
    except ValidationError as error:
        raise FaultsError(f"Faults {path}: {first_mistake(error, _known())}.") from error


def _known() -> dict[str, list[str]]:
    """Names that a file may use, as `first_mistake` takes them."""
    groups: dict[str, tuple[type[_Part], ...]] = {
        "link": get_args(get_args(LinkFault)[0]),
        "board": get_args(get_args(BoardFault)[0]),
    }
    named = {
        kind.model_fields["fault"].default: kind for kinds in groups.values() for kind in kinds
    }
    return {
        "": list(Faults.model_fields),
        "chip": [field.name for field in fields(Defects)],
        **{
            group: [kind.model_fields["fault"].default for kind in kinds]
            for group, kinds in groups.items()
        },
        **{name: list(kind.model_fields) for name, kind in named.items()},
    }
