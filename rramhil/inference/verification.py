"""Proof that a deployment does what its masks say: every gated row sum, measured and compared.

Owns: which vectors are driven for it, what they should answer and how far they may be off. What a
deviation means is told by `switching.verify`.

The bit lines are driven in random parts, two at least: more where all together would saturate. A
line that answers in another's place shows in a part though not in the sum of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.inference.deploy import DeployedTile, Deployment
from rramhil.inference.known_cells import (
    CONVERTER_NOISE_CODES,
    NONLINEARITY_CODES,
    KnownCells,
    lines_of,
    seen_uS,
)
from rramhil.switching import Finding, Schedule, Verification, verify

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

REPEATS = 8
_PARTS = 2
_SEED = 1
_ROUNDING_VARIANCE = 1 / 12
_DARK_CODES = 4.0
"""Excess of a zero over its amplifier's own, in codes, from which on some line is driven."""


class _Evidence(NamedTuple):
    """Row sums of a tile, a sample for each part of the lines and each sampled row."""

    schedule: Schedule
    measured: Float64Array
    cells: Float64Array
    sd: Float64Array


def verify_deployment(
    deployment: Deployment, chips: Mapping[int, KnownCells], repeats: int = REPEATS
) -> dict[int, Verification]:
    """Measure every gated row sum of a deployment and compare it with what is known of the cells.

    Parameters
    ----------
    chips : mapping of int to KnownCells
        By socket, such as `known_cells` makes of maps.
    repeats : int
        Times that each sum is measured.

    Returns
    -------
    dict of int to Verification
        By socket.

    Raises
    ------
    BoardError, LinkLost
        See the driver.
    """
    found: dict[int, Verification] = {}
    for chip in deployment.placement.chips:
        tiles = [each for each in deployment.tiles if each.tile.chip == chip]
        evidence = [
            _evidence(deployment, tile, chips[chip], repeats)
            for tile in tiles
            if tile.schedule.steps
        ]
        if evidence:
            found[chip] = _judged(deployment, chip, evidence, chips[chip].channel_error)
    return found


def _evidence(
    deployment: Deployment, tile: DeployedTile, known: KnownCells, repeats: int
) -> _Evidence:
    parts, sums = _measured(deployment, tile, repeats)
    schedule = tile.schedule
    samples = schedule.samples
    readout = tile.readout
    per_code = readout.per_code_uS.numpy()[samples.accumulator]
    rest = readout.zero_rest.numpy()[samples.accumulator]
    cells = seen_uS(tile.compiled, known.own_uS, lines_of(deployment.board.description))
    cells /= per_code[:, None]
    gates = [schedule.gates & part for part in parts]
    sds = [_sd(cells * gate[samples.step], known, per_code, deployment, repeats) for gate in gates]
    return _Evidence(
        _joined([_gated(schedule, gate) for gate in gates]),
        np.concatenate([each[samples.accumulator] - rest for each in sums]),
        np.tile(cells, (len(parts), 1)),
        np.concatenate(sds),
    )


def _measured(
    deployment: Deployment, tile: DeployedTile, repeats: int
) -> tuple[BoolArray, Float64Array]:
    """Parts of the bit lines (P, C) and the mean accumulators of each (P, accumulators)."""
    random = np.random.default_rng(_SEED)
    inputs = len(tile.tile.columns)
    parts = min(_PARTS, inputs)
    while True:
        of_input = random.permutation(np.arange(inputs) % parts)
        vectors = (of_input == np.arange(parts)[:, None]).astype(np.uint8)
        lines = tile.on_lines(np.tile(vectors, (repeats, 1)))
        result = deployment.run(tile, lines, 1)
        if not result.saturated or parts >= min(inputs, 64):
            break
        parts = min(inputs, 2 * parts)
    driven = np.zeros((parts, tile.schedule.columns), dtype=np.bool_)
    driven[:, tile.tile.columns] = vectors.astype(np.bool_)
    sums = result.accumulators.reshape(repeats, parts, -1).mean(axis=0)
    return driven, sums


def _sd(
    gated: Float64Array,
    known: KnownCells,
    per_code_uS: Float64Array,
    deployment: Deployment,
    repeats: int,
) -> Float64Array:
    """Standard deviation of a mean row sum by all that is known to scatter or to be off."""
    squares = np.square(gated).sum(axis=1)
    drawn = known.noise**2 * squares + CONVERTER_NOISE_CODES**2 + _ROUNDING_VARIANCE
    zeros = CONVERTER_NOISE_CODES**2 / deployment.board.description.zero_conversions
    offset = known.offset_uS / per_code_uS * (gated != 0).sum(axis=1)
    of_map = known.cell_error**2 * squares + (known.channel_error * gated.sum(axis=1)) ** 2
    return np.sqrt(drawn / repeats + zeros + NONLINEARITY_CODES**2 + of_map + offset**2)


def _judged(
    deployment: Deployment, chip: int, evidence: Sequence[_Evidence], channel_error: float
) -> Verification:
    schedules, measured, cells, sds = zip(*evidence, strict=True)
    verdict = verify(
        _joined(schedules),
        np.concatenate(measured),
        np.concatenate(cells),
        np.concatenate(sds),
        channel_error=channel_error,
    )
    if not _is_driven_in_the_dark(deployment, chip):
        return verdict
    return replace(verdict, findings=tuple(_as_driven(each) for each in verdict.findings))


def _is_driven_in_the_dark(deployment: Deployment, chip: int) -> bool:
    """Whether rows conduct with all bit lines at ground: then a line is not at ground."""
    front = deployment.front_end
    excess: list[float] = []
    for (socket, index), zeros in front.zeros.items():
        rows = np.flatnonzero(zeros.sums >= 0)
        if socket == chip and rows.size:
            own = front.gains.zero_codes[rows % len(front.gains.zero_codes), index]
            excess.append(float(np.median(zeros.sums[rows] / zeros.conversions - own)))
    return max(excess, default=0.0) > _DARK_CODES


def _as_driven(finding: Finding) -> Finding:
    """A line that is always driven is in the zeros too, so it seems never to be driven."""
    if finding.fault != "switch":
        return finding
    sentence = (
        f"The switch of bit line {finding.line} does not follow its gate: it is stuck closed, and "
        f"the zeros of all rows hold its current ({finding.sigma:.0f} sigma)."
    )
    return replace(finding, sentence=sentence)


def _gated(schedule: Schedule, gates: BoolArray) -> Schedule:
    return replace(schedule, gates=gates)


def _joined(schedules: Sequence[Schedule]) -> Schedule:
    """One after the other, each with accumulators of its own."""
    first = np.cumsum([0, *(each.accumulator_count for each in schedules)])
    accumulators = [
        np.where(each.accumulators >= 0, each.accumulators + start, each.accumulators)
        for each, start in zip(schedules, first[:-1], strict=True)
    ]
    return Schedule(
        ranges=np.concatenate([each.ranges for each in schedules]),
        gates=np.concatenate([each.gates for each in schedules]),
        rows=np.concatenate([each.rows for each in schedules]),
        accumulators=np.concatenate(accumulators).astype(np.int32),
        signs=np.concatenate([each.signs for each in schedules]),
        accumulator_count=int(first[-1]),
    )
