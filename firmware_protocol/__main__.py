"""Generate what the spec generates, or check that it is up to date.

python -m firmware_protocol generate
python -m firmware_protocol generate --check
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmware_protocol.generator import c, docs, python, vectors
from firmware_protocol.spec import load_spec

PACKAGE = Path(__file__).parent


def generated() -> dict[Path, str]:
    """Every generated file of a checkout, with the text it must have."""
    spec = load_spec()
    return {
        PACKAGE / "messages.py": python.messages(spec),
        PACKAGE / "layouts.py": python.layouts(spec),
        PACKAGE / "include" / "rramhil_protocol.h": c.header(spec),
        PACKAGE / "golden" / "vectors.json": vectors.vectors(spec),
        PACKAGE.parent / "docs" / "protocol.md": docs.page(spec),
    }


def stale() -> list[Path]:
    """Generated files that are missing or differ from what the spec says."""
    return [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main() -> int:
    """Run the generator; with --check, only compare. 1 if something is stale."""
    parser = argparse.ArgumentParser(prog="python -m firmware_protocol", description=__doc__)
    parser.add_argument("action", choices=["generate"])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    outdated = stale()
    for path in outdated:
        print(f"{'stale' if check else 'wrote'}: {path.relative_to(PACKAGE.parent)}")
        if not check:
            path.write_text(generated()[path], "utf-8")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
