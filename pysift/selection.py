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
    k = keypoints
    packed = (k.octave & 255) + (k.layer << 8) + (np.rint((np.float64(k.offset) + 0.5) * 255).astype(np.int64) << 16)
    return np.lexsort((-packed, -k.response, k.theta, -k.sigma, k.y, k.x))


def distinct(keypoints: Keypoints) -> Keypoints:
    """Sort, and keep the first of those that share x, y, σ and θ.

    Two candidates may move to the same pixel during refinement.

    >>> len(distinct(Keypoints.at([1, 1, 2], 0, 1, theta=0)))
    2
    """
    k = keypoints[canonical_order(keypoints)]
    rows = np.stack([k.x, k.y, k.sigma, k.theta], axis=1)
    new = np.ones(len(k), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return k[new]


def strongest(keypoints: Keypoints, n: int) -> Keypoints:
    """Keep the n of largest response, in their order, and all that tie with the last of them; 0 keeps all.

    >>> len(strongest(Keypoints.at([1, 2, 3], 0, 1, response=[.1, .3, .1]), 1))
    1
    """
    if n == 0 or len(keypoints) <= n:
        return keypoints
    cut = np.partition(keypoints.response, -n)[-n]
    return keypoints[keypoints.response >= cut]


def unmasked(keypoints: Keypoints, mask: np.ndarray | None) -> Keypoints:
    """Keep those whose nearest pixel, (⌊x + ½⌋, ⌊y + ½⌋), is not zero in the (H, W) mask; None keeps all.

    >>> len(unmasked(Keypoints.at([1, 3], 0, 1), np.array([[1, 1, 1, 0]], bool)))
    1
    """
    if mask is None:
        return keypoints
    half = np.float32(0.5)
    col, row = (keypoints.x + half).astype(np.int64), (keypoints.y + half).astype(np.int64)
    return keypoints[mask[row, col] != 0]
