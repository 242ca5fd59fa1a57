"""What `rramhil mask plan` says to people: a network placed and priced, for one sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rramhil._units import readable
from rramhil.cli._networks import elsewhere_facts, listed

if TYPE_CHECKING:
    from rramhil.flow import Plan


def print_plan(plan: Plan, others: list[dict[str, Any]]) -> None:
    """Print the report of one sample for people."""
    from rramhil.cli._output import print_facts, print_table

    placement, report = plan.placement, plan.report
    chips = listed(placement.chips)
    drawn = ", drawn at random: there is no run yet" if plan.drawn else ""
    print_facts(
        ("placement", f"{placement.id}, {len(placement.tiles)} tiles on chip {chips}"),
        ("masks", f"{plan.density:.1%} of the cells{drawn}"),
    )
    heading, *rows = report.table()
    titles = (heading[0], *(f">{title}" for title in heading[1:]))
    print_table(titles, rows)
    total = report.total
    print_facts(
        ("without a mask", _price(total.dense)),
        ("fewest steps", _price(total.least)),
        *_reset(plan),
        *elsewhere_facts(others),
        ("assumed", ", ".join(report.assumed)),
    )


def _price(price: Any) -> str:
    return (
        f"{price.steps:,.0f} steps, {price.conversions:,.0f} conversions, "
        f"{readable(price.board_time_s, 's')}, {readable(price.energy_j, 'J')} a sample"
    )


def _reset(plan: Plan) -> list[tuple[str, str]]:
    reset = plan.report.reset
    if reset is None:
        return [("by RESET", "not possible: layers share cells")]
    said = (
        f"once {reset.reset_pulses:,} pulses, {readable(reset.board_time_s, 's')}, "
        f"{readable(reset.energy_j, 'J')}; then a sample costs what it does without a mask"
    )
    after = plan.report.break_even_samples
    if after is not None:
        samples = max(1, math.ceil(after))
        said += f"; saves board time after {samples:,} {'sample' if samples == 1 else 'samples'}"
    return [("by RESET", said)]
