"""What a network costs on a board: placed, compiled and priced, with nothing applied.

Owns: the way from a run, or from a task that has none yet, to the cost report. Asks of a board its
description only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_protocol.messages import Operation
from rramhil.driver import Description
from rramhil.errors import RunError
from rramhil.flow.chips import KnownChip, geometry_of
from rramhil.inference import board_facts
from rramhil.network import Matrix, MatrixRecord, Network, Run
from rramhil.programming import pulse_of
from rramhil.switching import (
    CompiledTile,
    CostReport,
    Defects,
    GateKind,
    Mask,
    MatrixShape,
    Placement,
    PulseFacts,
    ResetPrice,
    Work,
    compile_masks,
    energy_model,
    pack,
    price_masks,
    reset_plan,
    reset_price,
)

Float64Array = npt.NDArray[np.float64]

ENDURANCE_CYCLES = energy_model().cells["endurance_cycles"].value
"""Cycles of RESET and SET after which half of the cells are worn. Source: `energy.toml`."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A placed and priced network.

    Attributes
    ----------
    placement : Placement
    compiled : tuple of CompiledTile
    report : CostReport
        For one sample.
    density : float
        Share of cells that are used.
    drawn : bool
        Whether masks were drawn at random, because there are none yet.
    matrices : tuple of Matrix or MatrixRecord
    """

    placement: Placement
    compiled: tuple[CompiledTile, ...]
    report: CostReport
    density: float
    drawn: bool
    matrices: tuple[Matrix | MatrixRecord, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "placement": self.placement.id,
            "chips": list(self.placement.chips),
            "overlay": self.placement.overlay,
            "tiles": len(self.placement.tiles),
            "density": self.density,
            "drawn": self.drawn,
            **self.report.as_dict(),
        }

    def cost_of(self, samples: int, *, gated: bool = True) -> dict[str, Any]:
        """Conversions, board time and energy of some samples, with the masks as gates or open."""
        price = self.report.total.gated if gated else self.report.total.dense
        return {
            "samples": samples,
            "conversions": round(price.conversions * samples),
            "board_time_s": price.board_time_s * samples,
            "energy_j": price.energy_j * samples,
        }


def plan_run(
    run: Run,
    description: Description,
    maps_uS: Mapping[int, Float64Array],
    *,
    chips: Sequence[int] | None = None,
    overlay: bool | None = None,
) -> Plan:
    """Price a run where it is, or where it would be on other chips.

    Masks that were trained for any chip are placed anew so that rows with equal patterns share
    steps.

    Parameters
    ----------
    maps_uS : mapping of int to (R, C) float64
        Of the chips whose map is known, by socket.
    chips : sequence of int, optional
        Place it anew, over these sockets.
    overlay : bool, optional
        Place it anew, with matrices sharing cells or not.

    Raises
    ------
    PlacementError
        It does not fit, with the number of cells missing.
    """
    placement, masks = run.placement, dict(run.masks.masks)
    if chips is not None or overlay is not None:
        placement = pack(
            placement.matrices,
            geometry_of(description),
            chips=placement.chips if chips is None else tuple(chips),
            # masks of one chip's map would be others elsewhere; those of none may choose their rows
            masks=None if run.masks.map_ids else masks,
            overlay=placement.overlay if overlay is None else overlay,
        )
    return _priced(placement, masks, run.matrices, ranges_of(run), description, maps_uS)


def plan_task(
    network: Network,
    description: Description,
    *,
    chips: Sequence[int],
    known: Mapping[int, KnownChip],
    gate: GateKind = "cell",
    density: float = 0.5,
    overlay: bool = False,
) -> Plan:
    """Place and price a network that was not trained: with random masks, in the coarsest range."""
    draw = np.random.default_rng(0)
    masks: dict[str, Mask] = {}
    for each in network.matrices:
        plus, minus = draw.random((2, each.outputs, each.inputs)) < density
        masks[each.name] = Mask.pair(plus) if gate == "pair" else Mask.cell(plus, minus)
    defects: dict[int, Defects] = {number: chip.defects for number, chip in known.items()}
    shapes = [MatrixShape(each.name, each.outputs, each.inputs) for each in network.matrices]
    placement = pack(
        shapes, geometry_of(description), chips=tuple(chips), defects=defects, overlay=overlay
    )
    maps_uS = {number: chip.measured.conductance_uS for number, chip in known.items()}
    coarsest = {each.name: len(description.ranges) - 1 for each in network.matrices}
    plan = _priced(placement, masks, network.matrices, coarsest, description, maps_uS)
    return replace(plan, drawn=True)


def ranges_of(run: Run) -> dict[str, int]:
    """TIA range of each matrix of a run.

    Raises
    ------
    RunError
        They were never chosen.
    """
    missing = [each.name for each in run.matrices if each.name not in run.config.ranges]
    if missing:
        raise RunError(f"The run does not say the range of {', '.join(missing)}.", "Train again.")
    return dict(run.config.ranges)


def _priced(
    placement: Placement,
    masks: Mapping[str, Mask],
    matrices: Sequence[Matrix | MatrixRecord],
    ranges: Mapping[str, int],
    description: Description,
    maps_uS: Mapping[int, Float64Array],
) -> Plan:
    compiled = tuple(compile_masks(placement, masks, ranges))
    geometry, cells = placement.geometry, energy_model().cells
    nominal = np.full((geometry.rows, geometry.columns), cells["conductance_uS"].value)
    report = price_masks(
        compiled,
        {each.name: Work(each.vectors, each.bits) for each in matrices},
        geometry,
        board_facts(description),
        {chip: maps_uS.get(chip, nominal) for chip in placement.chips},
        reset=_price_of_reset(placement, masks, description),
    )
    count = sum(mask.plus.size for mask in masks.values())
    density = sum(mask.density * mask.plus.size for mask in masks.values()) / count
    return Plan(placement, compiled, report, density, drawn=False, matrices=tuple(matrices))


def _price_of_reset(
    placement: Placement, masks: Mapping[str, Mask], description: Description
) -> ResetPrice | None:
    """What RESET of all that is pruned would cost; None where it cannot do it."""
    if placement.overlay or Operation.RESET not in description.envelopes:
        return None
    pulse = pulse_of(Operation.RESET, description)
    limit_a = description.driving_rail(Operation.RESET).limit_a
    facts = PulseFacts(
        width_ns=pulse.width_ns,
        overhead_ns=description.switch_load_ns + description.dac_settle_ns,
        cells_at_once=max(1, int(limit_a / pulse.compliance_a)),
        cell_energy_j=pulse.amplitude_v * pulse.compliance_a * pulse.width_ns * 1e-9,
        endurance_cycles=ENDURANCE_CYCLES,
    )
    return reset_price(reset_plan({}, masks, placement), facts)
