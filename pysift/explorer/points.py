"""The keypoints: those of the trace first, under their own numbers, then those that lower thresholds would add.

imports: explorer.neighbours, explorer.windows, descriptor, keypoints, orientation, params, tracing
"""
from __future__ import annotations

import numpy as np

from pysift.descriptor import describe_octave
from pysift.explorer.neighbours import neighbours
from pysift.explorer.windows import gradient_window, turned_patch
from pysift.keypoints import Keypoints
from pysift.orientation import angle_histogram
from pysift.params import SIFTParams
from pysift.tracing import Trace

IN_FULL = 1000                  # keypoints, the strongest, whose windows and descriptors a page holds


def point_arrays(seen: Trace, wide: Trace) -> dict[str, np.ndarray]:
    """Record the N keypoints of `seen`, in its order, and after them the other keypoints of `wide`.

    Returns
    -------
    x, y, sigma, response, offset (M,) float32, theta (M,) float64, at (M,) int8 : as `Keypoints`; at is its layer
    source (M,) int32 : its candidate, a row of `candidate_arrays(wide)`
    height, highest (M,) float32 : its peak in the histogram, and the highest bin
    """
    own = {row: i for i, row in enumerate(_rows(seen.keypoints))}
    place = np.array([own.get(row, len(own)) for row in _rows(wide.keypoints)], np.int64)
    order = np.argsort(place, kind="stable")
    if (place < len(own)).sum() != len(own):
        raise AssertionError("a keypoint of the trace is missing at wider thresholds")
    k = wide.keypoints[order]
    height, highest = _peaks(wide, order)
    return {"x": k.x, "y": k.y, "sigma": k.sigma, "theta": k.theta, "response": k.response, "offset": k.offset,
            "at": k.layer.astype(np.int8), "source": wide.source[order].astype(np.int32),
            "height": height, "highest": highest}


def _rows(k: Keypoints) -> list[tuple]:
    return list(zip(k.x.tolist(), k.y.tolist(), k.sigma.tolist(), k.theta.tolist()))


def _peaks(wide: Trace, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bin that each keypoint's θ is the peak of, and the highest bin, of the histogram of its candidate."""
    n = wide.params.n_ori_bins
    levels = {octave.index: octave.levels for octave in wide.octaves}
    height, highest = np.empty((2, len(order)), np.float32)
    for at, i in enumerate(order):
        k, (row, col) = wide.keypoints[i], wide.pixels[i]
        h = angle_histogram(levels[k.octave[0]][k.layer[0]], col, row, k.sigma[0] / 2.0**k.octave[0], wide.params)
        peaks = np.flatnonzero((h > np.roll(h, 1)) & (h > np.roll(h, -1)))
        away = (peaks + k.theta[0] / (2 * np.pi) * n + n / 2) % n - n / 2        # bins count against θ
        height[at], highest[at] = h[peaks[np.abs(away).argmin()]], h.max()
    return height, highest


def full_arrays(seen: Trace, other: np.ndarray | None) -> dict[str, np.ndarray]:
    """Record the F strongest keypoints of a trace in full; `other` are the descriptors of a second image.

    Returns
    -------
    full (F,) int32 : their numbers, ascending
    histogram (F, n_ori_bins) float32
    frame (F, 4) int32, span (F, 2) float32, window (Σ w·h,) uint8 : width, height, left and top of the gradient
        window in pixels of the octave, its lowest and highest level, and its levels as 255ths of that span
    patch (F, 16, 16) uint8 : the turned patch, in whole grey levels
    before (F, 128) uint16 : the descriptor before clipping over its norm, in 4095ths
    clipped (F,) int32 : how many entries lay above the clip, before quantisation
    descriptor (F, 128) : as `seen.descriptors`
    near (F, 3) int32, distance (F, 3) float32 : the nearest descriptors, of other keypoints or of `other`
    """
    strength = seen.keypoints.response
    full = np.sort(np.argsort(-strength, kind="stable")[:IN_FULL]).astype(np.int32)
    parts = [_one(seen, int(i)) for i in full]
    near, distance = neighbours(seen.descriptors, seen.descriptors if other is None else other,
                                others_only=other is None)
    size = 4 * seen.params.n_cells
    shapes = {"histogram": ((0, seen.params.n_ori_bins), np.float32), "frame": ((0, 4), np.int32),
              "span": ((0, 2), np.float32), "window": ((0,), np.uint8), "patch": ((0, size, size), np.uint8),
              "before": ((0, seen.descriptors.shape[1]), np.uint16), "clipped": ((0,), np.int32)}
    arrays = {name: np.concatenate([np.empty(*shape), *(p[name] for p in parts)]).astype(shape[1])
              for name, shape in shapes.items()}
    return {"full": full, **arrays, "descriptor": seen.descriptors[full], "near": near[full],
            "distance": distance[full]}


def _one(seen: Trace, i: int) -> dict[str, np.ndarray]:
    k, params = seen.keypoints[i], seen.params
    octave = next(o for o in seen.octaves if o.index == k.octave[0])
    pixel, layer, (row, col) = 2.0**octave.index, int(k.layer[0]), seen.pixels[i]
    x, y, sigma = k.x / pixel, k.y / pixel, k.sigma / pixel
    pixels, left, top = gradient_window(octave, layer, row, col, sigma[0], params)
    low, high = pixels.min(), pixels.max()
    patch = turned_patch(octave, layer, x[0], y[0], sigma[0], k.theta[0], params)
    raw = describe_octave(octave.levels, k.layer, x, y, sigma, np.rad2deg(k.theta), params)
    return {"histogram": seen.story(i).histogram[None],
            "frame": np.array([[pixels.shape[1], pixels.shape[0], left, top]]), "span": np.array([[low, high]]),
            "window": np.rint((pixels - low) * (255 / max(high - low, 1e-6))).ravel(),
            "patch": np.rint(patch)[None], "before": np.rint(unit(raw) * 4095), "clipped": clipped(raw, params)}


def clipped(raw: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Count the entries of each row that lie above `desc_clip` of its norm, which clipping cuts.

    >>> clipped(np.float32([[3, 4, 0.1]])).tolist()
    [2]
    """
    return (unit(raw) > np.float32(params.desc_clip)).sum(axis=1)


def unit(raw: np.ndarray) -> np.ndarray:
    """Divide each row by its norm; a row of zeros stays one.

    >>> unit(np.float32([[3, 4], [0, 0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norm = np.sqrt((raw.astype(np.float64)**2).sum(axis=1, keepdims=True))
    return (raw / np.where(norm > 0, norm, 1)).astype(np.float32)
