"""A network's matrices on the cells of chips.

Owns: the way from a network to a placement, and from conductance maps to the pairs of a matrix.
Knows neither how masks are trained nor how a chip multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rramhil.network.matrix import Matrix
from rramhil.network.network import Network
from rramhil.switching import Defects, Geometry, Mask, MatrixShape, Placement, pack


class Pairs(NamedTuple):
    """What the two cells of each weight of a matrix have, such as their conductance in uS.

    Attributes
    ----------
    plus, minus : (outputs, inputs) float32
    """

    plus: Tensor
    minus: Tensor


def weights_of(
    map_uS: Mapping[int, npt.NDArray[Any]], placement: Placement, matrix: Matrix | str
) -> Pairs:
    """Gather the conductances of a matrix's cells.

    Parameters
    ----------
    map_uS : mapping of int to (rows, columns) array
        Conductances in uS of every chip in use, by its socket; or any other value of cells.
    placement : Placement
    matrix : Matrix or str
        The matrix, or its name.

    Raises
    ------
    KeyError
        If the placement has no such matrix, or there is no map of one of its chips.
    """
    name = matrix if isinstance(matrix, str) else matrix.name
    plus, minus = placement.gather(name, map_uS)
    return Pairs(
        torch.from_numpy(np.ascontiguousarray(plus, dtype=np.float32)),
        torch.from_numpy(np.ascontiguousarray(minus, dtype=np.float32)),
    )


def plan(
    network: Network,
    geometry: Geometry,
    *,
    chips: Sequence[int] = (0,),
    defects: Mapping[int, Defects] | None = None,
    masks: Mapping[str, Mask] | None = None,
    overlay: bool = False,
) -> Placement:
    """Place a network's matrices on macros; see `rramhil.switching.pack`.

    Parameters
    ----------
    geometry : Geometry
        Of each macro.
    chips : sequence of int
        Sockets in the order in which they are filled.
    defects : mapping of int to Defects
        Lines and cells to avoid, by chip.
    masks : mapping of str to Mask
        Of some or all matrices, where they are known before the placement.
    overlay : bool
        Let matrices share cells under different gates.

    Raises
    ------
    PlacementError
        If they do not fit, with the number of cells missing.
    """
    shapes = [MatrixShape(each.name, each.outputs, each.inputs) for each in network.matrices]
    return pack(shapes, geometry, chips=chips, defects=defects, masks=masks, overlay=overlay)
