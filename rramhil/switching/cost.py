"""The price of masks: steps, conversions, switch loads, board time and energy, a layer and sample.

Owns: the counting, and the comparison with no mask at all, with the fewest steps of any placement,
and with pruning by RESET. Board facts come from the caller, as the board describes them; constants
of energy from `energy`. Nothing is measured here.

A board runs the tiles of a layer one after the other. Each vector costs one load of the switches,
then every step and plane a settling and a conversion; further loads run beside the conversions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rramhil._units import readable
from rramhil.switching.compiler import NO_STEPS, Bounds, CompiledTile
from rramhil.switching.energy import Activity, EnergyModel, energy_j, energy_model
from rramhil.switching.placement import Geometry
from rramhil.switching.reset import ResetPrice

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BoardFacts:
    """What of a board's description decides the price.

    Attributes
    ----------
    conversion_ns, switch_load_ns : int
        One conversion on all channels; one load of the bit-line switches.
    settle_ns : tuple of int
        By TIA range.
    read_voltage_v : float
        On driven bit lines.
    """

    conversion_ns: int
    switch_load_ns: int
    settle_ns: tuple[int, ...]
    read_voltage_v: float


@dataclass(frozen=True)
class Work:
    """What a layer does for one sample.

    Attributes
    ----------
    vectors : float
        Input vectors: 1 for a linear layer, the output positions of a convolution.
    bits : int
        Planes of a vector.
    ones : float
        Share of ones in the planes.
    """

    vectors: float
    bits: int
    ones: float = 0.5


@dataclass(frozen=True)
class Price:
    """What something costs for one sample; energy by part, in J."""

    steps: float
    conversions: float
    switch_loads: float
    board_time_s: float
    energy_parts_j: Mapping[str, float]

    @property
    def energy_j(self) -> float:
        """All parts together."""
        return sum(self.energy_parts_j.values())

    def __add__(self, other: Price) -> Price:
        parts = {
            part: self.energy_parts_j.get(part, 0.0) + other.energy_parts_j.get(part, 0.0)
            for part in {**self.energy_parts_j, **other.energy_parts_j}
        }
        return Price(
            self.steps + other.steps,
            self.conversions + other.conversions,
            self.switch_loads + other.switch_loads,
            self.board_time_s + other.board_time_s,
            parts,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return {
            "steps": self.steps,
            "conversions": self.conversions,
            "switch_loads": self.switch_loads,
            "board_time_s": self.board_time_s,
            "energy_j": self.energy_j,
            "energy_parts_j": dict(self.energy_parts_j),
        }


NOTHING = Price(0, 0, 0, 0.0, {})


@dataclass(frozen=True)
class LayerCost:
    """Price of one layer for one sample: gated, without a mask, and at the fewest steps."""

    name: str
    bounds: Bounds
    gated: Price
    dense: Price
    least: Price

    def __add__(self, other: LayerCost) -> LayerCost:
        return LayerCost(
            self.name,
            self.bounds + other.bounds,
            self.gated + other.gated,
            self.dense + other.dense,
            self.least + other.least,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return {
            "name": self.name,
            "bounds": self.bounds.as_dict(),
            "gated": self.gated.as_dict(),
            "dense": self.dense.as_dict(),
            "least": self.least.as_dict(),
        }


@dataclass(frozen=True)
class CostReport:
    """Price of a network for one sample.

    Attributes
    ----------
    layers : tuple of LayerCost
        In the network's order.
    reset : ResetPrice or None
        What pruning by RESET would cost once; a sample costs `dense` afterwards.
    assumed : tuple of str
        Constants of energy that nobody measured or published.
    """

    layers: tuple[LayerCost, ...]
    reset: ResetPrice | None
    assumed: tuple[str, ...]

    @property
    def total(self) -> LayerCost:
        """All layers together."""
        return replace(
            sum(self.layers, LayerCost("", NO_STEPS, NOTHING, NOTHING, NOTHING)), name="total"
        )

    @property
    def break_even_samples(self) -> float | None:
        """Samples after which RESET would have saved board time; None if it never does."""
        saved_s = self.total.gated.board_time_s - self.total.dense.board_time_s
        if self.reset is None or saved_s <= 0:
            return None
        return self.reset.board_time_s / saved_s

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers by name, as `--json` prints them."""
        return {
            "layers": [layer.as_dict() for layer in self.layers],
            "total": self.total.as_dict(),
            "reset": None if self.reset is None else self.reset.as_dict(),
            "break_even_samples": self.break_even_samples,
            "assumed": list(self.assumed),
        }

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text, the heading first; all numbers are of one sample, with all its vectors."""
        return [_HEADING, *(_table_row(layer) for layer in (*self.layers, self.total))]


_HEADING = (
    "layer",
    "steps a sample",
    "fewest",
    "no mask",
    "conversions",
    "loads",
    "board time",
    "energy",
)


def price_masks(
    compiled: Sequence[CompiledTile],
    work: Mapping[str, Work],
    geometry: Geometry,
    facts: BoardFacts,
    conductance_uS: float | Mapping[int, Float64Array],
    *,
    reset: ResetPrice | None = None,
    model: EnergyModel | None = None,
) -> CostReport:
    """Price compiled masks.

    Parameters
    ----------
    compiled : sequence of CompiledTile
        All tiles of the network, those of a layer in any order.
    work : mapping of str to Work
        By matrix.
    conductance_uS : float or mapping of int to (R, C) float64
        Of a cell, or of each cell by chip.
    """
    constants = model or energy_model()
    layers: dict[str, LayerCost] = {}
    for part in compiled:
        cost = _tile_cost(part, work[part.tile.matrix], geometry, facts, conductance_uS, constants)
        name = part.tile.matrix
        layers[name] = layers[name] + cost if name in layers else cost
    return CostReport(tuple(layers.values()), reset, constants.assumed)


def _tile_cost(
    part: CompiledTile,
    work: Work,
    geometry: Geometry,
    facts: BoardFacts,
    conductance_uS: float | Mapping[int, Float64Array],
    model: EnergyModel,
) -> LayerCost:
    tile, schedule = part.tile, part.schedule
    samples = schedule.samples
    if isinstance(conductance_uS, Mapping):
        of_cell = conductance_uS[tile.chip]
    else:
        of_cell = np.full((geometry.rows, geometry.columns), float(conductance_uS))
    gated_uS = float((of_cell[samples.row] * schedule.gates[samples.step]).sum())
    dense_uS = float(of_cell[np.ix_(tile.rows.ravel(), tile.columns)].sum())
    settle_ns = facts.settle_ns[int(schedule.ranges[0])] if schedule.steps else facts.settle_ns[-1]

    def priced(steps: int, conversions: int, driven_uS: float) -> Price:
        slots = steps * work.bits
        slot_s = (settle_ns + facts.conversion_ns) / 1e9
        board_time_s = (slots * slot_s + facts.switch_load_ns / 1e9) if steps else 0.0
        activity = Activity(
            conversions=work.vectors * conversions * work.bits,
            switch_loads=work.vectors * slots,
            accumulators=work.vectors * schedule.accumulator_count,
            board_time_s=work.vectors * board_time_s,
            converting_s=facts.conversion_ns / 1e9,
            cell_charge_s_uS=work.vectors * driven_uS * work.bits * work.ones * slot_s,
        )
        parts = energy_j(activity, geometry.columns, geometry.channels, facts.read_voltage_v, model)
        return Price(
            work.vectors * steps,
            activity.conversions,
            activity.switch_loads,
            activity.board_time_s,
            parts,
        )

    return LayerCost(
        tile.matrix,
        part.bounds,
        gated=priced(schedule.steps, len(samples.row), gated_uS),
        dense=priced(part.bounds.dense, tile.rows.size, dense_uS),
        least=priced(part.bounds.absolute, len(samples.row), gated_uS),
    )


def _table_row(layer: LayerCost) -> tuple[str, ...]:
    gated = layer.gated
    return (
        layer.name,
        f"{gated.steps:,.0f}",
        f"{layer.least.steps:,.0f}",
        f"{layer.dense.steps:,.0f}",
        f"{gated.conversions:,.0f}",
        f"{gated.switch_loads:,.0f}",
        readable(gated.board_time_s, "s"),
        readable(gated.energy_j, "J"),
    )


def table_text(rows: Iterable[tuple[str, ...]]) -> str:
    """Align rows of text: the first column to the left, the others to the right."""
    lines = list(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
