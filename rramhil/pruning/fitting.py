"""Train masks for a task on the conductances of chips.

Owns: the way from a network and its cells to masks with honest figures: validation data choose the
epoch, test data are used once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from rramhil.network import Network, Pairs
from rramhil.pruning.baselines import outputs_of
from rramhil.pruning.codebook import CodebookExecutor
from rramhil.pruning.economy import Economy, Written
from rramhil.pruning.records import EpochRecord, Reread, TrainSettings
from rramhil.pruning.state import TrainState
from rramhil.pruning.supermask import Gate, SupermaskExecutor
from rramhil.pruning.training import finite, train
from rramhil.switching import Mask, TileSteps
from rramhil.tasks import Splits, Task


@dataclass(frozen=True)
class FitResult:
    """Trained masks and what they are worth.

    Attributes
    ----------
    masks : dict of str to Mask
        By the matrix's name.
    history : tuple of EpochRecord
    best_epoch : int
        The one whose masks these are.
    validation : float or None
        The task's metric, without noise; None where it chose nothing.
    test : float
        The same.
    test_also : dict of str to float
        The task's further metrics of the test data, by name.
    density : float
        Share of cells that are used.
    epoch_s : float
        Seconds an epoch took, mean.
    written : Written or None
        Pulses that the masks took up to the best epoch; None where they are gates.
    """

    masks: dict[str, Mask]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation: float | None
    test: float
    test_also: dict[str, float]
    density: float
    epoch_s: float
    written: Written | None = None


def fit(
    network: Network,
    task: Task,
    splits: Splits,
    pairs: Mapping[str, Pairs],
    *,
    gate: Gate | Sequence[TileSteps],
    settings: TrainSettings,
    density: float | Mapping[str, float] | None = 0.5,
    noise: float | Mapping[str, Pairs] = 0.0,
    reads: Mapping[str, Pairs] | None = None,
    per_conversion: bool = False,
    economy: Economy | None = None,
    start: TrainState | None = None,
    reread: Reread | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_state: Callable[[TrainState], None] = lambda state: None,
) -> FitResult:
    """Learn which cells to keep.

    Parameters
    ----------
    network : Network
        Trained in place: its digital part belongs to the masks. Afterwards it uses the masked
        weights, in evaluation mode, with its ranges frozen.
    pairs : mapping of str to Pairs
        Conductances in uS of every matrix.
    gate : "pair", "cell", or sequence of TileSteps
        By pairs, by cells, or by cells with a codebook for every tile, see `CodebookExecutor`.
    density, noise, reads, per_conversion, economy
        As of `SupermaskExecutor`; a codebook has one density for all, and none of the last three.
    start, reread, on_epoch, on_state
        As of `train`.

    Raises
    ------
    TrainingFailed, UsageError
        As of `train`.
    ValueError
        If a codebook is asked for what it has not.
    """
    executor: SupermaskExecutor | CodebookExecutor
    if isinstance(gate, str):
        executor = SupermaskExecutor(
            pairs,
            gate,
            density=density,
            noise=noise,
            reads=reads,
            per_conversion=per_conversion,
            economy=economy,
            live=reread is not None,
            seed=settings.seed,
        )
    elif isinstance(density, Mapping):
        raise ValueError("a codebook has one density for all matrices")
    elif reads is not None or per_conversion or economy is not None or reread is not None:
        raise ValueError("a codebook has no recorded reads, no pulses and no loop")
    else:
        executor = CodebookExecutor(pairs, gate, density=density, noise=noise, seed=settings.seed)
    executor.to(next(network.parameters()).device)
    executor.prepare(network)
    outcome = train(
        network,
        executor,
        task,
        splits,
        settings,
        start=start,
        reread=reread,
        on_epoch=on_epoch,
        on_state=on_state,
    )
    masks = executor.masks()
    tested = task.measured(outputs_of(network, splits.test), splits.test.targets)
    cells = sum(mask.plus.size for mask in masks.values())
    return FitResult(
        masks=masks,
        history=outcome.history,
        best_epoch=outcome.best_epoch,
        validation=outcome.validation,
        test=finite(task, tested.pop(task.metric_name)),
        test_also=tested,
        density=sum(mask.density * mask.plus.size for mask in masks.values()) / cells,
        epoch_s=mean(record.seconds for record in outcome.history),
        written=getattr(executor, "written", None),
    )
