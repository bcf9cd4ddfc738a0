"""Which keypoints stay, once all are found: no duplicates, the N strongest, none under the mask.

In cv2's order (docs/deviations.md, 10): sort, drop duplicates, keep the N strongest, and only then look
at the mask, so N and a mask together may leave fewer than N.

imports: keypoints
"""
from __future__ import annotations

import numpy as np

from pysift.keypoints import Keypoints


def canonical_order(keypoints: Keypoints) -> np.ndarray:
    """Return the indices that sort by x, y, then larger σ, smaller θ, larger response, larger octave first.

    The order in which threads found them leaves no trace.

    >>> canonical_order(Keypoints.at([2, 1, 1], [0, 0, 0], [1, 1, 2]))
    array([2, 1, 0])
    """
    order = np.lexsort((keypoints.y, keypoints.x))
    same = (np.diff(keypoints.x[order]) == 0) & (np.diff(keypoints.y[order]) == 0)
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))      # few; the other keys are theirs alone
    k = keypoints[order[tied]]
    order[tied] = order[tied[np.lexsort((-k.packed_octave, -k.response, k.theta, -k.sigma, k.y, k.x))]]
    return order


def distinct(keypoints: Keypoints) -> np.ndarray:
    """Return the indices that sort the keypoints and keep the first of those that share x, y, σ and θ.

    Two candidates may move to the same pixel during refinement.

    >>> distinct(Keypoints.at([1, 1, 2], 0, 1, theta=0))
    array([0, 2])
    """
    order = canonical_order(keypoints)
    k = keypoints[order]
    rows = np.stack([k.x, k.y, k.sigma, k.theta], axis=1)
    new = np.ones(len(k), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return order[new]


def strongest(keypoints: Keypoints, n: int) -> np.ndarray:
    """Return the indices of the n of largest response and of all that tie with the last of them; 0 keeps all.

    >>> strongest(Keypoints.at([1, 2, 3], 0, 1, response=[.1, .3, .1]), 1)
    array([1])
    """
    if n == 0 or len(keypoints) <= n:
        return np.arange(len(keypoints))
    cut = np.partition(keypoints.response, -n)[-n]
    return np.flatnonzero(keypoints.response >= cut)


def unmasked(keypoints: Keypoints, mask: np.ndarray | None) -> np.ndarray:
    """Return the indices of those whose nearest pixel, (⌊x + ½⌋, ⌊y + ½⌋), is not 0 in the (H, W) mask.

    >>> unmasked(Keypoints.at([1, 3], 0, 1), np.array([[1, 1, 1, 0]], bool))
    array([0])
    """
    if mask is None:
        return np.arange(len(keypoints))
    half = np.float32(0.5)
    col, row = (keypoints.x + half).astype(np.int64), (keypoints.y + half).astype(np.int64)
    return np.flatnonzero(mask[row, col])
