"""What step 3 saw on its way: every pixel that a candidate moved to, and the two numbers that are tested at its end.

    candidate → refine, stopped after one step, after two … → path → S·|D(p + δ)|, tr²/det

`refine` tells how a candidate ended.  Stopped early, it tells where the candidate was then; with a threshold that
nothing passes, it tells the number that it compares.  So all that is here comes from `refine` itself.

imports: params, refine
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pysift.params import SIFTParams
from pysift.refine import DIVERGED, LEFT, UNSETTLED, refine

_OUT_OF_REACH = 1e6             # no contrast comes near it
_ROUND = 1.0                    # r = 1, where tr²/det ≥ 4 holds for every peak and every pit


class Replay(NamedTuple):
    """The ways of N candidates; K is the number of steps allowed."""

    cells: np.ndarray           # (K + 1, N, 3) int32, layer, row, column before each step and after the last
    offsets: np.ndarray         # (K, N, 3) float32, δ = (dx, dy, ds) computed at each of the first K cells
    visited: np.ndarray         # (N,) int64, how many of these δ were computed, from 1 to K
    end: np.ndarray             # (N, 3) int32, the cell that it ended in
    contrast: np.ndarray        # (N,) float32, S·|D(p + δ)|; NaN where it settled nowhere
    ratio: np.ndarray           # (N,) float32, tr²/det of the Hessian in x and y; NaN likewise


def replay(levels: np.ndarray, candidates: np.ndarray, params: SIFTParams = SIFTParams()) -> Replay:
    """Follow the candidates of one octave through their Newton steps.

    Parameters
    ----------
    levels : (S + 3, H, W) float32, grey levels
    candidates : (N, 3) int32, rows (layer, y, x)
    params : SIFTParams; reads max_steps, accept_offset [px], border [px], sigma [px], but no threshold

    Returns
    -------
    Replay of N candidates

    Source: [Lowe §4, eq. 2–3].

    >>> z, y, x = np.mgrid[:5, :16, :16] - np.array([2.1, 8.0, 7.25]).reshape(3, 1, 1, 1)
    >>> bowl = np.float32(99 - 4 * z**2 - 3 * y**2 - 2 * x**2)
    >>> levels = np.cumsum(np.concatenate([np.zeros_like(bowl[:1]), bowl]), axis=0)
    >>> r = replay(levels, np.int32([[2, 8, 6]]))
    >>> r.visited, r.cells[:2, 0].tolist(), r.end.tolist()
    (array([2]), [[2, 8, 6], [2, 8, 7]], [[2, 8, 7]])
    """
    def stopped(steps: int, **changes: float):
        return refine(levels, candidates, params.replace(max_steps=steps, **changes))

    after = [stopped(k + 1, contrast_threshold=_OUT_OF_REACH) for k in range(params.max_steps)]
    last, round_only = after[-1], stopped(params.max_steps, contrast_threshold=0.0, edge_threshold=_ROUND)
    start = np.asarray(candidates, np.int32).reshape(-1, 3)
    cells = np.stack([start, *(np.stack([r.layer, r.row, r.col], axis=1) for r in after)])
    offsets = np.stack([np.stack([r.dx, r.dy, r.ds], axis=1) for r in after])
    visited = 1 + sum((r.status == UNSETTLED).astype(np.int64) for r in after[:-1])
    settled = ~np.isin(last.status, (LEFT, DIVERGED, UNSETTLED))
    nowhere = np.float32(np.nan)
    ratio = np.where(np.isnan(round_only.value), np.float32(4), round_only.value)        # rounded to below 4: kept
    return Replay(cells, offsets, visited, cells[-1], np.where(settled, last.value, nowhere),
                  np.where(settled, ratio, nowhere))
