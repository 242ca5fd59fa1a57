"""Every error a caller can do something about, each with its exit code, in one table.

An error is one sentence that names the value and the cause, and the next step to take. The
command line prints both and ends with `exit_code`; Python callers catch the type.
"""

from __future__ import annotations


class RramhilError(Exception):
    """Base of the errors below.

    Parameters
    ----------
    sentence : str
        What happened, with the value and the cause.
    next_step : str
        What to do about it; empty when there is nothing useful to say.
    """

    exit_code = 1

    def __init__(self, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence)
        # what it quotes of others may have several lines, and no full stop
        line = " ".join(each.strip() for each in sentence.splitlines())
        self.sentence = line if line.endswith((".", "!", "?")) else f"{line}."
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}".strip()


class UsageError(RramhilError):
    """The request itself cannot be carried out as it was put."""

    exit_code = 2


class ModelRefused(UsageError):
    """A model has weights that no chip can hold, or cannot be run after its conversion."""


class RunError(UsageError):
    """The folder of a run is damaged, foreign, or does not fit the network."""


class TaskError(UsageError):
    """A task file does not say what a task must say."""


class TrainingFailed(UsageError):
    """A training came to no numbers; going on with it would come to the same."""


class DataError(UsageError):
    """A data set is not what was published: a file was changed, is missing or is one too many."""


class LabUnusable(UsageError):
    """The lab folder cannot be opened, created or written."""


class MapFileError(UsageError):
    """A map file is truncated, oversized, of the wrong type or damaged."""


class RecipeError(UsageError):
    """A recipe file does not say what a recipe must say."""


class TapeError(UsageError):
    """A tape is damaged, or the run does not match what it recorded."""


class PlacementError(UsageError):
    """Matrices do not fit the macros, or a placement file is damaged."""


class MaskError(UsageError):
    """A mask belongs to another map or placement, or a mask file is damaged."""


class UnfinishedJob(UsageError):
    """The chip has a programming job that was interrupted and must be resumed first."""


class NotFound(RramhilError):
    """A board, chip, map or file that was named does not exist."""

    exit_code = 3


class ProtocolMismatch(RramhilError):
    """Host and board do not speak a common protocol version, or one broke its rules."""

    exit_code = 4


class BoardHeld(RramhilError):
    """The board, its port or its state is in use by another controller."""

    exit_code = 5


class VerificationFailed(RramhilError):
    """A measurement contradicts what was expected; a report was written."""

    exit_code = 6


class LimitRefused(RramhilError):
    """An operation lies outside the safe envelope of the host or of the board."""

    exit_code = 7


class BoardError(RramhilError):
    """The board refused or failed a command for a reason of its own."""

    exit_code = 8


class LinkLost(RramhilError):
    """The board stopped answering, or the connection to it broke."""

    exit_code = 8


class DownloadFailed(RramhilError):
    """No address of a data set could be reached, or none gave what was published."""

    exit_code = 8


class Interrupted(RramhilError):
    """The user stopped the work; the board was left safe."""

    exit_code = 130
