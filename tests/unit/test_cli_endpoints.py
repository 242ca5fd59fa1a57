"""Where a simulated board is served, and which one is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rramhil.errors import UsageError
from rramhil.simulation import Endpoint, SimulatedBoardName, named_by, parse_endpoint

LAB = Path("/lab")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:7400", Endpoint("127.0.0.1", 7400)),
        ("bench.example:0", Endpoint("bench.example", 0)),
        ("[::1]:65535", Endpoint("::1", 65535)),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize("text", ["", "7400", ":7400", "host:", "host:70000", "host:-1", "host:x"])
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="no place to listen") as refusal:
        parse_endpoint(text)
    assert "HOST:PORT" in refusal.value.next_step


@pytest.mark.parametrize(
    ("address", "seed", "chips", "meant"),
    [
        ("sim://", None, None, (0, 1)),
        ("sim://?seed=5&chips=3", None, None, (5, 3)),
        ("sim://?seed=5&chips=3", 7, None, (7, 3)),
        ("sim://?seed=5", None, 2, (5, 2)),
        ("tcp://bench:7400", None, None, (0, 1)),
    ],
)
def test_options_come_before_the_address_in_force(
    address: str, seed: int | None, chips: int | None, meant: tuple[int, int]
) -> None:
    name = named_by(address, LAB, seed, chips)
    assert (name.seed, name.chips) == meant
    assert name.serial == f"SIM-{meant[0]}"


def test_what_names_no_simulated_board_is_refused() -> None:
    with pytest.raises(UsageError, match="seed=x"):
        named_by("sim://?seed=x", LAB, None, None)
    with pytest.raises(UsageError, match="seed is 0 to 4294967295"):
        _ = SimulatedBoardName(LAB, seed=1 << 40).serial
