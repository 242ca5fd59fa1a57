"""The FashionMNIST network of the paper on a board behind TCP and on one inside the process."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra `train`")

from torch import Tensor  # noqa: E402

from rramhil.bench.infer import MaskedCnn, masked_cnn, outputs_of  # noqa: E402
from rramhil.driver import Board  # noqa: E402
from tests.support.cli import Cli  # noqa: E402
from tests.support.networks import Programmed, programmed_lab  # noqa: E402

SEED = 7
_HEADER_BYTES = 16


@pytest.fixture(scope="module")
def programmed(tmp_path_factory: pytest.TempPathFactory) -> Programmed:
    return programmed_lab(tmp_path_factory.mktemp("programmed") / "lab", SEED)


@contextmanager
def network_on(
    address: str, root: Path, programmed: Programmed, images: Tensor
) -> Iterator[MaskedCnn]:
    with Board.open(address, lab_root=root) as board:
        pulses = _pulses(board)
        yield masked_cnn(board, programmed.measured.conductance_uS, images)
        assert _pulses(board) == pulses


def _pulses(board: Board) -> int:
    counted = board.counters(0)
    return counted.form_pulses + counted.set_pulses + counted.reset_pulses


def through(cnn: MaskedCnn, images: Tensor) -> Tensor:
    return outputs_of(cnn.network.use(cnn.on_board), images)


@contextmanager
def both_boards(
    programmed: Programmed, tmp_path: Path, images: Tensor
) -> Iterator[tuple[MaskedCnn, MaskedCnn]]:
    """The same network on one chip twice: in another process, and in this one."""
    served, inside = (programmed.copy(tmp_path / name) for name in ("served", "inside"))
    command = Cli(tmp_path, served)
    with (
        command.served("--tcp", "127.0.0.1:0", "--seed", str(SEED)) as (address, *_),
        network_on(address, served, programmed, images) as over_tcp,
        network_on(programmed.address, inside, programmed, images) as in_process,
    ):
        yield over_tcp, in_process


def test_the_network_of_the_paper_says_the_same_bits_over_tcp_as_in_the_process(
    programmed: Programmed, tmp_path: Path
):
    images = torch.rand(64, 1, 14, 14, generator=torch.Generator().manual_seed(2))
    with both_boards(programmed, tmp_path, images) as cnns:
        said, wanted = (through(cnn, images) for cnn in cnns)
        assert torch.equal(said, wanted)
        assert said.std() > 0
        # every weight is on the chip; images differ, and so do the noises of a second run
        assert all(cnn.network.chip_share.weights == 1 for cnn in cnns)
        assert not torch.equal(through(cnns[0], images), said)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_test_images_run_over_tcp_bit_identical_to_the_process(
    programmed: Programmed, tmp_path: Path, data_root: Path
):
    """Of FashionMNIST; prints the rate, which depends on what else the computer does."""
    images = fashion_mnist(data_root)
    assert images.shape == (10_000, 1, 14, 14)
    with both_boards(programmed, tmp_path, images) as (over_tcp, in_process):
        parts: list[Tensor] = []
        rates: list[float] = []
        for thousand in images.split(1000):
            began_s = time.perf_counter()
            parts.append(through(over_tcp, thousand))
            rates.append(len(thousand) / (time.perf_counter() - began_s))
        wanted = torch.cat([through(in_process, thousand) for thousand in images.split(1000)])
        overall = len(rates) / sum(1 / rate for rate in rates)
        print(
            f"10,000 images: {overall:.0f} images/s; thousands {min(rates):.0f} to {max(rates):.0f}"
        )
        assert torch.equal(torch.cat(parts), wanted)
        done = over_tcp.on_board.total
        assert done.saturated == 0


def fashion_mnist(data_root: Path) -> Tensor:
    """The test images, each pixel the mean of 2 x 2."""
    path = data_root / "fashion_mnist" / "t10k-images-idx3-ubyte.gz"
    pixels = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=_HEADER_BYTES)
    quarters = pixels.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5)) / 255
    return torch.from_numpy(quarters.astype(np.float32))
