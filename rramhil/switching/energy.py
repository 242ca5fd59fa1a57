"""Energy of a board's parts, from constants that each have a source.

Owns: `energy.toml` and the arithmetic from counts to joules, part by part. Does not know what is
counted, nor why.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict


class Constant(BaseModel):
    """A number with its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float
    source: Literal["measured", "paper", "datasheet", "assumed"]
    note: str


class EnergyModel(BaseModel):
    """The constants of `energy.toml`: by part, then by name; and which GPU is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gpu_name: str
    converter: dict[str, Constant]
    amplifier: dict[str, Constant]
    dac: dict[str, Constant]
    registers: dict[str, Constant]
    multiplexers: dict[str, Constant]
    cells: dict[str, Constant]
    host: dict[str, Constant]
    gpu: dict[str, Constant]

    def constants(self) -> dict[str, Constant]:
        """All of them by dotted name."""
        return {
            f"{part}.{name}": constant
            for part in type(self).model_fields
            if part != "gpu_name"
            for name, constant in getattr(self, part).items()
        }

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of those that nobody measured or published."""
        return tuple(name for name, fact in self.constants().items() if fact.source == "assumed")


class Activity(NamedTuple):
    """What a board does, in counts and time.

    Attributes
    ----------
    conversions, switch_loads, accumulators : float
        Counts.
    board_time_s : float
        While amplifiers and DAC are on.
    converting_s : float
        Time of one conversion.
    cell_charge_s_uS : float
        Conductance of the driven cells times the time they are driven, summed, in uS s.
    """

    conversions: float
    switch_loads: float
    accumulators: float
    board_time_s: float
    converting_s: float
    cell_charge_s_uS: float


@cache
def energy_model() -> EnergyModel:
    """Read the constants that come with the package."""
    text = files("rramhil.switching").joinpath("energy.toml").read_text(encoding="utf-8")
    return EnergyModel.model_validate(tomllib.loads(text))


def energy_j(
    activity: Activity, columns: int, channels: int, read_voltage_v: float, model: EnergyModel
) -> Mapping[str, float]:
    """Energy by part, in J: converters, amplifiers, dac, switches, cells, host."""
    registers, multiplexers = model.registers, model.multiplexers
    bits = columns * registers["bits_a_line"].value
    clocks = bits / registers["chains"].value
    charge_f = (
        bits / registers["bits"].value * clocks * registers["capacitance_f"].value
        + columns * multiplexers["changing"].value * multiplexers["capacitance_f"].value
    )
    amplifier_w = channels * model.amplifier["current_a"].value * model.amplifier["supply_v"].value
    dac_w = model.dac["current_a"].value * model.dac["supply_v"].value
    operations = activity.accumulators * model.host["operations"].value
    return MappingProxyType(
        {
            "converters": activity.conversions
            * activity.converting_s
            * model.converter["power_w"].value,
            "amplifiers": activity.board_time_s * amplifier_w,
            "dac": activity.board_time_s * dac_w,
            "switches": activity.switch_loads * charge_f * registers["supply_v"].value ** 2,
            "cells": activity.cell_charge_s_uS * 1e-6 * read_voltage_v**2,
            "host": operations * model.host["operation_j"].value,
        }
    )
