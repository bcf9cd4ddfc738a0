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

from pysift.kernels.arithmetic import HALF, atan2_degrees, compiled_apart, exp_table, fma, magnitude, round_half_even

_TURN = np.float32(360.0)
_FLAT = np.float32(np.finfo(np.float32).eps)
_RADIANS = np.float32(math.pi / 180)
_SQRT2 = np.float32(math.sqrt(2.0))
_BATCH = 256                                              # samples whose shares the innermost cache holds


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
        _vote(samples, count, turn, grid, out[i])


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
        # each row of `samples` is sliced by itself: only then does the compiler know it as contiguous
        cell_row, cell_col, weight = (samples[0, count:count + n], samples[1, count:count + n],
                                      samples[4, count:count + n])
        for k in range(n):
            j = np.float32(first + k)
            u, v = fma(j, cos, -across), fma(j, sin, along)
            cell_row[k], cell_col[k], weight[k] = v + half - HALF, u + half - HALF, fma(u, u, v * v) * exponent
        dy, above, below = samples[2, count:count + n], level[row + i - 1, x:x + n], level[row + i + 1, x:x + n]
        for k in range(n):
            dy[k] = above[k] - below[k]
        dx, left, right = (samples[3, count:count + n], level[row + i, x - 1:x - 1 + n],
                           level[row + i, x + 1:x + 1 + n])
        for k in range(n):
            dx[k] = right[k] - left[k]
        count += n
    angle, length, weight = samples[2, :count], samples[3, :count], samples[4, :count]
    for k in range(count):
        angle[k], length[k] = atan2_degrees(angle[k], length[k]), magnitude(length[k], angle[k])
    for k in range(count):
        weight[k] = exp_table(weight[k])
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
def _vote(samples, count, turn, grid, out):
    """Share each gradient among its two nearest rows, columns and angle bins, trilinearly.

    The histogram has a cell of margin on every side, for shares that fall outside the grid, and two
    angle bins more, which are folded into the first two.  In the last (number of samples) mod (SIMD
    lanes) votes the last product is fused into the bin, as cv2 does.
    """
    d, n, _, _, lanes = grid
    stride = n + 2
    guard, down = 1, (d + 2) * stride                     # an angle of −1 reaches one bin below the first
    histogram = np.zeros(guard + (d + 2) * down, np.float32)
    places, parts = np.empty(_BATCH, np.int32), np.empty((5, _BATCH), np.float32)
    upper_left, upper_right, lower_left, lower_right, fractions = parts
    for first in range(0, count, _BATCH):
        size = min(_BATCH, count - first)
        _split(samples, first, size, turn, (d, n), places, parts)
        for k in range(size):
            at, fraction = np.uint32(guard + places[k]), fractions[k]
            fused = first + k >= count - count % lanes
            _share(histogram, at, upper_left[k], fraction, fused)
            _share(histogram, at + np.uint32(stride), upper_right[k], fraction, fused)
            _share(histogram, at + np.uint32(down), lower_left[k], fraction, fused)
            _share(histogram, at + np.uint32(down + stride), lower_right[k], fraction, fused)
    for r in range(d):
        for c in range(d):
            bins = histogram[guard + (r + 1) * down + (c + 1) * stride:][:stride]
            bins[0] += bins[n]
            bins[1] += bins[n + 1]
            out[(r * d + c) * n:(r * d + c + 1) * n] = bins[:n]


@njit(cache=True, error_model="numpy")
def _split(samples, first, size, turn, grid, places, parts):
    """Split each weighted length among four cells; where the first of them stands, and the angle's fraction."""
    compiled_apart()
    d, n = np.int32(grid[0]), np.int32(grid[1])
    one, stride, down = np.int32(1), np.int32(n + 2), np.int32((d + 2) * (n + 2))
    bins_per_degree = np.float32(n) / _TURN
    last = first + size
    rows, cols, angles = samples[0, first:last], samples[1, first:last], samples[2, first:last]
    lengths, weights = samples[3, first:last], samples[4, first:last]
    for k in range(size):
        angle_bin = (angles[k] - turn) * bins_per_degree
        r, c, o = np.floor(rows[k]), np.floor(cols[k]), np.floor(angle_bin)
        bin_ = np.int32(o)
        bin_ = bin_ + n if bin_ < 0 else bin_
        bin_ = bin_ - n if bin_ >= n else bin_
        places[k] = (np.int32(r) + one) * down + (np.int32(c) + one) * stride + bin_
        right = cols[k] - c
        length = lengths[k] * weights[k]
        lower = length * (rows[k] - r)
        upper = length - lower
        ur, lr = upper * right, lower * right
        parts[0, k], parts[1, k], parts[2, k], parts[3, k] = upper - ur, ur, lower - lr, lr
        parts[4, k] = angle_bin - o


@njit(cache=True)
def _share(histogram, at, amount, fraction, fused):
    """Split an amount between the angle bins `at` and `at` + 1."""
    share = amount * fraction
    after = at + np.uint32(1)
    histogram[at] += fma(-amount, fraction, amount) if fused else amount - share
    histogram[after] = fma(amount, fraction, histogram[after]) if fused else histogram[after] + share
