"""The gradients in the turned square about a keypoint, gathered row by row: the first half of step 5's loops.

    turned square → per image row one run of columns → cell coordinates, differences     (sixteen pixels at a time)
                  → angles, magnitudes, weights of all samples             (loops that LLVM makes vector code)

What is computed is in pysift/descriptor.py.  The order of the samples, row by row, is part of the result.

imports: kernels, kernels.arithmetic, kernels.lanes, kernels.memory
"""
from __future__ import annotations

import math

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import HALF, atan2_degrees, exp_table, fma, magnitude, round_half_even
from pysift.kernels.lanes import LANES, above, count_up, highest_bit, lowest_bit, splat
from pysift.kernels.memory import load_some, store

_RADIANS = np.float32(math.pi / 180)
_SQRT2 = np.float32(math.sqrt(2.0))


@njit(error_model="numpy")
def reach_of(sigma, grid, h, w):
    """Half-width of the square that holds the turned grid: √2·(cell width)·(d + 1)/2, at most the diagonal."""
    radius = round_half_even(grid[2] * sigma * _SQRT2 * np.float32(grid[0] + 1) * HALF)
    return min(radius, np.int64(math.sqrt(np.float64(w) * w + np.float64(h) * h)))


@njit(error_model="numpy")
def sample(level, frame, turn, grid, samples):
    """Gather the gradients in the turned square about the nearest pixel; returns how many.

    A pixel at (j, i) from the centre lies in cell coordinates, with c = cos/width, s = sin/width, at

        column  u + d/2 − ½,  u = j·c − i·s;   row  v + d/2 − ½,  v = j·s + i·c;   weight  exp(−(u² + v²) / 2(d·σ_w)²)

    `samples` receives the rows: cell row, cell column, angle in degrees, |∇L|, weight.
    """
    d, _, cell_width, exponent, _ = grid
    h, w = level.shape
    width = cell_width * frame[2]
    cos, sin = np.float32(math.cos(turn * _RADIANS)) / width, np.float32(math.sin(turn * _RADIANS)) / width
    reach = reach_of(frame[2], grid, h, w)
    col, row = round_half_even(frame[0]), round_half_even(frame[1])
    inverse, left, right = (_inverse(cos), _inverse(sin)), max(-reach, 1 - col), min(reach, w - 2 - col)
    count = 0
    for i in range(max(-reach, 1 - row), min(reach, h - 2 - row) + 1):
        turned = (cos, sin, np.float32(i) * sin, np.float32(i) * cos, exponent)
        first, last = _columns(turned, inverse, d, left, right)
        if first <= last:
            _sample_row(level, row + i, col, (first, last), turned, d, samples, count)
            count += last - first + 1
    angle, length, weight = samples[2, :count], samples[3, :count], samples[4, :count]
    for k in range(count):
        angle[k], length[k] = atan2_degrees(angle[k], length[k]), magnitude(length[k], angle[k])
    for k in range(count):
        weight[k] = exp_table(weight[k])
    return count


@njit(error_model="numpy")
def _sample_row(level, y, col, columns, turned, d, samples, count):
    """Write cell row, cell column, D_y, D_x and the weight's exponent of the columns j = first … last of a row.

    Sixteen at a time from sample `count` on; what is written past the last is overwritten by the next row.
    """
    first, last = columns
    cos, sin, across, along, exponent = turned
    above, here, below = level[y - 1], level[y], level[y + 1]
    c, s, u0, v0 = splat(cos), splat(sin), splat(-across), splat(along)
    half, middle, scale = splat(HALF), splat(np.float32(d / 2)), splat(exponent)
    for j in range(first, last + 1, LANES):
        x, k, some = col + j, count + j - first, last + 1 - j
        step = count_up(j)
        u, v = fma(step, c, u0), fma(step, s, v0)
        store(samples[0], k, v + middle - half)
        store(samples[1], k, u + middle - half)
        store(samples[2], k, load_some(above, x, some) - load_some(below, x, some))
        store(samples[3], k, load_some(here, x + 1, some) - load_some(here, x - 1, some))
        store(samples[4], k, fma(u, u, v * v) * scale)


@njit(error_model="numpy")
def _columns(turned, inverse, d, first, last):
    """First and last j of a row, within the bounds given, that fall into the grid.

    The grid is convex, so they are the whole of the row's part.  A guess by division is up to two pixels too wide;
    then sixteen columns from either end are tested as `_sample_row` computes them.
    """
    _, _, across, along, _ = turned
    centre, limit = np.float32(d / 2) - HALF, np.float32(d)
    low, high = np.float64(first), np.float64(last)
    for per_slope, shift in ((inverse[0], -across), (inverse[1], along)):
        if per_slope != 0:
            a, b = (-1 - centre - shift) * per_slope, (limit - centre - shift) * per_slope
            low, high = max(low, min(a, b) - 1), min(high, max(a, b) + 1)
    first, last = np.int64(math.ceil(low)), np.int64(math.floor(high))
    while first <= last:
        bits = _inside(turned, d, first)
        if bits:
            first += lowest_bit(bits)
            break
        first += LANES
    while first <= last:
        bits = _inside(turned, d, last - LANES + 1)
        if bits:
            return first, last - LANES + 1 + highest_bit(bits)
        last -= LANES
    return first, last


@njit()
def _inverse(slope):
    """1 / slope in float64; 0 where the slope is too flat to tell where a cell ends."""
    return 1 / np.float64(slope) if abs(slope) > 1e-6 else 0.0


@njit(error_model="numpy")
def _inside(turned, d, j):
    """Which of the sixteen columns from j on have −1 < cell row, cell column < d: bit k speaks of j + k."""
    cos, sin, across, along, _ = turned
    step, half, middle = count_up(j), splat(HALF), splat(np.float32(d / 2))
    low, high = splat(np.float32(-1)), splat(np.float32(d))
    row = fma(step, splat(sin), splat(along)) + middle - half
    col = fma(step, splat(cos), splat(-across)) + middle - half
    return above(row, low) & above(high, row) & above(col, low) & above(high, col)
