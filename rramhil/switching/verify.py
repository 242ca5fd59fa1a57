"""Verification: do the gated rows of the chip conduct what the map and the gates say?

Owns: telling apart what a deviation means. Takes measured row sums, predictions and the switches
as read back; knows no board.

Four explanations are tried on the deviations of all samples together: a bit line whose switch does
not follow its gate (each sample is off by what its cell in that column adds), a channel that no
longer follows its rows, a channel whose gain moved, and a single row whose cells drifted. The one
that explains most is taken, its effect is taken out, and the rest is looked at again until nothing
is significant. An explanation of n samples at once beats n drifted rows.

What counts as significant follows from the number of tests T: a Gaussian deviation passes the
threshold in one of them with probability 1e-6 / T, so that a run over a sound chip raises a false
alarm once in a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.switching.schedule import Schedule

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Fault = Literal["switch", "dead channel", "channel gain", "row"]

FALSE_ALARM = 1e-6
"""Probability that a run over a sound chip reports anything, if noise is as predicted."""

_CHANNEL_SAMPLES = 3  # fewer on a channel are called drifted rows
_FOLLOWS = 0.5  # slope against the prediction below which a channel does not follow its rows


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes
    ----------
    fault : "switch", "dead channel", "channel gain" or "row"
    line : int
        Bit line, channel or row.
    sigma : float
        Square root of the explained sum of squared deviations, each over its standard deviation.
    sentence : str
        What it is, for people.
    """

    fault: Fault
    line: int
    sigma: float
    sentence: str


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    findings : tuple of Finding
        What explains most comes first; switches that read back wrong before all.
    samples, tests : int
        Row sums looked at, and hypotheses tried on them.
    threshold_sigma : float
        What a finding must exceed.
    rms_sigma : float
        Rms deviation of what no finding explains, over the predicted standard deviation.
    """

    findings: tuple[Finding, ...]
    samples: int
    tests: int
    threshold_sigma: float
    rms_sigma: float

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            "clean": self.clean,
            "findings": [dict(vars(finding)) for finding in self.findings],
            "samples": self.samples,
            "tests": self.tests,
            "threshold_sigma": self.threshold_sigma,
            "rms_sigma": self.rms_sigma,
        }


def row_sums(schedule: Schedule, accumulators: npt.NDArray[np.integer]) -> Float64Array:
    """Turn accumulators of vectors of ones, (N, accumulators), into mean row sums, (M,) codes.

    Raises
    ------
    ValueError
        If several samples share an accumulator: their sums cannot be told apart.
    """
    samples = schedule.samples
    if len(np.unique(samples.accumulator)) != len(samples.accumulator):
        raise ValueError("several samples of the schedule share an accumulator")
    return accumulators.mean(axis=0)[samples.accumulator] * samples.sign


def verify(
    schedule: Schedule,
    measured: Float64Array,
    cells: Float64Array,
    sd: Float64Array,
    read_back: BoolArray | None = None,
    channel_error: float = 0.0,
) -> Verification:
    """Compare gated row sums with the map.

    Parameters
    ----------
    schedule : Schedule
        M samples on C bit lines.
    measured : (M,) float64
        Code less zero of each sample with every gated line driven, in codes; or means of several.
    cells : (M, C) float64
        What each cell of a sample's row adds when it is driven, in codes, by the map.
    sd : (M,) float64
        Predicted standard deviation of `measured`, above 0: noise, and the errors of map and gains,
        which no repetition averages away.
    read_back : (S, C) bool or None
        Switches as they read back in each step.
    channel_error : float
        Relative standard deviation of all rows of a channel together, which is part of `sd` too:
        rows that are off by as much together are no finding, however many they are.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    samples = schedule.samples
    count, columns = len(samples.row), schedule.columns
    if measured.shape != (count,) or sd.shape != (count,) or cells.shape != (count, columns):
        raise ValueError(f"{count} samples on {columns} bit lines do not fit the measured sums")
    if not (sd > 0).all():
        raise ValueError("every measured sum needs a standard deviation above 0")
    tests = 2 * columns + schedule.channels + count
    threshold = -NormalDist().inv_cdf(FALSE_ALARM / (2 * tests))
    findings = list(_read_back_wrong(schedule, read_back))
    gates = schedule.gates if read_back is None else read_back
    evidence = _Evidence(
        schedule,
        gates[samples.step],
        cells,
        1 / sd,
        measured.astype(np.float64).copy(),
        channel_error,
    )
    while True:
        best = max(evidence.explanations(), key=lambda e: e.explained, default=None)
        if best is None or best.explained <= threshold**2:
            break
        findings.append(evidence.finding(best))
        evidence.settle(best)
    z = evidence.z()
    return Verification(
        tuple(findings), count, tests, threshold, float(np.sqrt(np.mean(z**2))) if len(z) else 0.0
    )


def _read_back_wrong(schedule: Schedule, read_back: BoolArray | None) -> Iterator[Finding]:
    if read_back is None:
        return
    if read_back.shape != schedule.gates.shape:
        raise ValueError(f"switches were read back for {read_back.shape}, not every step and line")
    wrong = read_back != schedule.gates
    for column in np.flatnonzero(wrong.any(axis=0)):
        steps = np.flatnonzero(wrong[:, column])
        state = "driven" if read_back[steps[0], column] else "at ground"
        yield Finding(
            "switch",
            int(column),
            float("inf"),
            f"Bit line {column} reads back {state} against its gate in {len(steps)} of "
            f"{schedule.steps} steps: its switch register is wrong.",
        )


class _Explanation(NamedTuple):
    """A hypothesis and the sum of squared deviations, over variances, that it explains."""

    fault: Fault
    line: int
    explained: float
    amount: float


@dataclass(eq=False)
class _Evidence:
    """What is not explained yet."""

    schedule: Schedule
    gates: BoolArray  # (M, C)
    cells: Float64Array  # (M, C)
    weight: Float64Array  # (M,) 1 / sd; 0 for samples that are explained as a whole
    measured: Float64Array
    channel_error: float

    def __post_init__(self) -> None:
        self.mean = (self.cells * self.gates).sum(axis=1)
        # what a stuck switch changes: less where the line is gated on, more where it is not
        self.closed = self.cells * ~self.gates
        self.open = -self.cells * self.gates

    def z(self) -> Float64Array:
        """Deviations of what is left, over their standard deviations."""
        left = self.weight > 0
        return (self.measured - self.mean)[left] * self.weight[left]

    def explanations(self) -> Iterator[_Explanation]:
        """The best of each kind."""
        if not self.weight.any():
            return
        z = (self.measured - self.mean) * self.weight
        row = int(np.argmax(np.abs(z)))
        share = (self.measured - self.mean)[row] / max(1.0, self.mean[row])
        yield _Explanation("row", int(self.schedule.samples.row[row]), float(z[row] ** 2), share)
        for effect, stuck in ((self.open, 0.0), (self.closed, 1.0)):
            weighted = effect * self.weight[:, None]
            explained = 2 * (z @ weighted) - (weighted**2).sum(axis=0)
            column = int(np.argmax(explained))
            yield _Explanation("switch", column, float(explained[column]), stuck)
        for channel in range(self.schedule.channels):
            found = self._channel(channel)
            if found is not None:
                yield found

    def _channel(self, channel: int) -> _Explanation | None:
        own = (self.schedule.samples.channel == channel) & (self.weight > 0)
        if own.sum() < _CHANNEL_SAMPLES:
            return None
        measured, mean, weight = self.measured[own], self.mean[own], self.weight[own]
        z, size = (measured - mean) * weight, mean * weight
        gain = float(z @ size / max(1e-12, size @ size))
        if _slope(measured, mean, weight) < _FOLLOWS:
            constant = float(np.average(measured, weights=weight**2))
            explained = float(z @ z - (((measured - constant) * weight) ** 2).sum())
            return _Explanation("dead channel", channel, explained, constant)
        # what the channel's rows may be off together widens the estimate of its gain
        explained = gain * float(z @ size) / (1 + float(size @ size) * self.channel_error**2)
        return _Explanation("channel gain", channel, explained, gain)

    def settle(self, explanation: _Explanation) -> None:
        """Take the effect of an explanation out."""
        samples, line = self.schedule.samples, explanation.line
        if explanation.fault == "switch":
            effect = self.closed if explanation.amount else self.open
            self.measured -= effect[:, line]
            # one stuck switch explains once
            effect[:, line] = 0.0
        elif explanation.fault == "channel gain":
            own = samples.channel == line
            self.measured[own] -= explanation.amount * self.mean[own]
        elif explanation.fault == "dead channel":
            self.weight[samples.channel == line] = 0.0
        else:
            self.weight[samples.row == line] = 0.0

    def finding(self, explanation: _Explanation) -> Finding:
        """Say what it is."""
        fault, line, explained, amount = explanation
        sigma = float(np.sqrt(explained))
        samples = self.schedule.samples
        rows = len(np.unique(samples.row[samples.channel == line]))
        away = "more" if amount > 0 else "less"
        sentence = {
            "switch": f"The switch of bit line {line} does not follow its gate: all rows read as "
            f"if it were stuck {'closed' if amount else 'open'}",
            "dead channel": f"ADC channel {line} does not follow its {rows} rows: it reads "
            f"{amount:.0f} codes above zero whatever they conduct",
            "channel gain": f"ADC channel {line} reads {abs(amount):.2%} {away} than the map "
            f"predicts on all of its {rows} rows: its gain moved",
            "row": f"Row {line} reads {abs(amount):.1%} {away} than the map predicts: its cells "
            "drifted",
        }[fault]
        return Finding(fault, line, sigma, f"{sentence} ({sigma:.0f} sigma).")


def _slope(measured: Float64Array, mean: Float64Array, weight: Float64Array) -> float:
    """How much of what rows should differ by they do differ by; 1 on a sound channel.

    Where rows should hardly differ, their level decides instead.
    """
    centre = np.average(mean, weights=weight**2)
    apart = (mean - centre) * weight
    if apart @ apart < (4 / _FOLLOWS) ** 2:
        level = float((mean * weight**2).sum())
        return float((measured * weight**2).sum()) / level if level > 0 else 1.0
    return float((measured * weight) @ apart / (apart @ apart))
