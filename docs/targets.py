"""What was to be reached, and where each figure is found. Does nothing.

Owns: the list of targets. They were set before anything was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import measured

from rramhil._units import POINTS


class Target(NamedTuple):
    """A figure that was to be reached.

    Attributes
    ----------
    what, said : str
        Of what, and how the target is written.
    figure : callable
        The figure, from the files.
    low, high : float
        Where it is reached.
    form : str
        How the figure is written.
    """

    what: str
    said: str
    figure: Callable[[], float]
    low: float = -math.inf
    high: float = math.inf
    form: str = ".2f"


TARGETS = (
    Target(
        "FashionMNIST, cell, %",
        "88.0 or more",
        lambda: measured.on_test("fashion-mnist", "cell"),
        88.0,
    ),
    Target(
        "FashionMNIST, cell less trained, points",
        "-0.5 or more",
        lambda: measured.less("fashion-mnist", "cell", "trained"),
        -0.5,
        form=POINTS,
    ),
    Target(
        "FashionMNIST, pair, %",
        "85.5 or more",
        lambda: measured.on_test("fashion-mnist", "pair"),
        85.5,
    ),
    Target(
        "FashionMNIST, cell less frozen, points",
        "13 or more",
        lambda: measured.less("fashion-mnist", "cell", "frozen"),
        13.0,
        form=POINTS,
    ),
    Target(
        "spoken digits, the paper's features, cell, %",
        "97 or more",
        lambda: measured.on_test("spoken-digits", "cell"),
        97.0,
    ),
    Target(
        "spoken digits, official split, cell less trained, lower bound, points",
        "above -2",
        lambda: measured.least("spoken-digits-official", "cell"),
        -2.0,
        form=POINTS,
    ),
    Target(
        "retina, cell, ROC AUC of whole frames",
        ".980 or more",
        lambda: measured.also("retina-vessels", "cell", "ROC AUC, whole frame"),
        0.98,
        form=".3f",
    ),
    Target(
        "retina, cell, PR AUC of whole frames",
        ".865 or more",
        lambda: measured.also("retina-vessels", "cell", "PR AUC, whole frame"),
        0.865,
        form=".3f",
    ),
    *(
        Target(
            f"FashionMNIST, {row}, {condition}, points",
            f"{low} or more",
            lambda row=row, which=which: measured.change("fashion-mnist", row, *which),
            low,
            form=POINTS,
        )
        for row in ("cell", "robust")
        for condition, low, which in (
            ("10 % read noise", -0.5, ("noise", 0.1, False)),
            ("5 % stuck cells", -1.3, ("stuck", 0.05, False)),
            ("5 % stuck cells in the map at training time", -0.4, ("stuck", 0.05, True)),
        )
    ),
    *(
        Target(
            f"{name}, on the chip less on the map, points",
            "within 0.5",
            lambda task=task: measured.on_chip_less_map(task),
            -0.5,
            0.5,
            POINTS,
        )
        for name, task in (
            ("digits", "digits"),
            ("FashionMNIST", "fashion-mnist"),
            ("spoken digits", "spoken-digits"),
            ("retina", "retina-vessels"),
        )
    ),
    *(
        target
        for name, task in (
            ("digits", "digits"),
            ("FashionMNIST", "fashion-mnist"),
            ("spoken digits", "spoken-digits"),
        )
        for target in (
            Target(
                f"{name}, masks by pulses, times fewer flips with hysteresis",
                "5 or more",
                lambda task=task: measured.by_hysteresis(task, measured.fewer),
                5.0,
                form=".1f",
            ),
            Target(
                f"{name}, masks by pulses, change with hysteresis, points",
                "-0.5 or more",
                lambda task=task: measured.by_hysteresis(task, measured.lost),
                -0.5,
                form=POINTS,
            ),
        )
    ),
    Target(
        "FashionMNIST, codebook, times the dense steps",
        "1.25 or fewer",
        lambda: measured.steps("fashion-mnist", "codebook", "codebook"),
        high=1.25,
    ),
    Target(
        "FashionMNIST, codebook less free cell, 8 epochs, points",
        "-2.0 or more",
        lambda: measured.less("fashion-mnist", "codebook", "cell", "codebook"),
        -2.0,
        form=POINTS,
    ),
)
