"""Sixteen float32 numbers in one register: a numba type, so that a formula on sixteen pixels reads as on one.

    memory.load, splat, count_up → + − ·, arithmetic.fma, floor, minimum, maximum, if_below, keep_two → memory.store
                                 → at_least, above → lowest_bit, highest_bit

numba leaves it to LLVM to find vector code in scalar loops.  LLVM gives up where it cannot rule out that arrays
overlap, and never computes several rows at a time to read each number once.  Here the kernel says it: four rows
of a column sum are four `Lanes` variables.  Each lane is one IEEE operation, so every number is the scalar loop's
to the bit.  A register of AVX-512 is 16 lanes wide; elsewhere LLVM makes two of eight, or four of four.

imports: nothing of pysift
"""
from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
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


lanes = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, VECTOR)


def _add_operator(symbol, instruction: str) -> None:
    """Give Lanes the operator `symbol`, lane by lane."""

    @infer_global(symbol)
    class Typed(AbstractTemplate):
        def generic(self, arguments, keywords):
            if arguments == (lanes, lanes):
                return signature(lanes, lanes, lanes)

    @lower_builtin(symbol, lanes, lanes)
    def lowered(context, builder, sig, arguments):
        return getattr(builder, instruction)(*arguments)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _add_operator(_symbol, _instruction)


def call_llvm(builder, name, result, *arguments):
    """Call an LLVM intrinsic that numba has no name for."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def broadcast(builder, value, times=LANES):
    """A vector of one value, many times."""
    undefined = ir.Constant(ir.VectorType(value.type, times), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), times), [0] * times)
    return builder.shuffle_vector(first, undefined, zeros)


def numbers(bits, start=0):
    """The integers start … start + 15."""
    return ir.Constant(ir.VectorType(ir.IntType(bits), LANES), list(range(start, start + LANES)))


@intrinsic
def splat(typing_context, number):
    """Sixteen times the same float32 number."""
    def codegen(context, builder, sig, arguments):
        return broadcast(builder, arguments[0])

    return lanes(types.float32), codegen


@intrinsic
def count_up(typing_context, start):
    """start, start + 1, … start + 15 of a whole number, as float32."""
    def codegen(context, builder, sig, arguments):
        return builder.sitofp(builder.add(broadcast(builder, arguments[0]), numbers(64)), VECTOR)

    return lanes(types.int64), codegen


@intrinsic
def keep_two(typing_context, a, lane):
    """`a` in the lanes `lane` and `lane` + 1, zeros elsewhere; lane is an int32."""
    def codegen(context, builder, sig, arguments):
        this = broadcast(builder, arguments[1])
        here = builder.icmp_signed("==", numbers(32), this)
        after = builder.icmp_signed("==", numbers(32, start=-1), this)
        return builder.select(builder.or_(here, after), arguments[0], ir.Constant(VECTOR, [0.0] * LANES))

    return lanes(lanes, types.int32), codegen


@intrinsic
def floor(typing_context, a):
    """The largest whole numbers that are not above."""
    def codegen(context, builder, sig, arguments):
        return call_llvm(builder, "llvm.floor.v16f32", VECTOR, *arguments)

    return lanes(lanes), codegen


@intrinsic
def if_below(typing_context, a, b, yes, no):
    """`yes` where a < b, else `no`."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments[:2]), *arguments[2:])

    return lanes(lanes, lanes, lanes, lanes), codegen


@intrinsic
def minimum(typing_context, a, b):
    """The smaller of each two numbers, none of which is NaN."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments), *arguments)

    return lanes(lanes, lanes), codegen


@intrinsic
def maximum(typing_context, a, b):
    """The larger of each two numbers, none of which is NaN."""
    def codegen(context, builder, sig, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return lanes(lanes, lanes), codegen


def _bits(builder, mask):
    """A vector of yes and no as a number."""
    return builder.zext(builder.bitcast(mask, ir.IntType(LANES)), ir.IntType(64))


@intrinsic
def at_least(typing_context, a, b):
    """Where a ≥ b, as a number: bit i speaks of lane i."""
    def codegen(context, builder, sig, arguments):
        return _bits(builder, builder.fcmp_ordered(">=", *arguments))

    return types.int64(lanes, lanes), codegen


@intrinsic
def above(typing_context, a, b):
    """Where a > b, as a number: bit i speaks of lane i."""
    def codegen(context, builder, sig, arguments):
        return _bits(builder, builder.fcmp_ordered(">", *arguments))

    return types.int64(lanes, lanes), codegen


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
