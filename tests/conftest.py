"""Fixtures that all tests share: where measured data lies, and a lab of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

# a shell starts what it runs in the background deaf to ctrl-C, and so would be every command here
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Measured and public data: RRAMHIL_DATA, else shared/data beside the project's folder."""
    named = os.environ.get("RRAMHIL_DATA", "")
    root = Path(named) if named else PROJECT.parent / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no data in {root}; set RRAMHIL_DATA to the folder that has it")
    return root


@pytest.fixture
def lab_root(tmp_path: Path) -> Path:
    """A folder for a lab; it does not exist yet."""
    return tmp_path / "lab"
