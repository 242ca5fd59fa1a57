"""Tasks: data, a plain torch network, a loss, a metric; nothing else.

A user's own task is as good as a built-in one: it makes a `Task` in a file of its own. Nothing
here knows chips, masks or executors. Importing this package loads no torch; `load` may.
"""

from rramhil.tasks._final import final_splits
from rramhil.tasks._load import KNOWN, load
from rramhil.tasks._numbers import refuse_metrics
from rramhil.tasks._task import Examples, Splits, Task

__all__ = ["KNOWN", "Examples", "Splits", "Task", "final_splits", "load", "refuse_metrics"]
