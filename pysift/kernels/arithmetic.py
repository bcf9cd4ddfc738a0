"""The float32 arithmetic of OpenCV, to the bit.

SIFT compares, rounds and floors at every step, so one last bit can move a vote or drop a keypoint.
cv2's binaries fuse a·b + c into one rounding wherever the compiler could, use a polynomial for
atan2 and a table for exp; these functions do the same.  Facts: docs/deviations.md, 8.

imports: kernels, kernels.lanes
"""
from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from pysift.kernels import njit
from pysift.kernels.lanes import VECTOR, Lanes, call_llvm

f32 = np.float32

ONE, HALF, TWO = f32(1.0), f32(0.5), f32(2.0)


@intrinsic
def fma(typing_context, a, b, c):
    """a·b + c with one rounding; one instruction where the processor has it, correct where not."""
    if not (isinstance(a, (types.Float, Lanes)) and a == b == c):
        return None

    def codegen(context, builder, signature, args):
        return call_llvm(builder, "llvm.fma.v16f32", VECTOR, *args) if isinstance(a, Lanes) else builder.fma(*args)

    return a(a, b, c), codegen


@intrinsic
def compiled_apart(typing_context):
    """Keep the function that calls this from being inlined.

    A short loop over a few arrays compiles to vector code; inlined into its caller, LLVM loses sight of
    what those arrays may overlap, and takes one element at a time.
    """
    def codegen(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@njit(error_model="numpy")
def minor(a, b, c, d):
    """a·b − c·d as the compiler contracts it: fma(a, b, −(c·d)), two roundings instead of three."""
    return fma(a, b, -(c * d))


@njit(error_model="numpy")
def round_half_even(x):
    """cvRound: to the nearest integer, halves to the even one."""
    return np.int64(np.rint(x))


_P1, _P3, _P5, _P7 = f32(57.283627), f32(-18.667446), f32(8.9140005), f32(-2.5397246)
_EPS = f32(np.finfo(np.float64).eps)
_D90, _D180, _D360 = f32(90.0), f32(180.0), f32(360.0)


@njit(error_model="numpy")
def atan2_degrees(y, x):
    """cv::hal::fastAtan2: angle of (x, y) in degrees in [0, 360], off by at most 0.01°; (0, 0) gives 0.

        p(c) = c·(p₁ + p₃c² + p₅c⁴ + p₇c⁶),   c = min(|x|,|y|) / max(|x|,|y|)
    """
    ax, ay = abs(x), abs(y)
    c = min(ax, ay) / (max(ax, ay) + _EPS)
    cc = c * c
    p = fma(fma(fma(cc, _P7, _P5), cc, _P3), cc, _P1) * c
    p = p if ax >= ay else _D90 - p
    p = p if x >= 0 else _D180 - p
    return p if y >= 0 else _D360 - p


@njit(error_model="numpy")
def magnitude(x, y):
    """√(x² + y²), the first square fused into the sum."""
    return math.sqrt(fma(x, x, y * y))


# exp(x) = 2^(k + i/64 + r),  0 ≤ i < 64,  |r| ≤ 1/128:  2^k by the exponent bits, 2^(i/64) by table, 2^r by a
# quartic in 64r.  Its leading coefficient _A0 sits in the table, so that the Horner scheme starts with an addition.
_A0 = 0.9670371139572337719125840413672004409288e-2
_TABLE = (2.0 ** (np.arange(64) / 64) * _A0).astype(f32)
_A1 = f32(0.5550339366753125211915322047004666939128e-1 / _A0)
_A2 = f32(0.2402265109513301490103372422686535526573 / _A0)
_A3 = f32(0.6931471805521448196800669615864773144641 / _A0)
_A4 = f32(1.000000000000002438532970795181890933776 / _A0)
_PRESCALE, _POSTSCALE = f32(1.4426950408889634073599246810019 * 64), f32(1.0 / 64)
_LOWEST = f32(-8000.0)                                  # far below: 2^k has become 0


@njit(error_model="numpy")
def exp_table(x):
    """cv::hal::exp32f for −80 ≤ x ≤ 0, off by at most (2|x| + 4)·2⁻²⁴ relative; further down it fades to 0."""
    scaled = max(x, _LOWEST) * _PRESCALE
    whole = np.int32(np.rint(scaled))
    r = (scaled - f32(whole)) * _POSTSCALE
    quartic = fma(fma(fma(r + _A1, r, _A2), r, _A3), r, _A4)
    exponent = max((whole >> 6) + np.int32(127), np.int32(0)) << 23
    return quartic * _TABLE[whole & 63] * np.int32(exponent).view(np.float32)
