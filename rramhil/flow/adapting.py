"""A run's masks put on other chips, without training.

Owns: where they go there, and what is measured anew: mean and variance of batch norm on training
data, and each matrix's TIA range. Masks, scales and biases stay. Fires nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rramhil.driver import Description
from rramhil.errors import MaskError
from rramhil.flow.chips import KnownChip, geometry_of
from rramhil.flow.training import ranges_on
from rramhil.network import Network, Run, weights_of
from rramhil.pruning import FixedWeights, evaluate, masked_weights, reestimate_batch_norm
from rramhil.switching import MaskSet, pack
from rramhil.tasks import Splits, Task


@dataclass(frozen=True, eq=False)
class AdaptedRun:
    """A run on other chips, not yet kept.

    Attributes
    ----------
    run : Run
    before, after : float
        The task's metric of the validation data by the map, without and with batch norm measured
        there.
    """

    run: Run
    before: float
    after: float


def adapt_run(
    run: Run,
    network: Network,
    task: Task,
    splits: Splits,
    chips: Mapping[int, KnownChip],
    description: Description,
) -> AdaptedRun:
    """Put the masks of a run on chips, and measure there what depends on their cells.

    Parameters
    ----------
    network : Network
        Of the task, as `new_network` makes it.
    chips : mapping of int to KnownChip
        By socket, in the order in which they are filled.

    Raises
    ------
    MaskError
        The masks gate pairs: such weights are another chip's differences, and chance on these.
    PlacementError
        They do not fit, with the number of cells missing.
    RunError
        The network is another one than the run's.
    """
    if run.config.gate == "pair":
        raise MaskError(
            "Pair masks choose among one chip's own differences, and are worth nothing on another.",
            f"`rramhil train {run.config.task} --gate pair` learns those of a chip.",
        )
    masks = dict(run.masks.masks)
    placement = pack(
        run.placement.matrices,
        geometry_of(description),
        chips=tuple(chips),
        defects={number: chip.defects for number, chip in chips.items()},
        # they belong to no chip any more, so rows with equal patterns may share steps
        masks=masks,
        overlay=run.placement.overlay,
    )
    maps_uS = {number: chips[number].alone_uS(description) for number in placement.chips}
    pairs = {each.name: weights_of(maps_uS, placement, each) for each in network.matrices}
    weights = FixedWeights(masked_weights(pairs, masks))
    run.restore(network).use(weights)
    before = evaluate(network, task, splits.validation)
    reestimate_batch_norm(network, splits.train)
    after = evaluate(network, task, splits.validation)
    ranges = ranges_on(placement, masks, maps_uS, run.config.noise, network, splits, description)
    settings = {**run.config.settings, "adapted": True}
    adapted = Run.of(
        network,
        run.config.model_copy(update={"ranges": ranges, "settings": settings}),
        placement,
        MaskSet(masks, placement.id, {number: chips[number].map_id for number in placement.chips}),
        # of a last training they are no validation data any more
        {} if run.config.settings.get("final") else {"validation": after},
    )
    return AdaptedRun(adapted, before, after)
