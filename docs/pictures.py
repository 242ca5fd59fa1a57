"""Draw the pictures of the documentation: run by `make docs`.

Owns: `docs/images/`. Programs three fresh simulated chips in a lab that is thrown away, through
the public Python API, and places a network. The same code gives the same bytes: titles carry no
date.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import rramhil
from rramhil.lab import Lab
from rramhil.programming import ProgramResult, Recipe, dense, ladder, program, save_picture, sparse
from rramhil.switching import Geometry, MatrixShape, pack

IMAGES = Path(__file__).parent / "images"
BREAKDOWN_V = NormalDist(3.433, 0.114)
"""Measured: 400 cells of a sister chip, doi 10.1038/s42256-023-00609-5."""

FASHION = (
    MatrixShape("conv1", 64, 9),
    MatrixShape("conv2", 16, 576),
    MatrixShape("fc1", 128, 400),
    MatrixShape("fc2", 10, 128),
)
"""The paper's network for FashionMNIST, on images of 14 x 14."""

_COLOURS = 256
_MODEL, _POINTS, _QUIET = "#8a8a8a", "#35456c", "#555555"


def main() -> None:
    """Draw them all."""
    IMAGES.mkdir(exist_ok=True)
    _draw_placement(IMAGES / "placement.png")
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder)
        _draw_map(_programmed(lab, dense(), seed=0), IMAGES / "dense-map.png")
        _draw_map(_programmed(lab, sparse(), seed=1), IMAGES / "sparse-map.png")
        curve = _programmed(lab, ladder(), seed=2)
        _draw_forming_curve(curve, IMAGES / "forming-curve.png")


def _draw_placement(path: Path) -> None:
    placement = pack(FASHION, Geometry(rows=512, columns=512, channels=8))
    _save(path, lambda whole: placement.draw(whole, "The FashionMNIST network on one macro"))


def _programmed(root: Path, recipe: Recipe, seed: int) -> ProgramResult:
    """Program the fresh chip of a board of its own."""
    with rramhil.open(f"sim://?seed={seed}", lab=root) as board, Lab(root) as lab:
        return program(board, lab, 0, recipe)


def _draw_map(result: ProgramResult, path: Path) -> None:
    measured = result.measured
    title = (
        f"Simulated chip {result.chip_serial}, recipe {result.recipe}\n"
        f"{result.pulses:,} pulses, one a cell; mean of {measured.reads} reads"
    )
    _save(path, lambda whole: save_picture(measured, whole, title))


def _draw_forming_curve(result: ProgramResult, path: Path) -> None:
    amplitudes_v = [step.amplitude_v for step in result.report.steps]
    formed = [step.formed_fraction or 0.0 for step in result.report.steps]
    model_v = [3.1 + 0.005 * n for n in range(141)]
    figure = Figure(figsize=(6.4, 3.9), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(
        model_v,
        [100 * BREAKDOWN_V.cdf(voltage_v) for voltage_v in model_v],
        color=_MODEL,
        label=f"normal model, {BREAKDOWN_V.mean:g} ± {BREAKDOWN_V.stdev:g} V",
    )
    axes.plot(
        amplitudes_v,
        [100 * fraction for fraction in formed],
        "o",
        color=_POINTS,
        label=f"simulated chip {result.chip_serial}, one group of rows each",
    )
    axes.set_xlabel("forming amplitude (V), 100 µs")
    axes.set_ylabel("cells formed (%)")
    axes.set_title("Forming curve of a simulated chip", loc="left", fontsize=11, fontweight="bold")
    axes.legend(frameon=False, fontsize=9, labelcolor=_QUIET)
    axes.spines[["top", "right"]].set_visible(False)
    _save(path, lambda whole: figure.savefig(whole, format="png", metadata={"Software": None}))


def _save(path: Path, draw: Callable[[Path], None]) -> None:
    """Keep a picture with few colours: a heat map of noise takes a third of the bytes so."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        draw(whole)
        with Image.open(whole) as picture:
            small = picture.convert("RGB").quantize(
                _COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
    content = io.BytesIO()
    small.save(content, format="PNG", optimize=True)
    path.write_bytes(content.getvalue())
    print(f"{path.name}: {len(content.getvalue()) / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
