"""`rramhil bench`: speed, as ratios measured side by side in one run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from rramhil.cli._errors import ask_json
from rramhil.cli._options import DebugOption, examples, new_app

if TYPE_CHECKING:
    from rramhil.bench import Figure

JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", callback=ask_json, help="One JSON list on stdout; everything else on stderr."
    ),
]

app = new_app("Measure speed, side by side with a reference in the same run.")


@app.command("link", epilog=examples("rramhil bench link", "rramhil bench link --json"))
def link(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Measure the link: commands, batched operations and bulk reads over TCP loopback.

    Client and board run in two processes; the reference is a pair of bare sockets that move the
    same bytes. Takes about half a minute.
    """
    from rramhil.bench.link import figures

    _print(figures(), as_json)


@app.command("transports", epilog=examples("rramhil bench transports"))
def transports(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Measure a whole programming run over each transport, beside the in-process board.

    Takes about a minute.
    """
    from rramhil.bench.transports import figures

    _print(figures(), as_json)


@app.command("sim", epilog=examples("rramhil bench sim", "rramhil bench sim --json"))
def sim(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Measure the simulated board's products, pulses and wires, beside torch, numpy and SciPy.

    Takes about half a minute.
    """
    from rramhil.bench.sim import figures

    _print(figures(), as_json)


@app.command(
    "infer",
    epilog=examples("rramhil bench infer", "rramhil bench infer --samples 10000 --json"),
)
def infer(
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Images of a round.")
    ] = 1000,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a convolutional network on the simulated board over TCP, beside torch on this host.

    Takes about half a minute, and three with 10,000 images; needs the extra `train`.
    """
    from rramhil.cli._networks import need_extra

    need_extra()
    from rramhil.bench.infer import figures

    _print(figures(samples), as_json)


@app.command("train", epilog=examples("rramhil bench train", "rramhil bench train --json"))
def train(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Measure an epoch of mask training, beside the same network with ordinary weights.

    Takes about a minute; needs the extra `train`.
    """
    from rramhil.cli._networks import need_extra

    need_extra()
    from rramhil.bench.train import figures

    _print(figures(), as_json)


def _print(figures: Iterable[Figure], as_json: bool) -> None:
    from rramhil.bench import readable

    measured: list[dict[str, str | float]] = []
    for figure in figures:
        measured.append(figure.as_dict())
        if not as_json:
            typer.echo(f"{figure.name:<48} {readable(figure.value):>14} {figure.unit}")
            typer.echo(f"{'':<48} {figure.ratio:>14.3f} of {figure.reference}")
    if as_json:
        typer.echo(json.dumps(measured))
