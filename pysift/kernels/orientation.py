"""The gradients about a keypoint, gathered and voted for among 36 angles: the loops of step 4.

    square about the pixel → rows of differences, distances         (sixteen pixels at a time)
                           → bins and weighted lengths of all pixels    (loops that LLVM makes vector code)
                           → added to the histogram one pixel after the other

What is computed is in orientation.py, whose `_vote` does the same one keypoint at a time.  The order of the pixels is
part of the result, since each bin is a float32 sum; so a sum must wait for the one before it.  Four keypoints are
therefore voted for side by side: while one waits, the others add.

imports: kernels, kernels.arithmetic, kernels.lanes, kernels.memory
"""
from __future__ import annotations

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import (
    ONE,
    TWO,
    atan2_degrees,
    compiled_apart,
    exp_table,
    fma,
    magnitude,
    round_half_even,
)
from pysift.kernels.lanes import LANES, count_up, splat
from pysift.kernels.memory import announce, load_some, store

_TURN = np.float32(360.0)
_TOGETHER = 4                                             # keypoints


@njit(error_model="numpy")
def vote_each(levels, cells, sigma, window, histograms, first, last):
    """Write the histograms, not smoothed, of keypoints first … last − 1."""
    reach = round_half_even(window[2] * sigma[first:last].max()) if first < last else 0
    room = (2 * reach + 1) ** 2 + LANES
    samples, bins = np.empty((_TOGETHER, 3, room), np.float32), np.empty((_TOGETHER, room), np.int32)
    votes, sums = np.empty((_TOGETHER, 2), np.int64), np.empty((window[0], _TOGETHER), np.float32)
    for start in range(first, last, _TOGETHER):
        votes[:], sums[:] = 0, 0
        together = min(_TOGETHER, last - start)
        for k in range(together):
            if start + _TOGETHER + k < last:
                layer, row, col = cells[start + _TOGETHER + k]
                announce(levels[layer], col, row, round_half_even(window[2] * sigma[start + _TOGETHER + k]))
            layer, row, col = cells[start + k]
            count = _sample(levels[layer], col, row, sigma[start + k], window, samples[k])
            _weigh(samples[k], count, window[0], bins[k])
            votes[k] = count - count % window[4], count
        _vote(samples, bins, votes, sums)
        for k in range(together):
            histograms[start + k] = sums[:, k]


@njit(error_model="numpy")
def _sample(level, col, row, sigma, window, samples):
    """Gather the square about a pixel row by row; returns how many pixels.

    `samples` receives the rows: exponent of the weight, D_y (y up), D_x.
    """
    _, ori_sigma, ori_reach, _, _ = window
    h, w = level.shape
    reach = round_half_even(ori_reach * sigma)
    spread = ori_sigma * sigma
    exponent = splat(-ONE / (TWO * spread * spread))
    left, right = max(col - reach, 1), min(col + reach, w - 2)
    count = 0
    for y in range(max(row - reach, 1), min(row + reach, h - 2) + 1):
        above, here, below = level[y - 1], level[y], level[y + 1]
        across = splat(np.float32((y - row) * (y - row)))
        for x in range(left, right + 1, LANES):
            k, some, step = count + x - left, right + 1 - x, count_up(x - col)
            store(samples[0], k, (step * step + across) * exponent)
            store(samples[1], k, load_some(above, x, some) - load_some(below, x, some))
            store(samples[2], k, load_some(here, x + 1, some) - load_some(here, x - 1, some))
        count += max(right - left + 1, 0)
    return count


@njit(error_model="numpy")
def _weigh(samples, count, n_bins, bins):
    """Turn the rows of `samples` into weight, length and their product; `bins` receives the bin of the angle."""
    compiled_apart()
    bins_per_degree, n = np.float32(n_bins) / _TURN, np.int32(n_bins)
    weight, dy, dx = samples[0, :count], samples[1, :count], samples[2, :count]
    for k in range(count):
        nearest = np.int32(np.rint(bins_per_degree * atan2_degrees(dy[k], dx[k])))
        bins[k] = nearest - n if nearest >= n else nearest
    for k in range(count):
        dy[k] = magnitude(dx[k], dy[k])
    for k in range(count):
        weight[k] = exp_table(weight[k])
        dx[k] = weight[k] * dy[k]


@njit(error_model="numpy")
def _vote(samples, bins, votes, sums):
    """Add the weighted lengths to their bins, sums[bin, keypoint]; keypoint k has votes[k] = (unfused, all) votes.

    The last (number of pixels) mod (SIMD lanes) products are fused into their bin, as cv2 does.
    """
    compiled_apart()
    most = votes[:, 0].max()
    for who in range(_TOGETHER):
        samples[who, 2, votes[who, 0]:most], bins[who, votes[who, 1]:most] = 0, 0
    for k in range(most):
        for who in range(_TOGETHER):
            sums[np.uint32(bins[who, k]), who] += samples[who, 2, k]
    for who in range(_TOGETHER):
        for k in range(votes[who, 0], votes[who, 1]):
            b = bins[who, k]
            sums[b, who] = fma(samples[who, 0, k], samples[who, 1, k], sums[b, who])
