"""Sixteen numbers a register: every operation is NumPy's on every lane, to the bit, and touches what it says."""
import ctypes
import mmap
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from child_process import exit_of
from pysift.kernels import njit
from pysift.kernels.arithmetic import fma
from pysift.kernels.lanes import (
    LANES,
    above,
    at_least,
    count_up,
    floor,
    highest_bit,
    if_below,
    keep_two,
    lowest_bit,
    maximum,
    minimum,
    splat,
)
from pysift.kernels.memory import (
    announce,
    load,
    load_pair,
    load_some,
    prefetch,
    store,
    store_first,
    store_integers,
    store_pairs,
    store_some,
    whole_lines,
)
from strategies import noise, seeds, shapes

LEAST, MOST = float(np.float32(1e-45)), float(np.finfo(np.float32).max)
special = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, LEAST, -LEAST, 1.5 * 2.0**-127, MOST, -MOST, 2.0**24, 255.0])
finite = special | st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)
sixteen = arrays(np.float32, LANES, elements=finite)
any_sixteen = arrays(np.float32, LANES, elements=finite | st.sampled_from([np.nan, np.inf, -np.inf]))
starts, counts = st.integers(0, 24), st.integers(-20, 40)              # of a line of 64; sixteen at most are meant
GUARD = np.float32(np.nan)


def assert_same_bits(ours, theirs):
    """Equal to the bit: −0 is not 0, and NaN is NaN."""
    np.testing.assert_array_equal(np.asarray(ours, np.float32).view(np.int32),
                                  np.asarray(theirs, np.float32).view(np.int32))


def kept(count):
    """Return how many of sixteen lanes a count means."""
    return min(max(count, 0), LANES)


# an intrinsic can be called by compiled code only
@njit()
def operate(a, b, c, d, out):
    x, y, z, w = load(a, 0), load(b, 0), load(c, 0), load(d, 0)
    results = x + y, x - y, x * y, fma(x, y, z), floor(x), minimum(x, y), maximum(x, y), if_below(x, y, z, w)
    for k in range(len(results)):
        store(out, k * LANES, results[k])


@njit()
def compare(a, b):
    return at_least(load(a, 0), load(b, 0)), above(load(a, 0), load(b, 0))


@njit()
def fuse_each(a, b, c, out):
    for i in range(len(out)):
        out[i] = fma(a[i], b[i], c[i])


@njit()
def spread(number, whole, out):
    store(out, 0, splat(number))
    store(out, LANES, count_up(whole))


@njit()
def keep(a, lane, out):
    store(out, 0, keep_two(load(a, 0), np.int32(lane)))


@njit()
def ends(bits):
    return lowest_bit(bits), highest_bit(bits)


@njit()
def copy(line, at, out, to):
    store(out, to, load(line, at))


@njit()
def copy_some(line, at, count, out):
    store(out, 0, load_some(line, at, count))


@njit()
def copy_pair(line, at, out):
    store(out, 0, load_pair(line, at))


@njit()
def put_some(out, at, values, count):
    store_some(out, at, load(values, 0), count)


@njit()
def put_first(out, at, values, count):
    store_first(out, at, load(values, 0), count)


@njit()
def put_pairs(out, at, a, b):
    store_pairs(out, at, load(a, 0), load(b, 0))


@njit()
def put_integers(out, at, values):
    store_integers(out, at, load(values, 0))


@njit()
def fetch(line, at):
    prefetch(line, at)


@given(any_sixteen, any_sixteen, any_sixteen, any_sixteen)
def test_comparisons_are_numpys_with_nan_below_nothing(a, b, c, d):
    out = np.empty(8 * LANES, np.float32)
    with np.errstate(all="ignore"):
        operate(a, b, c, d, out)
        assert_same_bits(out[7 * LANES:], np.where(a < b, c, d))
        powers = 1 << np.arange(LANES)
        assert compare(a, b) == ((a >= b) @ powers, (a > b) @ powers)


@given(sixteen, sixteen, sixteen)
def test_arithmetic_is_numpys_on_every_lane(a, b, c):
    out, fused = np.empty((8, LANES), np.float32), np.empty(LANES, np.float32)
    operate(a, b, c, a, out.reshape(-1))
    fuse_each(a, b, c, fused)                               # test_arithmetic.py holds this one to exact fractions
    with np.errstate(all="ignore"):
        expected = a + b, a - b, a * b, fused, np.floor(a), np.where(a < b, a, b), np.where(a > b, a, b)
    for ours, theirs in zip(out, expected):
        assert_same_bits(ours, theirs)


@given(finite, st.integers(-2**40, 2**40) | st.integers(-40, 40) | st.integers(2**24 - 40, 2**26))
def test_one_number_and_its_successors_fill_a_register(number, whole):
    out = np.empty(2 * LANES, np.float32)
    spread(np.float32(number), whole, out)
    assert_same_bits(out, np.r_[np.full(LANES, number, np.float32), (whole + np.arange(LANES)).astype(np.float32)])


@given(any_sixteen, st.integers(-3, 18))
def test_two_neighbouring_lanes_are_kept_and_the_others_are_zero(a, lane):
    out = np.empty(LANES, np.float32)
    keep(a, lane, out)
    i = np.arange(LANES)
    assert_same_bits(out, np.where((i == lane) | (i == lane + 1), a, np.float32(0)))


@given(st.integers(-2**63, 2**63 - 1).filter(bool) | st.integers(0, 62).map(lambda k: 1 << k))
def test_lowest_and_highest_bit(bits):
    pattern = bits % 2**64
    assert ends(bits) == ((pattern & -pattern).bit_length() - 1, pattern.bit_length() - 1)


@given(seeds, starts, starts)
def test_loads_and_stores_go_where_the_index_says(seed, at, to):
    """At any alignment, and the numbers before and behind are left alone."""
    line, out = noise(seed, 64), np.full(64, GUARD)
    copy(line, at, out, to)
    expected = np.full(64, GUARD)
    expected[to:to + LANES] = line[at:at + LANES]
    assert_same_bits(out, expected)


@given(seeds, starts, counts)
def test_a_part_of_a_register_is_loaded_and_the_rest_is_zero(seed, at, count):
    line, out = noise(seed, 64), np.full(LANES, GUARD)
    copy_some(line, at, count, out)
    assert_same_bits(out, np.where(np.arange(LANES) < count, line[at:at + LANES], np.float32(0)))


@pytest.mark.parametrize("put", [put_some, put_first])
@given(seed=seeds, at=starts, count=counts)
def test_a_part_of_a_register_is_stored_and_what_lies_beyond_is_left_alone(put, seed, at, count):
    values, out, expected = noise(seed, LANES), np.full(64, GUARD), np.full(64, GUARD)
    put(out, at, values, count)
    expected[at:at + kept(count)] = values[:kept(count)]
    assert_same_bits(out, expected)


@given(any_sixteen, any_sixteen, starts)
def test_pairs_are_loaded_and_stored_in_order(a, b, at):
    out, expected = np.full(64, GUARD), np.full(64, GUARD)
    put_pairs(out, at, a, b)
    expected[at:at + 2 * LANES:2], expected[at + 1:at + 2 * LANES:2] = a, b
    assert_same_bits(out, expected)
    again = np.empty(LANES, np.float32)
    copy_pair(out, at, again)
    assert_same_bits(again, np.tile([a[0], b[0]], LANES // 2))


@given(arrays(np.float32, LANES, elements=st.integers(-2**24, 2**24).map(float) | st.just(-0.0)), starts)
def test_whole_numbers_are_stored_as_integers(values, at):
    out, expected = np.full(64, -7, np.int32), np.full(64, -7, np.int32)
    put_integers(out, at, values)
    expected[at:at + LANES] = values
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100, 4096])
def test_whole_lines_start_on_a_cache_line(n):
    lines = [whole_lines(n) for _ in range(20)]             # all at once, so that they start in different places
    for line in lines:
        assert line.dtype == np.float32 and line.shape == (n,) and line.ctypes.data % 64 == 0
        line[:] = 1                                         # they are ours to write …
        line[:] = 0
    assert len({line.ctypes.data for line in lines}) == len(lines)


@given(seeds, shapes(1, 40), st.data(), st.integers(0, 60))
def test_announcing_a_square_at_any_border_changes_nothing(seed, shape, data, reach):
    level = noise(seed, shape)
    before = level.copy()
    row, col = (data.draw(st.integers(0, side - 1)) for side in shape)
    announce(level, col, row, reach)
    np.testing.assert_array_equal(level, before)


@pytest.fixture
def last_words():
    """Return the end of a readable page as 64 float32, which a page follows that may not be touched."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a system with fork and mprotect")
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    values = np.frombuffer(pages, np.float32)
    end, libc = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(values.ctypes.data + end), ctypes.c_size_t(end), 0) == 0
    return values[end // 4 - 64:end // 4]


def test_beyond_the_count_no_memory_is_touched(last_words):
    """A load of sixteen there ends the process; loads and stores of fewer, and hints of any place, do not."""
    values, out = np.ones(LANES, np.float32), np.empty(LANES, np.float32)

    def touch_some(line):
        for count in range(-3, LANES):
            at = 64 - max(count, 0)
            copy_some(line, at, count, out)
            put_some(line, at, values, count)
            put_first(line, at, values, count)
        announce(line[None], 63, 0, 20)
        for at in (63, 64, 1000, -10**6, 10**12):
            fetch(line, at)

    touch_some(np.zeros(64, np.float32))                                # compiles them before the fork
    copy(values, 0, out, 0)
    assert exit_of(lambda: touch_some(last_words)) == 0
    assert exit_of(lambda: copy(last_words, 49, out, 0)) != 0
