"""Step 2 of 5: the extrema of the differences of Gaussians.              [Lowe §3.1; Anatomy Alg. 4]

    D (S + 2, H, W) → pixels no smaller (or no larger) than their 26 neighbours → candidates

The comparison is cv2's: `≥`, so a plateau yields every one of its pixels, and the threshold in front
of it is a whole number of grey levels (docs/deviations.md, 3 and 4).

imports: params, threads          Reads  scalespace.py (step 1)
"""
from __future__ import annotations

import numpy as np
from numba import njit

from pysift.params import SIFTParams
from pysift.threads import over


def find_extrema(dog: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Find the candidates of one octave.

    Parameters
    ----------
    dog : (S + 2, H, W) float32, grey levels
    params : SIFTParams; reads border [px], contrast_threshold, prefilter, prefilter_floor

    Returns
    -------
    (N, 3) int32, rows (layer, y, x) in lexicographic order, 1 ≤ layer ≤ S; N may be 0

    Source: [Lowe §3.1].

    >>> dog = np.zeros((5, 16, 16), np.float32); dog[2, 8, 7] = 9
    >>> find_extrema(dog)
    array([[2, 8, 7]], dtype=int32)
    """
    layers = dog[1:-1].shape
    promising = np.zeros(layers, np.bool_)
    threshold = np.float32(params.candidate_threshold())
    over(layers[0] * layers[1], _compare_six, dog, threshold, params.border, promising, grain=64)
    layer, y, x = np.unravel_index(np.flatnonzero(promising), layers)
    candidates = np.stack([layer + 1, y, x], axis=1).astype(np.int32)
    return candidates[np.concatenate(over(len(candidates), _are_extrema, dog, candidates, grain=512))]


@njit(cache=True, nogil=True)
def _compare_six(dog, threshold, border, promising, first, last):
    """Mark pixels with |D| > threshold that lie on one side of their six direct neighbours.

    Runs over rows first ≤ (layer − 1)·H + y < last.  It passes a pixel in a thousand, so that the 26 are
    compared there only; each row is a loop without branches over slices, which compiles to vector code.
    """
    h, w = dog.shape[1:]
    n = max(w - 2 * border, 0)
    for row in range(first, last):
        layer, y = 1 + row // h, row % h
        if y < border or y >= h - border:
            continue
        here, marks = dog[layer, y, border:border + n], promising[layer - 1, y, border:border + n]
        left, right = dog[layer, y, border - 1:border - 1 + n], dog[layer, y, border + 1:border + 1 + n]
        north, south = dog[layer, y - 1, border:border + n], dog[layer, y + 1, border:border + n]
        below, above = dog[layer - 1, y, border:border + n], dog[layer + 1, y, border:border + n]
        for i in range(n):
            v = here[i]
            most = max(max(max(left[i], right[i]), max(north[i], south[i])), max(below[i], above[i]))
            least = min(min(min(left[i], right[i]), min(north[i], south[i])), min(below[i], above[i]))
            marks[i] = (v >= most) & (v > threshold) | (v <= least) & (v < -threshold)


@njit(cache=True, nogil=True)
def _are_extrema(dog, candidates, first, last):
    """Return which of the candidates first … last − 1 of (N, 3) pass `is_extremum`, (last − first,) bool."""
    passed = np.empty(last - first, np.bool_)
    for i in range(first, last):
        layer, y, x = candidates[i]
        passed[i - first] = is_extremum(dog, layer, y, x)
    return passed


@njit(cache=True)
def is_extremum(dog, layer, y, x):
    """D(p) > 0 and D(p) ≥ D(q), or D(p) < 0 and D(p) ≤ D(q), for all 26 neighbours q of p."""
    v = dog[layer, y, x]
    sign = v / abs(v)                               # comparing ±D serves both cases
    for dl in range(-1, 2):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if sign * dog[layer + dl, y + dy, x + dx] > sign * v:
                    return False
    return True
