"""The one place that names numba: how every kernel of this package is compiled.

Compiled on first use and cached on disk; integers wrap and floats keep the order of the source
(no fastmath). Kernels release the interpreter's lock. A cached kernel is used only as long as
no module of this package has changed: numba itself looks at the kernel's own file alone, and
would keep code with an older version of what it calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

Integer: TypeAlias = Any
"""An int64 inside a kernel. (Type checkers keep Python's int and numpy's apart; kernels do not.)"""
Word: TypeAlias = Any
"""A uint64 inside a kernel; never mixed with an Integer, which would make a float of both."""

_NJIT: Any = numba.njit
"""Its type hints know fewer options than it has."""

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python or another kernel calls."""
    compiled: Any = _NJIT(nogil=True, no_cfunc_wrapper=True)(function)
    compiled._cache = _PackageCache(function)
    return cast("Callable[P, R]", compiled)


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only kernels call, and that neither makes nor returns an array.

    It counts no references to arrays, which its caller holds. Counting takes two atomic
    instructions for each array of each tuple that is named: a third of the time of a pulse on a
    row of 512 cells.
    """
    compiled: Any = _NJIT(_nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return cast("Callable[P, R]", compiled)


class _PackageCache(FunctionCache):
    """Cache of one kernel, valid for one text of the whole package."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=_package_stamp(),
        )


@cache
def _package_stamp() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("**/*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _store_ordered(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Store into a one-dimensional array in program order, never merged or moved.

    A plain store could be kept in a register until a loop ends; what other processes, or this
    one after it was killed, may read must reach memory where the source says so.
    """
    if not isinstance(array, types.Array) or array.ndim != 1:
        return None
    signature = types.void(array, types.intp, array.dtype)
    size = array.dtype.bitwidth // 8

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(array)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(context, builder, array, view, [arguments[1]])
        builder.store_atomic(arguments[2], pointer, ordering="seq_cst", align=size)
        return context.get_constant(types.none, ir.Undefined)

    return signature, codegen


store_ordered: Any = intrinsic(_store_ordered)


def _add_entries(typingctx: Any, out: Any, at: Any, table: Any, places: Any) -> Any:
    """Add entries of a table, 64 numbers each, to 64 numbers of `out`, as vectors.

    A loop would do the same; compiled, it asks at each entry whether the arrays overlap, which
    takes longer than the additions. Places are not checked.

    Parameters
    ----------
    out, table : (n,) uint32
    at : uint64
        Where in `out`.
    places : tuple of uint64
        Where in `table`.
    """
    signature = types.void(out, types.uint64, table, places)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = context.make_array(out)(context, builder, arguments[0]).data
        entries = context.make_array(table)(context, builder, arguments[2]).data
        starts = cgutils.unpack_tuple(builder, arguments[3], places.count)
        vector = ir.VectorType(ir.IntType(32), _VECTOR)

        def at_lane(base: Any, start: Any, lane: int) -> Any:
            place = builder.add(start, ir.Constant(ir.IntType(64), lane))
            return builder.bitcast(builder.gep(base, [place]), vector.as_pointer())

        for lane in range(0, ENTRY, _VECTOR):
            total = builder.load(at_lane(sums, arguments[1], lane), align=4)
            for start in starts:
                total = builder.add(total, builder.load(at_lane(entries, start, lane), align=4))
            builder.store(total, at_lane(sums, arguments[1], lane), align=4)
        return context.get_dummy_value()

    return signature, codegen


ENTRY = 64
"""Numbers of one entry of a table of `add_entries`."""
_VECTOR = 16

add_entries: Any = intrinsic(_add_entries)
