"""How products are computed: engine and threads, from the environment. Neither shows in a bit."""

from __future__ import annotations

import os
from importlib.util import find_spec

from sim_backend.errors import BadSetting

ENGINE_VARIABLE = "RRAMHIL_SIM_ENGINE"
"""`tables` (the default) or `digits`, which needs torch."""
THREADS_VARIABLE = "RRAMHIL_SIM_THREADS"
"""Threads of a run; by default the processors that this process may use."""

TABLES, DIGITS = "tables", "digits"


def engine() -> str:
    """Name of the engine.

    Raises
    ------
    BadSetting
        There is no such engine, or it lacks its library.
    """
    name = os.environ.get(ENGINE_VARIABLE) or TABLES
    if name not in (TABLES, DIGITS):
        raise BadSetting(f"{ENGINE_VARIABLE} is {name!r}, not {TABLES!r} or {DIGITS!r}.")
    if name == DIGITS and not find_spec("torch"):
        raise BadSetting(f"{ENGINE_VARIABLE} is {name!r}, which needs torch.")
    return name


def threads() -> int:
    """How many threads a run may use.

    Raises
    ------
    BadSetting
        The variable holds no positive number.
    """
    asked = os.environ.get(THREADS_VARIABLE)
    if not asked:
        return len(os.sched_getaffinity(0))
    if not asked.isdecimal() or int(asked) < 1:
        raise BadSetting(f"{THREADS_VARIABLE} is {asked!r}, not a number of threads.")
    return int(asked)
