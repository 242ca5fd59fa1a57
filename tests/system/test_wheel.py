"""The wheel, installed alone: what a user gets who never sees the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    run(*build, PROJECT, folder=folder)
    (wheel,) = folder.glob("rramhil-*.whl")
    site = folder / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--target", site, wheel, folder=folder)
    return site


def test_the_wheel_alone_programs_a_chip(installed: Path, tmp_path: Path) -> None:
    alone = {"PYTHONPATH": str(installed), "RRAMHIL_LAB": str(tmp_path / "lab")}
    where = run(
        sys.executable, "-c", "import rramhil; print(rramhil.__file__)", folder=tmp_path, **alone
    )
    assert Path(where.strip()).is_relative_to(installed)
    program = (sys.executable, "-m", "rramhil", "program", "--chip", "0", "--json")
    result = json.loads(run(*program, folder=tmp_path, **alone))
    assert result["pulses"] == 512 * 512
    assert Path(result["heatmap"]).exists()


def test_the_wheel_holds_the_four_packages_and_no_tests(installed: Path) -> None:
    packages = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert packages - {"bin"} == {"rramhil", "firmware_protocol", "sim_backend", "calibration"}


def test_what_is_installed_agrees_with_itself(tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "check", folder=tmp_path)
