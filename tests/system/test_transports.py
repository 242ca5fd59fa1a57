"""The same chip over every transport: the same raw codes, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rramhil.driver import Board
from rramhil.lab import Lab
from rramhil.programming import program
from tests.support.boards import endpoint, served_board

SEED = 11


def address_of(kind: str, tcp: str, pty: Path) -> str:
    host, port = endpoint(tcp)
    return {
        "tcp": tcp,
        "serial": f"serial://{pty}",
        "visa socket": f"TCPIP::{host}::{port}::SOCKET",
        "visa serial": f"ASRL{pty}::INSTR",
    }[kind]


def digest_of_programming(address: str, root: Path) -> str:
    """Program chip 0 and hash every raw code and zero of both maps."""
    digest = hashlib.sha256()
    with Board.open(address, lab_root=root) as board, Lab(root) as lab:
        result = program(board, lab, 0, reads=2)
        assert result.pulses == 512 * 512
        for entry in reversed(lab.maps.list()):
            measured = lab.maps.load(entry.id)
            digest.update(measured.codes.tobytes())
            digest.update(measured.zero_sums.tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("sim")
    return digest_of_programming(f"sim://?seed={SEED}", root)


@pytest.mark.parametrize("kind", ["tcp", "serial", "visa socket", "visa serial"])
def test_every_transport_brings_the_codes_of_the_in_process_board(
    kind: str, in_process: str, tmp_path: Path
) -> None:
    pty = tmp_path / "tty"
    with served_board(tmp_path, seed=SEED, pty=pty) as tcp:
        assert digest_of_programming(address_of(kind, tcp, pty), tmp_path) == in_process


def test_another_seed_is_another_chip(in_process: str, tmp_path: Path) -> None:
    assert digest_of_programming(f"sim://?seed={SEED + 1}", tmp_path) != in_process
