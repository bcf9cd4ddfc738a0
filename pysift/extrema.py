"""Step 2 of 5: the extrema of the differences of Gaussians.              [Lowe §3.1; Anatomy Alg. 4]

    L (S + 3, H, W) → D_i = L_{i+1} − L_i → pixels no smaller (or no larger) than their 26 neighbours → candidates

The comparison is cv2's: `≥`, so a plateau yields every one of its pixels, and the threshold in front
of it is a whole number of grey levels (docs/deviations.md, 3 and 4).

imports: params, threads, kernels, kernels.arithmetic, kernels.lanes, kernels.memory
Reads    scalespace.py (step 1)
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import compiled_apart
from pysift.kernels.lanes import LANES, above, at_least, lowest_bit, maximum, minimum, splat
from pysift.kernels.memory import load, load_some, store, whole_lines
from pysift.params import SIFTParams
from pysift.threads import over

_STRIP = 512                        # columns at a time, a multiple of 16
_PITCH = _STRIP + 3 * LANES         # of a row of differences, with what lies beside the strip


def find_extrema(levels: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Find the candidates of one octave.

    Parameters
    ----------
    levels : (S + 3, H, W) float32, grey levels
    params : SIFTParams; reads border [px], contrast_threshold, prefilter, prefilter_floor

    Returns
    -------
    (N, 3) int32, rows (layer, y, x) in lexicographic order, 1 ≤ layer ≤ S; N may be 0

    Source: [Lowe §3.1].

    >>> levels = np.zeros((6, 16, 16), np.float32); levels[3:, 8, 7] = 9        # D = 9 in layer 2
    >>> find_extrema(levels)
    array([[2, 8, 7]], dtype=int32)
    """
    candidates = np.concatenate(over(levels.shape[1], scanner(params), np.ascontiguousarray(levels), grain=64))
    return candidates[np.lexsort(candidates.T[::-1])]


def scanner(params: SIFTParams = SIFTParams()) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """Return find(levels, first, last): the candidates of rows first … last − 1, (N, 3) int32, in no set order."""
    return partial(_scan, np.float32(params.candidate_threshold()), params.border)


@njit(nogil=True)
def _scan(threshold, border, levels, first, last):
    """Find the extrema of rows first … last − 1, a strip of columns at a time.

    The differences of three rows wait in `rows`, which the innermost cache holds: row y of D_i starts there at
    (3i + y mod 3)·_PITCH, and its column `left` 16 further on.
    """
    n_layers, (h, w), flat = len(levels) - 3, levels.shape[1:], levels.reshape(-1)
    first, last = max(first, border), min(last, h - border)
    rows = whole_lines(3 * (n_layers + 2) * _PITCH)
    found, count = np.empty((0, 3), np.int32), 0
    strip = _even(max(w - 2 * border, 1))
    for left in range(border, w - border, strip):
        width = min(strip, w - border - left)
        for y in range(first - 1, last + 1):
            to = y % 3 * _PITCH + LANES - 1
            _subtract(flat, n_layers + 2, h * w, y * w + left - 1, width + 2, rows[to:])
            if y > first:                                            # row y − 1 has both its neighbours
                if len(found) - count < n_layers * width:
                    found = np.concatenate((found, np.empty((len(found) + n_layers * width, 3), np.int32)))
                count = _compare(rows, n_layers, y - 1, left, width, threshold, found, count)
    return found[:count]


@njit()
def _even(width):
    """Return the width of equal strips, a multiple of 16 and at most _STRIP."""
    strips = (width + _STRIP - 1) // _STRIP
    return (width + strips * LANES - 1) // (strips * LANES) * LANES


@njit()
def _subtract(flat, n, plane, at, width, row):
    """D_i = L_{i+1} − L_i for i < n, from pixel `at` of each level of `plane` pixels; then zeros."""
    for x in range(0, width + LANES, LANES):
        fine = load_some(flat, at + x, width - x)
        for i in range(n):
            coarse = load_some(flat, at + (i + 1) * plane + x, width - x)
            store(row, 3 * i * _PITCH + x, coarse - fine)
            fine = coarse


@njit()
def _compare(rows, n_layers, y, left, width, threshold, found, count):
    """Write the extrema of row y to `found` from its row `count` on; returns the new count.

    Sixteen pixels at a time are compared with the six next to them in x, y and scale.  One pixel in several hundred
    passes, and only then are all 26 looked at.
    """
    compiled_apart()
    low, high, layer = splat(-threshold), splat(threshold), 3 * _PITCH
    here, north, south = LANES + y % 3 * _PITCH, LANES + (y + 2) % 3 * _PITCH, LANES + (y + 1) % 3 * _PITCH
    for i in range(1, n_layers + 1):
        for x in range(0, width, LANES):
            at = i * layer + x
            value = load(rows, here + at)
            most, least = value, value
            for k in (here - 1, here + 1, north, south, here - layer, here + layer):
                most, least = maximum(most, load(rows, k + at)), minimum(least, load(rows, k + at))
            bits = above(value, high) & at_least(value, most) | above(low, value) & at_least(least, value)
            if bits == 0:
                continue
            for dl in (-layer, 0, layer):
                for k in (north, here, south):
                    for dx in (-1, 0, 1):
                        q = load(rows, k + at + dl + dx)
                        most, least = maximum(most, q), minimum(least, q)
            bits = above(value, high) & at_least(value, most) | above(low, value) & at_least(least, value)
            bits &= (1 << min(width - x, LANES)) - 1
            while bits:
                found[count, 0], found[count, 1], found[count, 2] = i, y, left + x + lowest_bit(bits)
                bits &= bits - 1
                count += 1
    return count
