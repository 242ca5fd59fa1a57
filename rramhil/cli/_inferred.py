"""What `rramhil infer` says to people: of a dry run, and of samples that the chip has answered."""

from __future__ import annotations

from typing import Any

import typer

from rramhil._units import metric, readable
from rramhil.cli._networks import elsewhere_facts


def print_preview(facts: dict[str, Any]) -> None:
    """What a dry run says."""
    from rramhil.cli._output import print_facts

    if facts["before"]:
        typer.echo(facts["before"])
    typer.echo(facts["placed"])
    typer.echo(facts["message"])
    print_facts(*elsewhere_facts(facts["elsewhere"]))


def print_inference(facts: dict[str, Any]) -> None:
    """What the chip made of samples, and what it took."""
    from rramhil.cli._output import print_facts
    from rramhil.cli._trained import chip_share

    agreement = facts["agreement"]
    print_facts(
        ("task", f"{facts['task']}, {facts['samples']:,} samples, {facts['gate']} gating"),
        (facts["metric"], f"{metric(facts['value'])} on the chip"),
        ("", f"{metric(facts['software_value'])} in software, with the same masked cells"),
        ("", f"{metric(facts['on_map_value'])} on the map, with the noise that is predicted"),
        *((name, _three(values)) for name, values in facts["also"].items()),
        *([] if agreement is None else [("same class", f"{agreement:.2%} as in software")]),
        ("noise", f"{facts['noise_ratio']:.2f} of what is predicted"),
        ("on the chip", chip_share(facts)),
        ("pulses", f"{facts['pulses']:,}"),
        ("speed", _speed(facts["samples_per_s"])),
        ("board time", f"{facts['board_time_s']:.3f} s, {facts['conversions']:,} conversions"),
        ("energy", f"{readable(facts['energy_j'], 'J')}, by constants that are partly assumed"),
        ("a sample", _of_a_sample(facts)),
        *elsewhere_facts(facts["elsewhere"]),
        *([("clipped", f"{facts['saturated']:,} conversions")] if facts["saturated"] else []),
        ("run", facts["run"]),
    )


def _three(values: dict[str, float]) -> str:
    return (
        f"{metric(values['value'])} on the chip, {metric(values['software_value'])} in software, "
        f"{metric(values['on_map_value'])} on the map"
    )


def _of_a_sample(facts: dict[str, Any]) -> str:
    count = facts["samples"]
    time_s, energy_j = facts["board_time_s"] / count, facts["energy_j"] / count
    return f"{readable(time_s, 's')}, {readable(energy_j, 'J')} on the board; beside it"


def _speed(samples_per_s: float) -> str:
    """Whole samples a second, or how long one takes."""
    if samples_per_s >= 1:
        return f"{samples_per_s:,.0f} samples/s"
    return f"{1 / samples_per_s:.1f} s a sample"
