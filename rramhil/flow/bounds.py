"""What the options of a training may be, and what to say of one that is not.

Owns: the range of every number and the words of every choice, each told by its option. Which
options contradict each other is the request's business.
"""

from __future__ import annotations

from typing import NamedTuple

from rramhil.errors import UsageError


class _Range(NamedTuple):
    """Numbers from `low`, which may be one of them or not, to `high`; and one to suggest."""

    low: float
    high: float
    such_as: float
    has_low: bool = True

    def __contains__(self, value: object) -> bool:
        # not a number is in no range
        return isinstance(value, int | float) and (
            self.low <= value <= self.high and (self.has_low or value > self.low)
        )

    def __str__(self) -> str:
        if self.has_low:
            return f"{self.low} to {self.high}"
        return f"above {self.low} and at most {self.high}"


_NUMBERS = {
    "epochs": _Range(1, 1_000_000, 40),
    "density": _Range(0, 1, 0.5, has_low=False),
    # an epoch's own seed follows from it, and is to be one of torch's, of 64 bits
    "seed": _Range(0, 2**32 - 1, 1),
    # beyond, rates and deviations of scores are all the same
    "rate": _Range(0, 1000, 0.01, has_low=False),
    "noise_level": _Range(0, 1, 0.2),
    "hysteresis": _Range(0, 1000, 0.2),
    "steps": _Range(0, 1_000_000, 1.25, has_low=False),
    "pulse_budget": _Range(1, 2**53, 100_000),
    "cell_pulses": _Range(1, 2**53, 10),
    "in_the_loop": _Range(1, 2**53, 10),
}
_CHOICES = {
    "noise": ("map", "cells", "reads", "conversions"),
    "map": ("own", "flat"),
    "by": ("gate", "reset"),
    "device": ("cpu", "cuda"),
}


def check_numbers(**said: float | None) -> None:
    """Refuse numbers that are out of the range of their option; None is left out.

    Raises
    ------
    UsageError
    """
    for name, value in said.items():
        allowed = _NUMBERS[name]
        if value is not None and value not in allowed:
            told = f"{value:g}" if isinstance(value, float) else str(value)
            raise UsageError(
                f"{_option(name)} is {allowed}, not {told}.",
                f"Write {_option(name)} {allowed.such_as}, or leave it.",
            )


def check_choices(**said: str) -> None:
    """Refuse words that are no choice of their option.

    Raises
    ------
    UsageError
    """
    for name, value in said.items():
        *first, last = _CHOICES[name]
        if value not in _CHOICES[name]:
            raise UsageError(
                f"{_option(name)} is {', '.join(first)} or {last}, not {value!r}.",
                f"Write {_option(name)} {_CHOICES[name][0]}, or leave it.",
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
