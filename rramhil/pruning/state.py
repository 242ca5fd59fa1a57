"""Where a training stands after an epoch: all that the next epoch depends on, as a value and bytes.

Owns: what belongs to it and its form. Tensors and numbers, nothing that runs when loaded. Where it
is kept, and what it is a state of, is the caller's business.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from rramhil.pruning.records import EpochRecord

_NOW, _BEST, _OPTIMISER, _HISTORY = "now:", "best:", "optimiser:", "history"
_DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class TrainState:
    """A training after some of its epochs.

    Attributes
    ----------
    history : tuple of EpochRecord
        Of the epochs that are done.
    now, best : mapping of str to Tensor
        Parameters and buffers of network and executor, at present and after the best epoch.
    optimiser : mapping of str to Tensor
        Moments and step counts, by the parameter's number and their name.
    """

    history: tuple[EpochRecord, ...]
    now: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        history: tuple[EpochRecord, ...],
        whole: nn.Module,
        best: Mapping[str, Tensor],
        optimiser: torch.optim.Optimizer,
    ) -> TrainState:
        """Look at a training; what is looked at may change afterwards only after `to_bytes`."""
        moments = {
            f"{number}.{name}": value
            for number, values in optimiser.state_dict()["state"].items()
            for name, value in values.items()
        }
        return cls(history, whole.state_dict(), best, moments)

    def restore(self, whole: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Put a training back to where it stood.

        Raises
        ------
        RuntimeError, ValueError
            If it is a state of another network or executor.
        """
        whole.load_state_dict(dict(self.now))
        moments: dict[int, dict[str, Tensor]] = {}
        for path, value in self.optimiser.items():
            number, _, name = path.partition(".")
            # a copy: the optimiser changes it in place
            moments.setdefault(int(number), {})[name] = value.clone()
        groups = copy.deepcopy(optimiser.state_dict()["param_groups"])
        optimiser.load_state_dict({"state": moments, "param_groups": groups})

    def to_bytes(self) -> bytes:
        """Write it down, with its SHA-256 before it: a flipped bit would be another training."""
        history = json.dumps([record.as_dict() for record in self.history]).encode()
        tensors = {_HISTORY: torch.from_numpy(np.frombuffer(history, dtype=np.uint8).copy())}
        for prefix, part in (
            (_NOW, self.now),
            (_BEST, self.best),
            (_OPTIMISER, self.optimiser),
        ):
            for name, value in part.items():
                # two tensors that share memory cannot be written
                tensors[prefix + name] = value.detach().cpu().clone()
        content = safetensors.torch.save(tensors)
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainState:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            If it is damaged or foreign.
        """
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("this is no state of a training, or it was changed")
        try:
            tensors = safetensors.torch.load(content)
            said: Any = json.loads(tensors[_HISTORY].numpy().tobytes())
            history = tuple(EpochRecord(**each) for each in said)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError("this is no state of a training") from error

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }

        return cls(history, part(_NOW), part(_BEST), part(_OPTIMISER))
