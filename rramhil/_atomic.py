"""Files that are either whole or not there.

Owns: temporary names, fsync and the rename. Knows nothing of what is in a file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Offer a name beside `path`; what is written there becomes `path` when the body ends well.

    The file is on the disk before it gets its name and the name is on the disk before this
    returns, so neither a crash nor a power cut leaves half a file behind the name. When the body
    raises, the temporary file is removed and `path` is as it was.

    Raises
    ------
    OSError
        If the file cannot be written or renamed.
    """
    # The body creates the file, so that its mode follows the user's umask.
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except OSError as error:
        # a full disk does not say of which file
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` as the whole of `path`, durably, or leave `path` as it was.

    Raises
    ------
    OSError
        If the file cannot be written or renamed.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
