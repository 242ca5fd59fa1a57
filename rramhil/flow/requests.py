"""What a training is asked for, as a value that checks itself.

Owns: which options there are and which contradict each other. Does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from rramhil.errors import UsageError
from rramhil.flow.bounds import check_choices, check_numbers
from rramhil.pruning import Economy
from rramhil.switching import GateKind

NoiseSource = Literal["map", "cells", "reads", "conversions"]

OFF_uS = 1.0
"""What a cell conducts after a RESET, until it is measured. Source: assumed."""

_BEGIN = 0.5
"""Share of a training before masks are first written by pulses; decision 0035."""


@dataclass(frozen=True)
class TrainRequest:
    """How to train.

    Attributes
    ----------
    which : str
        The task, as `rramhil.tasks.load` takes it.
    gate : "pair", "cell" or "codebook"
    epochs : int or None
        None for the task's own.
    density : float or None
        Share of gates that are open, above 0 and up to 1; None where a threshold decides.
    seed : int
    overlay : bool
        Let matrices share cells under different gates.
    allow_digital : bool
        Leave modules with weights that no matrix stands for as they are.
    device : str
        Where torch computes: cpu or cuda.
    noise : "map", "cells", "reads" or "conversions"
        Read noise while training: one relative figure for all cells, each cell's own, the recorded
        reads of the map in turn, or one relative figure for every conversion on its own.
    noise_level : float or None
        That relative figure, 0 to 1, for masks that bear more than the map's own read noise, which
        None is for.
    robust : bool
        For masks that bear cells that fail later: as `rramhil.pruning.robust` has it, with
        `noise_level` in place of its noise where there is one.
    map : "own" or "flat"
        Train on the cells of the chips, or on the mean of them alone, for any chip.
    by : "gate" or "reset"
        How masks get into the chip: by gates, or by pulses, which change it.
    hysteresis : float
        By reset: as of `Economy`.
    pulse_budget, cell_pulses : int or None
        By reset: pulses of the whole training, and of one cell.
    in_the_loop : int or None
        Read the chip anew every so many steps; by reset, write the masks into it before.
    steps : float or None
        By codebook: the most steps of a sample, relative to what it takes without masks; None for
        1.25.
    rate : float
        Learning rate of the scores at the start, above 0.
    final : bool
        Train to the last epoch on all training data, of which validation data are a part then.

    Raises
    ------
    UsageError
        If a number is out of its range, or options contradict each other.
    """

    which: str
    gate: GateKind | Literal["codebook"] = "cell"
    epochs: int | None = None
    density: float | None = 0.5
    seed: int = 0
    overlay: bool = False
    allow_digital: bool = False
    device: str = "cpu"
    noise: NoiseSource = "map"
    noise_level: float | None = None
    robust: bool = False
    map: Literal["own", "flat"] = "own"
    by: Literal["gate", "reset"] = "gate"
    hysteresis: float = 0.0
    pulse_budget: int | None = None
    cell_pulses: int | None = None
    in_the_loop: int | None = None
    steps: float | None = None
    rate: float = 0.01
    final: bool = False

    def __post_init__(self) -> None:
        check_numbers(
            epochs=self.epochs,
            density=self.density,
            seed=self.seed,
            rate=self.rate,
            noise_level=self.noise_level,
            hysteresis=self.hysteresis,
            steps=self.steps,
            pulse_budget=self.pulse_budget,
            cell_pulses=self.cell_pulses,
            in_the_loop=self.in_the_loop,
        )
        check_choices(noise=self.noise, map=self.map, by=self.by, device=self.device)
        self._refuse_contradictions()
        self._refuse_for_codebooks()

    @property
    def economy(self) -> Economy | None:
        """How sparingly masks are written; None where they are gates."""
        if self.by == "gate":
            return None
        return Economy(
            hysteresis=self.hysteresis,
            begin=_BEGIN,
            cell_pulses=self.cell_pulses,
            run_pulses=self.pulse_budget,
            every=self.in_the_loop or 1,
            off_uS=OFF_uS,
        )

    @property
    def is_pulsed(self) -> bool:
        """Whether the chip gets pulses while masks are learnt."""
        return self.by == "reset" and self.in_the_loop is not None

    @property
    def has_budget(self) -> bool:
        """Whether pulses are limited."""
        return self.pulse_budget is not None or self.cell_pulses is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> TrainRequest:
        """Make it of what `as_dict` gave.

        Raises
        ------
        TypeError
            If there is something else in it.
        """
        return cls(**said)

    def differences(self, other: TrainRequest) -> list[str]:
        """Names of what two requests do not have in common."""
        names = [field.name for field in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def _refuse_contradictions(self) -> None:
        if self.noise_level is not None and self.noise in ("cells", "reads"):
            raise UsageError(
                f"With --noise {self.noise} each cell has a read noise of its own.",
                "Leave --noise-level, or write --noise map or conversions.",
            )
        if self.robust and self.noise != "map":
            raise UsageError(
                f"--robust draws noise of its own, and --noise {self.noise} says otherwise.",
                f"Leave out --noise {self.noise} or --robust.",
            )
        if self.robust and self.gate == "pair":
            raise UsageError(
                "--robust is for masks of cells: the noise that it trains with is larger than the "
                "difference of a pair.",
                "Write --gate cell, or leave out --robust.",
            )
        economical = self.hysteresis or self.pulse_budget or self.cell_pulses
        if self.by == "gate" and economical:
            raise UsageError(
                "Gates take no pulses, so there is nothing to save.", "Add --by reset, or leave it."
            )
        if self.pulse_budget is not None and self.density is None:
            raise UsageError(
                "With --free-density nobody knows how many pulses the first masks take, so no "
                "--pulse-budget can be kept.",
                "Write --density, or leave --pulse-budget.",
            )
        if self.by == "reset" and self.overlay:
            raise UsageError(
                "Layers that share cells cannot be pruned by RESET.",
                "Leave --overlay, or --by reset.",
            )
        if self.map == "flat" and self.gate == "pair":
            raise UsageError(
                "A pair of two equal cells has no weight, so a flat map cannot be gated by pairs.",
                "Write --gate cell.",
            )
        if self.map == "flat" and self.by == "reset":
            raise UsageError(
                "A flat map is for masks of any chip, and pulses write them into one.",
                "Write --map own, or leave --by reset.",
            )
        if self.map == "flat" and (self.in_the_loop or self.noise in ("cells", "reads")):
            raise UsageError("A flat map has no cells to measure.", "Write --map own.")

    def _refuse_for_codebooks(self) -> None:
        if self.gate != "codebook":
            if self.steps is not None:
                raise UsageError(
                    f"A budget of steps is for codebooks, not for gating by {self.gate}.",
                    "Write --gate codebook.",
                )
        elif self.by == "reset" or self.in_the_loop or self.noise in ("reads", "conversions"):
            raise UsageError(
                "A codebook is trained for gates, on the map as it is, with noise of its cells.",
                "Leave --by, --in-the-loop and --noise, or write --gate cell.",
            )
