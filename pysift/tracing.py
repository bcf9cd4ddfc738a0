"""Why is there no keypoint at (x, y)?  Every stage's arrays, and every candidate with what became of it.

    image → the pipeline, nothing thrown away → Trace → .why(x, y), .story(i)

A candidate is an extremum of step 2.  It is kept, or dropped by one step, with the value that the step
looked at and the threshold it missed.

imports: descriptor, keypoints, orientation, params, pipeline, refine, scalespace, selection
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pysift.descriptor import describe_octave, normalise
from pysift.keypoints import Keypoints
from pysift.orientation import angle_histogram
from pysift.params import SIFTParams
from pysift.pipeline import Finds, describe_on, read, search
from pysift.refine import REASONS
from pysift.scalespace import Octave, build_scalespace
from pysift.selection import distinct, strongest, unmasked

STEPS = (*REASONS, "no orientation", "duplicate", "not among the strongest", "masked")

_MEANING = {                                             # step → what `value` and `threshold` are
    "left the octave": "largest |δ| = {:.3g}, asked < {:.3g}; the pixel it named is outside",
    "diverged": "largest |δ| = {:.3g}, asked < {:.3g}; no quadratic fits here",
    "did not settle": "largest |δ| = {:.3g} after the last step, asked < {:.3g}",
    "low contrast": "S·|D(p + δ)| = {:.4g}, asked ≥ {:.4g}",
    "edge": "tr²/det of the Hessian = {:.4g}, asked > 0 and < {:.4g}",
    "not among the strongest": "response = {:.4g}, the last one kept has {:.4g}",
}


class Candidates(NamedTuple):
    """N extrema of the differences of Gaussians; arrays of length N."""

    x: np.ndarray           # float32, input pixels, before refinement
    y: np.ndarray
    octave: np.ndarray      # int32
    layer: np.ndarray       # int32, 1 … S
    row: np.ndarray         # int32, pixels of the octave
    col: np.ndarray
    step: np.ndarray        # str, one of STEPS; "kept" if it became a keypoint
    value: np.ndarray       # float32, what that step looked at; NaN where it compares nothing
    threshold: np.ndarray   # float32


class Story(NamedTuple):
    """How one keypoint came about."""

    keypoint: Keypoints         # one row
    patch: np.ndarray           # (h, w) float32, its level about it, as far as the descriptor reaches
    extent: tuple               # (x0, x1, y0, y1), the outer edges of the patch in input pixels
    cube: np.ndarray            # (3, 3, 3) float32, D (layer, y, x) about the pixel it settled in
    histogram: np.ndarray       # (n_ori_bins,) float32, angles counter-clockwise with y up
    descriptor: np.ndarray      # (n_cells, n_cells, n_desc_bins) float32, unit norm


@dataclass(frozen=True, eq=False)
class Trace:
    """All that `trace` saw."""

    grey: np.ndarray            # (H, W) float32, grey levels 0 … 255
    params: SIFTParams
    octaves: list[Octave]       # finest first
    candidates: Candidates
    keypoints: Keypoints        # N, as from `sift`
    source: np.ndarray          # (N,) int64, the candidate that each keypoint comes from
    pixels: np.ndarray          # (N, 2) int32, row and column in its octave where the refinement ended
    descriptors: np.ndarray     # (N, 128), as from `sift`

    def counts(self) -> dict[str, int]:
        """How many candidates ended in each step, in the order of STEPS."""
        return {step: int((self.candidates.step == step).sum()) for step in STEPS}

    def why(self, x: float, y: float, radius: float = 3.0) -> str:
        """Say what happened within `radius` input pixels of (x, y), in sentences.

        Raises
        ------
        ValueError : (x, y) lies outside the image, or radius is not positive.
        """
        near_k, near_c = self.near(x, y, radius)
        k, c = self.keypoints, self.candidates
        lines = [f"keypoint {i} at ({k.x[i]:.2f}, {k.y[i]:.2f}), σ {k.sigma[i]:.2f}, θ {np.rad2deg(k.theta[i]):.1f}°"
                 for i in near_k]
        lines += [self._fate(i) for i in near_c if c.step[i] != "kept"]
        if not lines and not self.octaves:
            h, w = self.grey.shape
            return f"no candidate within {radius:g} px of ({x:g}, {y:g}): {w} × {h} pixels are too few for an octave"
        if not lines:
            lines = [f"no candidate within {radius:g} px of ({x:g}, {y:g}):"]
            lines += [self._no_candidate(octave, x, y) for octave in self.octaves]
        return "\n".join(lines)

    def near(self, x: float, y: float, radius: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the keypoints and the candidates within `radius` input pixels of (x, y), nearest first.

        A candidate is as near as the pixel of its octave reaches, and brings the keypoints that it became.
        Errors as `why`.
        """
        h, w = self.grey.shape
        if not (-0.5 <= x < w - 0.5 and -0.5 <= y < h - 0.5):
            raise ValueError(f"({x:g}, {y:g}) lies outside the image: x runs from 0 to {w - 1}, y from 0 to {h - 1}")
        if not radius > 0:
            raise ValueError(f"radius={radius!r} must be positive, in input pixels")
        k, c = self.keypoints, self.candidates
        near_c = _nearest(c.x, c.y, x, y, np.maximum(radius, 2.0**c.octave))
        moved_on = np.isin(self.source, near_c)                  # keypoints of a candidate near by, however far
        return _nearest(k.x, k.y, x, y, np.where(moved_on, np.inf, radius)), near_c

    def story(self, i: int) -> Story:
        """Return the intermediate results of keypoint i.

        Raises
        ------
        IndexError : there is no keypoint i.
        """
        if not 0 <= i < len(self.keypoints):
            raise IndexError(f"keypoint {i} does not exist: there are {len(self.keypoints)}, counted from 0")
        k, params = self.keypoints[i], self.params
        octave = next(o for o in self.octaves if o.index == k.octave[0])
        pixel, layer = 2.0 ** octave.index, int(k.layer[0])
        level = octave.levels[layer]
        x, y, sigma = k.x / pixel, k.y / pixel, k.sigma / pixel
        row, col = (int(v) for v in self.pixels[i])
        reach = int(np.ceil(params.cell_width * sigma[0] * (params.n_cells + 1) / 2 * np.sqrt(2)))
        top, left = max(row - reach, 0), max(col - reach, 0)
        patch = level[top:row + reach + 1, left:col + reach + 1]
        bottom, right = top + patch.shape[0], left + patch.shape[1]
        raw = describe_octave(octave.levels, k.layer, x, y, sigma, np.rad2deg(k.theta), params)
        unit = normalise(raw, params.replace(descriptor="float32"))
        return Story(k, patch, tuple((edge - 0.5) * pixel for edge in (left, right, top, bottom)),
                     octave.dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2],
                     angle_histogram(level, col, row, sigma[0], params),
                     unit.reshape(params.n_cells, params.n_cells, params.n_desc_bins))

    def _fate(self, i: int) -> str:
        c = self.candidates
        where = f"candidate at ({c.x[i]:g}, {c.y[i]:g}), octave {c.octave[i]}, layer {c.layer[i]}"
        numbers = _MEANING.get(c.step[i], "").format(c.value[i], c.threshold[i])
        return f"{where}: {c.step[i]}" + (f" ({numbers})" if numbers else "")

    def _no_candidate(self, octave: Octave, x: float, y: float) -> str:
        """Why the strongest |D| of an octave at (x, y) is no extremum."""
        pixel, border = 2.0**octave.index, self.params.border
        h, w = octave.dog.shape[1:]
        col, row = min(round(x / pixel), w - 1), min(round(y / pixel), h - 1)
        if not (border <= col < w - border and border <= row < h - border):
            return f"  octave {octave.index}: within {border} pixels of its border, where nothing is looked for"
        layer = 1 + int(np.abs(octave.dog[1:-1, row, col]).argmax())
        value, threshold = octave.dog[layer, row, col], self.params.candidate_threshold()
        at = f"  octave {octave.index}, layer {layer}: D = {value:.3g} grey levels"
        if abs(value) <= threshold:
            return f"{at}, asked |D| > {threshold:g}"
        cube = np.sign(value) * octave.dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2]
        dl, dy, dx = np.array(np.unravel_index(cube.argmax(), cube.shape)) - 1
        return (f"{at}, but {np.sign(value) * cube.max():.3g} at its neighbour ({dx:+d}, {dy:+d}) "
                f"of layer {layer + dl}: no extremum")


def trace(image, params: SIFTParams = SIFTParams(), *, mask=None, intensity_range=None) -> Trace:
    """Run `sift` and keep everything; arguments, results and errors as `pysift.sift`.

    Examples
    --------
    >>> from pysift.photos import photo
    >>> t = trace(photo("chelsea"))
    >>> sum(t.counts().values()) == len(t.candidates.x), t.story(0).cube.shape
    (True, (3, 3, 3))
    """
    grey, mask = read(image, mask, params, intensity_range)
    octaves = build_scalespace(grey, params)
    finds = [search(octave, params) for octave in octaves]
    starts = np.cumsum([0] + [len(f.candidates) for f in finds])
    found = Keypoints.concatenate([f.keypoints for f in finds])
    source = np.concatenate([np.empty(0, np.int64), *(f.source + start for f, start in zip(finds, starts))])
    candidates = _candidates(octaves, finds)

    _drop(candidates, source, "no orientation")
    alone = distinct(found)
    _drop(candidates, source[alone], "duplicate")
    best = alone[strongest(found[alone], params.nfeatures)]
    lost = _drop(candidates, source[best], "not among the strongest")
    strength = np.zeros(len(candidates.x), np.float32)
    strength[source] = found.response
    candidates.value[lost], candidates.threshold[lost] = strength[lost], found.response[best].min(initial=np.inf)
    seen = best[unmasked(found[best], mask)]
    _drop(candidates, source[seen], "masked")

    keypoints = found[seen]
    pixels = np.concatenate([np.empty((0, 2), np.int32), *(np.stack(f.refined[2:4], axis=1) for f in finds)])
    descriptors = describe_on(octaves, keypoints, params)
    return Trace(grey, params, octaves, candidates, keypoints, source[seen], pixels[source[seen]], descriptors)


def _candidates(octaves: list[Octave], finds: list[Finds]) -> Candidates:
    """Stack the candidates of all octaves, with the verdict of the refinement."""
    def stacked(parts: list, empty: np.ndarray) -> np.ndarray:
        return np.concatenate([empty, *parts])

    layer, row, col = stacked([f.candidates for f in finds], np.empty((0, 3), np.int32)).T
    octave = stacked([np.full(len(f.candidates), o.index, np.int32) for o, f in zip(octaves, finds)],
                     np.empty(0, np.int32))
    status = stacked([f.refined.status for f in finds], np.empty(0, np.int8))
    value = stacked([f.refined.value for f in finds], np.empty(0, np.float32))
    threshold = stacked([f.refined.threshold for f in finds], np.empty(0, np.float32))
    pixel = (2.0**octave).astype(np.float32)
    steps = np.array(STEPS)                                  # as wide as the longest, verdicts to come included
    return Candidates(col * pixel, row * pixel, octave, layer, row, col, steps[status], value, threshold)


def _drop(candidates: Candidates, survivors: np.ndarray, step: str) -> np.ndarray:
    """Write `step` on the candidates that are marked kept but not among the survivors; return which."""
    lost = (candidates.step == "kept") & ~np.isin(np.arange(len(candidates.x)), survivors)
    candidates.step[lost] = step
    return lost


def _nearest(px: np.ndarray, py: np.ndarray, x: float, y: float, radius) -> np.ndarray:
    """Return the indices of the points within `radius` of (x, y), nearest first."""
    distance = np.hypot(px - x, py - y)
    order = np.argsort(distance, kind="stable")
    return order[(distance <= radius)[order]]
