"""Every extremum within reach of the sliders, with what each test sees of it.

    image → trace at the widest thresholds → replay → arrays a candidate, paths, cubes

imports: explorer.replay, params, refine, tracing
"""
from __future__ import annotations

import numpy as np

from pysift.explorer.replay import Replay, replay
from pysift.params import SIFTParams
from pysift.refine import REASONS, UNSETTLED
from pysift.tracing import Trace

_REACH = {"contrast_threshold": (0.5, 4.0), "edge_threshold": (1.0, 30.0), "ori_peak": (0.5, 1.0)}


def slider_ranges(params: SIFTParams) -> dict[str, tuple[float, float]]:
    """Return how far each slider moves: contrast as shares of its value in `params`, edge and peak as they are.

    >>> slider_ranges(SIFTParams())["contrast_threshold"]
    (0.02, 0.16)
    """
    ranges = {name: (min(low, getattr(params, name)), max(high, getattr(params, name)))
              for name, (low, high) in _REACH.items()}
    low, high = _REACH["contrast_threshold"]
    c = params.contrast_threshold
    return {**ranges, "contrast_threshold": (low * c, high * c)}


def widest(params: SIFTParams) -> SIFTParams:
    """Return the parameters that let through all that some position of the sliders lets through."""
    ranges = slider_ranges(params)
    return params.replace(nfeatures=0, contrast_threshold=ranges["contrast_threshold"][0],
                          edge_threshold=ranges["edge_threshold"][1], ori_peak=ranges["ori_peak"][0])


def candidate_arrays(wide: Trace) -> dict[str, np.ndarray]:
    """Record the N candidates of a trace at the widest thresholds.

    Returns
    -------
    octave, layer (N,) int8; row, col (N,) int32 : where each was found, in pixels of its octave
    start (N,) float32 : D there, grey levels
    contrast, ratio (N,) float32 : S·|D(p + δ)| and tr²/det, NaN where it settled nowhere
    end (N, 3) int32 : layer, row, column where the refinement ended
    fate (N,) uint8 : 0 where it settled, else the index into `refine.REASONS` of why not
    group (N,) int32 : equal for candidates that settled in one pixel, which are one keypoint
    cube (N, 27) float32 : D about `end`, (layer, y, x), grey levels
    visited (N,) uint8, path (M, 3) int32, delta (M, 3) float32 : the M = Σ visited pixels of all paths with δ there
    """
    c = wide.candidates
    starts = np.stack([c.layer, c.row, c.col], axis=1)
    arrays = {"octave": c.octave.astype(np.int8), "layer": c.layer.astype(np.int8), "row": c.row, "col": c.col}
    rows = [np.flatnonzero(c.octave == octave.index) for octave in wide.octaves]      # in order: finest first
    replays = [replay(octave.levels, starts[i], wide.params) for octave, i in zip(wide.octaves, rows)]
    end = _stacked([r.end for r in replays], (0, 3), np.int32)
    contrast = _stacked([r.contrast for r in replays], (0,), np.float32)
    arrays |= {"contrast": contrast, "ratio": _stacked([r.ratio for r in replays], (0,), np.float32), "end": end,
               "start": _at(wide, starts[:, None])[:, 0], "cube": _at(wide, end[:, None] + _AROUND),
               "group": _groups(c.octave, end, ~np.isnan(contrast)), "fate": _fates(wide)}
    return arrays | _paths(replays)


_AROUND = np.indices((3, 3, 3)).reshape(3, 27).T - 1                   # layer, y, x


def _at(wide: Trace, cells: np.ndarray) -> np.ndarray:
    """D at k cells (layer, row, column) of each of N candidates, (N, k) float32."""
    values = np.empty(cells.shape[:2], np.float32)
    for octave in wide.octaves:
        own = wide.candidates.octave == octave.index
        layer, row, col = np.moveaxis(cells[own], 2, 0)
        values[own] = octave.dog[layer, row, col]
    return values


def _groups(octave: np.ndarray, end: np.ndarray, settled: np.ndarray) -> np.ndarray:
    """Number the pixels that candidates settled in; one that settled nowhere is a group of its own."""
    alone = np.where(settled, -1, np.arange(len(end)))
    _, group = np.unique(np.column_stack([octave, end, alone]), axis=0, return_inverse=True)
    return group.reshape(-1).astype(np.int32)


def _fates(wide: Trace) -> np.ndarray:
    """Which of the first REASONS ended it; the later ones are the thresholds', and those the page applies."""
    return sum((i * (wide.candidates.step == REASONS[i]) for i in range(1, UNSETTLED + 1)),
               np.zeros(len(wide.candidates.x))).astype(np.uint8)


def _paths(replays: list[Replay]) -> dict[str, np.ndarray]:
    """Lay the visited part of all paths end to end."""
    visited = _stacked([r.visited for r in replays], (0,), np.int64)
    path, delta = [], []
    for r in replays:
        seen = np.arange(len(r.offsets)) < r.visited[:, None]                          # (N, K)
        path.append(r.cells[:-1].swapaxes(0, 1)[seen])
        delta.append(r.offsets.swapaxes(0, 1)[seen])
    return {"visited": visited.astype(np.uint8), "path": _stacked(path, (0, 3), np.int32),
            "delta": _stacked(delta, (0, 3), np.float32)}


def _stacked(parts: list[np.ndarray], shape: tuple, dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(shape, dtype), *parts])
