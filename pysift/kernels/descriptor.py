"""The gradients about a keypoint, shared among 4 × 4 × 8 bins: the second half of step 5's loops.

    samples → the shares of each in four cells and two angles       (sixteen samples at a time)
            → added to the histogram one sample after the other     (a cell of the grid is one register)

What is computed is in pysift/descriptor.py; tests/oracle.py has it as plain loops, `_share` below for one sample.
Each bin is a float32 sum over the samples in their order, so a sum must wait for the one before it.  Four keypoints
are therefore voted for side by side: while one waits, the others add.

imports: kernels, kernels.arithmetic, kernels.lanes, kernels.memory, kernels.samples
"""
from __future__ import annotations

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import HALF, compiled_apart, fma, round_half_even
from pysift.kernels.lanes import LANES, count_up, floor, if_below, keep_two, splat
from pysift.kernels.memory import (
    announce,
    load,
    load_pair,
    store,
    store_first,
    store_integers,
    store_pairs,
    whole_lines,
)
from pysift.kernels.samples import reach_of, sample

_TURN = np.float32(360.0)
_FLAT = np.float32(np.finfo(np.float32).eps)
_TOGETHER = 4                                             # keypoints
_BATCH = 128                                              # samples of each whose shares the innermost cache holds


@njit(nogil=True, error_model="numpy")
def describe_each(levels, layer, frames, grid, order, out, first, last):
    """Describe keypoints order[first] … order[last − 1], four at a time; neighbours in `order` should be of a size."""
    h, w = levels.shape[1:]
    reach = 0
    for i in order[first:last]:
        reach = max(reach, reach_of(frames[i, 2], grid, h, w))
    room = min(2 * reach + 1, h) * min(2 * reach + 1, w) + LANES
    samples, votes = np.empty((_TOGETHER, 5, room), np.float32), np.empty((_TOGETHER, 2), np.int64)
    turns = np.zeros(_TOGETHER, np.float32)               # who is absent votes for nothing, but has to do so somewhere
    places, parts = np.empty((_TOGETHER, _BATCH), np.int32), np.empty((_TOGETHER, 4, 2 * _BATCH), np.float32)
    cells, pitch = (grid[0] + 2) ** 2 + 2, _pitch(grid[1])
    histograms = whole_lines(cells * _TOGETHER * pitch).reshape(cells, _TOGETHER, pitch)
    for start in range(first, last, _TOGETHER):
        together = order[start:min(start + _TOGETHER, last)]
        votes[:], histograms[:] = 0, 0
        for k, i in enumerate(together):
            if start + _TOGETHER + k < last:
                after = order[start + _TOGETHER + k]
                announce(levels[layer[after]], round_half_even(frames[after, 0]), round_half_even(frames[after, 1]),
                         reach_of(frames[after, 2], grid, h, w))
            turns[k] = _turn(frames[i, 3])
            count = sample(levels[layer[i]], frames[i], turns[k], grid, samples[k])
            votes[k] = _unfused(count, grid), count
        _vote(samples, votes, turns, grid, places, parts, histograms)
        for k, i in enumerate(together):
            _fold(histograms.reshape(-1), k, grid, out[i])


@njit()
def _unfused(count, grid):
    """How many of `count` samples are voted for together."""
    return count - count % grid[4] if _pitch(grid[1]) == LANES else 0


@njit(error_model="numpy")
def _turn(angle):
    """Degrees clockwise on the screen to degrees counter-clockwise, y up."""
    turn = _TURN - angle
    return np.float32(0) if abs(turn - _TURN) < _FLAT else turn


@njit()
def _pitch(n):
    """Numbers that a cell takes in the histogram: bins −1 … n, in one register if they fit."""
    return max(n + 2, LANES)


@njit(error_model="numpy")
def _vote(samples, votes, turns, grid, places, parts, histograms):
    """Share each gradient of some keypoints among its two nearest rows, columns and angle bins, trilinearly.

    A histogram has a cell of margin on every side, for shares that fall outside the grid.  In the last (number of
    samples) mod (SIMD lanes) votes the last product is fused into the bin, as cv2 does: those go one by one, and so
    do all where a cell has more bins than a register has lanes.  Keypoint k has votes[k] = (unfused, all) votes.
    """
    d, n, _, _, lanes = grid
    most, flat = votes[:, 0].max(), histograms.reshape(-1)
    for k in range(_TOGETHER):
        samples[k, :, votes[k, 1]:most] = 0
    for first in range(0, most, _BATCH):
        size = min(_BATCH, most - first)
        for k in range(_TOGETHER):
            _split(samples[k], first, size, votes[k, 0], turns[k], (d, n), places[k], parts[k])
        _scatter(places, parts, size, d + 2, histograms)
    for k in range(_TOGETHER):
        unfused, count = votes[k]
        for i in range(unfused, count):
            single = samples[k, 0, i], samples[k, 1, i], samples[k, 2, i], samples[k, 3, i], samples[k, 4, i]
            _share(single, turns[k], (d, n), i >= count - count % lanes, k, flat)


@njit(error_model="numpy")
def _split(samples, first, size, unfused, turn, grid, places, parts):
    """Split samples first … first + size − 1 as `_share` does; those from `unfused` on count nothing.

    `places` receives where the first of the four cells starts, a multiple of 64, plus the lane of the first bin.
    `parts` receives for the upper left, upper right, lower left and lower right cell the shares of that bin and the
    next, as pairs of which the even lane comes first.
    """
    compiled_apart()
    d, n = grid
    zero, one, half, bins = splat(np.float32(0)), splat(np.float32(1)), splat(HALF), splat(np.float32(n))
    pitch, down = splat(np.float32(_TOGETHER * LANES)), splat(np.float32((d + 2) * _TOGETHER * LANES))
    bins_per_degree, turned, limit = splat(np.float32(n) / _TURN), splat(turn), splat(np.float32(unfused))
    for k in range(0, size, LANES):
        row, col = load(samples[0], first + k), load(samples[1], first + k)
        angle_bin = (load(samples[2], first + k) - turned) * bins_per_degree
        r, c, o = floor(row), floor(col), floor(angle_bin)
        lane = if_below(o, zero, o + bins, o)
        lane = if_below(lane, bins, lane, lane - bins) + one
        store_integers(places, k, (r + one) * down + (c + one) * pitch + lane)
        halved = lane * half
        odd = halved - floor(halved)
        length = load(samples[3], first + k) * load(samples[4], first + k)
        length = if_below(count_up(first + k), limit, length, zero)
        lower = length * (row - r)
        fraction, right = angle_bin - o, col - c
        for below, of_row in ((0, length - lower), (2, lower)):
            of_right = of_row * right
            for beside, of_cell in ((0, of_row - of_right), (1, of_right)):
                after = of_cell * fraction
                this = of_cell - after
                store_pairs(parts[below + beside], 2 * k, if_below(zero, odd, after, this),
                            if_below(zero, odd, this, after))


@njit(error_model="numpy")
def _scatter(places, parts, size, cells, histograms):
    """Add the shares of `size` samples of each keypoint to its histogram, four cells a sample, `cells` a row."""
    compiled_apart()
    flat, shares = histograms.reshape(-1), parts.reshape(-1)
    beside, below = _TOGETHER * LANES, cells * _TOGETHER * LANES
    for k in range(size):
        for who in range(_TOGETHER):
            lane = places[who, k] & np.int32(LANES - 1)
            at, share = np.int64(places[who, k] - lane) + who * LANES, 8 * who * _BATCH + 2 * k
            ul, ur = load(flat, at), load(flat, at + beside)
            ll, lr = load(flat, at + below), load(flat, at + below + beside)
            store(flat, at, ul + keep_two(load_pair(shares, share), lane))
            store(flat, at + beside, ur + keep_two(load_pair(shares, share + 2 * _BATCH), lane))
            store(flat, at + below, ll + keep_two(load_pair(shares, share + 4 * _BATCH), lane))
            store(flat, at + below + beside, lr + keep_two(load_pair(shares, share + 6 * _BATCH), lane))


@njit(error_model="numpy")
def _share(single, turn, grid, fused, who, flat):
    """Share one gradient among eight bins.

        w·|∇L| = Σ over two rows, two columns, two angle bins of  (1 − |row − r|)(1 − |col − c|)(1 − |bin − o|)·w·|∇L|
    """
    (d, n), (row, col, angle, length, weight) = grid, single
    angle_bin = (angle - turn) * (np.float32(n) / _TURN)
    r, c, o = np.floor(row), np.floor(col), np.floor(angle_bin)
    bin_ = np.int64(o)
    bin_ = bin_ + n if bin_ < 0 else bin_
    bin_ = bin_ - n if bin_ >= n else bin_
    amount = length * weight
    lower = amount * (row - r)
    for below, of_row in ((0, amount - lower), (1, lower)):
        right = of_row * (col - c)
        for beside, of_cell in ((0, of_row - right), (1, right)):
            cell = (np.int64(r) + 1 + below) * (d + 2) + np.int64(c) + 1 + beside
            at, fraction = (cell * _TOGETHER + who) * _pitch(n) + bin_ + 1, angle_bin - o
            if fused:
                flat[at] += fma(-of_cell, fraction, of_cell)
                flat[at + 1] = fma(of_cell, fraction, flat[at + 1])
            else:
                flat[at] += of_cell - of_cell * fraction
                flat[at + 1] += of_cell * fraction


@njit(error_model="numpy")
def _fold(flat, who, grid, out):
    """Write the bins of the grid, without its margin; bin n is bin 0, and bin −1 is bin 1 of the cell before (cv2)."""
    d, n, pitch = grid[0], grid[1], _pitch(grid[1])
    for r in range(d):
        for c in range(d):
            at, to = ((r + 1) * (d + 2) + c + 1) * _TOGETHER * pitch + who * pitch, (r * d + c) * n
            for k in range(0, n, LANES):
                store_first(out, to + k, load(flat, at + 1 + k), n - k)
            out[to] += flat[at + n + 1]
            out[to + 1 % n] += flat[at + _TOGETHER * pitch]
