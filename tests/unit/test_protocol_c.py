"""The C header: a C program that includes it reproduces every golden vector byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from firmware_protocol.generator.c import type_name
from firmware_protocol.spec import StructSpec, load_spec

HERE = Path(__file__).parent / "golden"
SPEC = load_spec()
STRUCTS = {struct.name: struct for struct in SPEC.structs()}
PACKAGE = resources.files("firmware_protocol")
VECTORS = json.loads(PACKAGE.joinpath("golden/vectors.json").read_text("utf-8"))


def integer(value: int, base: str) -> str:
    if base == "i64" and value == -(2**63):
        return "INT64_MIN"  # its digits alone would be too large for a positive constant
    suffix = {"u32": "u", "u64": "ull", "i64": "ll"}.get(base, "")
    return f"{value}{suffix}"


def assignments(struct: StructSpec, values: dict[str, Any], target: str) -> list[str]:
    """C statements that give every field of `target` its value, by the field's name."""
    lines: list[str] = []
    for field in struct.fields:
        value, place = values[field.name], f"{target}.{field.name}"
        if field.base == "char":
            text = "".join(f"\\{byte:03o}" for byte in value.encode())
            lines.append(f'    memcpy({place}, "{text}", {len(value.encode())});')
        elif field.is_bytes:
            lines += [f"    {place}[{k}] = {byte};" for k, byte in enumerate(value)]
        elif field.is_integer:
            lines.append(f"    {place} = {integer(value, field.base)};")
        elif field.count is None:
            lines += assignments(STRUCTS[field.base], value, place)
        else:
            for k, part in enumerate(value):
                lines += assignments(STRUCTS[field.base], part, f"{place}[{k}]")
    return lines


def vector_source() -> str:
    """Text of vectors.h."""
    lines = ["static void print_sizes(void)", "{"]
    lines += [f'    printf("{name} %zu\\n", sizeof({type_name(name)}));' for name in STRUCTS]
    lines += ['    printf("header %zu\\n", sizeof(rram_header_t));', "}", ""]
    lines += ["static void print_structs(void)", "{"]
    for vector in VECTORS["structs"]:
        name = vector["struct"]
        lines += ["    {", f"    {type_name(name)} v;", "    memset(&v, 0, sizeof v);"]
        lines += assignments(STRUCTS[name], vector["values"], "v")
        lines += [f'    print_hex("{name}-{vector["case"]}", &v, sizeof v);', "    }"]
    lines += ["}", "", "static void print_frames(void)", "{"]
    for vector in VECTORS["frames"]:
        body = bytes.fromhex(vector["body"])
        listed = ", ".join(map(str, body or b"\0"))
        lines += ["    {", f"    static const uint8_t body[] = {{{listed}}};"]
        lines += ["    rram_header_t h;", "    memset(&h, 0, sizeof h);"]
        for key in ("version", "flags", "type", "credit", "session", "sequence"):
            lines.append(f"    h.{key} = {vector[key]}u;")
        encoded = f"encode_frame(h, body, {len(body)}u)"
        lines += [f'    print_hex("frame-{vector["case"]}", buffer, {encoded});', "    }"]
    return "\n".join([*lines, "}", ""])


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the C program prints: a name and a value a line."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed: the C header is not checked")
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "vectors.h").write_text(vector_source())
    program = folder / "reproduce"
    with resources.as_file(PACKAGE.joinpath("include")) as include:
        command = [gcc, "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
        command += [f"-I{include}", f"-I{folder}", str(HERE / "reproduce.c"), "-o", str(program)]
        built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in text.splitlines())


def test_checksums_have_their_published_check_values(printed: dict[str, str]) -> None:
    assert printed["crc16"] == "29b1"
    assert printed["crc32"] == "cbf43926"


def test_every_c_structure_has_the_size_of_its_message(printed: dict[str, str]) -> None:
    sizes = {name: int(printed[name]) for name in STRUCTS}
    assert sizes == {name: SPEC.size(name) for name in STRUCTS}
    assert int(printed["header"]) == 24


@pytest.mark.parametrize("vector", VECTORS["structs"], ids=lambda v: f"{v['struct']}-{v['case']}")
def test_c_reproduces_the_golden_vector(vector: dict[str, Any], printed: dict[str, str]) -> None:
    assert printed[f"{vector['struct']}-{vector['case']}"] == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda v: v["case"])
def test_c_reproduces_the_golden_frame(vector: dict[str, Any], printed: dict[str, str]) -> None:
    assert printed[f"frame-{vector['case']}"] == vector["hex"]
