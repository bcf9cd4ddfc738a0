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
    threshold = np.float32(params.candidate_threshold())
    n_rows = (len(dog) - 2) * dog.shape[1]
    return np.concatenate(over(n_rows, _scan_rows, dog, threshold, params.border, grain=64))


@njit(cache=True, nogil=True)
def _scan_rows(dog, threshold, border, first, last):
    """Candidates of rows first ≤ (layer − 1)·H + y < last.

    A vectorised pass over each row compares a pixel with its six direct neighbours; the few that
    pass are compared with all 26.
    """
    h, w = dog.shape[1:]
    found = np.empty((256, 3), np.int32)
    count = 0
    promising = np.empty(w, np.bool_)
    for row in range(first, last):
        layer, y = 1 + row // h, row % h
        if y < border or y >= h - border:
            continue
        _six_neighbours(dog[layer - 1, y], dog[layer, y - 1], dog[layer, y], dog[layer, y + 1],
                        dog[layer + 1, y], threshold, border, promising)
        for x in range(border, w - border):
            if promising[x] and is_extremum(dog, layer, y, x):
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0], found[count, 1], found[count, 2] = layer, y, x
                count += 1
    return found[:count].copy()


@njit(cache=True)
def _six_neighbours(below, above_row, here, under_row, above, threshold, border, promising):
    """|D| > threshold, and D is on one side of its six direct neighbours."""
    for x in range(border, len(here) - border):
        v = here[x]
        top = (v >= here[x - 1]) & (v >= here[x + 1]) & (v >= above_row[x]) & (v >= under_row[x]) \
            & (v >= below[x]) & (v >= above[x]) & (v > threshold)
        bottom = (v <= here[x - 1]) & (v <= here[x + 1]) & (v <= above_row[x]) & (v <= under_row[x]) \
            & (v <= below[x]) & (v <= above[x]) & (v < -threshold)
        promising[x] = top | bottom


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
