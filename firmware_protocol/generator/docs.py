"""docs/protocol.md: the hand-written preface, then tables of every command and structure."""

from __future__ import annotations

from importlib import resources

from firmware_protocol.spec import CommandSpec, ItemsSpec, Spec, StructSpec


def page(spec: Spec) -> str:
    """Text of docs/protocol.md."""
    preface = resources.files("firmware_protocol").joinpath("preface.md").read_text("utf-8")
    lines = [preface.rstrip(), "", "## Commands", ""]
    lines += ["| command | code | who | order | reply |", "|---|---|---|---|---|"]
    lines += [_row(command) for command in spec.command]
    for command in spec.command:
        lines += ["", f"### {command.name} ({command.code})", "", _flow(command.doc), ""]
        for struct, items in command.bodies():
            lines += _table(spec, struct, items)
    lines += ["## Parts of messages", ""]
    for struct in spec.struct:
        lines += [f"### {struct.name}", "", struct.doc, "", *_table(spec, struct, None)]
    lines += ["## Enumerations", ""]
    for enum in spec.enum:
        lines += [
            f"### {enum.name}",
            "",
            enum.doc,
            "",
            "| name | value | meaning |",
            "|---|---|---|",
        ]
        lines += [f"| {v.name} | {v.value} | {v.doc} |" for v in enum.values] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _row(command: CommandSpec) -> str:
    order = {True: "in sequence", False: "at once", "both": "either"}[command.ordered]
    reply = "stream, then reply" if command.stream else ("reply" if command.answered else "none")
    link = f"[{command.name}](#{command.name.lower()}-{command.code})"
    return f"| {link} | {command.code} | {command.role.lower()} | {order} | {reply} |"


def _table(spec: Spec, struct: StructSpec, items: ItemsSpec | None) -> list[str]:
    lines = [f"`{struct.name}`, {spec.size(struct.name)} bytes:", ""]
    lines += ["| offset | field | type | range | meaning |", "|---|---|---|---|---|"]
    offset = 0
    for field in struct.fields:
        narrowed = field.min is not None or field.max is not None
        span = "{} to {}".format(*field.limits()) if narrowed else ""
        unit = f" ({field.unit})" if field.unit else ""
        lines.append(f"| {offset} | `{field.name}` | {field.type} | {span} | {field.doc}{unit} |")
        offset += spec.size(field.base) * (field.count or 1)
    if items:
        lines.append(
            f"| {offset} | `{items.name}` | {items.type} x `{items.count}` | | {items.doc} |"
        )
    return [*lines, ""]


def _flow(text: str) -> str:
    return " ".join(text.split())
