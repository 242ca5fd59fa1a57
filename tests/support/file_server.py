"""A web server on this computer that gives files, and misbehaves when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """What a server gives and how it behaves.

    Attributes
    ----------
    files : dict of str to bytes
        By path, without the slash before it.
    address : str
    cuts : list of int
        The next replies are cut after so many bytes of their body.
    ranges : bool
        Whether it can begin in the middle of a file.
    status : int
        Other than 0: of every reply.
    asked : list
        Path and first byte of each request.
    """

    files: dict[str, bytes]
    address: str = ""
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def reply(self, to: BaseHTTPRequestHandler) -> None:
        path = to.path.lstrip("/")
        said = to.headers.get("Range", "bytes=0-") if self.ranges else "bytes=0-"
        begin = int(said.removeprefix("bytes=").rstrip("-"))
        self.asked.append((path, begin))
        content = self.files.get(path)
        if self.status or content is None:
            to.send_error(self.status or 404)
            return
        if begin and begin >= len(content):
            to.send_error(416)
            return
        to.send_response(206 if begin else 200)
        if begin:
            to.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        to.send_header("Content-Length", str(len(content) - begin))
        to.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(content)
        to.wfile.write(content[begin:][:cut])


@contextmanager
def serving(files: dict[str, bytes]) -> Generator[FileServer]:
    """Serve files for the body of a `with`."""
    state = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.reply(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        server.daemon_threads = False  # so that they have ended when the server has
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
