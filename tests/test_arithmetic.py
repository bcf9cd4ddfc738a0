"""The arithmetic that every step shares: equal to cv2 to the bit, and within rounding of the true function."""
import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit

import oracle
from pysift.kernels.arithmetic import atan2_degrees, exp_table, fma, magnitude, minor, round_half_even
from strategies import seeds

ULP = 2.0**-24                                 # half a last bit of float32, relative
SPECIAL = np.array([0.0, 1, 1e-45, 1e-20, 0.5, 255, 1e18, np.inf], np.float32) * np.array([[1], [-1]], np.float32)
# a square of more than 2⁶³ overflows, one of less than 2⁻⁶³ loses bits
reals = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0]), st.floats(-(2.0**60), 2.0**60, width=32))
normals = st.floats(2.0**-50, 2.0**50, width=32).flatmap(lambda v: st.sampled_from([v, -v]))
gradients = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (2, n), elements=reals))


@njit
def fused(a, b, c):
    """An intrinsic can be called by compiled code only."""
    return fma(a, b, c)


def each(f, *columns):
    """Call a compiled function on every row of some float32 columns."""
    return np.array([f(*row) for row in zip(*columns)], np.float32)


def pairs(seed, n, scale=100):
    """Return y and x of n gradients, grey levels."""
    return np.random.default_rng(seed).normal(scale=scale, size=(2, n)).astype(np.float32)


def assert_same_bits(ours, theirs):
    """Equal to the bit: −0 is not 0, and NaN is NaN."""
    np.testing.assert_array_equal(ours.view(np.int32), theirs.ravel().view(np.int32))


def nearest(exact, dtype=np.float32):
    """Round a fraction once: to the nearest float, of two to the one whose last bit is 0."""
    guess = dtype(float(exact))
    around = [np.nextafter(guess, dtype(-np.inf)), guess, np.nextafter(guess, dtype(np.inf))]
    bits = np.uint32 if dtype is np.float32 else np.uint64
    return min(around, key=lambda v: (abs(Fraction(float(v)) - exact), v.view(bits) & 1))


@given(normals, normals, normals)
@example(1 + 2.0**-23, 1 + 2.0**-23, -1.0)                       # loses its last bit if the product is rounded
@example(1 + 2.0**-12, 1 + 2.0**-12, 2.0**-40)                   # halfway between two floats but for c
def test_fma_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assume(exact == 0 or abs(exact) > 1e-30)
    assert fused(np.float32(a), np.float32(b), np.float32(c)) == nearest(exact)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
@example(1 + 2.0**-52, 1 + 2.0**-52, -1.0)
def test_fma_of_float64_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assume(exact == 0 or abs(exact) > 1e-290)
    assert fused(a, b, c) == nearest(exact, np.float64)


@given(normals, normals, normals, normals)
@example(1 + 2.0**-23, 1 - 2.0**-23, 1.0, 1.0)
def test_minor_rounds_its_second_product_then_the_difference(a, b, c, d):
    """a·b is fused into the difference, c·d is not: cv2's last bit depends on which."""
    exact = Fraction(a) * Fraction(b) - Fraction(float(np.float32(c) * np.float32(d)))
    assume(exact == 0 or abs(exact) > 1e-30)
    assert minor(*np.float32([a, b, c, d])) == nearest(exact)


@given(st.integers(-10**6, 10**6), st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5]))
def test_rounding_takes_halves_to_the_even_integer(whole, part):
    assert round_half_even(whole + part) == round(whole + part) == round_half_even(np.float32(whole + part))
    assert isinstance(round_half_even(np.float32(0.5)), int)


@pytest.mark.parametrize("n", [16, 17, 100, 4001, 100_003])
def test_atan2_equals_opencv_to_the_bit(n):
    """cv2.phase, and cv2.SIFT, call its vector code for 16 numbers or more; below that its code fuses nothing."""
    y, x = pairs(n, n)
    assert_same_bits(each(atan2_degrees, y, x), cv2.phase(x, y, angleInDegrees=True))


def test_atan2_of_zeros_axes_and_infinities_equals_opencv_to_the_bit():
    y, x = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    assert_same_bits(each(atan2_degrees, y, x), cv2.phase(x, y, angleInDegrees=True))


@given(reals, reals)
def test_atan2_is_a_last_bit_from_opencv_for_one_vector(y, x):
    """cv2.fastAtan2 is the polynomial without fused multiply-adds; an angle has a last bit of at most 360·2⁻²³."""
    angle, theirs = atan2_degrees(np.float32(y), np.float32(x)), cv2.fastAtan2(y, x)
    assert angle == pytest.approx(theirs, abs=360 * 4 * ULP)


@given(reals, reals)
def test_atan2_is_the_angle_to_a_hundredth_of_a_degree(y, x):
    angle = atan2_degrees(np.float32(y), np.float32(x))
    assert 0 <= angle <= 360
    assume(max(abs(x), abs(y)) > 1e-10)         # cv2 adds 2.2e-16 to the longer side, so that 0/0 is 0
    turn = angle - math.degrees(math.atan2(y, x))
    assert abs((turn + 180) % 360 - 180) <= oracle.ATAN2_ERROR


def test_atan2_of_the_axes_is_exact_and_of_nothing_zero():
    zero, one = np.float32(0), np.float32(1)
    assert [atan2_degrees(y, x) for y, x in ((zero, one), (one, zero), (zero, -one), (-one, zero))] == [0, 90, 180, 270]
    assert {atan2_degrees(y, x) for y in (zero, -zero) for x in (zero, -zero)} == {0}


@given(gradients)
def test_magnitude_equals_opencv_to_the_bit(vectors):
    x, y = vectors
    assert_same_bits(each(magnitude, x, y), cv2.magnitude(x, y))


@pytest.mark.parametrize("scale", [1e-3, 100, 1e15])
def test_magnitude_of_many_equals_opencv_to_the_bit(scale):
    y, x = pairs(0, 100_003, scale)
    assert_same_bits(each(magnitude, x, y), cv2.magnitude(x, y))


def test_magnitude_of_special_numbers_equals_opencv_to_the_bit():
    y, x = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    assert_same_bits(each(magnitude, x, y), cv2.magnitude(x, y))


@given(normals, normals)
def test_magnitude_is_the_length(y, x):
    """Three roundings, of which the root halves the first two."""
    assert magnitude(np.float32(x), np.float32(y)) == pytest.approx(math.hypot(x, y), rel=2 * ULP)


@given(seeds, st.integers(1, 40))
def test_exp_equals_opencv_to_the_bit_at_any_length(seed, n):
    x = -np.random.default_rng(seed).uniform(0, 80, n).astype(np.float32)
    assert_same_bits(each(exp_table, x), cv2.exp(x))


def test_exp_equals_opencv_to_the_bit_from_minus_80_to_0():
    x = np.concatenate([np.linspace(-80, 0, 200_003), -np.geomspace(1e-30, 80, 10_001), [0.0, -0.0]]).astype(np.float32)
    assert_same_bits(each(exp_table, x), cv2.exp(x))


@given(st.floats(-80, 0, width=32))
@example(-80.0)
def test_exp_is_the_exponential(x):
    """x/ln 2 · 64 is rounded twice, which costs 2·|x| half bits; the quartic and the products cost a few more."""
    assert exp_table(np.float32(x)) == pytest.approx(math.exp(x), rel=(2 * abs(x) + 4) * ULP)


@given(st.floats(width=32, max_value=-200))
def test_exp_far_below_is_zero(x):
    assert exp_table(np.float32(x)) == 0
