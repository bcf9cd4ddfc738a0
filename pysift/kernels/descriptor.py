"""The gradients about a keypoint, gathered and shared among 4 × 4 × 8 bins: the loops of step 5.

    turned square → per image row one run of columns → places, differences     (vector code)
                  → angles, magnitudes, weights of all samples                 (vector code)
                  → shares, added to the histogram one sample after the other

What is computed is in descriptor.py; tests/oracle.py has it as plain loops.  The order of the samples, row
by row, is part of the result, since each bin is a float32 sum.

imports: kernels.arithmetic
"""
from __future__ import annotations

import math

import numpy as np
from numba import njit

from pysift.kernels.arithmetic import HALF, atan2_degrees, exp_table, fma, magnitude, round_half_even

_TURN = np.float32(360.0)
_FLAT = np.float32(np.finfo(np.float32).eps)
_RADIANS = np.float32(math.pi / 180)
_SQRT2 = np.float32(math.sqrt(2.0))


@njit(cache=True, nogil=True, error_model="numpy")
def describe_each(levels, layer, frames, grid, out, first, last):
    """Describe keypoints first … last − 1, all in one set of buffers."""
    h, w = levels.shape[1:]
    reach = _reach(frames[first:last, 2].max(), grid, h, w) if first < last else 0
    samples = np.empty((5, min(2 * reach + 1, h) * min(2 * reach + 1, w)), np.float32)
    for i in range(first, last):
        turn = _TURN - frames[i, 3]
        turn = np.float32(0) if abs(turn - _TURN) < _FLAT else turn          # counter-clockwise, y up
        count = _sample(levels[layer[i]], frames[i], turn, grid, samples)
        _vote(samples[:, :count], turn, grid, out[i])


@njit(cache=True, error_model="numpy")
def _reach(sigma, grid, h, w):
    """Half-width of the square that holds the turned grid: √2·(cell width)·(d + 1)/2, at most the diagonal."""
    radius = round_half_even(grid[2] * sigma * _SQRT2 * np.float32(grid[0] + 1) * HALF)
    return min(radius, np.int64(math.sqrt(np.float64(w) * w + np.float64(h) * h)))


@njit(cache=True, error_model="numpy")
def _sample(level, frame, turn, grid, samples):
    """Gather the gradients in the turned square about the nearest pixel; returns how many.

    A pixel at (j, i) from the centre lies in cell coordinates, with c = cos/width, s = sin/width, at

        column  u + d/2 − ½,  u = j·c − i·s;   row  v + d/2 − ½,  v = j·s + i·c;   weight  exp(−(u² + v²) / 2(d·σ_w)²)

    `samples` receives the rows: cell row, cell column, angle in degrees, |∇L|, weight.
    """
    d, _, cell_width, exponent, _ = grid
    h, w = level.shape
    width = cell_width * frame[2]
    cos, sin = np.float32(math.cos(turn * _RADIANS)) / width, np.float32(math.sin(turn * _RADIANS)) / width
    reach = _reach(frame[2], grid, h, w)
    col, row = round_half_even(frame[0]), round_half_even(frame[1])
    half = np.float32(d / 2)
    count = 0
    for i in range(max(-reach, 1 - row), min(reach, h - 2 - row) + 1):
        across, along = np.float32(i) * sin, np.float32(i) * cos
        first, last = _columns(cos, sin, across, along, d, max(-reach, 1 - col), min(reach, w - 2 - col))
        n = max(last - first + 1, 0)
        x = col + first
        here = samples[:, count:count + n]
        for k in range(n):
            j = np.float32(first + k)
            u, v = fma(j, cos, -across), fma(j, sin, along)
            here[0, k], here[1, k], here[4, k] = v + half - HALF, u + half - HALF, fma(u, u, v * v) * exponent
        above, below = level[row + i - 1, x:x + n], level[row + i + 1, x:x + n]
        left, right = level[row + i, x - 1:x - 1 + n], level[row + i, x + 1:x + 1 + n]
        for k in range(n):
            here[2, k] = above[k] - below[k]
        for k in range(n):
            here[3, k] = right[k] - left[k]
        count += n
    for k in range(count):
        dy, dx = samples[2, k], samples[3, k]
        samples[2, k], samples[3, k] = atan2_degrees(dy, dx), magnitude(dx, dy)
    for k in range(count):
        samples[4, k] = exp_table(samples[4, k])
    return count


@njit(cache=True, error_model="numpy")
def _columns(cos, sin, across, along, d, first, last):
    """First and last j of a row, within the bounds given, that fall into the grid.

    The grid is convex, so they are the whole of the row's part; −1 < cell coordinate < d is tested as
    `_sample` computes it, from a guess by division that is a pixel too wide.
    """
    centre, limit = np.float32(d / 2) - HALF, np.float32(d)
    low, high = np.float64(first), np.float64(last)
    for slope, shift in ((cos, -across), (sin, along)):
        if abs(slope) > 1e-6:
            a, b = (-1 - centre - shift) / slope, (limit - centre - shift) / slope
            low, high = max(low, min(a, b) - 1), min(high, max(a, b) + 1)
    first, last = np.int64(math.ceil(low)), np.int64(math.floor(high))
    while first <= last and not _inside(np.float32(first), cos, sin, across, along, d):
        first += 1
    while first <= last and not _inside(np.float32(last), cos, sin, across, along, d):
        last -= 1
    return first, last


@njit(cache=True, error_model="numpy")
def _inside(j, cos, sin, across, along, d):
    half, limit = np.float32(d / 2), np.float32(d)
    row, col = fma(j, sin, along) + half - HALF, fma(j, cos, -across) + half - HALF
    return row > -1 and row < limit and col > -1 and col < limit


@njit(cache=True, error_model="numpy")
def _vote(samples, turn, grid, out):
    """Share each gradient among its two nearest rows, columns and angle bins, trilinearly.

    The histogram has a cell of margin on every side, for shares that fall outside the grid, and two
    angle bins more, which are folded into the first two.  In the last (number of samples) mod (SIMD
    lanes) votes the last product is fused into the bin, as cv2 does.
    """
    d, n, _, _, lanes = grid
    bins_per_degree = np.float32(n) / _TURN
    stride = n + 2
    down = (d + 2) * stride
    guard = 1                                             # an angle of −1 reaches one bin below the first
    histogram = np.zeros(guard + (d + 2) * down, np.float32)
    count = samples.shape[1]
    rows, cols, angles, lengths, weights = samples
    for k in range(count):
        angle_bin = (angles[k] - turn) * bins_per_degree
        r, c, o = np.floor(rows[k]), np.floor(cols[k]), np.floor(angle_bin)
        fr, fc, fo = rows[k] - r, cols[k] - c, angle_bin - o
        bin_ = np.int32(o)
        bin_ = bin_ + n if bin_ < 0 else bin_
        bin_ = bin_ - n if bin_ >= n else bin_
        length = lengths[k] * weights[k]
        lower = length * fr
        upper = length - lower
        upper_right, lower_right = upper * fc, lower * fc
        at = np.uint32(guard + (np.int32(r) + 1) * down + (np.int32(c) + 1) * stride + bin_)
        fused = k >= count - count % lanes
        _share(histogram, at, upper - upper_right, fo, fused)
        _share(histogram, at + np.uint32(stride), upper_right, fo, fused)
        _share(histogram, at + np.uint32(down), lower - lower_right, fo, fused)
        _share(histogram, at + np.uint32(down + stride), lower_right, fo, fused)
    for r in range(d):
        for c in range(d):
            bins = histogram[guard + (r + 1) * down + (c + 1) * stride:][:stride]
            bins[0] += bins[n]
            bins[1] += bins[n + 1]
            out[(r * d + c) * n:(r * d + c + 1) * n] = bins[:n]


@njit(cache=True)
def _share(histogram, at, amount, fraction, fused):
    """Split an amount between the angle bins `at` and `at` + 1."""
    share = amount * fraction
    after = at + np.uint32(1)
    histogram[at] += fma(-amount, fraction, amount) if fused else amount - share
    histogram[after] = fma(amount, fraction, histogram[after]) if fused else histogram[after] + share
