"""Technologies: what a chip's cells are made of, how they age, and each number's source.

Owns the shape of `technologies/*.toml` and checks it. A technology says what differs from the
board's profile: levels of its cells, noise, ageing. Everything else of a chip is the profile's.
Knows no kernel and no state; the integers of ageing are derived in `ageing` and `telegraph`.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib import resources

from pydantic import BaseModel, model_validator

from sim_backend.errors import NoSuchTechnology
from sim_backend.profile import (
    Count,
    Fact,
    NotNegative,
    Positive,
    Profile,
    Share,
    digest_of,
    parsed,
)

DEFAULT_TECHNOLOGY = "rram40"

Ascending = tuple[Decimal, ...]
Changes = tuple[tuple[tuple[Decimal, ...], ...], ...]


class TechnologyCells(BaseModel, frozen=True, extra="forbid"):
    """Levels and noise that take the place of the profile's; a missing one stays as it is there."""

    conductance_max_uS: Fact[Positive] | None = None
    formed_mean_uS: Fact[Positive] | None = None
    formed_sd_uS: Fact[Positive] | None = None
    on_mean_uS: Fact[Positive] | None = None
    noise_relative: Fact[Positive] | None = None


class Relaxation(BaseModel, frozen=True, extra="forbid"):
    """How conductances drift apart after the pulse that made them.

    Attributes
    ----------
    change_uS : (times, levels, normals)
        Quantiles of the change since the pulse. Between the entries it is linear in the
        conductance, in the logarithm of the time and in the normal number.
    """

    slot_s: Fact[Positive]
    knot_octaves: Fact[Count]
    constant_share: Fact[Share]
    held_after_s: Fact[Positive]
    extended_from_s: Fact[Positive]
    levels_uS: Fact[Ascending]
    normals: Fact[Ascending]
    times_s: Fact[Ascending]
    change_uS: Fact[Changes]

    @model_validator(mode="after")
    def _shapes(self) -> Relaxation:
        axes = (self.levels_uS.value, self.normals.value, self.times_s.value)
        if any(len(axis) < 2 or list(axis) != sorted(set(axis)) for axis in axes):
            raise ValueError("levels, normals and times must ascend")
        shape = (len(self.times_s.value), len(self.levels_uS.value), len(self.normals.value))
        table = self.change_uS.value
        same = all(
            len(rows) == shape[1] and all(len(r) == shape[2] for r in rows) for rows in table
        )
        if len(table) != shape[0] or not same:
            raise ValueError("change_uS must be one number a time, level and normal")
        if self.levels_uS.value[0] != 0 or self.times_s.value[0] < self.slot_s.value:
            raise ValueError("levels begin at 0, times not before one slot")
        if self.extended_from_s.value not in self.times_s.value[:-1]:
            raise ValueError("extended_from_s must be one of the times, not the last")
        return self


class Telegraph(BaseModel, frozen=True, extra="forbid"):
    """Cells that jump between two levels."""

    slot_s: Fact[Positive]
    share: Fact[Share]
    step_relative: Fact[NotNegative]
    step_spread: Fact[NotNegative]
    dwell_low_s: Fact[Positive]
    dwell_high_s: Fact[Positive]
    dwell_spread: Fact[NotNegative]


class Temperature(BaseModel, frozen=True, extra="forbid"):
    """What temperature does to cells."""

    reference_k: Fact[Positive]
    activation_ev: Fact[NotNegative]
    coefficient_per_k: Fact[Decimal]


class Technology(BaseModel, frozen=True, extra="forbid"):
    """A whole technology; `load` reads one by name."""

    name: str
    cells: TechnologyCells = TechnologyCells()
    relaxation: Relaxation
    telegraph: Telegraph
    temperature: Temperature

    @property
    def digest(self) -> str:
        """SHA-256 over names and values; sources and notes may change without changing it."""
        return digest_of(self)


def names() -> list[str]:
    """Technologies that ship with the package, in alphabetical order."""
    files = (resources.files("sim_backend") / "technologies").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


@cache
def load(name: str) -> Technology:
    """Read a technology that ships with the package.

    Parameters
    ----------
    name : str
        File name without `.toml`, e.g. "tech_b".

    Raises
    ------
    NoSuchTechnology
        There is none of that name.
    ProfileError
        Its file does not say what a technology must say.
    """
    if name not in names():
        raise NoSuchTechnology(f"There is no technology {name!r}, only {', '.join(names())}.")
    file = resources.files("sim_backend") / "technologies" / f"{name}.toml"
    return parse(file.read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Technology:
    """Read a technology from the text of its TOML file; `name` appears in errors.

    Raises
    ------
    ProfileError
        The text is no TOML, or a value is missing, unknown or out of range.
    """
    return parsed(Technology, text, f"Technology {name!r}")


def applied(profile: Profile, technology: Technology) -> Profile:
    """Profile of a board as a chip of this technology has it."""
    cells = technology.cells
    forming = _replaced(
        profile.forming,
        conductance_mean_uS=cells.formed_mean_uS,
        conductance_sd_uS=cells.formed_sd_uS,
    )
    switching = _replaced(profile.switching, on_mean_uS=cells.on_mean_uS)
    reading = _replaced(profile.reading, noise_relative=cells.noise_relative)
    return profile.model_copy(
        update={"forming": forming, "switching": switching, "reading": reading}
    )


def _replaced(part: BaseModel, **facts: Fact[Decimal] | None) -> BaseModel:
    return part.model_copy(update={name: fact for name, fact in facts.items() if fact is not None})
