"""Measurements of speed, each side by side with a reference in the same run.

Owns: what `rramhil bench` prints. A figure is the median of several rounds in which ours and the
reference take turns, because the machines are noisy and drift.
"""

from rramhil.bench._rounds import Figure, readable

__all__ = ["Figure", "readable"]
