"""Lines of a grid between which no cell is stuck.

Owns: the choice of what to leave out around stuck cells. Knows neither matrices nor free space.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


class Lines(NamedTuple):
    """Pairs of rows and columns of a grid, by index, ascending."""

    pairs: Int64Array
    columns: Int64Array


def first_clean_lines(stuck: BoolArray, outputs: int, inputs: int) -> Lines | None:
    """The first lines of a grid without a stuck cell between them, as many as are needed."""
    pairs: Int64Array = np.arange(stuck.shape[0], dtype=np.int64)
    columns: Int64Array = np.arange(stuck.shape[1], dtype=np.int64)
    while len(pairs) >= outputs and len(columns) >= inputs:
        inside = stuck[np.ix_(pairs[:outputs], columns[:inputs])]
        if not inside.any():
            return Lines(pairs[:outputs], columns[:inputs])
        in_pair, in_column = inside.sum(axis=1), inside.sum(axis=0)
        # leave out the line with most stuck cells, of the kind of which more can be spared
        pair_score = in_pair.max() * (len(pairs) - outputs)
        column_score = in_column.max() * (len(columns) - inputs)
        if pair_score >= column_score:
            pairs = np.delete(pairs, in_pair.argmax())
        else:
            columns = np.delete(columns, in_column.argmax())
    return None


def clean_grid(stuck: BoolArray) -> Lines:
    """What is left of a grid when lines are left out until no cell is stuck."""
    pairs: Int64Array = np.arange(stuck.shape[0], dtype=np.int64)
    columns: Int64Array = np.arange(stuck.shape[1], dtype=np.int64)
    while stuck.any():
        in_pair, in_column = stuck.mean(axis=1), stuck.mean(axis=0)
        if in_pair.max() >= in_column.max():
            pairs, stuck = _without_line(pairs, stuck, int(in_pair.argmax()), 0)
        else:
            columns, stuck = _without_line(columns, stuck, int(in_column.argmax()), 1)
    return Lines(pairs, columns)


def _without_line(
    lines: Int64Array, stuck: BoolArray, number: int, axis: int
) -> tuple[Int64Array, BoolArray]:
    return np.delete(lines, number), np.delete(stuck, number, axis=axis)
