"""`rramhil map`: maps come in and go out unchanged, and are listed, shown and compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import Cli

QUARTER = """
name = "quarter"
[[steps]]
amplitude_v = 4.0
width_ns = 100_000
compliance_a = 100e-6
rows = "0:128"
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lab with the read-back of a partly programmed chip."""
    cli = Cli(tmp_path_factory.mktemp("maps"))
    (cli.folder / "quarter.toml").write_text(QUARTER)
    cli("program", "--recipe", "quarter.toml", "--reads", "2")
    return cli


def test_an_export_to_npz_restores_the_very_map(cli: Cli) -> None:
    told = cli("map", "export", "--chip", "0", "--to", "chip.npz", "--json").json
    with np.load(cli.folder / "chip.npz") as arrays:
        assert arrays["conductance_uS"].shape == (512, 512)
        assert arrays["codes"].shape == (2, 512, 512)
        assert arrays["codes"].dtype == np.uint16
    back = cli("map", "import", "chip.npz", "--json").json
    assert back["map_id"] == told["map_id"]
    assert back["kind"] == "readback"


def test_a_csv_goes_out_and_comes_back_with_the_same_conductances(cli: Cli) -> None:
    measured = np.round(np.linspace(0.0, 20.0, 50 * 40).reshape(50, 40), 3)
    np.savetxt(cli.folder / "measured.csv", measured, delimiter=",")
    taken = cli("map", "import", "measured.csv", "--chip", "sister-7", "--json").json
    assert (taken["chip_serial"], taken["rows"], taken["cols"]) == ("sister-7", 50, 40)
    assert Path(taken["heatmap"]).is_file()
    cli("map", "export", "--map", taken["map_id"], "--to", "again.csv")
    again = np.loadtxt(cli.folder / "again.csv", delimiter=",")
    np.testing.assert_array_equal(again, measured)
    same = cli("map", "import", "again.csv", "--json").json
    diff = cli("map", "diff", taken["map_id"], same["map_id"], "--json").json
    assert (diff["compared"], diff["changed"], diff["max_abs_uS"]) == (2000, 0, 0.0)
    listed = cli("map", "list", "--chip", "sister-7", "--json").json["maps"]
    assert [each["map_id"] for each in listed] == [taken["map_id"]]


def test_the_published_tensors_come_in_and_go_out(cli: Cli) -> None:
    torch = pytest.importorskip("torch")
    on = torch.linspace(5, 20, 64, dtype=torch.float64).reshape(8, 8)
    torch.save({"set": on, "reset": torch.zeros_like(on)}, cli.folder / "published.pt")
    taken = cli("map", "import", "published.pt", "--json").json
    cli("map", "export", "--map", taken["map_id"], "--to", "out.pt")
    back = torch.load(cli.folder / "out.pt", weights_only=True)
    assert torch.equal(back["set"], on)
    assert torch.equal(back["reset"], torch.zeros_like(on))


def test_a_file_that_is_no_map_is_refused_and_leaves_nothing_behind(cli: Cli) -> None:
    before = sorted(path.name for path in (cli.lab / "maps").iterdir())
    (cli.folder / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    (cli.folder / "map.docx").write_bytes(b"no")
    assert "cut.npz" in cli("map", "import", "cut.npz", code=2).sentences
    assert ".csv" in cli("map", "import", "map.docx", code=2).sentences
    assert "missing.csv" in cli("map", "import", "missing.csv", code=3).sentences
    assert sorted(path.name for path in (cli.lab / "maps").iterdir()) == before


def test_a_map_is_shown_with_its_statistics_a_picture_and_its_files(cli: Cli) -> None:
    listed = cli("map", "list", "--chip", "R40-0-0-0", "--json").json["maps"]
    latest = next(each for each in listed if each["kind"] == "readback")
    shown = cli("map", "show", latest["map_id"][:8], "--png")
    assert latest["map"] in shown.stdout
    assert latest["heatmap"] in shown.stdout
    assert "of 262,144 valid cells" in shown.stdout
    picture = [line for line in shown.stdout.splitlines() if len(line) == 64 and line.strip()]
    # the upper quarter has formed and is bright, the rest is blank
    assert picture == [line for line in picture if "@" in line or "#" in line or "%" in line]
    assert len(picture) == 4
