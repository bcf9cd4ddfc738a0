"""Sixteen float32 numbers in one register: a numba type, so that a formula on sixteen pixels reads as on one.

    load, load_some, splat → + − ·, arithmetic.fma, minimum, maximum → store, store_some
                           → at_least, above → lowest_bit

numba leaves it to LLVM to find vector code in scalar loops.  LLVM gives up where it cannot rule out that arrays
overlap, and never computes several rows at a time to read each number once.  Here the kernel says it: four rows
of a column sum are four `Lanes` variables.  Each lane is one IEEE operation, so every number is the scalar loop's
to the bit.  A register of AVX-512 is 16 lanes wide; elsewhere LLVM makes two of eight, or four of four.

An index past the end of an array is not checked.

imports: nothing of pysift
"""
from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 16
VECTOR = ir.VectorType(ir.FloatType(), LANES)


class Lanes(types.Type):
    """The type of sixteen float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_lanes = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, VECTOR)


def _add_operator(symbol, instruction: str) -> None:
    """Give Lanes the operator `symbol`, lane by lane."""

    @infer_global(symbol)
    class Typed(AbstractTemplate):
        def generic(self, arguments, keywords):
            if arguments == (_lanes, _lanes):
                return signature(_lanes, _lanes, _lanes)

    @lower_builtin(symbol, _lanes, _lanes)
    def lowered(context, builder, sig, arguments):
        return getattr(builder, instruction)(*arguments)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _add_operator(_symbol, _instruction)


def _address(context, builder, kind, array, index):
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [index]), VECTOR.as_pointer())


def call_llvm(builder, name, result, *arguments):
    """Call an LLVM intrinsic that numba has no name for."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _broadcast(builder, value, times=LANES):
    undefined = ir.Constant(ir.VectorType(value.type, times), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), times), [0] * times)
    return builder.shuffle_vector(first, undefined, zeros)


def _numbers(bits, start=0):
    """The integers start … start + 15."""
    return ir.Constant(ir.VectorType(ir.IntType(bits), LANES), list(range(start, start + LANES)))


def _first(builder, count):
    """Mask of the first `count` lanes."""
    return builder.icmp_signed("<", _numbers(64), _broadcast(builder, count))


@intrinsic
def load(typing_context, array, index):
    """array[index : index + 16] of a contiguous (N,) float32 array."""
    def codegen(context, builder, sig, arguments):
        return builder.load(_address(context, builder, sig.args[0], *arguments), align=4)

    return _lanes(array, types.intp), codegen


@intrinsic
def load_some(typing_context, array, index, count):
    """array[index : index + count], then zeros; what lies beyond is not touched."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments[:2])
        return call_llvm(builder, "llvm.masked.load.v16f32.p0", VECTOR, where, ir.Constant(ir.IntType(32), 4),
                     _first(builder, arguments[2]), ir.Constant(VECTOR, [0.0] * LANES))

    return _lanes(array, types.intp, types.intp), codegen


@intrinsic
def store(typing_context, array, index, values):
    """array[index : index + 16] = values."""
    def codegen(context, builder, sig, arguments):
        builder.store(arguments[2], _address(context, builder, sig.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), codegen


@intrinsic
def store_some(typing_context, array, index, values, count):
    """array[index : index + count] = the first `count` values; what lies beyond is not touched."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments[:2])
        call_llvm(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), arguments[2], where,
              ir.Constant(ir.IntType(32), 4), _first(builder, arguments[3]))
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes, types.intp), codegen


@intrinsic
def prefetch(typing_context, array, index):
    """Have array[index] brought into the second cache, for a load to come; a hint, which waits for nothing."""
    def codegen(context, builder, sig, arguments):
        where = _address(context, builder, sig.args[0], *arguments)
        read, second, data = (ir.Constant(ir.IntType(32), k) for k in (0, 2, 1))
        call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), where, read, second, data)
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def splat(typing_context, number):
    """Sixteen times the same float32 number."""
    def codegen(context, builder, sig, arguments):
        return _broadcast(builder, arguments[0])

    return _lanes(types.float32), codegen


@intrinsic
def count_up(typing_context, start):
    """start, start + 1, … start + 15 of a whole number, as float32."""
    def codegen(context, builder, sig, arguments):
        numbers = builder.add(_broadcast(builder, arguments[0]), _numbers(64))
        return builder.sitofp(numbers, VECTOR)

    return _lanes(types.int64), codegen


@intrinsic
def load_pair(typing_context, array, index):
    """array[index], array[index + 1], again and again."""
    def codegen(context, builder, sig, arguments):
        start = context.make_array(sig.args[0])(context, builder, arguments[0]).data
        pair = ir.DoubleType()
        where = builder.bitcast(builder.gep(start, [arguments[1]]), pair.as_pointer())
        return builder.bitcast(_broadcast(builder, builder.load(where, align=4), LANES // 2), VECTOR)

    return _lanes(array, types.intp), codegen


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

    return types.void(array, types.intp, _lanes, _lanes), codegen


@intrinsic
def keep_two(typing_context, a, lane):
    """`a` in the lanes `lane` and `lane` + 1, zeros elsewhere; lane is an int32."""
    def codegen(context, builder, sig, arguments):
        this = _broadcast(builder, arguments[1])
        here = builder.icmp_signed("==", _numbers(32), this)
        after = builder.icmp_signed("==", _numbers(32, start=-1), this)
        return builder.select(builder.or_(here, after), arguments[0], ir.Constant(VECTOR, [0.0] * LANES))

    return _lanes(_lanes, types.int32), codegen


@intrinsic
def floor(typing_context, a):
    """The largest whole numbers that are not above."""
    def codegen(context, builder, sig, arguments):
        return call_llvm(builder, "llvm.floor.v16f32", VECTOR, *arguments)

    return _lanes(_lanes), codegen


@intrinsic
def if_below(typing_context, a, b, yes, no):
    """`yes` where a < b, else `no`."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments[:2]), *arguments[2:])

    return _lanes(_lanes, _lanes, _lanes, _lanes), codegen


@intrinsic
def store_integers(typing_context, array, index, values):
    """array[index : index + 16] = values, which are whole numbers, of a contiguous (N,) int32 array."""
    def codegen(context, builder, sig, arguments):
        numbers = builder.fptosi(arguments[2], ir.VectorType(ir.IntType(32), LANES))
        start = context.make_array(sig.args[0])(context, builder, arguments[0]).data
        where = builder.bitcast(builder.gep(start, [arguments[1]]), numbers.type.as_pointer())
        builder.store(numbers, where, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), codegen


@intrinsic
def minimum(typing_context, a, b):
    """The smaller of each two numbers, none of which is NaN."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments), *arguments)

    return _lanes(_lanes, _lanes), codegen


@intrinsic
def maximum(typing_context, a, b):
    """The larger of each two numbers, none of which is NaN."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return _lanes(_lanes, _lanes), codegen


def _bits(builder, mask):
    return builder.zext(builder.bitcast(mask, ir.IntType(LANES)), ir.IntType(64))


@intrinsic
def at_least(typing_context, a, b):
    """Where a ≥ b, as a number: bit i speaks of lane i."""
    def codegen(context, builder, sig, arguments):
        return _bits(builder, builder.fcmp_ordered(">=", *arguments))

    return types.int64(_lanes, _lanes), codegen


@intrinsic
def above(typing_context, a, b):
    """Where a > b, as a number: bit i speaks of lane i."""
    def codegen(context, builder, sig, arguments):
        return _bits(builder, builder.fcmp_ordered(">", *arguments))

    return types.int64(_lanes, _lanes), codegen


@intrinsic
def lowest_bit(typing_context, bits):
    """The place of the lowest 1 of a number that is not 0."""
    def codegen(context, builder, sig, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def highest_bit(typing_context, bits):
    """The place of the highest 1 of a number that is not 0."""
    def codegen(context, builder, sig, arguments):
        zeros = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(ir.IntType(64), 63), zeros)

    return types.int64(types.int64), codegen


@njit(cache=True)
def whole_lines(n):
    """Return n float32 of no particular value that start on a cache line: a load across two costs double."""
    values = np.empty(n + LANES, np.float32)
    skip = -(values.ctypes.data // 4) % LANES
    return values[skip:skip + n]


@njit(cache=True)
def store_first(line, at, values, count):
    """Store at most `count` of sixteen values."""
    if count >= LANES:
        store(line, at, values)
    else:
        store_some(line, at, values, count)


@njit(cache=True)
def announce(level, col, row, reach):
    """Have the square of half-width `reach` about a pixel fetched from memory while something else is computed."""
    h, w = level.shape
    for y in range(max(row - reach, 0), min(row + reach, h - 1) + 1):
        for x in range(max(col - reach, 0), min(col + reach + LANES, w), LANES):
            prefetch(level[y], x)
