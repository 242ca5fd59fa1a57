"""Which pair of rows each output gets, so that equal gate patterns sit on different channels.

Owns: the even distribution of patterns over channels, and the match of outputs with pairs of rows
that have no stuck cell where it hurts. Knows neither tiles nor chips.

Outputs are edges between the patterns of their two rows. An Euler walk gives each edge a direction:
which row of the pair lies on the even channel, so that each pattern is on even and odd channels
equally often, to within one. Splitting the walks again and again in halves deals the edges to the
kinds of pairs (those whose channels are 0 and 1, 2 and 3, ...), so that each pattern has on every
channel its even share, rounded up: the fewest steps that any placement allows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

_NOTHING = -1


def spread_patterns(patterns: Int64Array, kinds: int) -> tuple[Int64Array, BoolArray]:
    """Deal outputs to kinds of pairs evenly, for every pattern.

    Parameters
    ----------
    patterns : (outputs, 2) int64
        Pattern of the plus and of the minus row of each output.
    kinds : int
        A power of two: half the channels.

    Returns
    -------
    kind : (outputs,) int64
    swapped : (outputs,) bool
        Whether the minus row takes the first row of the pair.
    """
    count = int(patterns.max(initial=0)) + 1
    swapped = _directions(patterns, count)
    ends = np.where(swapped[:, None], patterns[:, ::-1], patterns)
    # first and second rows are different ends: a pattern counts on either channel by itself
    ends = ends + np.array([0, count])
    kind = np.zeros(len(patterns), dtype=np.int64)
    groups = [np.arange(len(patterns))]
    for _ in range(kinds.bit_length() - 1):
        halves: list[Int64Array] = []
        for group in groups:
            second = _directions(ends[group], count)
            kind[group] = 2 * kind[group] + second
            halves += [group[~second], group[second]]
        groups = halves
    return kind, swapped


def match(allowed: BoolArray, wanted: Int64Array) -> Int64Array | None:
    """Give each output a place of its own, if there is a way.

    Parameters
    ----------
    allowed : (outputs, places) bool
    wanted : (outputs,) int64
        Place that each output gets if nothing is against it.

    Returns
    -------
    (outputs,) int64 or None
    """
    owner = np.full(allowed.shape[1], _NOTHING, dtype=np.int64)
    homeless: list[int] = []
    for output, place in enumerate(wanted):
        if allowed[output, place] and owner[place] == _NOTHING:
            owner[place] = output
        else:
            homeless.append(output)
    for output in homeless:
        if not _find_place(allowed, owner, output):
            return None
    places = np.flatnonzero(owner != _NOTHING)
    found = np.empty(len(allowed), dtype=np.int64)
    found[owner[places]] = places
    return found


def _find_place(allowed: BoolArray, owner: Int64Array, output: int) -> bool:
    """Breadth first along an alternating path; true if the output has a place then."""
    came_from = np.full(len(owner), _NOTHING, dtype=np.int64)
    queue = [output]
    for current in queue:
        for place in np.flatnonzero(allowed[current] & (came_from == _NOTHING)):
            came_from[place] = current
            if owner[place] == _NOTHING:
                _hand_over(owner, came_from, int(place), output)
                return True
            queue.append(int(owner[place]))
    return False


def _hand_over(owner: Int64Array, came_from: Int64Array, place: int, output: int) -> None:
    while True:
        giver = int(came_from[place])
        before = int(np.flatnonzero(owner == giver)[0]) if giver != output else _NOTHING
        owner[place] = giver
        if giver == output:
            return
        place = before


def _directions(ends: Int64Array, left: int) -> BoolArray:
    """Give each edge a direction such that at every vertex as many leave as arrive, to within one.

    Vertices of odd degree are joined to a further one, so that each walk ends where it began.
    Where every edge runs between a vertex below `left` and one above, each walk is even, so that
    the directions deal the edges of each vertex to two halves; the two sides have a further vertex
    each, which keeps that so, and makes the halves equal as a whole.

    Parameters
    ----------
    ends : (edges, 2) int64

    Returns
    -------
    (edges,) bool
        True where the edge runs from its second end to its first.
    """
    vertices, local = np.unique(ends, return_inverse=True)
    edges = local.reshape(-1, 2).tolist()
    odd = np.flatnonzero(np.bincount(local.ravel(), minlength=len(vertices)) % 2)
    below = vertices[odd] < left
    further = len(vertices)
    edges += [[int(vertex), further + int(side)] for vertex, side in zip(odd, below, strict=True)]
    if below.sum() % 2:
        edges.append([further, further + 1])
    touching: list[list[int]] = [[] for _ in range(further + 2)]
    for number, (first, second) in enumerate(edges):
        touching[first].append(number)
        touching[second].append(number)
    backwards = np.zeros(len(edges), dtype=np.bool_)
    walked = [False] * len(edges)
    for start in range(len(touching)):
        here = start
        while touching[here]:
            number = touching[here].pop()
            if walked[number]:
                continue
            walked[number] = True
            first, second = edges[number]
            backwards[number] = here != first
            here = second if here == first else first
    return backwards[: len(ends)]
