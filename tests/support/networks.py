"""Chips that are programmed once for many tests, and networks to put on them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rramhil.driver import Board
from rramhil.inference import (
    Deployment,
    KnownCells,
    NoiseKind,
    OnMap,
    cells_in_steps,
    converter_of,
    known_cells,
    lines_of,
)
from rramhil.lab import ConductanceMap, Lab
from rramhil.network import Matrix
from rramhil.programming import program
from rramhil.switching import Geometry, Mask, MatrixShape, Placement, pack
from sim_backend.board import SimulatedBoard
from sim_backend.firmware import Firmware
from sim_backend.server import BoardServer
from tests.support.ideal import without_errors

F64 = npt.NDArray[np.float64]

MACRO = Geometry(512, 512, 8)
_HELD_NS = 20_000_000 * 10**9
"""After so long, cells of the simulated technology do not relax any further."""


@dataclass
class Programmed:
    """A lab with a dense chip in socket 0, and its map."""

    root: Path
    measured: ConductanceMap
    address: str

    def copy(self, root: Path) -> Path:
        """The same lab once more, to be used up."""
        shutil.copytree(self.root, root)
        return root


def programmed_lab(root: Path, seed: int) -> Programmed:
    """Program a chip."""
    address = f"sim://?seed={seed}"
    with Board.open(address, lab_root=root) as board, Lab(root) as lab:
        return Programmed(root, program(board, lab, 0).measured, address)


@contextmanager
def still_board(
    root: Path, seed: int, *, quiet: bool = True, ideal: bool = False
) -> Generator[tuple[str, SimulatedBoard]]:
    """Serve a board whose cells age no more; gives its address and the board itself, to inspect.

    quiet: its conversions have no noise. ideal: its front end has no errors, and no offsets.
    """
    with SimulatedBoard(root / "simulated", seed, 1) as board:
        board.advance(_HELD_NS)
        read = without_errors(board) if ideal else board.front.read
        if ideal:
            read = read._replace(offset=np.zeros_like(read.offset))
        if quiet:
            read = read._replace(adc_noise=0)
            board.chips[0]._noise = 0
        board._front = board.front._replace(read=read)
        board.chips[0].read_through(read)
        server = BoardServer(Firmware(board))
        host, port = server.listen_tcp("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, name="still-board")
        thread.start()
        try:
            yield f"tcp://{host}:{port}", board
        finally:
            server.stop()
            thread.join()


@contextmanager
def quiet_board(root: Path, seed: int, *, ideal: bool = False) -> Generator[tuple[str, F64]]:
    """Serve a `still_board` without noise; gives its address and the cells of chip 0 in uS."""
    with still_board(root, seed, ideal=ideal) as (address, board):
        yield address, board.chips[0].aged_ps(board.clock_ns) / 1e6


@dataclass
class RandomNetwork:
    """Matrices with random masks."""

    matrices: tuple[Matrix, ...]
    placement: Placement
    masks: dict[str, Mask]

    def codes(self, matrix: Matrix, vectors: int, seed: int = 0) -> np.ndarray:
        """Random vectors for it."""
        draw = np.random.default_rng(seed)
        return draw.integers(0, 1 << matrix.bits, (vectors, matrix.inputs), dtype=np.uint8)


def random_network(
    shapes: Mapping[str, tuple[int, int]], *, seed: int, bits: int = 4, gate: str = "pair"
) -> RandomNetwork:
    """Place matrices and draw masks of half of their cells."""
    draw = np.random.default_rng(seed)
    matrices = tuple(Matrix(name, *shape, bits, 1) for name, shape in shapes.items())
    placement = pack(
        [MatrixShape(each.name, each.outputs, each.inputs) for each in matrices], MACRO
    )
    masks: dict[str, Mask] = {}
    for each in matrices:
        gates = draw.random((2, each.outputs, each.inputs)) < 0.5
        masks[each.name] = Mask.pair(gates[0]) if gate == "pair" else Mask.cell(*gates)
    return RandomNetwork(matrices, placement, masks)


def cells_of_map(deployment: Deployment, measured: ConductanceMap) -> dict[int, KnownCells]:
    """What the map of chip 0 says, with the gains that the deployment measured."""
    facts = deployment.board.description
    return {0: known_cells(measured, facts, deployment.front_end.gains)}


def on_map(
    deployment: Deployment,
    chips: Mapping[int, KnownCells],
    ranges: Mapping[str, int],
    noise: NoiseKind = "none",
) -> OnMap:
    """What the chips should say."""
    facts = deployment.board.description
    compiled = [each.compiled for each in deployment.tiles]
    cells = cells_in_steps(compiled, deployment.masks, chips, lines_of(facts))
    return OnMap(cells, converter_of(facts), ranges, noise=noise)
