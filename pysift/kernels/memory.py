"""Memory sixteen float32 numbers at a time: `lanes` in and out of contiguous arrays, and what is fetched ahead.

    load, load_some, load_pair → Lanes → store, store_some, store_first, store_integers, store_pairs

An index past the end of an array is not checked.

imports: kernels, kernels.lanes
"""
from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pysift.kernels import njit
from pysift.kernels.lanes import LANES, VECTOR, broadcast, call_llvm, lanes, numbers


def _address(context, builder, kind, array, index):
    """Where sixteen numbers from array[index] on are."""
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [index]), VECTOR.as_pointer())


def _first(builder, count):
    """Mask of the first `count` lanes."""
    return builder.icmp_signed("<", numbers(64), broadcast(builder, count))


@intrinsic
def load(typing_context, array, index):
    """array[index : index + 16] of a contiguous (N,) float32 array."""
    def codegen(context, builder, sig, arguments):
        return builder.load(_address(context, builder, sig.args[0], *arguments), align=4)

    return lanes(array, types.intp), codegen


@intrinsic
def load_some(typing_context, array, index, count):
    """array[index : index + count], then zeros; what lies beyond is not touched."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments[:2])
        return call_llvm(builder, "llvm.masked.load.v16f32.p0", VECTOR, where, ir.Constant(ir.IntType(32), 4),
                     _first(builder, arguments[2]), ir.Constant(VECTOR, [0.0] * LANES))

    return lanes(array, types.intp, types.intp), codegen


@intrinsic
def load_pair(typing_context, array, index):
    """array[index], array[index + 1], again and again."""
    def codegen(context, builder, sig, arguments):
        start = context.make_array(sig.args[0])(context, builder, arguments[0]).data
        pair = ir.DoubleType()
        where = builder.bitcast(builder.gep(start, [arguments[1]]), pair.as_pointer())
        return builder.bitcast(broadcast(builder, builder.load(where, align=4), LANES // 2), VECTOR)

    return lanes(array, types.intp), codegen


@intrinsic
def store(typing_context, array, index, values):
    """array[index : index + 16] = values."""
    def codegen(context, builder, sig, arguments):
        builder.store(arguments[2], _address(context, builder, sig.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def store_some(typing_context, array, index, values, count):
    """array[index : index + count] = the first `count` values; what lies beyond is not touched."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments[:2])
        call_llvm(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), arguments[2], where,
              ir.Constant(ir.IntType(32), 4), _first(builder, arguments[3]))
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes, types.intp), codegen


@intrinsic
def store_integers(typing_context, array, index, values):
    """array[index : index + 16] = values, which are whole numbers, of a contiguous (N,) int32 array."""
    def codegen(context, builder, sig, arguments):
        whole = builder.fptosi(arguments[2], ir.VectorType(ir.IntType(32), LANES))
        start = context.make_array(sig.args[0])(context, builder, arguments[0]).data
        where = builder.bitcast(builder.gep(start, [arguments[1]]), whole.type.as_pointer())
        builder.store(whole, where, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def store_pairs(typing_context, array, index, a, b):
    """array[index : index + 32] = a₀, b₀, a₁, b₁, …"""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments[:2])
        for half in range(2):
            order = [i // 2 + half * LANES // 2 + i % 2 * LANES for i in range(LANES)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), order)
            builder.store(builder.shuffle_vector(*arguments[2:], mask),
                          builder.gep(where, [ir.Constant(ir.IntType(64), half)]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes, lanes), codegen


@intrinsic
def prefetch(typing_context, array, index):
    """Have array[index] brought into the second cache, for a load to come; a hint, which waits for nothing."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments)
        read, second, data = (ir.Constant(ir.IntType(32), k) for k in (0, 2, 1))
        call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), where, read, second, data)
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@njit()
def store_first(line, at, values, count):
    """Store at most `count` of sixteen values."""
    if count >= LANES:
        store(line, at, values)
    else:
        store_some(line, at, values, count)


@njit()
def whole_lines(n):
    """Return n float32 of no particular value that start on a cache line: a load across two costs double."""
    values = np.empty(n + LANES, np.float32)
    skip = -(values.ctypes.data // 4) % LANES
    return values[skip:skip + n]


@njit()
def announce(level, col, row, reach):
    """Have the square of half-width `reach` about a pixel fetched from memory while something else is computed."""
    h, w = level.shape
    for y in range(max(row - reach, 0), min(row + reach, h - 1) + 1):
        for x in range(max(col - reach, 0), min(col + reach + LANES, w), LANES):
            prefetch(level[y], x)
