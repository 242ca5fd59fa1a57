"""Fit the simulated technologies to the published relaxation data, and print what was found.

Run as `python docs/fit_ageing.py`; RRAMHIL_DATA names the folder with `rram_measured`. What it
prints for `tech_b` and `tech_c` stands in `sim_backend/technologies`. The simulated board never
sees the data.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

DATA = Path(os.environ.get("RRAMHIL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FOLDER = DATA / "rram_measured" / "relaxation"
NORMALS = np.array([-3.0, -2.0, -1.25, -0.5, 0.0, 0.5, 1.25, 2.0, 3.0])
LEVELS_US = {
    "techB_relaxdata_10k": np.array([0.0, 4.0, 12.0, 25.0, 40.0, 55.0, 65.0, 77.0, 95.0, 125.0]),
    "techC_relaxdata": np.array([0.0, 1.5, 5.0, 10.0, 20.0, 30.0, 40.0]),
}


def relaxation(name: str, levels_uS: np.ndarray) -> dict[float, np.ndarray]:
    """Quantiles of the change since the pulse in uS, (levels, normals), for each time in s."""
    data = np.loadtxt(FOLDER / f"{name}.min.tsv.gz")
    before_uS, change_uS, times_s = data[:, 4] * 1e6, (data[:, 3] - data[:, 4]) * 1e6, data[:, 6]
    found = {}
    for time_s in np.unique(times_s)[1:]:
        at = times_s == time_s
        table = np.zeros((len(levels_uS), len(NORMALS)))
        for n in range(1, len(levels_uS)):
            weight = near(before_uS[at], levels_uS, n)
            table[n] = quantiles(change_uS[at][weight > 0], weight[weight > 0])
        found[float(time_s)] = table
    return found


def near(before_uS: np.ndarray, levels_uS: np.ndarray, n: int) -> np.ndarray:
    """Weight of each cell at level n: 1 there, falling to 0 at the levels beside it."""
    hat = np.zeros(len(levels_uS))
    hat[n] = 1.0
    return np.interp(before_uS, levels_uS, hat)


def quantiles(change: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted quantiles; the outer two at each end stretched so that the variance is right."""
    order = np.argsort(change)
    change, weight = change[order], weight[order]
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    values = np.interp(ndtr(NORMALS), share, change)
    mean = np.average(change, weights=weight)
    variance = np.average((change - mean) ** 2, weights=weight)

    def stretched(by: float) -> np.ndarray:
        outer = values.copy()
        outer[1:-1:6] = values[2:-2:4] + (values[1:-1:6] - values[2:-2:4]) * by
        outer[0] = outer[1] + (values[0] - values[1]) * by
        outer[-1] = outer[-2] + (values[-1] - values[-2]) * by
        return outer

    def excess(by: float) -> float:
        return variance_of(stretched(by)) - variance

    return stretched(brentq(excess, 0.0, 20.0) if excess(0.0) < 0 < excess(20.0) else 1.0)


def variance_of(values: np.ndarray) -> float:
    """Variance of the distribution with these quantiles, straight lines between and beyond."""
    normals = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16))
    slopes = np.diff(values)[[0, -1]] / np.diff(NORMALS)[[0, -1]]
    drawn = np.interp(normals, NORMALS, values)
    drawn += np.minimum(normals - NORMALS[0], 0) * slopes[0]
    drawn += np.maximum(normals - NORMALS[-1], 0) * slopes[1]
    return float(drawn.var())


def memory(name: str) -> None:
    """Print how the changes of a cell at one time and the next ones correlate, by rank."""
    data = np.loadtxt(FOLDER / f"{name}.min.tsv.gz")
    times_s = np.unique(data[:, 6])[1:]
    cells = np.unique(data[:, 0])
    change = np.full((len(times_s), len(cells)), np.nan)
    for n, time_s in enumerate(times_s):
        at = data[:, 6] == time_s
        change[n, np.searchsorted(cells, data[at, 0])] = data[at, 3] - data[at, 4]
    for n in range(len(times_s) - 1):
        both = ~np.isnan(change[n]) & ~np.isnan(change[n + 1])
        ranks = [row[both].argsort().argsort() for row in change[n : n + 2]]
        print(f"  {times_s[n]:g} s to {times_s[n + 1]:g} s: {np.corrcoef(ranks)[0, 1]:.2f}")


def telegraph() -> None:
    """Print the two levels and the dwell times of the trace that shows telegraph noise."""
    lines = np.loadtxt(FOLDER / "techA_tsdata.min.tsv.gz")
    trace = lines[lines[:, 0] == 24][0, 2:][1_500:17_800]
    low, high = trace.min(), trace.max()
    for _ in range(50):
        up = trace >= (low + high) / 2
        low, high = trace[~up].mean(), trace[up].mean()
    state, states = bool(up[0]), np.empty(len(trace), dtype=bool)
    for n, value in enumerate(trace):
        # a state ends where the trace comes within 35 % of the other level
        state = value >= low + (0.35 if state else 0.65) * (high - low)
        states[n] = state
    ends = np.flatnonzero(np.diff(states)) + 1
    lengths, of = np.diff(ends), states[ends[:-1]]
    print(f"relative sd {trace.std() / trace.mean():.5f}")
    print(f"step {(high - low) / trace.mean():.5f} of the mean")
    print(f"mean dwell in samples: low {lengths[~of].mean():.1f}, high {lengths[of].mean():.1f}")
    within = np.sqrt(np.average([trace[~states].var(), trace[states].var()]))
    print(f"sd within a state {within / trace.mean():.5f} of the mean")


def main() -> None:
    """Print all fits."""
    for name, levels_uS in LEVELS_US.items():
        print(f"{name}: levels {levels_uS.tolist()} uS, normals {NORMALS.tolist()}")
        for time_s, table in relaxation(name, levels_uS).items():
            print(f"  # {time_s:g} s: quantiles at the normals above, a line a level\n  [")
            for values in table:
                print(f"    [{', '.join(f'{value:.3f}' for value in values)}],")
            print("  ],")
        memory(name)
    print("techA, level 24, samples 1,500 to 17,800:")
    telegraph()


if __name__ == "__main__":
    main()
