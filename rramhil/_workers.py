"""Processes that work for another one, and end with it.

Owns: what such a process does first. Knows nothing of its work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin_worker() -> None:
    """Begin a process of a pool: one that ends at ctrl-C, and when who started it is gone."""
    # at once and without a word: who started the processes has something to say about it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # not sys.exit, which ends this thread only; what is half done has no name yet
        os._exit(1)
