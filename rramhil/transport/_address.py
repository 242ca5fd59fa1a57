"""Parts of an address: the pieces every transport takes from it, and their refusals.

Owns: splitting URLs and checking their query keys. Opens nothing.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rramhil.errors import UsageError


def split(address: str, form: str) -> SplitResult:
    """Split a URL-like address; `form` is how it should have looked."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is no address: {error}.", f"Write {form}.") from None


def query(address: str, parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    """Return the query as a dictionary; unknown, repeated or empty keys are refused."""
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UsageError(
            f"The query of {address!r} cannot be read: {error}.",
            f"Write OPTION=VALUE; known options: {', '.join(known) or 'none'}.",
        ) from None
    options: dict[str, str] = {}
    for key, value in pairs:
        if key not in known:
            raise UsageError(
                f"{address!r} has an unknown option {key!r}.",
                f"Known options: {', '.join(known) or 'none'}.",
            )
        if key in options:
            raise UsageError(
                f"{address!r} gives {key!r} twice: {options[key]!r} and {value!r}.",
                f"Write {key}= once, with the value that is meant.",
            )
        options[key] = value
    if parts.fragment:
        raise UsageError(
            f"{address!r} has a part after '#', which means nothing here.",
            f"Leave out '#{parts.fragment}'.",
        )
    return options


def integer(address: str, options: dict[str, str], key: str, default: int, low: int) -> int:
    """Return an integer option of at least `low`."""
    text = options.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) < low:
        absent = f", or leave {key} out for {default}" if default >= low else ""
        raise UsageError(
            f"{key}={text!r} in {address!r} is not an integer of at least {low}.",
            f"Give such an integer{absent}.",
        )
    return int(text)


def local_path(address: str, parts: SplitResult, form: str) -> str:
    """Return the absolute path of a ``scheme:///path`` address."""
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or path == "/":
        raise UsageError(
            f"{address!r} names no absolute path.", f"Write {form}, with three slashes."
        )
    return path
