"""What can go wrong when a simulated board or its profile is opened.

Owns the exception types of this package; each is one sentence a person can act on. Errors of
the wire (a refused command) are not exceptions of this package: they are replies.
"""

from __future__ import annotations


class SimError(Exception):
    """Base of the errors below."""


class ProfileError(SimError):
    """A board profile, or a table that belongs to the package, is missing or does not check."""


class NoSuchBoard(SimError):
    """A board or chip was asked for that cannot be simulated, or that nobody has made yet."""


class OutOfRange(NoSuchBoard):
    """A seed, a number of chips or a defect lies outside what can be simulated."""


class FaultsError(SimError):
    """Faults were asked for that there are not, or in a file that cannot be read."""


class NoFaultsFile(FaultsError):
    """A file of faults was named that does not exist."""


class StateHeld(SimError):
    """Another process serves this simulated board."""


class StateDamaged(SimError):
    """A state file is damaged, of another version, or belongs to another chip or profile."""


class NoSuchTechnology(OutOfRange):
    """A technology was asked for that does not ship with the package."""


class BadSetting(SimError):
    """An environment variable of this package holds what it cannot hold."""
