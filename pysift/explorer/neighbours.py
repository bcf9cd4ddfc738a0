"""The descriptors nearest to each descriptor, more than the two that the ratio test asks for.

imports: nothing of pysift
"""
from __future__ import annotations

import numpy as np

_ROWS = 512                     # rows of the distance matrix held at once


def neighbours(d0: np.ndarray, d1: np.ndarray, n: int = 3, *, others_only: bool = False
               ) -> tuple[np.ndarray, np.ndarray]:
    """Find the n rows of `d1` nearest to each row of `d0`, nearest first.

    Parameters
    ----------
    d0, d1 : (N0, D) and (N1, D) descriptors
    n : how many; there are fewer where `d1` has fewer
    others_only : `d0` and `d1` are the same, and row i is no neighbour of itself

    Returns
    -------
    index : (N0, m) int32, m ≤ n
    distance : (N0, m) float32, Euclidean; of integers exact before the root

    >>> neighbours(np.float32([[0], [3]]), np.float32([[1], [9], [4]]), 2)[1].tolist()
    [[1.0, 4.0], [1.0, 2.0]]
    """
    a, b = d0.astype(np.float32), d1.astype(np.float32)
    m = max(min(n, len(b) - others_only), 0)
    index, distance = np.empty((len(a), m), np.int32), np.empty((len(a), m), np.float32)
    for first in range(0, len(a) if m else 0, _ROWS):
        block = a[first:first + _ROWS]
        squared = (block**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * block @ b.T
        if others_only:
            squared[np.arange(len(block)), first + np.arange(len(block))] = np.inf
        near = np.argsort(squared, axis=1, kind="stable")[:, :m]
        index[first:first + _ROWS] = near
        distance[first:first + _ROWS] = np.sqrt(np.maximum(np.take_along_axis(squared, near, axis=1), 0))
    return index, distance
