"""Times, energies and metrics as people read them."""

from __future__ import annotations

POINTS = "+z.2f"
"""How a difference in points is written: `+0.12`, and never `-0.00`."""
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}


def readable(value: float, unit: str) -> str:
    """Three digits of a time or an energy, with the prefix that suits it: `7.6 ps`, `41.1 mJ`.

    Thousands of the unit itself are written out: `12,400 s`.
    """
    prefix = next((name for name, size in _PREFIXES.items() if value >= size), "p")
    scaled = value / _PREFIXES[prefix]
    # the next digit may round it up to a thousand, which the short form would write as 1e+03
    digits = f"{scaled:.3g}" if scaled < 999.5 else f"{float(f'{scaled:.3g}'):,.0f}"
    return f"{digits} {prefix}{unit}"


def metric(value: float) -> str:
    """A task's metric: a share in per cent, any other number as it is: `97.26%`, `-4.753`."""
    return f"{value:.2%}" if is_share(value) else f"{value:.4g}"


def scale_of(*values: float) -> float:
    """What values of a metric are told times: 100 where all are shares, else 1."""
    return 100.0 if is_share(*values) else 1.0


def is_share(*values: float) -> bool:
    """Whether values can be shares, such as accuracies: all 0 to 1."""
    return all(0 <= value <= 1 for value in values)
